"""A Gantt chart on a terminal: half cells, one colour for each key, letters for operations."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec import Struct

from orrery.chart.gantt import RUNNING, Bar, Chart
from orrery.chart.ticks import Tick

NAME_MAX = 20
CELLS_MIN = 12
LEFT_HALF, RIGHT_HALF, FULL, NOW = "▌", "▐", "█", "┊"
OTHER_FULL = "▓"
"""Without colours, bars next to each other differ by it."""

LETTERS = {
    "boot": "b",
    "migrate": "m",
    "resume": "r",
    "shutdown": "d",
    "suspend": "s",
    "transfer": "t",
}
INKS = (75, 114, 179, 174, 140, 80, 221, 211, 150, 110, 216, 146)
"""Colours of the 256 that black letters can be read on."""

TICK_WIDTH = 12
"""Cells for each tick at least, so that no label meets the next one."""


class Style(Struct, frozen=True):
    """How a cell is drawn: the keys of its two halves, None where there is nothing."""

    left: int | None
    right: int | None


class Cell(Struct):
    text: str
    style: Style


def lines_of(chart: Chart, width: int, *, colours: bool) -> list[str]:
    """The chart, at most `width` wide."""
    names = min(NAME_MAX, max((len(row.name) for row in chart.rows), default=0))
    cells = cells_for(width, names)
    found = [chart.title] if chart.title else []
    found += [" " * (names + 2) + text for text in axis(chart, cells)]
    for row in chart.rows:
        for number, lane in enumerate(row.lanes):
            name = cut(row.name, names) if number == 0 else ""
            drawn = "".join(
                painted(lane_cells(chart, lane, cells, colours=colours), colours=colours)
            )
            found.append(f"{name:<{names}} │{drawn}")
    return [text.rstrip() for text in [*found, legend(chart)]]


def cells_for(width: int, names: int) -> int:
    return max(CELLS_MIN, width - names - 2)


def ticks_for(width: int) -> int:
    """How many ticks such a chart has room for."""
    return max(1, cells_for(width, NAME_MAX) // TICK_WIDTH)


def cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"


def axis(chart: Chart, cells: int) -> Iterator[str]:
    """Days, then times, then where now is."""
    if any(tick.day for tick in chart.ticks):
        yield labels(chart, cells, [(tick, tick.day) for tick in chart.ticks if tick.day])
    if chart.ticks:
        yield labels(chart, cells, [(tick, tick.label) for tick in chart.ticks])
    ruler = ["─"] * cells
    for tick in chart.ticks:
        ruler[column(chart, tick.at, cells)] = "┬"
    if chart.now is not None:
        ruler[column(chart, chart.now, cells)] = "▼"
    yield "".join(ruler)


def labels(chart: Chart, cells: int, given: Sequence[tuple[Tick, str]]) -> str:
    """Each at its tick; one that would meet the one before it is left out."""
    text = ""
    for tick, label in given:
        place = column(chart, tick.at, cells)
        if (place > len(text) or not text) and place + len(label) <= cells:
            text = text.ljust(place) + label
    return text


def column(chart: Chart, at: float, cells: int) -> int:
    return min(cells - 1, max(0, int((at - chart.since) / chart.span * cells)))


# --- bars -----------------------------------------------------------------------------------------


def lane_cells(chart: Chart, lane: Sequence[Bar], cells: int, *, colours: bool) -> list[Cell]:
    halves: list[Bar | None] = [None] * (2 * cells)
    for bar in lane:
        first, last = halves_of(chart, bar, cells)
        halves[first:last] = [bar] * (last - first)
    full = fills_of(lane)
    pairs = zip(halves[::2], halves[1::2], strict=True)
    row = [cell(left, right, full, colours=colours) for left, right in pairs]
    if chart.now is not None:
        place = column(chart, chart.now, cells)
        if row[place].text == " ":
            row[place].text = NOW
    for bar in lane:
        write_label(row, bar, *halves_of(chart, bar, cells))
    return row


def halves_of(chart: Chart, bar: Bar, cells: int) -> tuple[int, int]:
    """The half cells of a bar: at least one, so that nothing is lost."""
    scale = 2 * cells / chart.span
    first = max(0, min(2 * cells - 1, round((bar.start - chart.since) * scale)))
    return first, max(first + 1, min(2 * cells, round((bar.end - chart.since) * scale)))


def fills_of(lane: Sequence[Bar]) -> dict[int, str]:
    """Each bar's character: another one wherever the key is another."""
    found: dict[int, str] = {}
    shade, key = OTHER_FULL, None
    for bar in lane:
        if bar.key != key:
            shade, key = FULL if shade == OTHER_FULL else OTHER_FULL, bar.key
        found[id(bar)] = shade
    return found


def cell(left: Bar | None, right: Bar | None, full: dict[int, str], *, colours: bool) -> Cell:
    style = Style(None if left is None else left.key, None if right is None else right.key)
    if left is not None and right is not None:
        if left is right or not colours:
            whole = right if left.kind == RUNNING else left
            return Cell(" " if colours and whole.kind == RUNNING else fill(whole, full), style)
        return Cell(LEFT_HALF, style)
    if left is not None:
        return Cell(half(left, LEFT_HALF), style)
    return Cell(" " if right is None else half(right, RIGHT_HALF), style)


def fill(bar: Bar, full: dict[int, str]) -> str:
    return full[id(bar)] if bar.kind == RUNNING else LETTERS.get(bar.kind, bar.kind[:1])


def half(bar: Bar, shape: str) -> str:
    return shape if bar.kind == RUNNING else LETTERS.get(bar.kind, bar.kind[:1])


def write_label(row: list[Cell], bar: Bar, first: int, last: int) -> None:
    """Inside the bar, behind its first cell, when there is room for three letters of it."""
    start, end = -(-first // 2) + 1, last // 2 - 1
    if bar.kind != RUNNING or not bar.label or end - start < min(len(bar.label), 3):
        return
    for place, letter in enumerate(cut(bar.label, end - start)):
        row[start + place].text = letter


def painted(cells: Sequence[Cell], *, colours: bool) -> Iterator[str]:
    for code, run in groupby(cells, ink if colours else lambda _: ""):
        text = "".join(one.text for one in run)
        yield f"\033[{code}m{text}\033[0m" if code else text


def ink(one: Cell) -> str:
    """The escape code of a cell; a half block is drawn in the colour of its half."""
    left, right = one.style.left, one.style.right
    if left is None and right is None:
        return ""
    if left == right or one.text not in (LEFT_HALF, RIGHT_HALF):
        whole = right if left is None else left
        assert whole is not None
        return f"30;48;5;{colour(whole)}"
    if right is None or left is None:
        whole = right if left is None else left
        assert whole is not None
        return f"38;5;{colour(whole)}"
    return f"38;5;{colour(left)};48;5;{colour(right)}"


def colour(key: int) -> int:
    return INKS[key % len(INKS)]


def legend(chart: Chart) -> str:
    """What the letters mean, where there are any."""
    parts = [f"{LETTERS.get(kind, kind[:1])} {kind}" for kind in chart.kinds]
    if chart.now is not None:
        parts.append("▼ now")
    return "  ".join(parts)
