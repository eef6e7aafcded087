"""Charts as SVG text: plain marks with a title each, no script, nothing from elsewhere."""

from collections.abc import Iterable, Sequence
from html import escape
from math import floor, log10

from msgspec import Struct

WIDTH, HEIGHT = 960, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 34
HOUR_S, DAY_S = 3600, 86_400


class Axis(Struct, frozen=True):
    """Values from 0 to `most` on `length` pixels from `origin` on."""

    most: float
    origin: float
    length: float

    def at(self, value: float) -> float:
        share = value / self.most if self.most else 0.0
        return self.origin + share * self.length


def steps_of(most: float, count: int = 5) -> list[float]:
    """Round values from 0 to `most`."""
    if most <= 0:
        return [0.0]
    raw = most / count
    scale = 10 ** floor(log10(raw))
    step = next(scale * factor for factor in (1, 2, 5, 10) if scale * factor >= raw)
    return [step * number for number in range(int(most / step + 1e-9) + 1)]


def time_steps(most: float, count: int = 8) -> list[tuple[float, str]]:
    """Round times with their names."""
    if most <= 0:
        return [(0.0, "0")]
    step = next((s for s in TIME_STEPS if most / s <= count), TIME_STEPS[-1])
    while most / step > count:
        step *= 2
    return [(at, time_name(at)) for at in (step * n for n in range(int(most / step) + 1))]


TIME_STEPS = (
    *(1, 5, 10, 30, 60, 300, 600, 1800),
    *(HOUR_S, 2 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S),
    *(DAY_S, 2 * DAY_S, 5 * DAY_S, 10 * DAY_S, 30 * DAY_S, 100 * DAY_S, 365 * DAY_S),
)


def time_name(seconds: float) -> str:
    """As short as it goes: 0, 30 s, 5 min, 2 h, 3 d, 1 d 6 h."""
    if seconds >= DAY_S:
        days, rest = divmod(round(seconds), DAY_S)
        hours = rest // HOUR_S
        return f"{days} d {hours} h" if hours else f"{days} d"
    for unit, name in ((HOUR_S, "h"), (60, "min")):
        if seconds >= unit:
            return f"{round(seconds / unit, 1):g} {name}"
    return f"{seconds:g} s" if seconds else "0"


def drawing(height: float, label: str, marks: Iterable[str]) -> str:
    """The whole picture."""
    head = (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(label)}"'
        ' xmlns="http://www.w3.org/2000/svg">'
    )
    return "\n".join([head, *marks, "</svg>"])


def text(x: float, y: float, content: str, css: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}">{escape(content)}</text>'


def rect(box: tuple[float, float, float, float], css: str, title: str = "") -> str:
    x, y, width, height = box
    size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    inner = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect {size} class="{css}">{inner}</rect>'


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="grid"/>'


def frame(x: Axis, y: Axis, unit: str, height: float) -> list[str]:
    """Grid lines and names of values."""
    marks = []
    for value in steps_of(y.most):
        marks.append(line(LEFT, y.at(value), WIDTH - RIGHT, y.at(value)))
        marks.append(text(LEFT - 8, y.at(value) + 4, f"{value:g}{unit}", "end"))
    for at, name in time_steps(x.most):
        marks.append(text(x.at(at), height - BOTTOM + 20, name, "middle"))
    return marks


def stacked(layers: Sequence[tuple[str, Sequence[float]]], end: float, most: float) -> str:
    """Shares over time, one upon the other: (name, averages of equal parts of time)."""
    x = Axis(end, LEFT, WIDTH - LEFT - RIGHT)
    y = Axis(most, HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM))
    marks = frame(x, y, "%", HEIGHT)
    below = [0.0] * max((len(values) for _, values in layers), default=0)
    for name, values in layers:
        above = [low + value for low, value in zip(below, values, strict=True)]
        marks.append(band(below, above, x, y, name))
        below = above
    return drawing(HEIGHT, "use of the site over time", marks)


def band(below: Sequence[float], above: Sequence[float], x: Axis, y: Axis, name: str) -> str:
    width = x.most / len(above) if above else 0.0
    upper = [
        f"{x.at(edge * width):.1f},{y.at(value):.1f}"
        for part, value in enumerate(above)
        for edge in (part, part + 1)
    ]
    lower = [
        f"{x.at(edge * width):.1f},{y.at(value):.1f}"
        for part, value in reversed(list(enumerate(below)))
        for edge in (part + 1, part)
    ]
    points = " ".join([*upper, *lower])
    return f'<polygon points="{points}" class="{name}"><title>{escape(name)}</title></polygon>'


def area(values: Sequence[float], end: float, css: str, label: str) -> str:
    """One quantity over time."""
    x = Axis(end, LEFT, WIDTH - LEFT - RIGHT)
    y = Axis(max(values, default=0.0) * 1.05 or 1.0, HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM))
    marks = frame(x, y, "", HEIGHT)
    marks.append(band([0.0] * len(values), values, x, y, css))
    return drawing(HEIGHT, label, marks)


def histogram(bins: Sequence[tuple[str, int]], label: str) -> str:
    """How many fall into each bin."""
    most = max((count for _, count in bins), default=0) or 1
    y = Axis(most, HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM - 14))
    width = (WIDTH - LEFT - RIGHT) / max(1, len(bins))
    marks = []
    for place, (name, count) in enumerate(bins):
        left, top = LEFT + place * width, y.at(count)
        box = (left + 2, top, width - 4, HEIGHT - BOTTOM - top)
        marks.append(rect(box, "vm", f"{name}: {count}"))
        marks.append(text(left + width / 2, top - 5, str(count), "middle"))
        marks.append(text(left + width / 2, HEIGHT - BOTTOM + 20, name, "middle"))
    return drawing(HEIGHT, label, marks)
