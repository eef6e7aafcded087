"""The verbs of `orrery template` and `onetemplate`."""

from typing import Any
from xml.etree.ElementTree import Element

import click

from orrery.cli import pools, tree
from orrery.cli.client import Client
from orrery.cli.follow import follow_vm
from orrery.cli.group import verbs_of
from orrery.cli.measures import moment
from orrery.cli.noun import Noun, connected, for_each, resolve_one
from orrery.cli.sheet import (
    common_columns,
    field,
    opening,
    permissions,
    template_section,
)
from orrery.cli.table import Column
from orrery.cli.text_input import with_options
from orrery.cli.verbs import chmod, chown, deleting, listing, renaming, showing, updating
from orrery.cli.vm import can_wait
from orrery.cli.vm_options import describes_vm, template_of

COLUMNS = (
    *common_columns(),
    Column("REGTIME", lambda one: moment(tree.number(one, "REGTIME")), "When it was stored"),
)


def sheet(template: Element) -> list[str]:
    return [
        *opening("TEMPLATE", template),
        field("REGISTER TIME", moment(tree.number(template, "REGTIME"))),
        *permissions(template),
        *template_section(template, "TEMPLATE", "TEMPLATE CONTENTS"),
    ]


TEMPLATE = Noun(pools.TEMPLATE, COLUMNS, sheet)


@click.command("create")
@click.argument("file", required=False)
@click.option("--name", metavar="TEXT", help="Its name.")
@describes_vm
@connected
def create(client: Client, *, file: str | None, name: str | None, **described: Any) -> None:
    """Store a VM template from FILE, - or piped text, or from options alone."""
    text = with_options(file, template_of(name, described))
    click.echo(f"ID: {client.number('one.template.allocate', text)}")


@click.command("instantiate")
@click.argument("target", metavar="ID|NAME")
@click.argument("file", required=False)
@click.option("--name", metavar="TEXT", help="Name of the VM; %i is the number with --multiple.")
@click.option("--hold", is_flag=True, help="Start on hold: not placed until released.")
@click.option("--multiple", type=click.IntRange(1, 1000), default=1, help="How many VMs.")
@click.option("--persistent", is_flag=True, help="Clone the template and its images too.")
@describes_vm
@can_wait
@connected
def instantiate(
    client: Client,
    *,
    target: str,
    file: str | None,
    name: str | None,
    hold: bool,
    multiple: int,
    persistent: bool,
    wait: bool,
    timeout: float,
    **described: Any,
) -> int:
    """Create VMs from a stored template; FILE and options change it for these VMs."""
    template_id = resolve_one(client, pools.TEMPLATE, target)
    options = template_of(None, described)
    extra = with_options(file, options) if file else options
    ids = []
    for number in range(multiple):
        called = (name or "").replace("%i", str(number))
        ids.append(
            client.number("one.template.instantiate", template_id, called, hold, extra, persistent)
        )
        click.echo(f"VM ID: {ids[-1]}")
    if not wait:
        return 0
    ends_in = "HOLD" if hold else "RUNNING"
    return for_each(ids, lambda one: follow_vm(client, one, ends_in, timeout))


@click.command("clone")
@click.argument("target", metavar="ID|NAME")
@click.argument("name")
@click.option("--recursive", is_flag=True, help="Clone its images too.")
@connected
def clone(client: Client, *, target: str, name: str, recursive: bool) -> None:
    """Copy a template under another name."""
    template_id = resolve_one(client, pools.TEMPLATE, target)
    click.echo(f"ID: {client.number('one.template.clone', template_id, name, recursive)}")


COMMANDS = verbs_of(
    "template",
    "VM templates: store and instantiate.",
    [
        listing(TEMPLATE),
        showing(TEMPLATE),
        create,
        instantiate,
        clone,
        updating(TEMPLATE),
        renaming(TEMPLATE),
        chmod(TEMPLATE),
        chown(TEMPLATE),
        deleting(TEMPLATE),
    ],
)
