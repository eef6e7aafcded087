"""Which leases give way first: scores by name. Higher gives way sooner, None never."""

from collections.abc import Callable

from orrery.core.model.lease import LeaseKind
from orrery.sched.leases.booking import Booking

DAY = 86_400

Preemption = Callable[[Booking, Booking, int], float | None]
"""(who asks, who would give way, when) -> score"""


def no_preemption(asking: Booking, other: Booking, at: int) -> float | None:
    """Nobody gives way."""
    del asking, other, at
    return None


def youngest(asking: Booking, other: Booking, at: int) -> float | None:
    """Haizea's `ar-preempts-be`: promises over best effort, the youngest first.

    (31 d - age) / 31 d; what is older than 7 days is left alone, so nothing is displaced for ever.
    """
    if asking.kind is LeaseKind.BEST_EFFORT or other.kind is not LeaseKind.BEST_EFFORT:
        return None
    age = at - other.submitted
    if age > 7 * DAY:
        return None
    return (31 * DAY - age) / (31 * DAY)


def cheapest(asking: Booking, other: Booking, at: int) -> float | None:
    """The least work lost and moved: 1 / (1 + node-hours held + 2 for each suspension so far)."""
    score = youngest(asking, other, at)
    if score is None or other.run is None:
        return score
    done = max(0, min(at, other.run.vm_end) - other.run.vm_start)
    return 1 / (1 + other.node_count * done / 3600 + 2 * other.suspensions)


PREEMPTION: dict[str, Preemption] = {
    "no-preemption": no_preemption,
    "ar-preempts-be": youngest,
    "ar-preempts-everything": youngest,
    "cheapest": cheapest,
}
