"""A Gantt chart as shapes on a plane, for whoever draws pictures: SVG or PNG."""

from collections.abc import Iterator

from msgspec import Struct

from orrery.chart.gantt import RUNNING, Bar, Chart

WIDTH = 1_120
NAMES = 150
MARGIN = 16
LANE, GAP, ROW_GAP = 20, 3, 8
TITLE, AXIS, LEGEND = 34, 38, 32
LETTER = 6.6
"""About the width of a letter: labels are cut to fit."""

INK, SOFT, GRID, BAND, NOW = "#1b2733", "#5a6b7c", "#d5dde5", "#f3f6f9", "#b42318"
PAPER = "#ffffff"
PALETTE = (
    *("#4c8fd0", "#5aa469", "#c98a2b", "#c4605c", "#8a6fc0", "#2f9c9c"),
    *("#b8a020", "#b85c94", "#7c9a3e", "#5576b8", "#d07a4a", "#7a7fb0"),
)
OPERATIONS = {
    "boot": "#9fc6ea",
    "migrate": "#c3a6d6",
    "resume": "#f0d080",
    "shutdown": "#b9c2cb",
    "suspend": "#f0a860",
    "transfer": "#9bd3cf",
}
OTHER = "#cccccc"


class Rect(Struct, frozen=True, kw_only=True):
    x: float
    y: float
    width: float
    height: float
    fill: str
    title: str = ""
    is_planned: bool = False


class Line(Struct, frozen=True, kw_only=True):
    x: float
    top: float
    bottom: float
    colour: str


class Text(Struct, frozen=True, kw_only=True):
    """`y` is the base line; `align` start, middle or end."""

    x: float
    y: float
    content: str
    colour: str = INK
    size: int = 12
    align: str = "start"


Shape = Rect | Line | Text


class Picture(Struct, frozen=True):
    """Shapes in the order in which they are drawn."""

    width: int
    height: int
    shapes: tuple[Shape, ...]


class Plane(Struct, frozen=True):
    """Where times and lanes lie."""

    chart: Chart
    width: int
    top: float

    def x(self, at: float) -> float:
        inside = min(max(at, self.chart.since), self.chart.until)
        return NAMES + (inside - self.chart.since) / self.chart.span * (self.width - NAMES - MARGIN)

    @property
    def bottom(self) -> float:
        return self.top + sum(row_height(len(row.lanes)) for row in self.chart.rows)


def row_height(lanes: int) -> float:
    return lanes * (LANE + GAP) + ROW_GAP


def picture(chart: Chart, width: int = WIDTH) -> Picture:
    plane = Plane(chart, width, MARGIN + (TITLE if chart.title else 0) + AXIS)
    shapes = [*heading(plane), *rows(plane), *now(plane), *legend(plane)]
    legend_height = LEGEND if chart.kinds or chart.now is not None else 0
    return Picture(width, round(plane.bottom + legend_height + MARGIN), tuple(shapes))


def heading(plane: Plane) -> Iterator[Shape]:
    """Title and axis."""
    if plane.chart.title:
        yield Text(x=MARGIN, y=MARGIN + 14, content=plane.chart.title, size=16)
    for tick in plane.chart.ticks:
        x = plane.x(tick.at)
        yield Line(x=x, top=plane.top - 6, bottom=plane.bottom, colour=GRID)
        yield Text(x=x, y=plane.top - 10, content=tick.label, colour=SOFT, align="middle")
        if tick.day:
            yield Text(x=x, y=plane.top - 25, content=tick.day, align="middle")


def rows(plane: Plane) -> Iterator[Shape]:
    y = plane.top
    for number, row in enumerate(plane.chart.rows):
        height = row_height(len(row.lanes))
        if number % 2 == 0:
            yield Rect(x=0, y=y, width=NAMES - 4, height=height, fill=BAND)
        yield Text(x=MARGIN, y=y + 20, content=cut(row.name, NAMES - 2 * MARGIN))
        for place, lane in enumerate(row.lanes):
            for bar in lane:
                yield from bar_shapes(plane, bar, y + ROW_GAP / 2 + place * (LANE + GAP))
        y += height


def bar_shapes(plane: Plane, bar: Bar, y: float) -> Iterator[Shape]:
    left, right = plane.x(bar.start), plane.x(bar.end)
    width = max(1.0, right - left)
    yield Rect(
        x=left,
        y=y,
        width=width,
        height=LANE,
        fill=colour(bar),
        title=bar.title,
        is_planned=not bar.actual,
    )
    label = cut(bar.label, width - 8) if bar.kind == RUNNING else ""
    if len(label) > 1 or (label and label == bar.label):
        yield Text(x=left + 5, y=y + 14, content=label)


def colour(bar: Bar) -> str:
    if bar.kind == RUNNING:
        return PALETTE[bar.key % len(PALETTE)]
    return OPERATIONS.get(bar.kind, OTHER)


def cut(text: str, width: float) -> str:
    letters = int(width / LETTER)
    return text if len(text) <= letters else text[: max(0, letters - 1)] + "…" * (letters > 1)


def now(plane: Plane) -> Iterator[Shape]:
    if plane.chart.now is not None:
        x = plane.x(plane.chart.now)
        yield Line(x=x, top=plane.top - 6, bottom=plane.bottom, colour=NOW)


def legend(plane: Plane) -> Iterator[Shape]:
    x, y = float(NAMES), plane.bottom + 12
    for kind in plane.chart.kinds:
        yield Rect(x=x, y=y, width=12, height=12, fill=OPERATIONS.get(kind, OTHER))
        yield Text(x=x + 18, y=y + 11, content=kind, colour=SOFT)
        x += 40 + LETTER * len(kind)
    if plane.chart.now is not None:
        yield Line(x=x + 6, top=y, bottom=y + 12, colour=NOW)
        yield Text(x=x + 18, y=y + 11, content="now", colour=SOFT)
