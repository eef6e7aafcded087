"""A workload on a simulated site: the lease scheduler in a plain event loop, as fast as it goes."""

import gc
import heapq
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from orrery.sched.leases.answer import Answer
from orrery.sched.leases.booking import Booking, RunPlan, Stage
from orrery.sched.leases.calendar import Calendar
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.site import Site
from orrery.sched.leases.timeline import Step, StepKind
from orrery.simulate.leases.workload.generate import USER_RATE
from orrery.simulate.leases.workload.model import Arrival, Workload

RATE = re.compile(r"[0-9]{1,12}(?:\.[0-9]{0,12})?", re.ASCII)

Progress = Callable[[int, int], None]
"""(leases that have arrived, all leases)"""


class Probe(Protocol):
    """Sees what happens while it happens."""

    def requested(self, arrival: Arrival, answer: Answer, now: int) -> None:
        """A lease arrived and was answered."""
        ...

    def stepped(self, steps: list[Step], calendar: Calendar, now: int) -> None:
        """Time went on to `now`, and these steps were taken."""
        ...


class Result:
    """What became of every lease of a workload."""

    def __init__(self, workload: Workload, site: Site, settings: Settings) -> None:
        self.workload = workload
        self.site = site
        self.settings = settings
        self.bookings: dict[int, Booking] = {}
        self.end = 0
        self.events = 0


def simulate(
    workload: Workload,
    settings: Settings,
    site: Site | None = None,
    *,
    progress: Progress | None = None,
    probes: tuple[Probe, ...] = (),
) -> Result:
    """Run a workload to its end.

    Raises:
        ValueError: when neither the workload nor the caller names a site.
    """
    on = site or workload.site
    if on is None:
        raise ValueError(f"workload {workload.name} names no site: give one")
    simulation = Simulation(workload, on, settings, probes)
    with collector_at_rest():
        simulation.run(progress)
    return simulation.result


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Without the collector of cycles: a simulation keeps all it makes, so there is nothing to
    find, and looking takes longer with every lease."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Simulation:
    """Arrivals, early ends and the calendar's own events, in order of time."""

    def __init__(
        self, workload: Workload, site: Site, settings: Settings, probes: tuple[Probe, ...]
    ) -> None:
        self.result = Result(workload, site, settings)
        start = workload.arrivals[0].at if workload.arrivals else 0
        self.calendar = Calendar(site, settings, start)
        self.result.bookings = self.calendar.bookings
        self._arrivals = workload.arrivals
        self._probes = probes
        self._next = 0
        self._real = {
            arrival.lease_id: arrival.real_duration
            for arrival in workload.arrivals
            if arrival.real_duration is not None
        }
        self._early: list[tuple[int, int, int, RunPlan]] = []
        self._planned: int | None = None

    def run(self, progress: Progress | None) -> None:
        """Until nothing is planned and nothing arrives any more."""
        count = len(self._arrivals)
        while (now := self._next_time()) is not None:
            self.result.events += 1
            self.result.end = now
            due = not self._arrives(now) or self._planned == now
            if self._early and self._early[0][0] <= now:
                self._end_early(now)
                due = True
            if due:
                self._go_on(now)
            if self._arrives(now):
                self._arrive(now)
                self._go_on(now)
                if progress is not None:
                    progress(self._next, count)

    def _arrives(self, now: int) -> bool:
        return self._next < len(self._arrivals) and self._arrivals[self._next].at <= now

    def _next_time(self) -> int | None:
        times = []
        planned = self._planned = self.calendar.next_time()
        if planned is not None:
            times.append(planned)
        if self._next < len(self._arrivals):
            times.append(self._arrivals[self._next].at)
        while self._early and not _runs(self._early[0][3]):
            heapq.heappop(self._early)
        if self._early:
            times.append(self._early[0][0])
        return min(times, default=None)

    def _end_early(self, now: int) -> None:
        """Leases whose real duration is used up end before what was asked for."""
        while self._early and self._early[0][0] <= now:
            at, lease_id, _, run = heapq.heappop(self._early)
            if _runs(run) and run.vm_end >= at:
                self.calendar.finish(lease_id, now)

    def _go_on(self, now: int) -> None:
        steps = self.calendar.advance(now)
        for step in steps:
            if step.kind is StepKind.ACTIVE:
                self._watch(step.run)
        for probe in self._probes:
            probe.stepped(steps, self.calendar, now)

    def _watch(self, run: RunPlan) -> None:
        booking = run.booking
        real = self._real.get(booking.id)
        if real is not None and real < booking.duration:
            ends = run.vm_start + max(0, real - booking.served)
            heapq.heappush(self._early, (ends, booking.id, run.start, run))

    def _arrive(self, now: int) -> None:
        """All that arrive now, in order."""
        while self._next < len(self._arrivals) and self._arrivals[self._next].at <= now:
            arrival = self._arrivals[self._next]
            self._next += 1
            rate = user_rate(arrival) if arrival.extras else None
            answer = self.calendar.submit(
                arrival.lease_id, arrival.terms, now, user=arrival.user, rate=rate
            )
            for probe in self._probes:
                probe.requested(arrival, answer, now)


def user_rate(arrival: Arrival) -> float | None:
    """The most that the user pays for a node and an hour, if the workload says."""
    for name, text in arrival.extras:
        if name == USER_RATE:
            return float(text) if RATE.fullmatch(text) else None
    return None


def _runs(run: RunPlan) -> bool:
    return run.stage is Stage.RUNNING
