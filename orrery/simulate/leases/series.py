"""Quantities that change in steps over simulated time: made of changes, averaged, thinned out."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct

from orrery.simulate.leases.history import Use, cpu_of, in_order, runs_of, spans_of, waits_of
from orrery.simulate.leases.run import Result


class Series(Struct, frozen=True):
    """`values[i]` holds from `times[i]` until the next time; before the first time it is 0."""

    times: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def area(self, end: int) -> float:
        """Value times seconds from the first time to `end`."""
        bounds = [*self.times[1:], max(end, self.times[-1])] if self.times else []
        return sum(
            value * (min(until, end) - min(since, end))
            for value, since, until in zip(self.values, self.times, bounds, strict=True)
        )

    def mean(self, end: int) -> float:
        """Weighted with time, over [0, end)."""
        return self.area(end) / end if end > 0 else 0.0

    @property
    def peak(self) -> float:
        return max(self.values, default=0.0)

    def at(self, time: float) -> float:
        index = bisect_right(self.times, time) - 1
        return self.values[index] if index >= 0 else 0.0

    def averages(self, end: int, count: int) -> list[float]:
        """The mean of each of `count` equal parts of [0, end)."""
        if end <= 0 or not self.times:
            return [0.0] * count
        found = [0.0] * count
        width = end / count
        bounds = [*self.times[1:], end]
        for value, since, until in zip(self.values, self.times, bounds, strict=True):
            if value:
                _spread(found, value, max(0, since), min(until, end), width)
        return found


def _spread(found: list[float], value: float, since: float, until: float, width: float) -> None:
    """Add a stretch to the parts that it overlaps."""
    if since >= until:
        return
    first, last = int(since / width), min(len(found) - 1, int(until / width))
    for part in range(first, last + 1):
        overlap = min(until, (part + 1) * width) - max(since, part * width)
        if overlap > 0:
            found[part] += value * overlap / width


def summed(changes: Mapping[int, float]) -> Series:
    """The running sum of changes by time; changes of nothing are left out."""
    times: list[int] = []
    values: list[float] = []
    total = 0.0
    for time in sorted(changes):
        if changes[time]:
            total += changes[time]
            times.append(time)
            values.append(total)
    return Series(tuple(times), tuple(values))


def of_spans(spans: Iterable[tuple[int, int, float]]) -> Series:
    """How much there is at each time of what lasts from a start to an end."""
    changes: defaultdict[int, float] = defaultdict(float)
    for start, end, amount in spans:
        changes[start] += amount
        changes[end] -= amount
    return summed(changes)


def cpu_by_use(result: Result) -> dict[Use, Series]:
    """CPU in use, in hundredths of a core."""
    changes: dict[Use, defaultdict[int, float]] = {use: defaultdict(float) for use in Use}
    for booking in in_order(result):
        cpu = cpu_of(booking)
        for run in runs_of(booking):
            for span in spans_of(run):
                changes[span.use][span.start] += cpu
                changes[span.use][span.end] -= cpu
    return {use: summed(found) for use, found in changes.items()}


def queue_length(result: Result) -> Series:
    """Best-effort leases that wait."""
    return of_spans(
        (start, end, 1.0)
        for booking in in_order(result)
        for start, end in waits_of(booking, result.end)
    )
