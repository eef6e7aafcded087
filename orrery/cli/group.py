"""How a noun's verbs are put together: one click group, in the order in which help shows them."""

from collections.abc import Sequence

import click


class Verbs(click.Group):
    """Commands in the order given, not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def verbs_of(name: str, about: str, commands: Sequence[click.Command]) -> click.Group:
    """The group of a noun."""
    group = Verbs(
        name,
        help=about,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for command in commands:
        group.add_command(command)
    return group
