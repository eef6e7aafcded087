"""What really happened: operations that end sooner or later than planned, each with its local
consequences.

Only where somebody else carries out the plan; in a simulation operations end when planned.
"""

from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.sched.leases.booking import Booking, Ending, RunPlan, Stage
from orrery.sched.leases.changes import withdraw
from orrery.sched.leases.deadline import plan_rest
from orrery.sched.leases.preempt import give_way, in_the_way
from orrery.sched.leases.progress import activate, end, progress
from orrery.sched.leases.soon import back_to_queue
from orrery.sched.leases.timeline import Timeline

GRACE_S = 5
"""By how much the end of an operation that is late is moved at a time, at the least."""

WAITS = "its hosts are not free yet, or its image is not there: it waits for them"


def up(line: Timeline, run: RunPlan, now: int) -> None:
    """The VMs of a run run: booted or resumed."""
    late, length = now - run.vm_start, run.vm_end - run.vm_start
    run.vm_start, run.is_late = now, False
    line.overdue.pop(id(run), None)
    if late and _follows_its_start(run.booking):
        _shift_end(line, run, length, late, now)
    elif late > 0:
        _report_late(run.booking, late)
    if run.booking.reason == WAITS:
        run.booking.reason = None
    run.vm_end = max(run.vm_end, now)
    activate(line, run, now)
    progress(line, run, now)


def _follows_its_start(booking: Booking) -> bool:
    """Whether its end moves with its start; a reservation ends when it was promised to."""
    return booking.kind is not LeaseKind.RESERVATION


def _shift_end(line: Timeline, run: RunPlan, length: int, late: int, now: int) -> None:
    """It runs as long as planned, if it can; else its work goes on later, or is cut short."""
    if run.ending is not Ending.COMPLETE:
        return
    if late < 0:
        run.vm_end += late
        line.end_at(run, run.end + late)
        line.gain = True
        return
    vm_end = now + length
    more = vm_end + line.settings.shutdown_s - run.end
    if more <= 0 or hold_longer(line, run, more, now):
        run.vm_end = vm_end
        _report_deadline(run, late)
        return
    suspend = line.suspend_s(run.booking, run.hosts)
    if line.may_suspend(run.booking) and run.end - suspend > now:
        run.ending, run.vm_end = Ending.SUSPEND, run.end - suspend
        line.put_on_agenda(run)
    else:
        run.booking.reason = f"it started {late} s late and is cut short by as much"


def _report_late(booking: Booking, late: int) -> None:
    waited = booking.reason == WAITS
    why = "it waited for its hosts or its image" if waited else "its VMs took longer to come up"
    booking.reason = f"it started {late} s late and is cut short by as much: {why}"


def _report_deadline(run: RunPlan, late: int) -> None:
    deadline = run.booking.deadline
    if deadline is not None and run.vm_end > deadline:
        over = run.vm_end - deadline
        run.booking.reason = f"it started {late} s late and ends {over} s after its deadline"


def late_start(line: Timeline, run: RunPlan, now: int) -> None:
    """Its VMs should be up and are not: it is looked at again when its hosts are wanted."""
    if run.is_given_up(now):
        progress(line, run, now)
    elif run.is_late:
        line.overdue[id(run)] = run
    else:
        run.is_late = True
        line.put_on_agenda(run)


def hold_longer(line: Timeline, run: RunPlan, seconds: int, now: int) -> bool:
    """Keep the hosts of a run for longer, where need be at the cost of those that may give way."""
    begin, end = max(run.end, now), run.end + seconds
    if any(line.table.free_until(host, held, begin) < end for host, held in run.held):
        others = in_the_way(line, run, begin, end, now)
        if others is None:
            return False
        for other in others:
            give_way(line, other, begin, now)
    line.end_at(run, end)
    return True


def down(line: Timeline, run: RunPlan, now: int) -> None:
    """The VMs of a run are suspended or stopped: its hosts are free."""
    if now < run.end:
        line.gain = True
    run.vm_end = min(run.vm_end, now)
    line.end_now(run, now)
    end(line, run, now)
    _check_rest(line, run.booking, now)
    retry_waiting(line)


def _check_rest(line: Timeline, booking: Booking, now: int) -> None:
    """A lease in parts did less than planned, as it started late: the rest is planned again."""
    planned = [run for run in booking.runs if run.stage is Stage.PLANNED]
    short = booking.remaining - sum(run.vm_end - run.vm_start for run in planned)
    if not planned or short <= 0:
        return
    for run in reversed(planned):
        line.drop(run)
    if plan_rest(line, booking, now):
        return
    booking.reason = f"{short} s of its time fit nowhere before its deadline"
    for run in planned:
        run.stage = Stage.PLANNED
        line.book(run)


def hold_overdue(line: Timeline, now: int) -> bool:
    """Operations that should have ended before now keep their hosts for longer; whether there are
    any.

    One whose end is just now may yet be told of in time: who follows only waits for it.
    """
    late = [run for run in line.overdue.values() if run.end < now]
    for run in late:
        length = run.end - run.vm_end
        hold_longer(line, run, max(GRACE_S, length // 10, now - run.end + GRACE_S), now)
    return bool(late)


def is_blocked(line: Timeline, run: RunPlan) -> bool:
    """Whether a run that should begin has to wait for its image, or for hosts that are not free
    in reality."""
    if not line.preparation.is_there(run.booking) or run.booking.run is not run:
        return True
    if not line.overdue:
        return False
    hosts = set(run.hosts)
    return any(not hosts.isdisjoint(late.hosts) for late in line.overdue.values())


def wait(line: Timeline, run: RunPlan, now: int) -> None:
    """It begins when its hosts are free in reality, and have its image; what was promised no time
    is planned again if its image is late."""
    if run.booking.kind is LeaseKind.BEST_EFFORT and not line.preparation.is_there(run.booking):
        _plan_again(line, run, now)
    else:
        run.booking.reason = WAITS
        line.waiting.append(run)


def miss(line: Timeline, run: RunPlan, now: int) -> None:
    """A run has waited for so long that its time is over."""
    if run.booking.kind is LeaseKind.BEST_EFFORT:
        _plan_again(line, run, now)
        return
    run.booking.reason = "its hosts or its image came only when its time was over"
    withdraw(line, run.booking, LeaseStatus.FAILED, now)


def _plan_again(line: Timeline, run: RunPlan, now: int) -> None:
    line.drop(run)
    back_to_queue(line, run.booking, now)
    line.gain = True


def retry_waiting(line: Timeline) -> None:
    """Hosts have become free: who waited for them is due again."""
    waiting, line.waiting = line.waiting, []
    for run in waiting:
        if run.stage is Stage.PLANNED:
            line.put_on_agenda(run)
