"""The verbs of `orrery host` and `onehost`."""

from xml.etree.ElementTree import Element

import click

from orrery.cli import pools, states, tree
from orrery.cli.client import Client
from orrery.cli.follow import follow_host
from orrery.cli.group import verbs_of
from orrery.cli.measures import size_kib
from orrery.cli.noun import Noun, connected, resolve_one
from orrery.cli.sheet import field, heading, template_section, text_of
from orrery.cli.table import Column
from orrery.cli.verbs import action, deleting, listing, renaming, showing, updating

HOST_WAIT_S = 120.0
DRIVERS = ("kvm", "qemu", "sim", "dummy")


def short_state(host: Element) -> str:
    return states.nth(states.HOST_STATES, tree.number(host, "STATE"))


def share(host: Element, name: str) -> int:
    return tree.number(host, f"HOST_SHARE/{name}")


def percent(part: int, whole: int) -> str:
    return f"({round(100 * part / whole)}%)" if whole else ""


def allocated_cpu(host: Element) -> str:
    used, total = share(host, "CPU_USAGE"), share(host, "MAX_CPU")
    return f"{used} / {total} {percent(used, total)}".strip() if total else "-"


def allocated_memory(host: Element) -> str:
    used, total = share(host, "MEM_USAGE"), share(host, "MAX_MEM")
    text = f"{size_kib(used)} / {size_kib(total)} {percent(used, total)}"
    return text.strip() if total else "-"


COLUMNS = (
    Column("ID", text_of("ID"), "Its number", right=True),
    Column("NAME", text_of("NAME"), "Its name", shrinks=True),
    Column("CLUSTER", text_of("CLUSTER"), "Its cluster"),
    Column("TVM", text_of("HOST_SHARE/RUNNING_VMS"), "VMs on it", right=True),
    Column("ALLOCATED_CPU", allocated_cpu, "CPU given to VMs, of all", right=True),
    Column("ALLOCATED_MEM", allocated_memory, "Memory given to VMs, of all", right=True),
    Column("STAT", short_state, "Short state"),
    Column("IM", text_of("IM_MAD"), "Monitoring driver", shown=False),
    Column("VMM", text_of("VM_MAD"), "Hypervisor driver", shown=False),
    Column("ACCELERATION", text_of("TEMPLATE/ACCELERATION"), "kvm, or tcg: emulation", shown=False),
)


def sheet(host: Element) -> list[str]:
    state = states.nth(states.HOST_STATE_NAMES, tree.number(host, "STATE"))
    vms = tree.ids(host, "VMS")
    return [
        heading(f"HOST {tree.value(host, 'ID')} INFORMATION"),
        field("ID", tree.value(host, "ID")),
        field("NAME", tree.value(host, "NAME")),
        field("CLUSTER", tree.value(host, "CLUSTER")),
        field("STATE", state),
        field("IM_MAD", tree.value(host, "IM_MAD")),
        field("VM_MAD", tree.value(host, "VM_MAD")),
        "",
        heading("HOST SHARES"),
        field("RUNNING VMS", tree.value(host, "HOST_SHARE/RUNNING_VMS")),
        field("CPU ALLOCATED", allocated_cpu(host)),
        field("MEMORY ALLOCATED", allocated_memory(host)),
        field("CPU USED", tree.value(host, "MONITORING/CAPACITY/USED_CPU") or "-"),
        field("MEMORY USED", size_kib(tree.number(host, "MONITORING/CAPACITY/USED_MEMORY"))),
        field("VMS", ", ".join(map(str, vms)) or "-"),
        *template_section(host, "TEMPLATE", "HOST TEMPLATE AND MONITORING"),
    ]


HOST = Noun(pools.HOST, COLUMNS, sheet)


@click.command("create")
@click.argument("name")
@click.option("-i", "--im", default="kvm", help=f"Monitoring driver: {', '.join(DRIVERS)}.")
@click.option("-v", "--vm", "vm_mad", help="Hypervisor driver; the same when not given.")
@click.option("-c", "--cluster", metavar="ID|NAME", help="Cluster to join.")
@click.option("-w", "--wait", "--follow", "wait", is_flag=True, help="Until it is monitored.")
@click.option("--timeout", type=float, default=HOST_WAIT_S, metavar="S", help="Seconds to wait.")
@connected
def create(
    client: Client,
    *,
    name: str,
    im: str,
    vm_mad: str | None,
    cluster: str | None,
    wait: bool,
    timeout: float,
) -> None:
    """Add a machine: localhost, or any that libvirt reaches."""
    cluster_id = -1 if cluster is None else resolve_one(client, pools.CLUSTER, cluster)
    host_id = client.number("one.host.allocate", name, im, vm_mad or im, cluster_id)
    click.echo(f"ID: {host_id}")
    if wait:
        follow_host(client, host_id, timeout)


def set_status(name: str, about: str, status: int) -> click.Command:
    return action(HOST, name, about, "one.host.status", lambda one: [one, status])


COMMANDS = verbs_of(
    "host",
    "Hosts: the machines that run VMs.",
    [
        listing(HOST),
        showing(HOST),
        create,
        set_status("enable", "Let hosts take VMs.", 0),
        set_status("disable", "Place no more VMs on hosts; those there stay.", 1),
        set_status("offline", "Neither place VMs on hosts nor watch them.", 2),
        renaming(HOST),
        updating(HOST),
        deleting(HOST),
    ],
)
