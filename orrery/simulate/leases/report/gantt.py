"""The slot table as a chart: a row for each host, what it did from left to right.

Hosts and time are cut so that the picture stays readable and small.
"""

from collections.abc import Iterator
from heapq import nsmallest

from orrery.core.model.lease import LeaseKind
from orrery.sched.leases.booking import Booking, RunPlan
from orrery.simulate.leases.history import Use, in_order, runs_of, spans_of
from orrery.simulate.leases.report.svg import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    drawing,
    line,
    rect,
    text,
    time_name,
    time_steps,
)
from orrery.simulate.leases.run import Result

HOSTS_MAX = 200
BARS_MAX = 6_000
ROW_MAX, HEIGHT_MAX = 18.0, 700.0
Bar = tuple[int, int, int, int, RunPlan, Use]
"""(start, end, first host, last host, run, use)"""


def gantt(result: Result) -> tuple[str, str]:
    """The picture, and what it leaves out."""
    hosts = min(HOSTS_MAX, len(result.site.hosts))
    bars = nsmallest(BARS_MAX, bars_of(result, hosts), key=lambda bar: bar[:4])
    is_cut = len(bars) == BARS_MAX
    end = bars[-1][0] if is_cut else result.end
    row = min(ROW_MAX, HEIGHT_MAX / hosts)
    height = TOP + hosts * row + BOTTOM
    x = Axis(max(end, 1), LEFT, WIDTH - LEFT - RIGHT)
    marks = [line(x.at(at), TOP, x.at(at), height - BOTTOM) for at, _ in time_steps(x.most)]
    marks += [text(x.at(at), height - BOTTOM + 20, name, "middle") for at, name in time_steps(end)]
    marks += names_of(result, hosts, row)
    marks += [mark(bar, x, row) for bar in bars]
    return drawing(height, "what each host did", marks), left_out(result, hosts, end, cut=is_cut)


def bars_of(result: Result, hosts: int) -> Iterator[Bar]:
    for booking in in_order(result):
        for run in runs_of(booking):
            blocks = list(blocks_of({host for host in run.hosts if host < hosts}))
            for span in spans_of(run):
                for first, last in blocks:
                    yield span.start, span.end, first, last, run, span.use


def blocks_of(hosts: set[int]) -> Iterator[tuple[int, int]]:
    """Neighbours together: (first, last)."""
    for host in sorted(hosts):
        if host - 1 not in hosts:
            last = host
            while last + 1 in hosts:
                last += 1
            yield host, last


def names_of(result: Result, hosts: int, row: float) -> list[str]:
    """Of as many hosts as there is room for."""
    every = max(1, round(12 / row))
    return [
        text(LEFT - 8, TOP + (number + 0.5) * row + 4, result.site.hosts[number].name[:8], "end")
        for number in range(0, hosts, every)
    ]


def mark(bar: Bar, x: Axis, row: float) -> str:
    start, end, first, last, run, use = bar
    end = min(end, int(x.most))
    booking = run.booking
    css = colour(booking) if use is Use.VM else use.value
    title = f"lease {booking.id} ({booking.kind.value}), {use.value}: {start} to {bar[1]} s"
    gap = 1.0 if row > 4 else 0.0
    height = (last - first + 1) * row - gap
    box = (x.at(start), TOP + first * row, max(0.4, x.at(end) - x.at(start)), height)
    return rect(box, css, title)


def colour(booking: Booking) -> str:
    """Best effort in two shades, so that neighbours differ."""
    if booking.kind is LeaseKind.BEST_EFFORT:
        return "vm" if booking.id % 2 else "vm even"
    return str(booking.kind.value)


def left_out(result: Result, hosts: int, end: int, *, cut: bool) -> str:
    parts = []
    if hosts < len(result.site.hosts):
        parts.append(f"the first {hosts} of {len(result.site.hosts)} hosts")
    if cut:
        parts.append(f"the first {time_name(end)} of {time_name(result.end)}")
    return f"Shown: {' and '.join(parts)}." if parts else ""
