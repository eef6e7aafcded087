"""What really happened: operations that end sooner or later than planned, each with its local
consequences.

Only where somebody else carries out the plan; in a simulation operations end when planned.
"""

from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.sched.leases.booking import Booking, Ending, RunPlan, Stage
from orrery.sched.leases.changes import free_after, withdraw
from orrery.sched.leases.preempt import give_way, in_the_way
from orrery.sched.leases.progress import activate, end, progress
from orrery.sched.leases.soon import back_to_queue
from orrery.sched.leases.timeline import Timeline

GRACE_S = 5
"""By how much the end of an operation that is late is moved at a time, at the least."""


def up(line: Timeline, run: RunPlan, now: int) -> None:
    """The VMs of a run run: booted or resumed."""
    late = now - run.vm_start
    run.vm_start = now
    if late and _follows_its_start(run.booking):
        _shift_end(line, run, late, now)
    activate(line, run, now)
    progress(line, run, now)


def _follows_its_start(booking: Booking) -> bool:
    """Whether its end moves with its start; a reservation ends when it was promised to."""
    return booking.kind is not LeaseKind.RESERVATION


def _shift_end(line: Timeline, run: RunPlan, late: int, now: int) -> None:
    """It runs as long as planned, if it can; else its work goes on later, or is cut short."""
    if run.ending is not Ending.COMPLETE:
        return
    if late < 0:
        run.vm_end += late
        line.end_at(run, run.end + late)
        line.gain = True
        return
    if hold_longer(line, run, late, now):
        run.vm_end += late
        return
    suspend = line.suspend_s(run.booking, run.hosts)
    if line.may_suspend(run.booking) and run.end - suspend > now:
        run.ending, run.vm_end = Ending.SUSPEND, run.end - suspend
        line.put_on_agenda(run)
    else:
        run.booking.reason = f"it started {late} s late and is cut short by as much"


def hold_longer(line: Timeline, run: RunPlan, seconds: int, now: int) -> bool:
    """Keep the hosts of a run for longer, where need be at the cost of those that may give way."""
    if not free_after(line, run, seconds):
        others = in_the_way(line, run, run.end, run.end + seconds, now)
        if others is None:
            return False
        for other in others:
            give_way(line, other, run.end, now)
    line.end_at(run, run.end + seconds)
    return True


def down(line: Timeline, run: RunPlan, now: int) -> None:
    """The VMs of a run are suspended or stopped: its hosts are free."""
    if now < run.end:
        line.gain = True
    line.overdue.pop(id(run), None)
    if run.vm_end > now:
        run.vm_end = now
    line.end_at(run, now)
    end(line, run, now)
    retry_waiting(line)


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
    if not line.preparation.is_there(run.booking):
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
