"""`calendar`: what hosts are promised to, as a chart in the terminal, in HTML or PNG; `usage`: what
users asked for and had.
"""

import sys
import time
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import click

from orrery.chart.gantt import RUNNING, Bar, Chart, chart
from orrery.chart.svg import page
from orrery.chart.text import lines_of, ticks_for
from orrery.chart.ticks import calendar_ticks
from orrery.cli import screen, tree
from orrery.cli.client import Client
from orrery.cli.failure import CommandFailed
from orrery.cli.local_time import length, local, moment_of, short, shown, stretch
from orrery.cli.noun import Noun, connected
from orrery.cli.pools import Pool
from orrery.cli.sheet import text_of
from orrery.cli.table import Column, Listing, comma_separated, rows
from orrery.cli.text_input import reason
from orrery.cli.verbs import filter_flag, format_options, list_options, print_element, print_pool

WIDTH = 100
"""Of a chart that goes into a file or a pipe."""
HOUR_S, DAY_S = 3_600, 86_400
PICTURE_TICKS = 10
TAKEN = "other"
"""The kind of what belongs to somebody whose leases the user may not see."""

SLOT_COLUMNS = (
    Column("HOST", text_of("HOST_ID"), "The host's id"),
    Column("LEASE", text_of("LEASE_ID"), "The lease; -1 if it may not be seen"),
    Column("KIND", text_of("KIND"), "vm, or an operation"),
    Column("START", lambda one: short(tree.number(one, "START")), "From"),
    Column("END", lambda one: short(tree.number(one, "END")), "To"),
    Column("NODES", text_of("NODES"), "VMs there"),
    Column("CPU", text_of("CPU"), "What they hold together"),
    Column("MEMORY", text_of("MEMORY"), "In MiB"),
    Column("ACTUAL", text_of("ACTUAL"), "YES: as it went; NO: as it is planned"),
)


@click.command("calendar")
@click.option("--from", "since", metavar="WHEN", help="Begin; an hour ago when not given.")
@click.option("--to", "until", metavar="WHEN", help="End; a day after the begin.")
@click.option("--width", type=click.IntRange(40, 1000), metavar="N", help="Columns to use.")
@click.option("--html", metavar="FILE", help="Write it as a page with a picture.")
@click.option("--png", metavar="FILE", help="Write it as a picture.")
@click.option("--csv", is_flag=True, help="Comma-separated values.")
@format_options
@connected
def calendar(
    client: Client,
    *,
    since: str | None,
    until: str | None,
    width: int | None,
    html: str | None,
    png: str | None,
    csv: bool,
    as_: str | None,
) -> None:
    """Draw what each host is promised to, by which lease, for what."""
    first = time.time() - HOUR_S if since is None else moment_of(since, "--from")
    last = first + DAY_S if until is None else moment_of(until, "--to")
    if last <= first:
        raise CommandFailed(f"--to: {shown(last)} is not after {shown(first)}, where it begins")
    found = client.tree("one.leasepool.calendar", int(first), round(last))
    if as_ is not None:
        print_element(found, as_)
    elif csv:
        cells = rows(found.findall("SLOT"), SLOT_COLUMNS)
        click.echo(comma_separated(SLOT_COLUMNS, cells, header=True), nl=False)
    elif html is None and png is None:
        print_chart(found, width or screen.width() or WIDTH)
    else:
        write_pictures(chart_of(found, PICTURE_TICKS), html, png)


def print_chart(found: Element, width: int) -> None:
    colours = screen.has_colour(sys.stdout)
    for line in lines_of(chart_of(found, ticks_for(width)), width, colours=colours):
        click.echo(line)


def write_pictures(drawn: Chart, html: str | None, png: str | None) -> None:
    if html is not None:
        write(html, page(drawn, f"As of {shown(time.time())}. Fainter: planned.").encode())
    if png is not None:
        from orrery.chart.png import png as picture

        try:
            write(png, picture(drawn))
        except ValueError as error:
            raise CommandFailed(f"--png: {error}: --from and --to narrow it") from error


def write(file: str, content: bytes) -> None:
    try:
        Path(file).write_bytes(content)
    except OSError as error:
        raise CommandFailed(f"cannot write {file!r}: {reason(error)}") from error


def chart_of(found: Element, most: int) -> Chart:
    """The engine's calendar as a chart."""
    since, until = float(tree.value(found, "SINCE")), float(tree.value(found, "UNTIL"))
    hosts = {tree.value(h, "ID"): tree.value(h, "NAME") for h in found.findall("HOST")}
    leases = {tree.number(one, "ID"): one for one in found.findall("LEASE")}
    return chart(
        list(hosts.values()),
        [bar(slot, hosts, leases) for slot in found.findall("SLOT")],
        since,
        until,
        title=f"Leases, {stretch(since, until)}",
        ticks=calendar_ticks(since, until, most, local),
        now=float(tree.value(found, "NOW")),
    )


def bar(slot: Element, hosts: dict[str, str], leases: dict[int, Element]) -> Bar:
    lease_id, kind = tree.number(slot, "LEASE_ID"), tree.value(slot, "KIND")
    lease = leases.get(lease_id)
    name = "" if lease is None else tree.value(lease, "NAME")
    start, end = tree.number(slot, "START"), tree.number(slot, "END")
    what = (
        f"{tree.value(slot, 'NODES')} nodes, {kind}: {stretch(start, end)} ({length(end - start)})"
    )
    return Bar(
        row=hosts.get(tree.value(slot, "HOST_ID"), ""),
        start=float(start),
        end=float(end),
        key=max(0, lease_id),
        kind=TAKEN if lease is None and kind == RUNNING else kind,
        label=f"{lease_id} {name}",
        title=what if lease is None else f"lease {lease_id} {name}: {what}",
        actual=tree.value(slot, "ACTUAL") == "YES",
    )


# --- accounting -----------------------------------------------------------------------------------


def hours(path: str) -> Any:
    return lambda one: f"{tree.number(one, path) / HOUR_S:.1f}"


USAGE_COLUMNS = (
    Column("ID", text_of("ID"), "The user's id", right=True),
    Column("NAME", text_of("NAME"), "The user", shrinks=True),
    Column("LEASES", text_of("LEASES"), "Asked for", right=True),
    Column("ACCEPTED", text_of("ACCEPTED"), "Of these", right=True),
    Column("REJECTED", text_of("REJECTED"), "Of these", right=True),
    Column("DONE", text_of("DONE"), "Of these", right=True),
    Column("NODE_HOURS", hours("NODE_SECONDS"), "Nodes times the time they ran", right=True),
    Column("CPU_HOURS", hours("CPU_SECONDS"), "The same by CPU", right=True),
    Column("GIB_HOURS", hours("MEMORY_GIB_SECONDS"), "The same by GiB of memory", right=True),
    Column("SUSPENDED", text_of("SUSPENSIONS"), "How often", right=True),
    Column("WAIT", lambda one: length(tree.number(one, "WAIT")), "Mean, of best effort"),
)
USAGE = Noun(Pool("user", "one.lease", "USER", ()), USAGE_COLUMNS, lambda _: [])


@click.command("usage")
@click.argument("whose", required=False, metavar="[FILTER]")
@click.option("--from", "since", metavar="WHEN", help="Begin; all the time when not given.")
@click.option("--to", "until", metavar="WHEN", help="End; now when not given.")
@list_options(USAGE)
@format_options
@connected
def usage(
    client: Client,
    *,
    whose: str | None,
    since: str | None,
    until: str | None,
    as_: str | None,
    **options: Any,
) -> None:
    """Account by user for what leases were asked for and had."""
    first = -1 if since is None else int(moment_of(since, "--from"))
    last = -1 if until is None else round(moment_of(until, "--to"))
    found = client.tree("one.leasepool.usage", filter_flag(client, USAGE, whose), first, last)
    asked = Listing(
        options["columns"], options["filters"], options["order"], header=options["header"]
    )
    print_pool(USAGE, found, asked, "csv" if options["csv"] else as_)
