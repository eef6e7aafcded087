"""Durations and moments as people write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.errors import InvalidInput
from orrery.core.moments import parse_duration, parse_moment, show_duration

WEDNESDAY = datetime(2026, 11, 25, 13, 0, tzinfo=UTC).timestamp()


def at(day: int, hour: int = 0, minute: int = 0, month: int = 11) -> float:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0", 0),
        ("90s", 90),
        ("90m", 5400),
        ("2h", 7200),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("1 h 30 min", 5400),
        ("2 days", 172_800),
        ("1w", 604_800),
        ("1:30", 5400),
        ("1:30:00", 5400),
        ("00:00:00.50", 0.5),
        ("36:00:00", 129_600),
        ("2:01:00:00", 176_400),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


NO_DURATIONS = "|h|-5|1x|30m1h|1h1h|5 6|1:60|1:00:60|1:2:3:4:5|1e5|inf|nan|٣h|900000000h"


@pytest.mark.parametrize("text", NO_DURATIONS.split("|"))
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="duration: "):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_shown_duration_reads_back(seconds: int) -> None:
    assert parse_duration(show_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", WEDNESDAY),
        ("+2h", WEDNESDAY + 7200),
        ("in 1:30:00", WEDNESDAY + 5400),
        ("14:00", at(25, 14)),
        ("10:00", at(26, 10)),
        ("Wednesday 14:00", at(25, 14)),
        ("Wednesday 10:00", at(2, 10, month=12)),
        ("Tuesday 10:00", at(1, 10, month=12)),
        ("fri", at(27)),
        ("today 8:30", at(25, 8, 30)),
        ("tomorrow", at(26)),
        ("2026-11-30", at(30)),
        ("2026-11-30 10:00", at(30, 10)),
        ("2026-11-30 9:30", at(30, 9, 30)),
        ("2026-11-30T10:00Z", at(30, 10)),
        ("2026-11-30T10:00+02:00", at(30, 8)),
    ],
)
def test_a_moment_is_read(text: str, moment: float) -> None:
    assert parse_moment(text, WEDNESDAY) == moment


def test_days_and_times_are_those_of_the_zone() -> None:
    late = at(25, 23, 30)
    assert parse_moment("10:00", late, utc_offset_s=3600) == at(26, 9)
    assert parse_moment("today", late, utc_offset_s=3600) == at(25, 23)
    assert parse_moment("2026-11-30 10:00", late, utc_offset_s=3600) == at(30, 9)


@pytest.mark.parametrize("text", ["", "soon", "tu 10:00", "Tuesday 25:00", "2026-13-01", "+x"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="start: "):
        parse_moment(text, WEDNESDAY)


@given(st.text(max_size=30), st.floats(0, 4e9), st.integers(-86_399, 86_399))
def test_junk_is_refused_and_nothing_else(text: str, now: float, offset: int) -> None:
    for read in (parse_duration, lambda word: parse_moment(word, now, utc_offset_s=offset)):
        try:
            assert read(text) >= -1e12
        except InvalidInput:
            continue


@given(st.sampled_from(["10:00", "sunday 23:59", "mon", "14:00:30"]), st.floats(0, 4e9))
def test_a_moment_without_a_date_is_ahead_and_within_a_week(text: str, now: float) -> None:
    assert 0 <= parse_moment(text, now) - now <= 7 * 86_400
