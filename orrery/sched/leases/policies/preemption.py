"""Which leases give way first: scores by name. Higher gives way sooner, None never."""

from collections.abc import Callable

from orrery.core.model.lease import LeaseKind
from orrery.sched.leases.booking import Booking

DAY = 86_400

DEADLINE = "deadline"
"""The policy with which deadline leases give way too."""

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
    """The least work at stake: 1 / (1 + node hours since it started + 2 for each suspension so
    far). What has not begun costs nothing. Protected as by `youngest`."""
    score = youngest(asking, other, at)
    if score is None or other.run is None:
        return score
    done = max(0, min(at, other.run.vm_end) - other.run.vm_start)
    return 1 / (1 + other.node_count * done / 3600 + 2 * other.suspensions)


def least_suspended(asking: Booking, other: Booking, at: int) -> float | None:
    """1 / (1 + suspensions so far), of equals the youngest: the burden is spread (the cap on
    suspensions of Haizea's successors, made a preference). Protected as by `youngest`."""
    score = youngest(asking, other, at)
    return None if score is None else 1 / (1 + other.suspensions)


def by_slack(asking: Booking, other: Booking, at: int) -> float | None:
    """Best effort as by `youngest`; then deadline leases that have not begun, for reservations, the
    most slack first: (deadline - (at + duration of who asks)) / time still needed, which has to be
    above 1 (Haizea's `deadline`, for deadline leases only; Sotomayor's thesis, 2010).

    They give way only if all of them can be planned again in time.
    """
    if other.kind is not LeaseKind.DEADLINE or other.deadline is None:
        score = youngest(asking, other, at)
        return None if score is None else BEST_EFFORT_FIRST + score
    if asking.kind is not LeaseKind.RESERVATION:
        return None
    slack = (other.deadline - (at + asking.remaining)) / max(1, other.remaining)
    return slack if slack > 1 else None


BEST_EFFORT_FIRST = 1e9
"""More slack than any deadline leaves."""

PREEMPTION: dict[str, Preemption] = {
    "no-preemption": no_preemption,
    "ar-preempts-be": youngest,
    "ar-preempts-everything": youngest,
    "cheapest": cheapest,
    "least-suspended": least_suspended,
    DEADLINE: by_slack,
}
