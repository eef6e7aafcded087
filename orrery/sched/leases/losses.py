"""Hosts that are lost, come back, are new, or offer another amount: what it means for the plan.

A promise that can no longer be kept is moved to other hosts at the same time; where that is not
possible the lease fails at once with the reason. Best-effort leases wait again.
"""

from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.sched.leases.booking import Booking, Stage
from orrery.sched.leases.changes import stop_now, withdraw
from orrery.sched.leases.deadline import plan_by_deadline
from orrery.sched.leases.exact import find_exactly, take
from orrery.sched.leases.timeline import Timeline


def lose(line: Timeline, host: int, now: int) -> None:
    """A host is gone, with the VMs and the saved memory on it."""
    hit = [b for b in line.bookings.values() if not b.status.final and _uses(b, host)]
    name = line.hosts[host].name
    for booking in hit:
        _lose_runs(line, booking, now)
    line.block(host, now)
    line.preparation.lose(host)
    for booking in sorted(hit, key=lambda b: (b.kind is LeaseKind.BEST_EFFORT, b.order)):
        _again(line, booking, f"host {name} was lost", now)
    line.gain = True


def _uses(booking: Booking, host: int) -> bool:
    if booking.hosts is not None and host in booking.hosts:
        return True
    return any(run.stage is not Stage.OVER and host in run.hosts for run in booking.runs)


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
    reason = _replan(line, booking, begun, now)
    if reason is None:
        booking.reason = f"{why}: it was moved to other hosts"
    else:
        booking.reason = f"{why}, and {reason}"
        withdraw(line, booking, LeaseStatus.FAILED, now)


def _replan(line: Timeline, booking: Booking, begun: bool, now: int) -> str | None:  # noqa: FBT001
    """The whole of a deadline lease; of the others what is left of their time."""
    if booking.kind is LeaseKind.DEADLINE:
        booking.remaining, booking.served = booking.duration, 0
        return plan_by_deadline(line, booking, now)
    soonest = now + line.settings.lead_s + line.settings.boot_s
    start = soonest if booking.start is None else max(booking.start, soonest)
    if begun:
        booking.remaining = max(1, _promised_end(booking) - start)
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
