"""What a simulation is fed with: leases with the times of their requests. Knows no file format."""

from collections.abc import Iterable

from msgspec import Struct

from orrery.core.model.lease import Terms
from orrery.sched.leases.site import Site


class Arrival(Struct, frozen=True, kw_only=True):
    """One request. All times, those in the terms too, are whole seconds from the start of the
    workload."""

    at: int
    lease_id: int
    terms: Terms
    real_duration: int | None = None
    """How long the work really takes, if that is less than the duration asked for."""
    user: int = 0
    extras: tuple[tuple[str, str], ...] = ()
    """Free properties by name, for policies and reports."""


class Workload(Struct, frozen=True, kw_only=True):
    """Requests in order of time, then of id."""

    name: str
    arrivals: tuple[Arrival, ...]
    site: Site | None = None
    """The hosts it was written for, if it says."""
    attributes: dict[str, str] = {}
    """Properties of the whole, copied to the results."""


def in_order(arrivals: Iterable[Arrival]) -> tuple[Arrival, ...]:
    return tuple(sorted(arrivals, key=lambda arrival: (arrival.at, arrival.lease_id)))
