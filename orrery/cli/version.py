"""`orrery version`: of this program, and of the engine when one answers."""

import sys

import click

from orrery.cli.access import find_access
from orrery.cli.client import Client
from orrery.cli.failure import CommandFailed


def own_version() -> str:
    """What is installed, or what the source says when it is not."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("orrery")
    except PackageNotFoundError:
        return "from source"


@click.command("version")
@click.option("--endpoint", metavar="URL", help="The engine's address (else ONE_XMLRPC).")
def version(*, endpoint: str | None) -> None:
    """The versions of this program and of the engine."""
    click.echo(f"orrery {own_version()} (Python {sys.version.split()[0]})")
    try:
        client = Client(find_access(endpoint, None, None))
        answer = client.text("one.system.version")
    except CommandFailed as error:
        click.echo(f"engine: {error}")
        return
    click.echo(f"engine at {client.base}: API of OpenNebula {answer}")
