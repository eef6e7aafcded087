"""Advance reservations put into a workload, as in the experiments of Haizea (HPDC 2008). Knows no
file.

They begin one gap after another over the length of the workload, and use a given share of the
site's CPU hours in that time.
"""

from random import Random

from msgspec import Struct

from orrery.core.capacity import Capacity
from orrery.core.documents import Fields, Value
from orrery.core.errors import InvalidInput
from orrery.core.lease_lwf import Amounts
from orrery.core.lease_terms import NODE_FIELDS, read_node_size
from orrery.core.model.lease import NodeSet, Terms
from orrery.core.moments import DAY_S, HOUR_S, LONGEST_S, MINUTE_S, parse_duration
from orrery.sched.leases.site import Site
from orrery.simulate.leases.workload.generate import COUNT_MAX, read_percent
from orrery.simulate.leases.workload.model import Arrival, Workload, in_order, merge

SIZES = {"small": (1, 24), "medium": (25, 48), "large": (49, 72)}
"""Nodes of a reservation, of the 144 of the published site."""


class Injection(Struct, frozen=True, kw_only=True):
    """Which reservations."""

    share: float
    """Percent of the CPU hours of the site."""
    duration_s: int
    duration_spread_s: int = 30 * MINUTE_S
    """To either side, evenly; so for the gap."""
    nodes: tuple[int, int] = SIZES["medium"]
    gap_spread_s: int = HOUR_S
    notice_s: int = DAY_S
    """Between request and start."""
    size: Amounts = Amounts(Capacity(100, 1024))
    seed: int = 0


def inject(workload: Workload, injection: Injection, site: Site | None = None) -> Workload:
    """The workload with the reservations.

    Raises:
        InvalidInput: there is no site to take the CPU hours of.
    """
    site = site or workload.site
    if site is None:
        raise InvalidInput("site", "", "is missing: the share is one of its CPU hours")
    if not workload.arrivals:
        return workload
    return merge(workload, reservations(injection, site, workload.arrivals[-1].at))


def reservations(injection: Injection, site: Site, span_s: int) -> Workload:
    """Those of so many seconds."""
    rng = Random(injection.seed)  # noqa: S311 - a simulation, no secret
    gap = gap_between(injection, site)
    found: list[Arrival] = []
    start = drawn_around(gap, injection.gap_spread_s, rng) if gap else span_s
    while start < span_s:
        found.append(reservation(injection, len(found) + 1, round(start), rng))
        if len(found) > COUNT_MAX:
            raise InvalidInput("inject", "", f"makes more than {COUNT_MAX} reservations")
        start += drawn_around(gap, injection.gap_spread_s, rng)
    return Workload(name="reservations", arrivals=in_order(found))


def gap_between(injection: Injection, site: Site) -> float:
    """From start to start, so that the share comes out; 0 if there are to be none."""
    cpu_pct = sum(host.capacity.cpu_pct for host in site.hosts)
    work = sum(injection.nodes) / 2 * injection.size.capacity.cpu_pct * injection.duration_s
    return work / (injection.share / 100 * cpu_pct) if injection.share > 0 else 0.0


def drawn_around(middle: float, spread: float, rng: Random) -> float:
    """At least a second, and never so wide that the middle would move."""
    spread = min(spread, middle)
    return max(1.0, rng.uniform(middle - spread, middle + spread))


def reservation(injection: Injection, lease_id: int, start: int, rng: Random) -> Arrival:
    duration = drawn_around(injection.duration_s, injection.duration_spread_s, rng)
    capacity, other = injection.size.capacity, injection.size.other
    nodes = NodeSet(count=rng.randint(*injection.nodes), capacity=capacity, other=other)
    terms = Terms(nodes=(nodes,), duration=round(duration), start=start)
    return Arrival(at=max(0, start - injection.notice_s), lease_id=lease_id, terms=terms)


# --- reading ------------------------------------------------------------------------------------

INJECTION_FIELDS = NODE_FIELDS | {
    *("share", "duration", "duration_spread", "nodes", "gap_spread", "notice", "seed"),
}


def read_injection(value: Value, place: str = "inject") -> Injection:
    """What stands under `inject`; nodes are small, medium, large or [least, most].

    Raises:
        InvalidInput: with the place.
    """
    fields = Fields(value, place, INJECTION_FIELDS)
    default = Injection(share=0, duration_s=1)
    size = default.size
    if fields.get("memory") is not None:
        read = read_node_size(fields)
        size = Amounts(read.capacity, read.other)
    fields.need("duration")
    return Injection(
        share=read_percent(fields, "share"),
        duration_s=max(1, seconds(fields, "duration", 0)),
        duration_spread_s=seconds(fields, "duration_spread", default.duration_spread_s),
        nodes=read_range(fields),
        gap_spread_s=seconds(fields, "gap_spread", default.gap_spread_s),
        notice_s=seconds(fields, "notice", default.notice_s),
        size=size,
        seed=fields.whole("seed", 0),
    )


def seconds(fields: Fields, name: str, absent: int) -> int:
    text = fields.text(name)
    return absent if text is None else min(LONGEST_S, round(parse_duration(text, fields.at(name))))


def read_range(fields: Fields) -> tuple[int, int]:
    match fields.get("nodes"):
        case None:
            return SIZES["medium"]
        case str() as name if name in SIZES:
            return SIZES[name]
        case [int() as least, int() as most] if 1 <= least <= most <= COUNT_MAX:
            return least, most
        case int() as count if 1 <= count <= COUNT_MAX:
            return count, count
        case _:
            raise fields.refuse("nodes", "is none of small, medium, large and [least, most]")
