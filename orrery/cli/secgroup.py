"""The verbs of `orrery secgroup` and `onesecgroup`."""

from xml.etree.ElementTree import Element

import click

from orrery.cli import pools, tree
from orrery.cli.client import Client
from orrery.cli.group import verbs_of
from orrery.cli.noun import Noun, connected
from orrery.cli.sheet import common_columns, field, heading, opening, permissions, text_of
from orrery.cli.table import Column
from orrery.cli.text_input import read_template
from orrery.cli.verbs import chmod, chown, deleting, listing, renaming, showing, updating

COLUMNS = (
    *common_columns(),
    Column(
        "RULES", lambda one: str(len(one.findall("TEMPLATE/RULE"))), "Number of rules", right=True
    ),
    Column(
        "UPDATED", lambda one: str(len(tree.ids(one, "UPDATED_VMS"))), "VMs up to date", right=True
    ),
    Column(
        "ERROR", lambda one: str(len(tree.ids(one, "ERROR_VMS"))), "VMs that failed", right=True
    ),
    Column("DESCRIPTION", text_of("TEMPLATE/DESCRIPTION"), "Text for people", shown=False),
)


def sheet(group: Element) -> list[str]:
    return [
        *opening("SECURITY GROUP", group),
        field("DESCRIPTION", tree.value(group, "TEMPLATE/DESCRIPTION") or "-"),
        *permissions(group),
        *rules(group),
        "",
        field("VMS", ", ".join(map(str, tree.ids(group, "UPDATED_VMS"))) or "-"),
    ]


def rules(group: Element) -> list[str]:
    lines = [
        f"{tree.value(one, 'RULE_TYPE').lower():<10}{tree.value(one, 'PROTOCOL'):<9}"
        f"{tree.value(one, 'RANGE') or 'all':<20}{where(one)}"
        for one in group.findall("TEMPLATE/RULE")
    ]
    return ["", heading("RULES"), f"{'TYPE':<10}{'PROTOCOL':<9}{'PORTS':<20}NETWORK", *lines]


def where(rule: Element) -> str:
    """The other end that a rule admits."""
    if tree.value(rule, "NETWORK_ID"):
        return f"virtual network {tree.value(rule, 'NETWORK_ID')}"
    if tree.value(rule, "IP"):
        return f"{tree.value(rule, 'IP')}, {tree.value(rule, 'SIZE') or '1'} addresses"
    return "any"


SECURITY_GROUP = Noun(pools.SECURITY_GROUP, COLUMNS, sheet)


@click.command("create")
@click.argument("file", required=False)
@connected
def create(client: Client, *, file: str | None) -> None:
    """Create a security group from a template FILE, - or piped text."""
    click.echo(f"ID: {client.number('one.secgroup.allocate', read_template(file))}")


COMMANDS = verbs_of(
    "secgroup",
    "Security groups: what traffic may pass.",
    [
        listing(SECURITY_GROUP),
        showing(SECURITY_GROUP),
        create,
        renaming(SECURITY_GROUP),
        chmod(SECURITY_GROUP),
        chown(SECURITY_GROUP),
        updating(SECURITY_GROUP),
        deleting(SECURITY_GROUP),
    ],
)
