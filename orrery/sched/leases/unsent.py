"""An image that was not brought to all hosts in time: its leases are planned again, or start
without.

Without means that the VMs take their disks from where the image lies, as they would if nothing were
prepared: a promise is not broken because a copy is missing.
"""

from orrery.core.model.lease import LeaseKind
from orrery.sched.leases.actual import GRACE_S, retry_waiting
from orrery.sched.leases.booking import Booking, RunPlan, Stage
from orrery.sched.leases.repository import Transfer
from orrery.sched.leases.soon import back_to_queue
from orrery.sched.leases.timeline import Timeline
from orrery.sched.leases.transfer import Transfers

FROM_DATASTORE = "its VMs take it from its datastore"


def fail(
    line: Timeline, transfer: Transfer, there: int, why: str, now: int, *, again: bool
) -> None:
    """A transfer has come to the hosts `there` only.

    Args:
        again: whether it is worth another try.
    """
    preparation = line.preparation
    assert isinstance(preparation, Transfers)  # who else has transfers
    for booking in preparation.fail(transfer, there, now):
        line.changed.add(booking.id)
        if again and _plan_again(line, booking, now):
            booking.reason = f"{why}: it is tried again"
        else:
            booking.reason = f"{why}: {FROM_DATASTORE}"
    retry_waiting(line)


def _plan_again(line: Timeline, booking: Booking, now: int) -> bool:
    """Another transfer to the same hosts in time; what was promised no time waits for a later
    one."""
    run = booking.run
    if run is None or run.stage is not Stage.PLANNED:
        return False
    if line.preparation.book(booking, run.hosts, run.start, now):
        return True
    if booking.kind is not LeaseKind.BEST_EFFORT:
        return False
    line.drop(run)
    back_to_queue(line, booking, now)
    line.gain = True
    return True


def start_without(line: Timeline, now: int) -> bool:
    """Promises that should have begun, and wait for their image only: they wait no longer; whether
    there are any."""
    preparation = line.preparation
    assert isinstance(preparation, Transfers)  # who else has transfers
    late = [run.booking for run in waiting(line) if run.start + GRACE_S <= now]
    for booking in late:
        preparation.go_without(booking)
        booking.reason = f"its image had not come by its start: {FROM_DATASTORE}"
        line.changed.add(booking.id)
    if late:
        retry_waiting(line)
    return bool(late)


def next_start(line: Timeline) -> int | None:
    """When `start_without` has something to do again."""
    return min((run.start + GRACE_S for run in waiting(line)), default=None)


def waiting(line: Timeline) -> list[RunPlan]:
    """Runs of promises that should have begun, whose image is still on its way."""
    return [run for run in line.waiting if not line.preparation.is_there(run.booking)]
