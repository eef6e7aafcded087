"""Who gives way: which leases are suspended so that a lease can have their hosts at its time.

A lease that gives way is suspended so that it has *finished* when the other begins; one that cannot
be is stopped then, not before: it may end by itself until that time.
"""

from collections.abc import Iterable

from orrery.core.model.lease import LeaseKind
from orrery.sched.leases.booking import Booking, Ending, RunPlan, Stage
from orrery.sched.leases.policies.preemption import PREEMPTION
from orrery.sched.leases.settings import Exclusion
from orrery.sched.leases.shapes import ShapeView
from orrery.sched.leases.soon import back_to_queue
from orrery.sched.leases.timeline import Timeline


def candidates(
    line: Timeline, booking: Booking, start: int, end: int, now: int
) -> list[tuple[float, RunPlan]]:
    """Runs that could give way in [start, end), most preemptable first."""
    score = PREEMPTION[line.settings.preemption]
    found = []
    for other in line.live.values():
        run = other.run
        if run is None or run.end <= start or run.start >= end:
            continue
        if not other.preemptible or other.kind is not LeaseKind.BEST_EFFORT:
            continue
        worth = score(booking, other, start)
        if worth is not None and can_give_way(line, run, start, now):
            found.append((-worth, -other.submitted, -other.id, run))
    found.sort()  # ids differ: runs are never compared
    return [(-entry[0], entry[3]) for entry in found]


def can_give_way(line: Timeline, run: RunPlan, at: int, now: int) -> bool:
    """Whether a run can be ended by `at` without losing what was saved before."""
    booking = run.booking
    if run.stage is Stage.PLANNED:
        return True
    if is_spared(line, booking):
        return False
    if run.stage is Stage.ENDING:
        return False  # its end is at hand and cannot be hurried
    if run.ending is Ending.SUSPEND and run.vm_end <= now:
        return False
    return not run.resumes or suspension_starts(line, run, at, now) is not None


def is_spared(line: Timeline, booking: Booking) -> bool:
    """Whether it was suspended so often that it is not again."""
    limit = line.settings.max_suspensions
    return limit is not None and booking.suspensions >= limit


def suspension_starts(line: Timeline, run: RunPlan, at: int, now: int) -> int | None:
    """When its suspension has to begin to be finished at `at`; None when it does not pay or is
    not possible."""
    booking = run.booking
    if not line.may_suspend(booking) or is_spared(line, booking):
        return None
    seconds = line.suspend_s(booking, run.hosts)
    begins = at - seconds
    if begins < now or begins <= run.vm_start or (run.is_late and run.vm_start < now):
        return None
    if booking.hosts is None and booking.suspensions == 0:
        resume = line.resume_s(booking, run.hosts)
        if at - run.vm_start < line.threshold(booking, seconds, resume):
            return None  # so little was done that doing it again costs less
    return begins


def loses_work(line: Timeline, run: RunPlan, at: int, now: int) -> bool:
    """Whether VMs would be stopped with what they did if a run gave way."""
    return run.stage is not Stage.PLANNED and suspension_starts(line, run, at, now) is None


def all_give_way(line: Timeline, runs: Iterable[RunPlan], at: int, now: int) -> None:
    """End these runs by `at`: where they share a disk their memory is written one after another,
    the last of it just before `at`."""
    busy: dict[int, int] = {}
    for run in runs:
        disks = set(run.hosts) if line.settings.exclusion is Exclusion.LOCAL else {EVERY_DISK}
        by = at - max(busy.get(disk, 0) for disk in disks)
        if by < at and suspension_starts(line, run, by, now) is None:
            by = at  # too short for its turn: it takes longer than planned, or is stopped
        give_way(line, run, by, now)
        if run.ending is Ending.SUSPEND and run.stage is not Stage.OVER:
            begins = at - run.vm_end
            busy.update({disk: max(begins, busy.get(disk, 0)) for disk in disks})


EVERY_DISK = -1


def give_way(line: Timeline, run: RunPlan, at: int, now: int) -> None:
    """End a run by `at`: suspended if that pays, otherwise dropped (before it began) or stopped."""
    booking = run.booking
    if run.stage is Stage.PLANNED and run.start >= at:
        _drop(line, run, now)
        return
    begins = suspension_starts(line, run, at, now)
    if begins is not None and (run.stage is not Stage.PLANNED or _of_use(line, run, at, begins)):
        run.vm_end, run.ending = begins, Ending.SUSPEND
        line.end_at(run, at)
    elif run.stage is Stage.PLANNED:
        _drop(line, run, now)
    else:
        run.vm_end, run.ending = at, Ending.KILL
        run.vm_start = min(run.vm_start, at)  # they may not be up by then
        line.end_at(run, at)
    line.changed.add(booking.id)


def _of_use(line: Timeline, run: RunPlan, at: int, begins: int) -> bool:
    booking = run.booking
    suspend = at - begins
    before = run.vm_start - run.start
    return at - run.start >= line.threshold(booking, suspend, before)


def _drop(line: Timeline, run: RunPlan, now: int) -> None:
    booking = run.booking
    line.drop(run)
    back_to_queue(line, booking, now)


def in_the_way(
    line: Timeline, run: RunPlan, start: int, end: int, now: int
) -> list[RunPlan] | None:
    """The runs that would have to give way for a run to keep its hosts in [start, end); None when
    one of them cannot."""
    hosts = set(run.hosts)
    able = [
        other
        for _, other in candidates(line, run.booking, start, end, now)
        if not hosts.isdisjoint(other.hosts)
    ]
    room = Room(line, start, end)
    try:
        for other in able:
            room.take(other)
            if _is_free(line, run, start, end):
                break
        else:
            return None
        for other in reversed(room.taken[:-1]):
            room.give_back(other)
            if not _is_free(line, run, start, end):
                room.take(other)
        return room.taken
    finally:
        room.close()


def _is_free(line: Timeline, run: RunPlan, start: int, end: int) -> bool:
    """Whether all that a run holds is free in [start, end) as well."""
    return all(line.table.free_until(host, held, start) >= end for host, held in run.held)


class Room:
    """What is free in [start, end) for one lease as others give way, one after another.

    The slot table is changed for the trial; `close` puts everything back.
    """

    def __init__(self, line: Timeline, start: int, end: int) -> None:
        self._line = line
        self._start = start
        self._end = end
        self._taken: list[RunPlan] = []

    def take(self, run: RunPlan) -> None:
        """As if this run had given way."""
        table = self._line.table
        if run.start < self._start:
            table.move_end(run.held, run.start, run.end, self._start)
        else:
            table.remove(run.held, run.start, run.end)
        self._line.version += 1
        self._taken.append(run)

    def give_back(self, run: RunPlan) -> None:
        """As if it had not."""
        table = self._line.table
        if run.start < self._start:
            table.move_end(run.held, run.start, self._start, run.end)
        else:
            table.add(run.held, run.start, run.end)
        self._line.version += 1
        self._taken.remove(run)

    @property
    def taken(self) -> list[RunPlan]:
        return list(self._taken)

    def close(self) -> None:
        for run in reversed(self.taken):
            self.give_back(run)

    def commit(self) -> list[RunPlan]:
        """They really give way: what they hold is what the trial left them; the caller tells them
        so (`give_way`)."""
        for run in self._taken:
            run.end = self._start if run.start < self._start else run.start
        taken, self._taken = self._taken, []
        return taken

    def nodes(self, view: ShapeView) -> int:
        """How many nodes of a shape are free for the whole time."""
        return self._line.table.throughout(view, self._start, self._end).bit_count()
