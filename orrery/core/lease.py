"""The life cycle of a lease: which status may follow which, as data, checked in one place.

The scheduler and the engine go through the same table. A lease may be cancelled, and may fail, in
every status that is not final.
"""

from orrery.core.errors import BrokenInvariant
from orrery.core.model.lease import LeaseStatus as S

ALWAYS = frozenset({S.CANCELLED, S.FAILED})

TRANSITIONS: dict[S, frozenset[S]] = {
    S.NEW: frozenset({S.PENDING, S.OFFERED, S.REJECTED}),
    S.OFFERED: frozenset({S.PENDING, S.SCHEDULED, S.READY}),
    S.PENDING: frozenset(
        {S.OFFERED, S.SCHEDULED, S.QUEUED, S.READY, S.REJECTED, S.REJECTED_BY_USER}
    ),
    S.QUEUED: frozenset({S.SCHEDULED, S.READY}),
    S.SCHEDULED: frozenset({S.PREPARING, S.READY, S.QUEUED, S.PENDING}),
    S.PREPARING: frozenset({S.READY, S.SCHEDULED, S.QUEUED, S.PENDING}),
    S.READY: frozenset({S.ACTIVE, S.PREPARING, S.SCHEDULED, S.QUEUED, S.PENDING}),
    S.ACTIVE: frozenset({S.SUSPENDING, S.QUEUED, S.PENDING, S.DONE}),
    S.SUSPENDING: frozenset({S.SUSPENDED_PENDING, S.ACTIVE, S.QUEUED, S.PENDING, S.DONE}),
    S.SUSPENDED_PENDING: frozenset({S.SUSPENDED_QUEUED, S.SUSPENDED_SCHEDULED}),
    S.SUSPENDED_QUEUED: frozenset({S.SUSPENDED_SCHEDULED, S.QUEUED, S.PENDING}),
    S.SUSPENDED_SCHEDULED: frozenset(
        {S.SUSPENDED_QUEUED, S.SUSPENDED_PENDING, S.MIGRATING, S.RESUMING, S.QUEUED, S.PENDING}
    ),
    S.MIGRATING: frozenset(
        {S.SUSPENDED_SCHEDULED, S.SUSPENDED_QUEUED, S.RESUMING, S.QUEUED, S.PENDING}
    ),
    S.RESUMING: frozenset({S.RESUMED_READY, S.SUSPENDED_QUEUED, S.QUEUED, S.PENDING}),
    S.RESUMED_READY: frozenset({S.ACTIVE, S.SUSPENDED_QUEUED, S.QUEUED, S.PENDING}),
    S.REJECTED: frozenset(),
    S.CANCELLED: frozenset(),
    S.DONE: frozenset(),
    S.FAILED: frozenset(),
    S.REJECTED_BY_USER: frozenset(),
}
"""What may follow, without the two that may always follow (`ALWAYS`).

PENDING and QUEUED follow where a plan is void, as when a host is lost: it is planned again."""

ALLOWED: dict[S, frozenset[S]] = {
    status: following if status.final else following | ALWAYS
    for status, following in TRANSITIONS.items()
}


def check(before: S, after: S) -> None:
    """Raise BrokenInvariant when `after` may not follow `before`."""
    if after not in ALLOWED[before]:
        raise BrokenInvariant(f"A lease that is {before.name} cannot become {after.name}")
