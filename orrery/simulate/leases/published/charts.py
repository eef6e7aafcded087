"""The results of the experiment as text tables, as a bar chart in text, and as an SVG of the
completion times. Knows neither files nor the simulator.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from orrery.simulate.leases.published.numbers import Key, Row

Results = Mapping[str, Mapping[Key, Row]]
"""Rows by source: our variants, the published ones, the port's."""

BAR = 40
NAME = 17
CELL = 10


def metric_table(
    title: str, results: Results, setups: Sequence[str], loads: Sequence[int], place: int
) -> Iterator[str]:
    """One metric: a line a configuration, a column a source under each load."""
    sources = list(results)
    width = CELL * len(sources)
    yield title
    yield " " * NAME + " ".join(f"{f'{load} %':>{width}}" for load in loads)
    yield " " * NAME + " ".join("".join(f"{s:>{CELL}}" for s in sources) for _ in loads)
    for setup in setups:
        rows = [[results[source].get((setup, load)) for source in sources] for load in loads]
        cells = (("".join(f"{shown(row, place):>{CELL}}" for row in group)) for group in rows)
        yield f"{setup:{NAME}}{' '.join(cells)}"


def shown(row: Row | None, place: int) -> str:
    value = None if row is None else row[place]
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:+.2f}" if place == 0 else f"{value:.2f}"


def bar_chart(
    results: Results, setups: Sequence[str], loads: Sequence[int], source: str
) -> Iterator[str]:
    """Completion times of one source, in percent of the baseline; the published ones as `|`."""
    rows = results[source]
    most = max((abs(row.completion) for row in rows.values()), default=1.0)
    per_cell = max(1.0, most) / BAR
    for load in loads:
        yield f"{load} % of the CPU hours reserved"
        for setup in setups:
            row = rows.get((setup, load))
            if row is not None:
                published = results["published"].get((setup, load))
                yield f"  {setup:{NAME}}{row.completion:+7.2f} % {bar(row, published, per_cell)}"


def bar(row: Row, published: Row | None, per_cell: float) -> str:
    cells = "#" * round(max(0.0, row.completion) / per_cell)
    if published is None:
        return cells
    mark = round(max(0.0, published.completion) / per_cell)
    cells = cells.ljust(mark + 1)
    return f"{cells[:mark]}|{cells[mark + 1 :]}"


# --- SVG ------------------------------------------------------------------------------------------

PANEL_W, PANEL_H = 330, 230
LEFT, TOP, BOTTOM, RIGHT = 48, 28, 34, 22
LEGEND_W, LEGEND_H = 160, 16
COLOURS = ("#777777", "#0b6fb8", "#1b9e77", "#d95f02", "#7570b3", "#c2185b")
STEPS = (1, 2, 5, 10, 20, 50, 100)

Panel = tuple[str, Mapping[str, Sequence[tuple[int, float]]]]
"""(title, points (load, percent) by configuration)"""


def completion_svg(panels: Sequence[Panel], columns: int) -> str:
    """One panel for each duration and size of reservations, all on the same scale."""
    values = [v for _, lines in panels for points in lines.values() for _, v in points]
    low, high = min([0.0, *values]), max([1.0, *values])
    rows = -(-len(panels) // columns)
    setups = list(dict.fromkeys(setup for _, lines in panels for setup in lines))
    in_line = columns * PANEL_W // LEGEND_W
    width, top = columns * PANEL_W, rows * PANEL_H + LEGEND_H
    height = top + -(-len(setups) // in_line) * LEGEND_H
    marks = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11" role="img" '
        'aria-label="completion of all best-effort leases against no reservations">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        x, y = number % columns * PANEL_W, number // columns * PANEL_H
        marks += panel_marks(panel, (x, y), (low, high), setups)
    marks += legend(setups, top, in_line)
    return "\n".join([*marks, "</svg>", ""])


def panel_marks(
    panel: Panel, corner: tuple[int, int], scale: tuple[float, float], setups: Sequence[str]
) -> Iterator[str]:
    title, lines = panel
    loads = sorted({load for points in lines.values() for load, _ in points})

    def at(load: float, value: float) -> tuple[float, float]:
        span = max(1, loads[-1] - loads[0])
        share = (value - scale[0]) / (scale[1] - scale[0])
        across = LEFT + (load - loads[0]) / span * (PANEL_W - LEFT - RIGHT)
        return corner[0] + across, corner[1] + PANEL_H - BOTTOM - share * (PANEL_H - TOP - BOTTOM)

    yield text(corner[0] + PANEL_W / 2, corner[1] + 16, title, "middle")
    for value in grid(*scale):
        (x1, y), (x2, _) = at(loads[0], value), at(loads[-1], value)
        yield f'<line x1="{x1:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
        yield text(x1 - 5, y + 4, f"{value:+g} %" if value else "0 %", "end")
    for load in loads:
        x, _ = at(load, scale[0])
        yield text(x, corner[1] + PANEL_H - BOTTOM + 16, f"{load} %", "middle")
    for setup, points in lines.items():
        colour = COLOURS[setups.index(setup) % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        yield (
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2">'
            f"<title>{escape(setup)}</title></polyline>"
        )


def grid(low: float, high: float) -> Iterable[float]:
    step = next((s for s in STEPS if (high - low) / s <= 6), STEPS[-1])
    first = int(low // step)
    return [n * step for n in range(first, int(high // step) + 1) if n * step >= low]


def legend(setups: Sequence[str], top: float, columns: int) -> Iterator[str]:
    for number, setup in enumerate(setups):
        x, y = number % columns * LEGEND_W + 8, top + number // columns * LEGEND_H
        colour = COLOURS[number % len(COLOURS)]
        yield f'<rect x="{x}" y="{y - 6}" width="12" height="4" fill="{colour}"/>'
        yield text(x + 18, y, setup, "start")


def text(x: float, y: float, content: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
