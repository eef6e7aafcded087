"""A checker that finds nothing wrong is worth what it finds in schedules that are wrong."""

from collections.abc import Callable

import pytest

from orrery.core.capacity import Capacity
from orrery.core.model.lease import LeaseKind, LeaseStatus, NodeSet, Terms
from orrery.sched.leases.booking import Booking, Ending, RunPlan
from orrery.sched.leases.settings import Migration, Settings
from orrery.simulate.leases.published.invariants import violations
from orrery.simulate.leases.run import Result, simulate
from orrery.simulate.leases.workload.model import Arrival, Workload
from orrery.simulate.leases.workload.sites import site_from_resources

SITE = site_from_resources("2 CPU:100,Memory:1024")


def arrival(lease_id: int, at: int, nodes: int, duration: int, start: int | None = None) -> Arrival:
    size = NodeSet(count=nodes, capacity=Capacity(100, 1024))
    return Arrival(
        at=at, lease_id=lease_id, terms=Terms(nodes=(size,), duration=duration, start=start)
    )


def schedule() -> Result:
    """Lease 1 gives way to reservation 2 and goes on after it."""
    leases = (arrival(1, 0, 2, 3600), arrival(2, 60, 2, 600, start=1800))
    return simulate(Workload(name="small", arrivals=leases), Settings(), SITE)


def test_a_sound_schedule_violates_nothing() -> None:
    result = schedule()
    assert result.bookings[1].suspensions == 1
    assert violations(result) == []


def longer(booking: Booking, run: RunPlan) -> None:
    run.end += 1000


def late(booking: Booking, run: RunPlan) -> None:
    run.start += 5
    run.vm_start += 5


def lost(booking: Booking, run: RunPlan) -> None:
    run.ending = Ending.KILL


def unfinished(booking: Booking, run: RunPlan) -> None:
    booking.status = LeaseStatus.QUEUED


def hasty(booking: Booking, run: RunPlan) -> None:
    run.vm_end = run.end - 1


@pytest.mark.parametrize(
    ("lease", "spoil", "told"),
    [
        (1, longer, "host node1 holds more than it has at 1800"),
        (2, late, "was promised 1800"),
        (1, lost, "of the 3600 s that its work takes"),
        (1, unfinished, "is QUEUED at the end"),
        (1, hasty, "less time to be suspended"),
    ],
)
def test_what_is_wrong_is_told(
    lease: int, spoil: Callable[[Booking, RunPlan], None], told: str
) -> None:
    result = schedule()
    booking = result.bookings[lease]
    spoil(booking, booking.runs[0])
    assert any(told in text for text in violations(result)), violations(result)


def test_resuming_elsewhere_is_told_where_it_is_forbidden() -> None:
    result = schedule()
    result.settings = Settings(migration=Migration.NO)
    result.bookings[1].runs[1].hosts = (1, 0)
    assert any("on other hosts" in text for text in violations(result))


def test_best_effort_may_not_be_refused() -> None:
    result = schedule()
    booking = result.bookings[1]
    booking.status, booking.runs = LeaseStatus.REJECTED, []
    assert booking.kind is LeaseKind.BEST_EFFORT
    assert any("is best effort and was rejected" in text for text in violations(result))
