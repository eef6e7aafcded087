"""Times of people where they are: moments and durations read and shown in the local zone, also
across a change of the clocks.
"""

import time
from datetime import UTC, datetime, timedelta

from orrery.cli.failure import CommandFailed
from orrery.core.errors import InvalidInput
from orrery.core.moments import parse_duration, parse_moment

UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def moment_of(text: str, option: str) -> float:
    """Seconds since the epoch."""
    now = time.time()
    try:
        found = parse_moment(text, now, utc_offset_s=utc_offset(now), field=option)
        then = utc_offset(found)
        if then != utc_offset(now):  # the clocks are changed in between
            found = parse_moment(text, now, utc_offset_s=then, field=option)
    except InvalidInput as error:
        raise CommandFailed(error.message) from error
    return found


def seconds_of(text: str, option: str) -> int:
    try:
        return round(parse_duration(text, option))
    except InvalidInput as error:
        raise CommandFailed(error.message) from error


def utc_offset(at: float) -> int:
    return time.localtime(at).tm_gmtoff


def local(at: float) -> datetime:
    """With the zone that is in force then."""
    return datetime.fromtimestamp(at, UTC).astimezone()


def days_later(at: float, days: int) -> float:
    """The same time of day."""
    naive = local(at).replace(tzinfo=None) + timedelta(days=days)
    return naive.timestamp()


def shown(at: float) -> str:
    """`Tue 2026-12-01 10:00 CET`; `-` for a time that is not there."""
    return f"{local(at):%a %Y-%m-%d %H:%M}{seconds(at)} {zone(at)}" if at > 0 else "-"


def short(at: float) -> str:
    """For columns: `2026-12-01 10:00 CET`."""
    return f"{local(at):%Y-%m-%d %H:%M} {zone(at)}" if at > 0 else "-"


def stretch(start: float, end: float) -> str:
    """`Tue 2026-12-01 10:00 to 12:00 CET`; the day is not said twice."""
    first, last = local(start), local(end)
    if (first.date(), zone(start)) == (last.date(), zone(end)):
        begin = f"{first:%a %Y-%m-%d %H:%M}{seconds(start)}"
        return f"{begin} to {last:%H:%M}{seconds(end)} {zone(end)}"
    return f"{shown(start)} to {shown(end)}"


def seconds(at: float) -> str:
    return f":{int(at) % 60:02d}" if int(at) % 60 else ""


def zone(at: float) -> str:
    return local(at).strftime("%Z")


def iso(at: float) -> str:
    """As an option takes it and a script keeps it."""
    return local(at).isoformat(timespec="seconds")


def length(amount: float) -> str:
    """`1d 2h 30m`, as an option takes it."""
    parts, rest = [], round(amount)
    for unit, name in UNITS:
        whole, rest = divmod(rest, unit)
        if whole:
            parts.append(f"{whole}{name}")
    return " ".join(parts) or "0s"
