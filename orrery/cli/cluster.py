"""The verbs of `orrery cluster` and `onecluster`."""

from xml.etree.ElementTree import Element

import click

from orrery.cli import pools, tree
from orrery.cli.client import Client
from orrery.cli.group import verbs_of
from orrery.cli.noun import Noun, connected, for_each, resolve, resolve_one
from orrery.cli.sheet import field, heading, template_section, text_of
from orrery.cli.table import Column, Read
from orrery.cli.verbs import deleting, listing, renaming, showing, updating


def count(path: str) -> Read:
    return lambda cluster: str(len(tree.ids(cluster, path)))


COLUMNS = (
    Column("ID", text_of("ID"), "Its number", right=True),
    Column("NAME", text_of("NAME"), "Its name", shrinks=True),
    Column("HOSTS", count("HOSTS"), "Hosts in it", right=True),
    Column("VNETS", count("VNETS"), "Networks its hosts have", right=True),
    Column("DATASTORES", count("DATASTORES"), "Datastores its hosts reach", right=True),
)


def sheet(cluster: Element) -> list[str]:
    lists = [
        field(path, ", ".join(map(str, tree.ids(cluster, path))) or "-")
        for path in ("HOSTS", "VNETS", "DATASTORES")
    ]
    return [
        heading(f"CLUSTER {tree.value(cluster, 'ID')} INFORMATION"),
        field("ID", tree.value(cluster, "ID")),
        field("NAME", tree.value(cluster, "NAME")),
        *lists,
        *template_section(cluster, "TEMPLATE", "CLUSTER TEMPLATE"),
    ]


CLUSTER = Noun(pools.CLUSTER, COLUMNS, sheet)


@click.command("create")
@click.argument("name")
@connected
def create(client: Client, *, name: str) -> None:
    """Create an empty cluster."""
    click.echo(f"ID: {client.number('one.cluster.allocate', name)}")


@click.command("addhost")
@click.argument("cluster", metavar="ID|NAME")
@click.argument("hosts", metavar="HOST,...")
@connected
def addhost(client: Client, *, cluster: str, hosts: str) -> int:
    """Move hosts into a cluster."""
    cluster_id = resolve_one(client, pools.CLUSTER, cluster)
    ids = resolve(client, pools.HOST, [hosts])
    return for_each(ids, lambda one: client.call("one.cluster.addhost", cluster_id, one))


COMMANDS = verbs_of(
    "cluster",
    "Clusters: groups of hosts.",
    [
        listing(CLUSTER),
        showing(CLUSTER),
        create,
        addhost,
        renaming(CLUSTER),
        updating(CLUSTER),
        deleting(CLUSTER),
    ],
)
