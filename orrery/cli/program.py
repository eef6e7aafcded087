"""The command line's tree of commands, loaded one branch at a time, and its exit statuses.

Exit status: 0 done, 1 refused or failed with one line on standard error, 2 wrong usage.
"""

import os
import sys
from importlib import import_module
from typing import NamedTuple

import click

from orrery.cli.failure import CommandFailed

STOPPED_BY_USER = 130


class Branch(NamedTuple):
    """Where a command lives, and its line in the help, so that help loads none of them."""

    target: str
    about: str


NOUNS = {
    "vm": Branch("orrery.cli.vm:COMMANDS", "Virtual machines: create, watch, suspend, terminate."),
    "template": Branch("orrery.cli.template:COMMANDS", "VM templates: store and instantiate."),
    "lease": Branch("orrery.cli.lease:COMMANDS", "Leases: capacity promised for a time."),
    "image": Branch("orrery.cli.image:COMMANDS", "Disk images: register, share, delete."),
    "vnet": Branch("orrery.cli.network:COMMANDS", "Virtual networks and their addresses."),
    "secgroup": Branch("orrery.cli.secgroup:COMMANDS", "Security groups: what traffic may pass."),
    "host": Branch("orrery.cli.host:COMMANDS", "Hosts: the machines that run VMs."),
    "cluster": Branch("orrery.cli.cluster:COMMANDS", "Clusters: groups of hosts."),
    "datastore": Branch("orrery.cli.datastore:COMMANDS", "Datastores: where images and disks lie."),
    "user": Branch("orrery.cli.user:COMMANDS", "Users, passwords and login tokens."),
    "group": Branch("orrery.cli.user:GROUP_COMMANDS", "Groups of users."),
}

OTHERS = {
    "events": Branch("orrery.cli.events:events", "What happens in the engine, as it happens."),
    "simulate": Branch(
        "orrery.simulate.leases.command.group:simulate",
        "Try scheduling policies for leases on a workload, without hosts.",
    ),
    "doctor": Branch("orrery.cli.doctor:command", "Check this machine and say what to mend."),
    "completion": Branch("orrery.cli.completion:completion", "Completion for bash, zsh or fish."),
    "version": Branch("orrery.cli.version:version", "The versions of this program and the engine."),
}

PROGRAMS = (
    ("serve", "Run the engine in the foreground."),
    ("up", "Try it: an engine with simulated hosts, without root."),
    ("driver", "Run or check a driver process (serve, check, probe)."),
)
"""Commands that `orrery.__main__` routes elsewhere; here for the help only."""


class Branches(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*NOUNS, *OTHERS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        branch = NOUNS.get(cmd_name) or OTHERS.get(cmd_name)
        return None if branch is None else load(branch.target)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """`orrery onevm list` is `orrery vm list`."""
        known = args and args[0].startswith("one") and args[0][3:] in NOUNS
        return super().resolve_command(ctx, [args[0][3:], *args[1:]] if known else args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections = (
            ("Objects (each with list, show and more)", {k: b.about for k, b in NOUNS.items()}),
            ("Engine", {**dict(PROGRAMS), **{k: b.about for k, b in OTHERS.items()}}),
        )
        for title, entries in sections:
            with formatter.section(title):
                formatter.write_dl(list(entries.items()))


def load(target: str) -> click.Command:
    """The command that `module:name` names."""
    module, _, name = target.partition(":")
    found = getattr(import_module(module), name)
    if not isinstance(found, click.Command):
        raise TypeError(f"{target} is not a command")
    return found


@click.group(
    cls=Branches,
    name="orrery",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Without a command: what runs here, and what to do next.",
)
@click.pass_context
def root(context: click.Context) -> None:
    """Orrery turns a pool of machines into a private cloud."""
    if context.invoked_subcommand is None:
        from orrery.cli.start import show_start_page

        show_start_page()


def run(program: str, argv: list[str]) -> int:
    """Run one command line; every way out ends in an exit status."""
    if argv[:1] == ["--version"]:
        program, argv = "orrery", ["version"]
    try:
        return entry(program).main(args=argv, prog_name=program, standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as shown:
        shown.show()
        return 2
    except click.UsageError as error:
        error.show()
        return 2
    except (CommandFailed, click.ClickException) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, click.Abort):
        print(f"{program}: stopped", file=sys.stderr)
        return STOPPED_BY_USER
    except BrokenPipeError:
        # The reader went away (`| head`): nothing to say, and nothing to flush at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def entry(program: str) -> click.Command:
    """`orrery` is the whole tree, `onevm` one branch of it."""
    if program == "orrery":
        return root
    branch = NOUNS.get(program.removeprefix("one"))
    if branch is None:
        known = ", ".join(f"one{noun}" for noun in NOUNS)
        raise CommandFailed(f"no program of that name: there are orrery, {known} and oned")
    return load(branch.target)
