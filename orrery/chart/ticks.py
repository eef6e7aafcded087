"""Marks on an axis of time: round times of a calendar, or round times since the beginning."""

from collections.abc import Callable, Iterator
from datetime import datetime

from msgspec import Struct

MINUTE, HOUR, DAY = 60, 3_600, 86_400

STEPS = (
    *(1, 5, 10, 30, MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR),
    *(DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 364 * DAY),
)

Calendar = Callable[[float], datetime]
"""Seconds since the epoch as a date and time in some zone."""


class Tick(Struct, frozen=True):
    """One mark: its label, and the day where another one begins with it."""

    at: float
    label: str
    day: str = ""


def calendar_ticks(since: float, until: float, most: int, calendar: Calendar) -> tuple[Tick, ...]:
    """At most so many marks at round times of day."""
    step = step_for(until - since, most)
    found: list[Tick] = []
    day = ""
    for at in round_times(since, until, step, calendar):
        moment = calendar(at)
        today = f"{moment:%a %d %b}"
        label = (
            f"{moment:%d %b}" if step >= DAY else f"{moment:%H:%M:%S}"[: 8 if step < MINUTE else 5]
        )
        found.append(Tick(at, label, today if today != day and step < DAY else ""))
        day = today
    return tuple(found)


def round_times(since: float, until: float, step: int, calendar: Calendar) -> Iterator[float]:
    """Multiples of the step on the clock of the zone, which may be set in between."""
    number = (since + offset(calendar, since)) // step
    while True:
        local = number * step
        at = local - offset(calendar, local - offset(calendar, since))
        if at > until:
            return
        if at >= since:
            yield at
        number += 1


def offset(calendar: Calendar, at: float) -> float:
    found = calendar(at).utcoffset()
    return 0.0 if found is None else found.total_seconds()


def elapsed_ticks(since: float, until: float, most: int) -> tuple[Tick, ...]:
    """Times since the beginning of a simulation: 0, 2h, 1d 12h."""
    step = step_for(until - since, most)
    first = int(-(-since // step))
    return tuple(
        Tick(float(number * step), elapsed(number * step))
        for number in range(first, int(until // step) + 1)
    )


def elapsed(seconds: int) -> str:
    parts = []
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1, "s")):
        whole, seconds = divmod(seconds, unit)
        if whole:
            parts.append(f"{whole}{name}")
    return " ".join(parts[:2]) or "0"


def step_for(span: float, most: int) -> int:
    for step in STEPS:
        if span / step <= max(most, 1):
            return step
    step = STEPS[-1]
    while span / step > max(most, 1):
        step *= 2
    return step
