"""What a simulation is fed with: leases with the times of their requests. Knows no file format."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.errors import InvalidInput
from orrery.core.model.lease import Terms
from orrery.sched.leases.site import Site

UNNUMBERED = 0
"""In place of an id that is still to be given."""
INJECTED = 1_000_000
"""What Haizea adds to the ids of injected leases."""


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


def numbered(requests: Iterable[tuple[str, Arrival]]) -> Iterator[Arrival]:
    """Give those without an id the lowest free ones, in their order. The texts say where each
    stands.

    Raises:
        InvalidInput: an id is there twice.
    """
    requests = list(requests)
    taken: set[int] = set()
    for place, arrival in requests:
        if arrival.lease_id in taken:
            raise InvalidInput(place, str(arrival.lease_id), "is given twice: ids differ")
        if arrival.lease_id != UNNUMBERED:
            taken.add(arrival.lease_id)
    free = 1
    for _, arrival in requests:
        if arrival.lease_id != UNNUMBERED:
            yield arrival
            continue
        while free in taken:
            free += 1
        yield replace(arrival, lease_id=free)
        free += 1


def merge(workload: Workload, injected: Workload) -> Workload:
    """Both, the injected leases under ids a million higher (or more, if there are such)."""
    offset = free_offset(workload.arrivals, injected.arrivals)
    added = (replace(a, lease_id=a.lease_id + offset) for a in injected.arrivals)
    return Workload(
        name=workload.name,
        arrivals=in_order((*workload.arrivals, *added)),
        site=workload.site or injected.site,
        attributes={**injected.attributes, **workload.attributes},
    )


def free_offset(arrivals: Sequence[Arrival], injected: Sequence[Arrival]) -> int:
    taken = {arrival.lease_id for arrival in arrivals}
    offset = INJECTED
    while any(arrival.lease_id + offset in taken for arrival in injected):
        offset += INJECTED
    return offset
