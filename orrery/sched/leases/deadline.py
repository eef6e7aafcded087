"""Complete by a deadline: in one run where that fits, in several where suspension pays, and by
moving other deadline leases that have time.

Haizea's rule of rescheduling by slack (Sotomayor's thesis, 2010), with the splitting that Nathani,
Chaudhary and Somani (FGCS 28, 2012) found to raise acceptance. A plan that fails changes nothing.
"""

from orrery.core.model.lease import LeaseKind
from orrery.sched.leases.booking import Booking, Ending, RunPlan, Stage
from orrery.sched.leases.exact import Opening, booting_s, find_exactly, take
from orrery.sched.leases.placing import run_at
from orrery.sched.leases.preempt import loses_work
from orrery.sched.leases.soon import next_chance
from orrery.sched.leases.timeline import Timeline

MOST_RUNS = 16
"""Runs into which one lease is split."""

MOST_TRIES = 256


def plan_by_deadline(line: Timeline, booking: Booking, now: int) -> str | None:
    """Plan its runs; why not, when the deadline cannot be met."""
    assert booking.deadline is not None
    earliest = earliest_start(line, booking, now)
    if earliest + booking.remaining > booking.deadline:
        return TOO_LONG
    for way in (_in_one_run, _in_several_runs, _by_preemption, _by_moving_others):
        if way(line, booking, earliest, now):
            line.scheduled(booking)
            return None
    return TOO_LATE


TOO_LONG = "its duration does not fit between its start and its deadline"
TOO_LATE = "it cannot be complete by its deadline"


def would_run(line: Timeline, booking: Booking, now: int) -> tuple[int, int] | str:
    """When its VMs would first and last run if it were planned now, or why it could not be; the
    plan stays as it is."""
    assert booking.deadline is not None
    earliest = earliest_start(line, booking, now)
    if earliest + booking.remaining > booking.deadline:
        return TOO_LONG
    run = _whole_run(line, booking, _begins(line, booking, earliest), now)
    if run is not None and line.preparation.possible(booking, run.hosts, run.start, now):
        return run.vm_start, run.vm_end
    if _in_several_runs(line, booking, earliest, now):
        return _undone(line, [booking], [])
    opening = _opening(line, booking, earliest, now)
    if opening is not None:
        start = opening.at + booting_s(line, booking)
        return start, start + booking.remaining
    before = [(other, list(other.runs)) for other in movable(line)]
    if _by_moving_others(line, booking, earliest, now):
        return _undone(line, [booking, *(other for other, _ in before)], before)
    return TOO_LATE


def _undone(
    line: Timeline, planned: list[Booking], before: list[tuple[Booking, list[RunPlan]]]
) -> tuple[int, int]:
    """Take back a plan that was made to see what it would be."""
    runs = planned[0].runs
    found = runs[0].vm_start, runs[-1].vm_end
    put_back(line, planned, before)
    return found


def earliest_start(line: Timeline, booking: Booking, now: int) -> int:
    soonest = now + line.settings.lead_s + line.boot_s(booking)
    return soonest if booking.start is None else max(booking.start, soonest)


def slack(booking: Booking, now: int) -> float:
    """(time to the deadline) / (time still needed): 1 is none to spare."""
    assert booking.deadline is not None
    begin = now if booking.start is None else max(now, booking.start)
    return (booking.deadline - begin) / max(1, booking.remaining)


def _begins(line: Timeline, booking: Booking, earliest: int) -> int:
    """The earliest start of its run, so that the VMs are not up before what was asked for."""
    return earliest - (line.boot_s(booking) if booking.hosts is None else 0)


def _in_one_run(line: Timeline, booking: Booking, earliest: int, now: int) -> bool:
    found = _whole_run(line, booking, _begins(line, booking, earliest), now)
    if found is None or not line.preparation.book(booking, found.hosts, found.start, now):
        return False
    line.book(found)
    return True


def _whole_run(line: Timeline, booking: Booking, at: int, now: int) -> RunPlan | None:
    """The first uninterrupted run from `at` on that ends in time."""
    assert booking.deadline is not None
    allowed = None
    if line.preparation.managed and booking.hosts is None:
        ready, allowed = line.preparation.ready(booking, now + line.settings.lead_s)[-1]
        at = max(at, ready)
    least = line.boot_s(booking) + booking.remaining
    for _ in range(MOST_TRIES):
        run = run_at(line, booking, at, allowed)
        if run is not None and run.ending is Ending.COMPLETE and run.vm_end <= booking.deadline:
            return run
        chance = next_chance(line, booking, least, at, allowed)
        if chance is None or chance + booking.remaining > booking.deadline:
            return None
        at = chance
    return None


def _in_several_runs(line: Timeline, booking: Booking, earliest: int, now: int) -> bool:
    """Use every stretch that is of use, from the first on, until the work is done."""
    if not line.may_suspend(booking) or line.preparation.managed:
        return False
    remaining, hosts = booking.remaining, booking.hosts
    runs = _split(line, booking, _begins(line, booking, earliest))
    booking.remaining, booking.hosts = remaining, hosts
    del now
    return bool(runs)


def _split(line: Timeline, booking: Booking, at: int) -> list[RunPlan]:
    """The runs, planned; none when they are not complete in time. Uses the booking as if each
    run had been."""
    assert booking.deadline is not None
    runs: list[RunPlan] = []
    for _ in range(MOST_TRIES):
        run = run_at(line, booking, at)
        if run is not None and run.vm_end <= booking.deadline:
            line.book(run)
            runs.append(run)
            booking.remaining -= run.vm_end - run.vm_start
            booking.hosts = run.hosts
            at = run.end
            if run.ending is Ending.COMPLETE:
                return runs
            if len(runs) == MOST_RUNS:
                break
            continue
        chance = next_chance(line, booking, line.need(booking), at, None)
        if chance is None or chance + booking.remaining > booking.deadline:
            break
        at = chance
    for run in reversed(runs):
        line.drop(run)
    return []


def plan_rest(line: Timeline, booking: Booking, now: int) -> bool:
    """Plan again what comes after the run of a lease that is under way, or after its suspension."""
    remaining, hosts = booking.remaining, booking.hosts
    at, run = now + line.settings.lead_s, booking.run
    if run is not None:
        at = max(at, run.end)
        booking.hosts = run.hosts
        if run.stage is not Stage.ENDING:
            booking.remaining -= run.vm_end - run.vm_start
        if run.ending is Ending.KILL:
            booking.hosts, booking.remaining = None, booking.duration
    runs = _split(line, booking, at)
    booking.remaining, booking.hosts = remaining, hosts
    return bool(runs)


def _by_preemption(line: Timeline, booking: Booking, earliest: int, now: int) -> bool:
    opening = _opening(line, booking, earliest, now)
    return opening is not None and take(line, booking, opening, now) is None


def _opening(line: Timeline, booking: Booking, earliest: int, now: int) -> Opening | None:
    """As a reservation at its earliest start, or at the latest that still is in time: the first of
    them for which nobody's work is lost, or else the first that is possible."""
    assert booking.deadline is not None
    found = None
    for start in dict.fromkeys((earliest, booking.deadline - booking.remaining)):
        opening = find_exactly(line, booking, start, now)
        if isinstance(opening, str):
            continue
        if not any(loses_work(line, run, opening.at, now) for run in opening.giving_way):
            return opening
        found = found or opening
    return found


def _by_moving_others(line: Timeline, booking: Booking, earliest: int, now: int) -> bool:
    """Take out the deadline leases that have not begun; place all again, the tightest first."""
    del earliest
    others = movable(line)
    if not others or line.preparation.managed:
        return False
    before = [(other, list(other.runs)) for other in others]
    for _, runs in before:
        for run in reversed(runs):
            line.drop(run)
    everyone = sorted([booking, *others], key=lambda b: (slack(b, now), b.submitted, b.id))
    for each in everyone:
        if not place_in_time(line, each, now):
            put_back(line, everyone, before)
            return False
    return True


def place_in_time(line: Timeline, booking: Booking, now: int) -> bool:
    """Plan its runs where enough is free."""
    begin = earliest_start(line, booking, now)
    return _in_one_run(line, booking, begin, now) or _in_several_runs(line, booking, begin, now)


def movable(line: Timeline) -> list[Booking]:
    """Deadline leases that have not begun."""
    return [
        booking
        for booking in line.live.values()
        if booking.kind is LeaseKind.DEADLINE
        and all(run.stage is Stage.PLANNED for run in booking.runs)
    ]


def put_back(
    line: Timeline, planned: list[Booking], before: list[tuple[Booking, list[RunPlan]]]
) -> None:
    """Take back what was planned, and plan what was before."""
    for each in planned:
        for run in reversed([run for run in each.runs if run.stage is Stage.PLANNED]):
            line.drop(run)
    for _, runs in before:
        for run in runs:
            run.stage = Stage.PLANNED
            line.book(run)
