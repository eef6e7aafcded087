"""A Gantt chart as a value: intervals packed into the lanes of rows. Knows neither leases nor how
it will be drawn.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from orrery.chart.ticks import Tick

RUNNING = "vm"
"""The kind of bars that are drawn in the colour of their key; all others are operations."""


class Bar(Struct, frozen=True, kw_only=True):
    """One interval on one row."""

    row: str
    start: float
    end: float
    key: int
    """What it belongs to: bars with one key have one colour, and keep to one lane if they can."""
    kind: str = RUNNING
    label: str = ""
    title: str = ""
    """What a pointer on it is told."""
    actual: bool = False
    """As it went; False: as it is planned."""


class Row(Struct, frozen=True):
    """One line of names; its lanes hold bars that do not overlap, in order."""

    name: str
    lanes: tuple[tuple[Bar, ...], ...]


class Chart(Struct, frozen=True, kw_only=True):
    """What is drawn."""

    title: str
    since: float
    until: float
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...] = ()
    now: float | None = None

    @property
    def span(self) -> float:
        return self.until - self.since

    @property
    def kinds(self) -> tuple[str, ...]:
        """Those of the operations in it."""
        bars = (bar for row in self.rows for lane in row.lanes for bar in lane)
        return tuple(sorted({bar.kind for bar in bars} - {RUNNING}))


def chart(
    names: Sequence[str],
    bars: Iterable[Bar],
    since: float,
    until: float,
    *,
    title: str = "",
    ticks: Sequence[Tick] = (),
    now: float | None = None,
) -> Chart:
    """Rows in the order of their names. What lies outside is left out, what reaches out is cut by
    who draws it. A row without bars has one empty lane.
    """
    if not until > since:
        raise ValueError("a chart reaches from one time to a later one")
    by_row: dict[str, list[Bar]] = {name: [] for name in names}
    for bar in bars:
        if bar.row in by_row and bar.start < until and bar.end > since:
            by_row[bar.row].append(bar)
    return Chart(
        title=title,
        since=since,
        until=until,
        rows=tuple(Row(name, lanes_of(found)) for name, found in by_row.items()),
        ticks=tuple(tick for tick in ticks if since <= tick.at <= until),
        now=now if now is not None and since <= now <= until else None,
    )


def lanes_of(bars: Iterable[Bar]) -> tuple[tuple[Bar, ...], ...]:
    """As few lanes as bars at one time; a key stays in its lane where that is free."""
    lanes: list[list[Bar]] = []
    home: dict[int, int] = {}
    for bar in sorted(bars, key=lambda bar: (bar.start, bar.end, bar.key)):
        free = [place for place, lane in enumerate(lanes) if lane[-1].end <= bar.start]
        wanted = home.get(bar.key)
        if wanted in free:
            place = wanted
        elif free:
            place = free[0]
        else:
            place = len(lanes)
            lanes.append([])
        lanes[place].append(bar)
        home[bar.key] = place
    return tuple(map(tuple, lanes)) or ((),)
