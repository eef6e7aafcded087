"""Hosts that are lost, come back, are new, or offer another amount: what it means for the plan.

A promise that can no longer be kept is moved to other hosts at the same time; where that is not
possible the lease fails at once with the reason. Best-effort leases wait again.
"""

from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.sched.leases.booking import Booking, Ending, Stage
from orrery.sched.leases.changes import stop_now, withdraw
from orrery.sched.leases.deadline import plan_by_deadline, plan_rest
from orrery.sched.leases.exact import find_exactly, take
from orrery.sched.leases.progress import end
from orrery.sched.leases.soon import back_to_queue
from orrery.sched.leases.timeline import Timeline


def lose(line: Timeline, host: int, now: int) -> None:
    """A host is gone, with the VMs and the saved memory on it."""
    hit = [b for b in line.bookings.values() if not b.status.final and _uses(b, host)]
    why = f"host {line.hosts[host].name} was lost"
    keep = [booking for booking in hit if not _loses_work(booking, host)]
    restart = [booking for booking in hit if booking not in keep and not _is_complete(booking)]
    for booking in hit:
        if booking in keep:
            _drop_plans(line, booking, now)
        elif booking in restart:
            _lose_runs(line, booking, now)
        else:
            _complete(line, booking, now)
    line.block(host, now)
    line.preparation.lose(host)
    for booking in sorted([*keep, *restart], key=_promised_first):
        again = _go_on if booking in keep else _again
        again(line, booking, why, now)
    line.gain = True


def _promised_first(booking: Booking) -> tuple[bool, tuple[float, int, int]]:
    return (booking.kind is LeaseKind.BEST_EFFORT, booking.order)


def _uses(booking: Booking, host: int) -> bool:
    if booking.hosts is not None and host in booking.hosts:
        return True
    return any(run.stage is not Stage.OVER and host in run.hosts for run in booking.runs)


def _loses_work(booking: Booking, host: int) -> bool:
    """Whether its VMs or their memory were there, not only a plan."""
    if booking.hosts is not None and host in booking.hosts:
        return True
    run = booking.run
    return run is not None and run.stage is not Stage.PLANNED and host in run.hosts


def _is_complete(booking: Booking) -> bool:
    """Whether nothing but its shutdown was left to do."""
    run = booking.run
    return run is not None and run.stage is Stage.ENDING and run.ending is Ending.COMPLETE


def _complete(line: Timeline, booking: Booking, now: int) -> None:
    run = booking.run
    assert run is not None
    line.end_now(run, now)
    end(line, run, now)


def _drop_plans(line: Timeline, booking: Booking, now: int) -> None:
    """Give up what has not begun."""
    for run in [run for run in booking.runs if run.stage is Stage.PLANNED]:
        line.drop(run)
    line.no_future(booking)
    line.preparation.set_aside(booking, now)


def _lose_runs(line: Timeline, booking: Booking, now: int) -> None:
    """Give up its plan; what its VMs had done is gone with them."""
    line.queue.remove(booking)
    line.no_future(booking)
    for run in [run for run in booking.runs if run.stage is not Stage.OVER]:
        if run.stage is Stage.PLANNED:
            line.drop(run)
        else:
            stop_now(line, run, now)
    line.preparation.release(booking, now)


def _go_on(line: Timeline, booking: Booking, why: str, now: int) -> None:
    """Plan again what was to run on a lost host; nothing that was done is lost."""
    if booking.kind is LeaseKind.BEST_EFFORT:
        booking.reason = why
        back_to_queue(line, booking, now)
    elif booking.hosts is None and booking.run is None:
        _again(line, booking, why, now)
    else:
        planned = plan_rest(line, booking, now)
        _report(line, booking, why, None if planned else "its rest fits nowhere in time", now)


def _again(line: Timeline, booking: Booking, why: str, now: int) -> None:
    """Plan a lease again that lost a host."""
    begun = booking.first_start is not None
    booking.hosts = None
    if booking.kind is LeaseKind.BEST_EFFORT:
        booking.reason = why
        booking.remaining, booking.served = booking.duration, 0
        line.enqueue(booking)
        return
    if booking.status is not LeaseStatus.PENDING:
        booking.become(LeaseStatus.PENDING)
    _report(line, booking, why, _replan(line, booking, begun, now), now)


def _report(line: Timeline, booking: Booking, why: str, reason: str | None, now: int) -> None:
    """Say at once what became of a promise."""
    if reason is None:
        booking.reason = f"{why}: it was moved to other hosts"
        return
    booking.reason = f"{why}, and {reason}"
    withdraw(line, booking, LeaseStatus.FAILED, now)


def _replan(line: Timeline, booking: Booking, begun: bool, now: int) -> str | None:  # noqa: FBT001
    """The whole of a deadline lease; of the others what is left of their time."""
    if booking.kind is LeaseKind.DEADLINE:
        booking.remaining, booking.served = booking.duration, 0
        return plan_by_deadline(line, booking, now)
    soonest = now + line.settings.lead_s + line.boot_s(booking)
    start = soonest if booking.start is None else max(booking.start, soonest)
    if begun:
        left = _promised_end(booking) - start
        if left <= 0:
            return "its time is over before its VMs could run again"
        booking.remaining = left
    opening = find_exactly(line, booking, start, now)
    return opening if isinstance(opening, str) else take(line, booking, opening, now)


def _promised_end(booking: Booking) -> int:
    begin = booking.start if booking.start is not None else booking.first_start
    assert begin is not None
    return begin + booking.duration


def come_back(line: Timeline, host: int, now: int) -> None:
    """A host that was lost takes leases again, with nothing on it."""
    line.unblock(host, now)
    line.gain = True


def change_offer(line: Timeline, host: int, capacity: int, now: int) -> None:
    """A host offers another amount; what is promised on it already stays promised."""
    line.offer(host, capacity, now)
    line.gain = True
