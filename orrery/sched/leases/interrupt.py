"""Deadline leases that are under way make room for one that has less time, if all of them are
complete in time nevertheless.

Those that run are suspended by its start (or, where nobody may be suspended, stopped and begun
again); what is left of them is planned after it, the tightest first. Either all of it is done, or
nothing is changed.
"""

from orrery.core.model.lease import LeaseKind
from orrery.sched.leases import deadline
from orrery.sched.leases.booking import Booking, Ending, RunPlan, Stage
from orrery.sched.leases.deadline import (
    TOO_LATE,
    earliest_start,
    movable,
    place_in_time,
    plan_rest,
    put_back,
)
from orrery.sched.leases.preempt import suspension_starts
from orrery.sched.leases.settings import Suspension
from orrery.sched.leases.timeline import Timeline

UNDER_WAY = frozenset({Stage.PREPARING, Stage.RUNNING})

NOBODY = "no-preemption"


def reserve(line: Timeline, booking: Booking, now: int) -> bool:
    """Plan a lease by its deadline at the cost of others that have more time."""
    if not Interruption(line, booking, now).attempt():
        return False
    line.scheduled(booking)
    return True


def would_run(line: Timeline, booking: Booking, now: int) -> tuple[int, int] | str:
    """When its VMs would run if it were planned now, or why they could not be."""
    found = deadline.would_run(line, booking, now)
    if found != TOO_LATE:
        return found
    trial = Interruption(line, booking, now)
    if not trial.attempt():
        return found
    times = booking.runs[0].vm_start, booking.runs[-1].vm_end
    trial.undo()
    return times


class Interruption:
    """A trial: `attempt` changes the plan, `undo` puts everything back."""

    def __init__(self, line: Timeline, booking: Booking, now: int) -> None:
        self._line = line
        self._booking = booking
        self._at = earliest_start(line, booking, now) - line.boot_s(booking)
        self._now = now
        self._movable = movable(line)
        self._begun = [b for b in line.live.values() if self._has_begun(b)]
        self._before = [
            (other, [run for run in other.runs if run.stage is Stage.PLANNED])
            for other in (*self._movable, *self._begun)
        ]
        self._cut: list[tuple[RunPlan, int, Ending, int]] = []

    def _has_begun(self, other: Booking) -> bool:
        return other.kind is LeaseKind.DEADLINE and any(
            run.stage is not Stage.PLANNED for run in other.runs
        )

    def attempt(self) -> bool:
        """Plan again what has not begun; then cut one run after another, that with the most time
        first, until all can be in time."""
        line = self._line
        if self._line.settings.preemption == NOBODY or self._line.preparation.managed:
            self._before = []
            return False
        able = self._able()
        for _, planned in self._before:
            for run in reversed(planned):
                line.drop(run)
        if self._all_in_time():
            return True
        for run in able:
            if self._cut_at_start(run) and self._all_in_time():
                return True
        self.undo()
        return False

    def _able(self) -> list[RunPlan]:
        """The runs in the way that may be cut, that with the most slack first."""
        mine = self._slack(self._booking)
        end = self._at + self._booking.remaining
        found = [
            (slack, other.id, other.run)
            for other in self._begun
            if other.run is not None
            and other.run.stage in UNDER_WAY
            and other.run.vm_start < self._at < other.run.end
            and other.run.start < end
            and (slack := self._slack(other)) > mine
        ]
        return [run for _, _, run in sorted(found, key=lambda entry: (-entry[0], entry[1]))]

    def _slack(self, booking: Booking) -> float:
        """(time to the deadline) / (time still needed) when the new lease begins."""
        assert booking.deadline is not None
        left = booking.remaining
        run = booking.run
        if run is not None and run.stage in UNDER_WAY:
            left -= max(0, min(self._at, run.vm_end) - run.vm_start)
        return (booking.deadline - self._at) / max(1, left)

    def _cut_at_start(self, run: RunPlan) -> bool:
        line = self._line
        begins = suspension_starts(line, run, self._at, self._now)
        if begins is None and not self._may_start_afresh(run):
            return False
        self._cut.append((run, run.vm_end, run.ending, run.end))
        run.ending = Ending.KILL if begins is None else Ending.SUSPEND
        run.vm_end = self._at if begins is None else begins
        line.end_at(run, self._at)
        return True

    def _may_start_afresh(self, run: RunPlan) -> bool:
        nobody = self._line.settings.suspension is Suspension.NONE
        willing = run.booking.terms.preemptible is not False
        return nobody and willing and not run.resumes and self._at > self._now

    def _all_in_time(self) -> bool:
        """The new lease, and all whose plans were dropped or cut, the tightest first."""
        waiting = [b for b in self._begun if self._needs_plan(b)]
        everyone = [self._booking, *self._movable, *waiting]
        for each in sorted(everyone, key=lambda b: (self._slack(b), b.submitted, b.id)):
            rest = each in waiting
            plan = plan_rest if rest else place_in_time
            if not plan(self._line, each, self._now):
                put_back(self._line, everyone, [])
                return False
        return True

    def _needs_plan(self, booking: Booking) -> bool:
        return booking.run is None or booking.run.ending is not Ending.COMPLETE

    def undo(self) -> None:
        """Everything as it was."""
        line = self._line
        everyone = [self._booking, *(other for other, _ in self._before)]
        put_back(line, everyone, [])
        for run, vm_end, ending, end in reversed(self._cut):
            run.vm_end, run.ending = vm_end, ending
            line.end_at(run, end)
        self._cut.clear()
        put_back(line, [], self._before)
