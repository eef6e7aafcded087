"""Durations and moments as people write them: "2h", "1:30:00", "+2h", "Tuesday 10:00". Reads no
clock: `now` and the zone's offset come from the caller.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

from orrery.core.errors import InvalidInput

MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400
LONGEST_S = 100 * 366 * DAY_S
"""A century: what is longer is a mistake."""

UNITS = {"s": 1, "m": MINUTE_S, "h": HOUR_S, "d": DAY_S, "w": 7 * DAY_S}
WORDS = {
    **UNITS,
    **dict.fromkeys(("sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), MINUTE_S),
    **dict.fromkeys(("hour", "hours"), HOUR_S),
    **dict.fromkeys(("day", "days"), DAY_S),
    **dict.fromkeys(("week", "weeks"), 7 * DAY_S),
}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

AMOUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?([a-z]+)? ?", re.ASCII)
COLONS = re.compile(
    r"(?:([0-9]{1,6}):)??([0-9]{1,9}):([0-9]{1,2})(?::([0-9]{1,2}(?:\.[0-9]{1,9})?))?", re.ASCII
)
SHORT_HOUR = re.compile(r"(?<=[ t])(?=[0-9]:)", re.ASCII)
TIME_OF_DAY = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?", re.ASCII)

DURATION_FORMS = "give a duration like 90 (seconds), 90m, 2h, 1h30m, 1d or 1:30:00"
MOMENT_FORMS = (
    'give a moment like "now", "+2h", "10:00", "Tuesday 10:00", "tomorrow 8:00" or'
    ' "2026-11-25 10:00"'
)


def parse_duration(text: str, field: str = "duration") -> float:
    """Seconds.

    Raises:
        InvalidInput: it is no duration, or longer than a century.
    """
    words = " ".join(text.lower().split())
    seconds = parse_colons(words)
    if seconds is None:
        seconds = sum_of_amounts(words)
    if seconds is None:
        raise InvalidInput(field, text, f"is no duration: {DURATION_FORMS}")
    if seconds > LONGEST_S:
        raise InvalidInput(field, text, "is longer than a century: give less")
    return seconds


def parse_colons(text: str) -> float | None:
    """[DD:]HH:MM[:SS[.ss]], the days only before all three others; None if it is not that."""
    match = COLONS.fullmatch(text)
    if match is None or (match[1] and not match[4]):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    if minutes >= 60 or seconds >= 60:
        return None
    return days * DAY_S + hours * HOUR_S + minutes * MINUTE_S + seconds


def sum_of_amounts(text: str) -> float | None:
    """Amounts with units, the largest unit first and each at most once; a bare number is
    seconds."""
    total, place, above = 0.0, 0, float("inf")
    while place < len(text):
        match = AMOUNT.match(text, place)
        if match is None or (match[2] is None and match[0] != text):
            return None
        unit = WORDS.get(match[2] or "s")
        if unit is None or unit >= above:
            return None
        total, place, above = total + float(match[1]) * unit, match.end(), unit
    return total if text else None


def parse_moment(text: str, now: float, *, utc_offset_s: int = 0, field: str = "start") -> float:
    """Seconds since the epoch. Days and times of day are those of a zone that is `utc_offset_s`
    ahead of UTC, today and in the days to come; without a date the next such time is meant.

    Raises:
        InvalidInput: it is no moment, or out of the calendar.
    """
    words = " ".join(text.lower().split())
    if words == "now":
        return now
    if words.startswith(("+", "in ")):
        return now + parse_duration(words.removeprefix("+").removeprefix("in "), field)
    try:
        moment = calendar_moment(words, now, timezone(timedelta(seconds=utc_offset_s)))
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidInput(field, text, f"is not in the calendar: {MOMENT_FORMS}") from error
    if moment is None:
        raise InvalidInput(field, text, f"is no moment: {MOMENT_FORMS}")
    return moment


def calendar_moment(words: str, now: float, zone: timezone) -> float | None:
    """A date with or without a time, or a day and a time of it."""
    if re.match(r"[0-9]{4}-", words, re.ASCII):
        return iso_moment(words, zone)
    midnight = (
        datetime.fromtimestamp(now, UTC)
        .astimezone(zone)
        .replace(hour=0, minute=0, second=0, microsecond=0)
    )
    day, _, rest = words.partition(" ")
    if TIME_OF_DAY.fullmatch(day) and not rest:
        return next_after(now, midnight, day, 1)
    if day in ("today", "tomorrow"):
        return time_on(midnight + timedelta(days=day == "tomorrow"), rest)
    weekday = weekday_number(day)
    if weekday is None:
        return None
    return next_after(now, midnight + timedelta(days=(weekday - midnight.weekday()) % 7), rest, 7)


def iso_moment(words: str, zone: timezone) -> float:
    """ISO 8601, where people may leave out the zero of an hour."""
    moment = datetime.fromisoformat(SHORT_HOUR.sub("0", words).upper())
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def weekday_number(name: str) -> int | None:
    """Three letters are enough."""
    found = [number for number, day in enumerate(DAYS) if day.startswith(name)]
    return found[0] if len(name) >= 3 and found else None


def next_after(now: float, midnight: datetime, time: str, step_days: int) -> float | None:
    """The time on that day, or so many days later if it is behind."""
    moment = time_on(midnight, time)
    if moment is not None and moment < now:
        return time_on(midnight + timedelta(days=step_days), time)
    return moment


def time_on(midnight: datetime, time: str) -> float | None:
    """No time of day is the day's beginning."""
    if not time:
        return midnight.timestamp()
    match = TIME_OF_DAY.fullmatch(time)
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return midnight.timestamp() + hours * HOUR_S + minutes * MINUTE_S + seconds


def show_duration(seconds: int) -> str:
    """[D:]HH:MM:SS, as parse_duration reads it."""
    days, rest = divmod(seconds, DAY_S)
    minutes, second = divmod(rest, MINUTE_S)
    clock = f"{minutes // 60:02}:{minutes % 60:02}:{second:02}"
    return f"{days}:{clock}" if days else clock
