"""Pictures as SVG, alone or in a page of their own: nothing from elsewhere, no script."""

from html import escape

from orrery.chart.gantt import Chart
from orrery.chart.picture import PAPER, WIDTH, Line, Picture, Rect, Shape, Text, picture

FONT = "system-ui, sans-serif"
STYLE = (
    f"body {{ margin: 1rem; font: 14px/1.4 {FONT}; color: #5a6b7c; }} "
    "svg { max-width: 100%; height: auto; }"
)
PLANNED = 0.62
"""How solid planned bars are beside those that were."""


def svg(chart: Chart, width: int = WIDTH) -> str:
    return drawing(picture(chart, width), chart.title or "calendar")


def drawing(given: Picture, label: str) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {given.width} {given.height}" '
        f'width="{given.width}" height="{given.height}" role="img" aria-label="{quoted(label)}" '
        f'font-family="{FONT}">'
    )
    paper = f'<rect width="{given.width}" height="{given.height}" fill="{PAPER}"/>'
    return "\n".join([head, paper, *map(element, given.shapes), "</svg>", ""])


def element(shape: Shape) -> str:
    if isinstance(shape, Rect):
        return rect(shape)
    return line(shape) if isinstance(shape, Line) else text(shape)


def rect(shape: Rect) -> str:
    box = (
        f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" '
        f'height="{shape.height:.1f}" rx="2" fill="{shape.fill}"'
    )
    if shape.is_planned:
        box += f' fill-opacity="{PLANNED}"'
    if not shape.title:
        return f"{box}/>"
    return f"{box}><title>{quoted(shape.title)}</title></rect>"


def line(shape: Line) -> str:
    return (
        f'<line x1="{shape.x:.1f}" x2="{shape.x:.1f}" y1="{shape.top:.1f}" '
        f'y2="{shape.bottom:.1f}" stroke="{shape.colour}"/>'
    )


def text(shape: Text) -> str:
    anchor = "" if shape.align == "start" else f' text-anchor="{shape.align}"'
    return (
        f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size}" '
        f'fill="{shape.colour}"{anchor} pointer-events="none">{quoted(shape.content)}</text>'
    )


def quoted(content: str) -> str:
    """What XML cannot carry is replaced."""
    legal = "".join(c if c.isprintable() or c == " " else "\ufffd" for c in content)
    return escape(legal)


def page(chart: Chart, note: str = "") -> str:
    """A whole HTML page."""
    title = quoted(chart.title or "Calendar")
    below = f"<p>{quoted(note)}</p>\n" if note else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n"
        f"</head>\n<body>\n{svg(chart)}{below}</body>\n</html>\n"
    )
