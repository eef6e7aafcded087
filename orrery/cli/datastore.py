"""The verbs of `orrery datastore` and `onedatastore`."""

from xml.etree.ElementTree import Element

import click

from orrery.cli import pools, states, tree
from orrery.cli.client import Client
from orrery.cli.group import verbs_of
from orrery.cli.measures import size_mib
from orrery.cli.noun import Noun, connected, resolve_one
from orrery.cli.sheet import (
    clusters,
    common_columns,
    field,
    heading,
    opening,
    permissions,
    template_section,
    text_of,
)
from orrery.cli.table import Column
from orrery.cli.text_input import read_template
from orrery.cli.verbs import chmod, chown, deleting, listing, renaming, showing, updating


def space(path: str, store: Element) -> str:
    """A size, `-` where it is not known."""
    found = tree.number(store, path)
    return size_mib(found) if found else "-"


def available(store: Element) -> str:
    total, free = tree.number(store, "TOTAL_MB"), tree.number(store, "FREE_MB")
    return f"{round(100 * free / total)}%" if total else "-"


COLUMNS = (
    *common_columns(),
    Column("SIZE", lambda one: space("TOTAL_MB", one), "Space in all", right=True),
    Column("AVAIL", available, "Free part of it", right=True),
    Column("CLUSTERS", clusters, "Clusters"),
    Column("IMAGES", lambda one: str(len(tree.ids(one, "IMAGES"))), "Images in it", right=True),
    Column(
        "TYPE",
        lambda one: states.nth(states.DATASTORE_TYPES_SHORT, tree.number(one, "TYPE")),
        "img images, sys running disks, fil files",
    ),
    Column("DS", text_of("DS_MAD"), "Datastore driver"),
    Column("TM", text_of("TM_MAD"), "Transfer driver"),
    Column("STAT", lambda one: "off" if tree.value(one, "STATE") == "1" else "on", "Short state"),
)


def sheet(store: Element) -> list[str]:
    return [
        *opening("DATASTORE", store),
        field("CLUSTERS", clusters(store)),
        field("TYPE", states.nth(states.DATASTORE_TYPES, tree.number(store, "TYPE"))),
        field("DS_MAD", tree.value(store, "DS_MAD")),
        field("TM_MAD", tree.value(store, "TM_MAD")),
        field("BASE PATH", tree.value(store, "BASE_PATH")),
        field("STATE", states.nth(states.DATASTORE_STATES, tree.number(store, "STATE"))),
        "",
        heading("DATASTORE CAPACITY"),
        field("TOTAL", space("TOTAL_MB", store)),
        field("FREE", space("FREE_MB", store)),
        field("USED", space("USED_MB", store)),
        *permissions(store),
        *template_section(store, "TEMPLATE", "DATASTORE TEMPLATE"),
        "",
        field("IMAGES", ", ".join(map(str, tree.ids(store, "IMAGES"))) or "-"),
    ]


DATASTORE = Noun(pools.DATASTORE, COLUMNS, sheet)


@click.command("create")
@click.argument("file", required=False)
@click.option("-c", "--cluster", metavar="ID|NAME", help="Cluster whose hosts reach it.")
@connected
def create(client: Client, *, file: str | None, cluster: str | None) -> None:
    """Create a datastore from a template FILE, - or piped text."""
    cluster_id = -1 if cluster is None else resolve_one(client, pools.CLUSTER, cluster)
    click.echo(f"ID: {client.number('one.datastore.allocate', read_template(file), cluster_id)}")


COMMANDS = verbs_of(
    "datastore",
    "Datastores: where images and disks lie.",
    [
        listing(DATASTORE),
        showing(DATASTORE),
        create,
        renaming(DATASTORE),
        chmod(DATASTORE),
        chown(DATASTORE),
        updating(DATASTORE),
        deleting(DATASTORE),
    ],
)
