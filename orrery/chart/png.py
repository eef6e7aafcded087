"""Pictures as PNG, drawn with Pillow at twice the size, so that letters stay sharp."""

from io import BytesIO

from PIL import Image, ImageColor, ImageDraw, ImageFont

from orrery.chart.gantt import Chart
from orrery.chart.picture import PAPER, WIDTH, Line, Rect, Text, picture
from orrery.chart.svg import PLANNED

SCALE = 2
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}
PIXELS_MAX = 120_000_000


def png(chart: Chart, width: int = WIDTH) -> bytes:
    """The file.

    Raises:
        ValueError: it would be too large for most programs to show.
    """
    given = picture(chart, width)
    if given.width * given.height * SCALE * SCALE > PIXELS_MAX:
        raise ValueError(f"the picture would be {given.width} x {given.height}: show less")
    image = Image.new("RGB", (given.width * SCALE, given.height * SCALE), PAPER)
    draw = ImageDraw.Draw(image)
    for shape in given.shapes:
        if isinstance(shape, Rect):
            draw_rect(draw, shape)
        elif isinstance(shape, Line):
            ends = [(shape.x * SCALE, shape.top * SCALE), (shape.x * SCALE, shape.bottom * SCALE)]
            draw.line(ends, fill=shape.colour, width=SCALE)
        else:
            draw_text(draw, shape)
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def draw_rect(draw: ImageDraw.ImageDraw, shape: Rect) -> None:
    left, top = shape.x * SCALE, shape.y * SCALE
    right, bottom = left + shape.width * SCALE - 1, top + shape.height * SCALE - 1
    fill = faded(shape.fill) if shape.is_planned else shape.fill
    draw.rectangle([left, top, max(left, right), bottom], fill=fill)


def faded(colour: str) -> tuple[int, ...]:
    """As it looks when it is not quite solid on the paper."""
    pairs = zip(ImageColor.getrgb(colour)[:3], ImageColor.getrgb(PAPER)[:3], strict=True)
    return tuple(round(ink * PLANNED + paper * (1 - PLANNED)) for ink, paper in pairs)


def draw_text(draw: ImageDraw.ImageDraw, shape: Text) -> None:
    font = ImageFont.load_default(shape.size * SCALE)
    place = (shape.x * SCALE, shape.y * SCALE)
    draw.text(place, shape.content, fill=shape.colour, font=font, anchor=ANCHORS[shape.align])
