"""Gantt charts: packed into lanes, drawn as text, SVG, HTML and PNG. Golden files are to be looked
at when they change.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from itertools import pairwise
from xml.etree.ElementTree import fromstring
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from orrery.chart.gantt import Bar, Chart, chart, lanes_of
from orrery.chart.picture import PALETTE
from orrery.chart.png import SCALE, png
from orrery.chart.svg import page, svg
from orrery.chart.text import CELLS_MIN, lines_of
from orrery.chart.ticks import calendar_ticks, elapsed_ticks

Golden = Callable[[str, str], None]

SINCE = datetime(2026, 11, 24, 22, 0, tzinfo=UTC).timestamp()
HOUR = 3600.0


def at_utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def bar(row: str, start: float, end: float, key: int, kind: str = "vm", label: str = "") -> Bar:
    """Hours from the beginning."""
    return Bar(
        row=row,
        start=SINCE + start * HOUR,
        end=SINCE + end * HOUR,
        key=key,
        kind=kind,
        label=label,
        title=f"lease {key}: {kind}",
        actual=end < 3,
    )


def example() -> Chart:
    """A best-effort lease is suspended for a class, and goes on after it."""
    bars = [
        bar("alpha", 0, 5, 1, label="1 batch"),
        bar("alpha", 5, 5.5, 1, "suspend"),
        bar("alpha", 5.5, 6, 2, "boot"),
        bar("alpha", 6, 9, 2, label="2 class"),
        bar("alpha", 9, 9.5, 1, "resume"),
        bar("alpha", 9.5, 14, 1, label="1 batch"),
        bar("beta", 2, 2.1, 3, label="3 short"),
        bar("beta", 6, 9, 2, label="2 class"),
        bar("beta", 4, 8, 4, label="4 <other> & more"),
        bar("nowhere", 0, 1, 5),
    ]
    until = SINCE + 12 * HOUR
    return chart(
        ["alpha", "beta", "gamma"],
        bars,
        SINCE,
        until,
        title="Leases",
        ticks=calendar_ticks(SINCE, until, 6, at_utc),
        now=SINCE + 3.2 * HOUR,
    )


# --- lanes ----------------------------------------------------------------------------------------


def test_what_does_not_overlap_shares_a_lane_and_what_does_does_not() -> None:
    rows = {row.name: row.lanes for row in example().rows}
    assert [len(rows[name]) for name in ("alpha", "beta", "gamma")] == [1, 2, 1]
    assert rows["gamma"] == ((),)


def test_a_key_comes_back_to_its_lane() -> None:
    bars = [bar("a", 0, 2, 1), bar("a", 1, 5, 2), bar("a", 6, 7, 2), bar("a", 6.5, 8, 1)]
    lanes = lanes_of(bars)
    assert [[one.key for one in lane] for lane in lanes] == [[1, 1], [2, 2]]


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 9), st.integers(0, 4)),
        max_size=30,
    )
)
def test_no_two_bars_of_a_lane_overlap_and_none_is_lost(drawn: list[tuple[int, int, int]]) -> None:
    bars = [bar("a", start, start + length, key) for start, length, key in drawn]
    lanes = lanes_of(bars)
    assert sorted(map(repr, (one for lane in lanes for one in lane))) == sorted(map(repr, bars))
    for lane in lanes:
        assert all(a.end <= b.start for a, b in pairwise(lane))
    busiest = max((sum(o.start <= b.start < o.end for o in bars) for b in bars), default=1)
    assert len(lanes) >= busiest


def test_a_chart_has_a_length() -> None:
    with pytest.raises(ValueError, match="later"):
        chart(["a"], [], 5.0, 5.0)


# --- ticks ----------------------------------------------------------------------------------------


def test_ticks_are_round_times_of_the_zone() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    ticks = calendar_ticks(SINCE, SINCE + 6 * HOUR, 6, lambda at: at_utc(at).astimezone(india))
    assert [tick.label for tick in ticks] == ["04:00", "05:00", "06:00", "07:00", "08:00", "09:00"]
    assert ticks[0].day == "Wed 25 Nov"


def test_ticks_stay_round_when_the_clocks_are_changed() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    since = datetime(2026, 10, 24, 18, tzinfo=berlin).timestamp()
    ticks = calendar_ticks(since, since + 24 * HOUR, 5, lambda at: at_utc(at).astimezone(berlin))
    assert [tick.label for tick in ticks] == ["18:00", "00:00", "06:00", "12:00"]
    assert [tick.day for tick in ticks if tick.day] == ["Sat 24 Oct", "Sun 25 Oct"]


@pytest.mark.parametrize(
    ("until", "labels"),
    [
        (30.0, ["0", "10s", "20s", "30s"]),
        (9000.0, ["0", "1h", "2h"]),
        (6 * 86_400.0, ["0", "2d", "4d", "6d"]),
        (5 * 365 * 86_400.0, ["0", "728d", "1456d"]),
    ],
)
def test_ticks_of_a_simulation_count_from_its_beginning(until: float, labels: list[str]) -> None:
    assert [tick.label for tick in elapsed_ticks(0.0, until, 3)] == labels


# --- drawings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("colours", [False, True])
def test_text(golden: Golden, colours: bool) -> None:
    name = "coloured" if colours else "plain"
    lines = lines_of(example(), 79, colours=colours)
    golden(f"chart/{name}.txt", "\n".join(lines) + "\n")


@given(st.integers(0, 200), st.booleans())
def test_text_is_as_wide_as_asked(width: int, colours: bool) -> None:
    lines = lines_of(example(), width, colours=False)
    most = max(width, len("alpha") + 2 + CELLS_MIN)
    assert max(map(len, lines[1:-1])) <= most
    assert len(lines_of(example(), width, colours=colours)) == len(lines)


def test_svg(golden: Golden) -> None:
    text = svg(example())
    assert fromstring(text).tag.endswith("svg")
    golden("chart/leases.svg", text)


def test_a_page_needs_nothing_from_elsewhere() -> None:
    text = page(example(), "as of <now>")
    assert "as of &lt;now&gt;" in text
    assert "4 &lt;other&gt;" in text
    assert "<script" not in text
    assert text.count("http") == 1  # the name of SVG's namespace


def test_png_is_a_picture_of_the_same() -> None:
    image = Image.open(BytesIO(png(example())))
    assert image.size[0] == 1120 * SCALE
    found = {colour for _, colour in image.getcolors(1 << 20) or ()}
    assert tuple(bytes.fromhex(PALETTE[3][1:])) in found  # what was is in the full colour
    assert tuple(bytes.fromhex(PALETTE[2][1:])) not in found  # what is planned is fainter


def test_an_empty_chart_is_drawn_too() -> None:
    empty = chart([], [], 0.0, 10.0)
    assert lines_of(empty, 40, colours=True)
    assert fromstring(svg(empty)).tag.endswith("svg")
    assert png(empty).startswith(b"\x89PNG")
