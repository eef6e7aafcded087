"""The verbs of `orrery lease` and `onelease`."""

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

import click

from orrery.cli import pools, screen, tree
from orrery.cli.client import Client
from orrery.cli.failure import CommandFailed
from orrery.cli.group import verbs_of
from orrery.cli.lease_calendar import calendar, usage
from orrery.cli.lease_follow import follow_lease
from orrery.cli.lease_text import (
    Values,
    read_file,
    recurring,
    text_of,
    values_of,
)
from orrery.cli.lease_view import LEASE, accepted, answer, reason_of, state_of
from orrery.cli.local_time import moment_of, seconds_of
from orrery.cli.noun import Decorated, connected, for_each, resolve, resolve_one
from orrery.cli.table import Listing
from orrery.cli.text_input import vector
from orrery.cli.verbs import (
    chmod,
    chown,
    deleting,
    filter_flag,
    format_options,
    list_options,
    print_element,
    print_pool,
    renaming,
    showing,
    updating,
)
from orrery.cli.vm_options import USER_KEY, context_pairs

CURRENT = -1

TERMS: tuple[Callable[[Decorated], Decorated], ...] = (
    click.option("--name", metavar="TEXT", help="Name of the lease; its VMs are called after it."),
    click.option("--nodes", type=int, metavar="N", help="How many VMs; 1 when not given."),
    click.option("--cpu", type=float, metavar="N", help="CPUs of each node, 0.5 is half of one."),
    click.option("--memory", metavar="SIZE", help="Memory of each node: 512, 512M or 1.5G."),
    click.option("--disk", metavar="SIZE", help="Disk space to plan for each node."),
    click.option(
        "--image", metavar="IMAGE", help="Disk image of each node: id, name or owner[name]."
    ),
    click.option("--template", metavar="ID|NAME", help="Stored VM template of each node."),
    click.option(
        "--network", "--nic", multiple=True, metavar="NET[:K=V]", help="Network, by id or name."
    ),
    click.option(
        "--start",
        metavar="WHEN",
        help="Exact start: 'Tuesday 10:00', '2026-12-01 10:00', +2h. With --deadline the earliest.",
    ),
    click.option("--duration", metavar="LENGTH", help="How long: 2h, 90m, 1d12h, 1:30:00."),
    click.option("--best-effort", is_flag=True, help="Some time, in the queue (the default)."),
    click.option("--now", is_flag=True, help="At once or not at all."),
    click.option("--deadline", metavar="WHEN", help="Complete by then."),
    click.option(
        "--preemptible/--non-preemptible",
        default=None,
        help="May it be suspended for others? Best effort may, others may not.",
    ),
    click.option("--priority", type=int, metavar="N", help="In the queue, higher goes first."),
    click.option(
        "--ssh", is_flag=False, flag_value=USER_KEY, metavar="[FILE|KEY]", help="Key to log in."
    ),
    click.option("--net-context", is_flag=True, help="Configure guest networking."),
    click.option("--context", multiple=True, metavar="K=V", help="More for the guest's context."),
    click.option("--startscript", metavar="FILE", help="Script that the guests run at start."),
    click.option("--raw", metavar="TEXT", help="More template text of the VMs, as it is."),
)


def describes_lease(function: Decorated) -> Decorated:
    """Adds the options that say what is asked for."""
    for option in reversed(TERMS):
        function = option(function)
    return function


# --- ask ------------------------------------------------------------------------------------------


def wanted(file: str | None, options: dict[str, Any]) -> list[Values]:
    """The leases of the file, or the one of the options; options go before what a file says."""
    template = options.pop("template")
    values = values_of(options)
    found = [{**one, **values} for one in read_file(file)] if file is not None else [values]
    for one in found:
        if template is not None:
            one["template"] = template
        if "duration" not in one:
            raise click.UsageError("say how long: --duration 2h")
    return found


def template_lines(options: dict[str, Any]) -> list[str]:
    """What is said of the guests."""
    context = context_pairs(options)
    lines = [vector("CONTEXT", context)] if context else []
    return [*lines, options["raw"]] if options["raw"] else lines


def parameters(client: Client, values: Values, options: dict[str, Any]) -> tuple[str, int]:
    """The template and the stored one it is added to."""
    template = values.pop("template", None)
    template_id = -1 if template is None else resolve_one(client, pools.TEMPLATE, str(template))
    return text_of(values, template_lines(options)), template_id


@click.command("request")
@click.argument("file", required=False)
@describes_lease
@click.option(
    "--recurring",
    "how",
    type=click.Choice(["daily", "weekly", "weekdays"]),
    help="Again, at the same time of day.",
)
@click.option("--count", type=click.IntRange(1, 366), metavar="N", help="How many times in all.")
@click.option("--hold-offer", is_flag=True, help="If refused, hold the nearest alternative.")
@click.option("-w", "--wait", "--follow", "wait", is_flag=True, help="Follow it until it runs.")
@click.option("--timeout", type=float, metavar="S", help="Seconds to wait at most.")
@click.option("--dry", is_flag=True, help="Print what would be sent, and ask nothing.")
@format_options
@connected
def request(
    client: Client,
    *,
    file: str | None,
    how: str | None,
    count: int | None,
    hold_offer: bool,
    wait: bool,
    timeout: float | None,
    dry: bool,
    as_: str | None,
    **options: Any,
) -> int:
    """Ask for a lease with options, or for those of FILE (YAML, or Haizea's XML; - is standard
    input). The answer: accepted, or refused with the reason and what could be had.
    """
    asked = [recurring(values, how, count) for values in wanted(file, options)]
    if dry:
        for values in asked:
            click.echo(text_of(values, template_lines(options)), nl=False)
        return 0
    status, ids = 0, []
    for values in asked:
        sent = parameters(client, values, options)
        verdict = client.tree("one.lease.request", *sent, hold_offer)
        status |= tell(verdict, as_)
        ids += made(verdict) if accepted(verdict) else []
    if wait and not status:
        return for_each(ids, lambda one: follow_lease(client, one, timeout))
    return status


def made(verdict: Element) -> list[int]:
    """The lease, or all of a recurring one; none where it was only a question."""
    lease_id = tree.number(verdict, "LEASE_ID", -1)
    return tree.ids(verdict, "SERIES") or ([lease_id] if lease_id >= 0 else [])


def tell(verdict: Element, as_: str | None) -> int:
    """The answer, in the form asked for; the exit status."""
    if as_ is not None:
        print_element(verdict, as_)
    else:
        for lease_id in made(verdict):
            click.echo(f"ID: {lease_id}")
        for line in answer(verdict):
            click.echo(line)
    if accepted(verdict):
        return 0
    screen.complain(f"refused: {reason_of(verdict) or state_of(verdict)}")
    return 1


@click.command("when")
@click.argument("file", required=False)
@describes_lease
@format_options
@connected
def when(client: Client, *, file: str | None, as_: str | None, **options: Any) -> int:
    """Say what would become of a request now, and ask for nothing."""
    status = 0
    for values in wanted(file, options):
        verdict = client.tree("one.lease.when", *parameters(client, values, options))
        status |= tell(verdict, as_)
    return status


# --- change ---------------------------------------------------------------------------------------


def changing(
    name: str, about: str, word: str, value: Callable[[str], int], metavar: str
) -> click.Command:
    """A verb that takes a lease and one value, and is answered by the scheduler."""

    @click.command(name, help=about)
    @click.argument("target", metavar="ID|NAME")
    @click.argument("value", metavar=metavar)
    @format_options
    @connected
    def command(client: Client, target: str, given: str, as_: str | None) -> int:
        lease_id = resolve_one(client, pools.CURRENT_LEASE, target)
        return tell(client.tree(f"one.lease.{word}", lease_id, value(given)), as_)

    command.params[1].name = "given"
    return command


@click.command("cancel")
@click.argument("targets", nargs=-1, required=True, metavar="ID|NAME...")
@click.option("--reason", default="", metavar="TEXT", help="Kept with the lease.")
@connected
def cancel(client: Client, targets: tuple[str, ...], reason: str) -> int:
    """End leases in whatever state: their VMs are stopped, their capacity is given back."""
    ids = resolve(client, pools.CURRENT_LEASE, targets)
    return for_each(ids, lambda one: client.call("one.lease.cancel", one, reason))


@click.command("accept")
@click.argument("target", metavar="ID|NAME")
@click.option("-w", "--wait", "--follow", "wait", is_flag=True, help="Follow it until it runs.")
@click.option("--timeout", type=float, metavar="S", help="Seconds to wait at most.")
@format_options
@connected
def accept(
    client: Client, *, target: str, wait: bool, timeout: float | None, as_: str | None
) -> int:
    """Take the offer that is held."""
    lease_id = resolve_one(client, pools.CURRENT_LEASE, target)
    status = tell(client.tree("one.lease.accept", lease_id), as_)
    if wait and not status:
        follow_lease(client, lease_id, timeout)
    return status


@click.command("top")
@click.argument("target", metavar="ID|NAME")
@click.argument("priority", required=False, type=int)
@format_options
@connected
def top(client: Client, target: str, priority: int | None, as_: str | None) -> int:
    """Put a lease in front of the queue, or give it a PRIORITY (higher goes first)."""
    lease_id = resolve_one(client, pools.CURRENT_LEASE, target)
    if priority is None:
        queue = client.tree("one.leasepool.info", -2, -1, -1, CURRENT)
        others = [tree.number(one, "TERMS/PRIORITY") for one in queue.findall("LEASE")]
        priority = max(others, default=0) + 1
    return tell(client.tree("one.lease.top", lease_id, priority), as_)


# --- look -----------------------------------------------------------------------------------------


@click.command("list")
@click.argument("whose", required=False, metavar="[FILTER]")
@click.option("-a", "--all", "past", is_flag=True, help="Also those that are over.")
@list_options(LEASE)
@format_options
@connected
def list_leases(
    client: Client, *, whose: str | None, past: bool, as_: str | None, **options: Any
) -> None:
    """List leases that are not over."""
    flag = filter_flag(client, LEASE, whose)
    pool = client.tree("one.leasepool.info", flag, -1, -1, -2 if past else CURRENT)
    asked = Listing(
        options["columns"], options["filters"], options["order"], header=options["header"]
    )
    print_pool(LEASE, pool, asked, "csv" if options["csv"] else as_)


@click.command("wait")
@click.argument("targets", nargs=-1, required=True, metavar="ID|NAME...")
@click.option(
    "--for",
    "state",
    default="active",
    metavar="STATE",
    help="State to wait for; one that is left within a second may be missed.",
)
@click.option("--timeout", type=float, metavar="S", help="Seconds to wait at most.")
@connected
def wait_for(client: Client, targets: tuple[str, ...], state: str, timeout: float | None) -> int:
    """Wait until leases are in a state, active when none is named."""
    ids = resolve(client, pools.LEASE, targets)
    return for_each(ids, lambda one: follow_lease(client, one, timeout, state.lower()))


def ahead(text: str) -> int:
    """A moment to come."""
    return round(moment_of(text, "WHEN"))


def some_time(text: str) -> int:
    seconds = seconds_of(text, "LENGTH")
    if seconds < 1:
        raise CommandFailed(f"LENGTH: {text!r} is less than a second")
    return seconds


COMMANDS = verbs_of(
    "lease",
    "Leases: capacity promised for a time.",
    [
        list_leases,
        showing(LEASE),
        request,
        when,
        accept,
        cancel,
        changing("extend", "Make a lease longer by LENGTH.", "extend", some_time, "LENGTH"),
        changing("shorten", "Make a lease shorter by LENGTH.", "shorten", some_time, "LENGTH"),
        changing("move", "Give a lease another start.", "move", ahead, "WHEN"),
        top,
        wait_for,
        calendar,
        usage,
        updating(LEASE),
        renaming(LEASE),
        chmod(LEASE),
        chown(LEASE),
        deleting(LEASE, "Delete the records of leases that are over."),
    ],
)
