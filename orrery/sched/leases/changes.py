"""What a user may do to a lease that is there: end it, make it longer or shorter, move it.

Each either changes the plan or gives the reason why not, and then changes nothing.
"""

from msgspec.structs import replace

from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.sched.leases.booking import Booking, Ending, RunPlan, Stage
from orrery.sched.leases.deadline import plan_by_deadline
from orrery.sched.leases.exact import reserve_exactly
from orrery.sched.leases.ordering import first_goes_first, place_of
from orrery.sched.leases.preempt import give_way, in_the_way
from orrery.sched.leases.prolong import prolong
from orrery.sched.leases.soon import back_to_queue
from orrery.sched.leases.timeline import StepKind, Timeline

TOO_LITTLE = "so little of its time would be left that it has to be cancelled instead"


def withdraw(line: Timeline, booking: Booking, status: LeaseStatus, now: int) -> None:
    """End a lease in any status: plans are given up, VMs that run are stopped."""
    line.queue.remove(booking)
    ahead = [run for run in booking.runs if run.stage is not Stage.OVER]
    for run in ahead:
        if run.stage is Stage.PLANNED:
            line.drop(run)
        else:
            stop_now(line, run, now)
    line.no_future(booking)
    line.preparation.release(booking, now)
    booking.become(status)
    booking.ended = now
    prolong(line, (host for run in ahead for host in run.hosts), now)
    line.gain = True
    line.changed.add(booking.id)


def stop_now(line: Timeline, run: RunPlan, now: int) -> None:
    """A run that has begun ends at once; its hosts are free."""
    booking = run.booking
    if run.stage is Stage.RUNNING:
        ended = max(run.vm_start, min(now, run.vm_end))
        booking.ran += ended - run.vm_start
        if line.usage.ages:
            line.usage.add(booking.user, booking.cpu_pct, run.vm_start, ended)
    run.vm_end = max(run.vm_start, min(run.vm_end, now))
    if run.stage is Stage.PREPARING:
        run.vm_start = run.vm_end = now
        run.migration_s = min(run.migration_s, now - run.start)
    run.ending = Ending.KILL
    line.end_now(run, now)
    line.step(now, StepKind.KILL, run)
    line.over(run)


def set_length(line: Timeline, booking: Booking, seconds: int, now: int) -> str | None:
    """Add seconds to the duration of a lease (or take them, below 0)."""
    ahead = [run for run in booking.runs if run.stage is not Stage.OVER]
    if not ahead:
        return _wait_for(line, booking, seconds)
    last = ahead[-1]
    if last.stage is Stage.ENDING and last.ending is Ending.COMPLETE:
        return "it is ending already"
    if seconds < 0:
        reason = _shorten(line, booking, ahead, -seconds, now)
    elif last.ending is Ending.COMPLETE:
        reason = _lengthen(line, booking, last, seconds, now)
    else:
        reason = None  # what its present run does not do is planned later
    if reason is None:
        _new_length(booking, seconds)
        if last.stage is Stage.OVER and booking.run is None:
            back_to_queue(line, booking, now)
        line.changed.add(booking.id)
    return reason


def _wait_for(line: Timeline, booking: Booking, seconds: int) -> str | None:
    """A lease in the queue waits for a run of another length."""
    if booking.remaining + seconds <= 0:
        return TOO_LITTLE
    line.queue.remove(booking)
    _new_length(booking, seconds)
    line.enqueue(booking)
    return None


def _new_length(booking: Booking, seconds: int) -> None:
    booking.duration += seconds
    booking.remaining += seconds
    booking.terms = replace(booking.terms, duration=booking.terms.duration + seconds)


def _lengthen(line: Timeline, booking: Booking, run: RunPlan, seconds: int, now: int) -> str | None:
    if booking.deadline is not None and run.vm_end + seconds > booking.deadline:
        return "it would end after its deadline"
    if not _room_after(line, run, seconds, now):
        if booking.kind is LeaseKind.BEST_EFFORT and run.stage is Stage.PLANNED:
            line.drop(run)  # it was promised no time: it is planned anew
            return None
        return "its hosts are promised to others after its end"
    run.vm_end += seconds
    line.end_at(run, run.end + seconds)
    return None


def _shorten(
    line: Timeline, booking: Booking, ahead: list[RunPlan], seconds: int, now: int
) -> str | None:
    """Its last runs are given up, or end earlier, whatever they were to end with."""
    planned = sum(run.vm_end - run.vm_start for run in ahead if run.stage is not Stage.ENDING)
    less = seconds - max(0, booking.remaining - planned)
    if less < 0 or (less == 0 and ahead[-1].stage is Stage.ENDING and booking.remaining > seconds):
        return None  # only what no run was planned for yet
    *before, last = ahead
    needless = []
    while before and last.stage is Stage.PLANNED and less >= last.vm_end - last.vm_start:
        less -= last.vm_end - last.vm_start
        needless.append(last)
        last = before.pop()
    vm_end = last.vm_end - less
    if last.stage is Stage.ENDING or vm_end <= max(now, last.vm_start):
        return TOO_LITTLE
    end = vm_end + line.settings.shutdown_s
    if end > last.end and not free_after(line, last, end - last.end):
        return "its hosts are promised to others before it could be shut down"
    for run in needless:
        line.drop(run)
    last.vm_end, last.ending = vm_end, Ending.COMPLETE
    line.end_at(last, end)
    line.gain = True
    return None


def _room_after(line: Timeline, run: RunPlan, seconds: int, now: int) -> bool:
    """Whether its hosts are free for longer, if need be because others give way."""
    if free_after(line, run, seconds):
        return True
    others = in_the_way(line, run, run.end, run.end + seconds, now)
    if others is None:
        return False
    for other in others:
        give_way(line, other, run.end, now)
    return True


def free_after(line: Timeline, run: RunPlan, seconds: int) -> bool:
    """Whether all that a run holds is free for so long after its end."""
    until = run.end + seconds
    return all(line.table.free_until(host, held, run.end) >= until for host, held in run.held)


def move(line: Timeline, booking: Booking, start: int, now: int) -> str | None:
    """Plan a lease that has not begun at another start."""
    if booking.kind not in (LeaseKind.RESERVATION, LeaseKind.DEADLINE):
        return f"a lease that is {booking.kind.value} has no start to move"
    if any(run.stage is not Stage.PLANNED for run in booking.runs):
        return "it has begun already"
    runs, before = list(booking.runs), (booking.start, booking.terms)
    for run in reversed(runs):
        line.drop(run)
    booking.start = start
    booking.terms = replace(booking.terms, start=float(start))
    if booking.kind is LeaseKind.RESERVATION:
        reason = reserve_exactly(line, booking, start, now)
    else:
        reason = plan_by_deadline(line, booking, now)
    if reason is not None:
        booking.start, booking.terms = before
        for run in runs:
            run.stage = Stage.PLANNED
            line.book(run)
    else:
        line.gain = True
    return reason


def prioritise(line: Timeline, booking: Booking, priority: int, now: int) -> None:
    """Another priority: another place in the queue."""
    waits = booking.queue_key is not None
    line.queue.remove(booking)
    booking.terms = replace(booking.terms, priority=priority)
    place_of(line, booking)
    if waits:
        line.enqueue(booking)
    first_goes_first(line, now)
    line.changed.add(booking.id)
