"""The verbs of `orrery vnet` and `onevnet`."""

from ipaddress import AddressValueError, IPv4Address
from xml.etree.ElementTree import Element

import click

from orrery.cli import pools, states, tree
from orrery.cli.client import Client
from orrery.cli.group import verbs_of
from orrery.cli.noun import Noun, connected, for_each, resolve, resolve_one
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
from orrery.cli.text_input import read_template, vector
from orrery.cli.verbs import chmod, chown, deleting, listing, renaming, showing, updating


def size(network: Element) -> str:
    return str(sum(tree.number(one, "SIZE") for one in network.findall("AR_POOL/AR")))


COLUMNS = (
    *common_columns(),
    Column("CLUSTERS", clusters, "Clusters"),
    Column("BRIDGE", text_of("BRIDGE"), "Bridge on the hosts"),
    Column(
        "STAT",
        lambda one: states.nth(states.NETWORK_STATES_SHORT, tree.number(one, "STATE")),
        "Short state",
    ),
    Column("LEASES", text_of("USED_LEASES"), "Addresses in use", right=True),
    Column("SIZE", size, "Addresses in all", right=True),
    Column("VN_MAD", text_of("VN_MAD"), "Driver", shown=False),
)


def sheet(network: Element) -> list[str]:
    return [
        *opening("VIRTUAL NETWORK", network),
        field("CLUSTERS", clusters(network)),
        field("STATE", states.nth(states.NETWORK_STATES, tree.number(network, "STATE"))),
        field("BRIDGE", tree.value(network, "BRIDGE")),
        field("VN_MAD", tree.value(network, "VN_MAD")),
        field("USED LEASES", tree.value(network, "USED_LEASES")),
        *permissions(network),
        *template_section(network, "TEMPLATE", "VIRTUAL NETWORK TEMPLATE"),
        *ranges(network),
        *leases(network),
    ]


def ranges(network: Element) -> list[str]:
    lines = []
    for one in network.findall("AR_POOL/AR"):
        first, last = tree.value(one, "IP"), tree.value(one, "IP_END")
        lines += [
            "",
            heading(f"ADDRESS RANGE {tree.value(one, 'AR_ID')}"),
            field("TYPE", tree.value(one, "TYPE")),
            field("SIZE", f"{tree.value(one, 'USED_LEASES') or '0'} of {tree.value(one, 'SIZE')}"),
            field("MAC", tree.value(one, "MAC")),
        ]
        lines += [field("IP", f"{first} - {last}" if last else first)] if first else []
    return lines


def leases(network: Element) -> list[str]:
    found = network.findall("AR_POOL/AR/LEASES/LEASE")
    lines = [
        f"{tree.value(one, 'IP'):<16}{tree.value(one, 'MAC'):<19}{holder(one)}" for one in found
    ]
    title = f"{'IP':<16}{'MAC':<19}HOLDER"
    return ["", heading("LEASES"), title, *lines] if found else []


def holder(lease: Element) -> str:
    vm_id = tree.value(lease, "VM")
    return "on hold" if vm_id == "-1" else f"VM {vm_id}"


NETWORK = Noun(pools.NETWORK, COLUMNS, sheet)


@click.command("create")
@click.argument("file", required=False)
@click.option("-c", "--cluster", metavar="ID|NAME", help="Cluster whose hosts have it.")
@connected
def create(client: Client, *, file: str | None, cluster: str | None) -> None:
    """Create a network from a template FILE, - or piped text."""
    cluster_id = -1 if cluster is None else resolve_one(client, pools.CLUSTER, cluster)
    click.echo(f"ID: {client.number('one.vn.allocate', read_template(file), cluster_id)}")


@click.command("addar")
@click.argument("target", metavar="ID|NAME")
@click.argument("file", required=False)
@click.option("--ip", metavar="IP", help="First address.")
@click.option("--mac", metavar="MAC", help="First hardware address.")
@click.option("-s", "--size", type=int, metavar="N", help="How many addresses.")
@connected
def addar(
    client: Client,
    *,
    target: str,
    file: str | None,
    ip: str | None,
    mac: str | None,
    size: int | None,
) -> None:
    """Add an address range, from FILE or from --ip, --mac and --size."""
    network_id = resolve_one(client, pools.NETWORK, target)
    text = read_template(file) if size is None else range_text(ip, mac, size)
    client.call("one.vn.add_ar", network_id, text)


def range_text(ip: str | None, mac: str | None, size: int) -> str:
    given = (("TYPE", "IP4" if ip else "ETHER"), ("IP", ip), ("MAC", mac), ("SIZE", str(size)))
    return vector("AR", [(name, text) for name, text in given if text])


@click.command("rmar")
@click.argument("target", metavar="ID|NAME")
@click.argument("ar_id", type=int)
@click.option("--force", is_flag=True, help="Also when addresses are in use.")
@connected
def rmar(client: Client, *, target: str, ar_id: int, force: bool) -> None:
    """Remove an address range."""
    more = [True] if force else []
    client.call("one.vn.rm_ar", resolve_one(client, pools.NETWORK, target), ar_id, *more)


def holding(name: str, about: str) -> click.Command:
    @click.command(name, help=about)
    @click.argument("targets", metavar="ID|NAME,...")
    @click.argument("address", metavar="IP|MAC")
    @connected
    def command(client: Client, *, targets: str, address: str) -> int:
        lease = vector("LEASES", [("IP" if is_ip(address) else "MAC", address)])
        ids = resolve(client, pools.NETWORK, [targets])
        return for_each(ids, lambda one: client.call(f"one.vn.{name}", one, lease))

    return command


def is_ip(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


COMMANDS = verbs_of(
    "vnet",
    "Virtual networks and their addresses.",
    [
        listing(NETWORK),
        showing(NETWORK),
        create,
        addar,
        rmar,
        holding("hold", "Keep an address back from VMs."),
        holding("release", "Give a held address free."),
        renaming(NETWORK),
        chmod(NETWORK),
        chown(NETWORK),
        updating(NETWORK),
        deleting(NETWORK),
    ],
)
