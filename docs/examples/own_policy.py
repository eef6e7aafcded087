"""A policy of one's own for `orrery simulate --policy preemption=own_policy:widest`."""

from orrery.sched.leases.booking import Booking
from orrery.sched.leases.policies.preemption import youngest


def widest(asking: Booking, other: Booking, at: int) -> float | None:
    """Of those that may give way at all, the one with most nodes first."""
    score = youngest(asking, other, at)
    return None if score is None else float(other.node_count)
