"""`orrery completion SHELL`: the script that a shell reads to complete our commands."""

import click
from click.shell_completion import get_completion_class

from orrery.cli.failure import CommandFailed
from orrery.cli.program import NOUNS, entry

PROGRAMS = ("orrery", *(f"one{noun}" for noun in NOUNS))


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> None:
    """Print the completion script: eval "$(orrery completion bash)" in ~/.bashrc."""
    found = get_completion_class(shell)
    if found is None:
        raise CommandFailed(f"shell: {shell!r} is not known: bash, zsh or fish")
    for program in PROGRAMS:
        variable = f"_{program.upper()}_COMPLETE"
        click.echo(found(entry(program), {}, program, variable).source())
