"""Bare `orrery`: what it is, what runs here, and what to do next."""

from collections import Counter

import click

from orrery.cli import screen, tree
from orrery.cli.access import find_access
from orrery.cli.client import Client
from orrery.cli.failure import CommandFailed, Unreachable
from orrery.cli.vm_view import short_state

TITLE = "Orrery: a pool of machines as a private cloud, with OpenNebula's interfaces."

WITHOUT_ENGINE = (
    ("orrery up", "try it now: simulated hosts, no root needed"),
    ("orrery doctor", "check what this machine can do, and what to mend"),
    ("orrery serve", "run the engine for real, in the foreground"),
    ("orrery --help", "all commands; each has its own --help"),
    ("orrery completion bash", "completion for your shell"),
)
WITHOUT_HOSTS = (
    ("orrery host create localhost --im kvm --vm kvm --wait", "add this machine"),
    ("orrery doctor", "check what this machine can do"),
    ("orrery image create --name disk --path FILE", "register a disk image"),
    ("orrery vnet create FILE", "create a network"),
    ("orrery --help", "all commands; each has its own --help"),
)
WITH_HOSTS = (
    ("orrery vm list", "the virtual machines"),
    ("orrery host list", "the hosts and what they have left"),
    ("orrery template list", "what can be instantiated"),
    ("orrery vm create --cpu 1 --memory 512 --disk IMAGE --nic NET --wait", "a new VM"),
    ("orrery events --follow", "what happens, as it happens"),
)


def show_start_page() -> None:
    click.echo(screen.painted(TITLE, "bold"))
    click.echo()
    try:
        found, next_steps = look()
    except CommandFailed as error:
        found, next_steps = f"{error}", WITHOUT_ENGINE
        if isinstance(error, Unreachable):
            found = f"No engine answers: {error}."
    click.echo(found)
    click.echo()
    click.echo("Next:")
    width = max(len(command) for command, _ in next_steps)
    for command, about in next_steps:
        click.echo(f"  {command.ljust(width)}   {screen.painted(about, 'dim')}")


def look() -> tuple[str, tuple[tuple[str, str], ...]]:
    """What the engine has, and what to do next there."""
    client = Client(find_access(None, None, None))
    hosts = client.tree("one.hostpool.info").findall("HOST")
    vms = client.tree("one.vmpool.info", -2, -1, -1, -1).findall("VM")
    on = sum(tree.value(host, "STATE") == "2" for host in hosts)
    stats = Counter(short_state(vm) for vm in vms)
    listed = ", ".join(f"{count} {short}" for short, count in sorted(stats.items()))
    text = (
        f"Engine at {client.base}: {len(hosts)} hosts ({on} on), {len(vms)} VMs"
        + (f" ({listed})" if listed else "")
        + f". Web console: {client.base}/"
    )
    return text, WITH_HOSTS if hosts else WITHOUT_HOSTS
