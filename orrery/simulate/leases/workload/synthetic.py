"""A workload out of nothing, for benchmarks and properties: many small and few large leases, most
of which end early, and reservations with some hours of notice.
"""

from random import Random

from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.lease_lwf import Amounts
from orrery.core.model.lease import NodeSet, Terms
from orrery.core.moments import HOUR_S, MINUTE_S
from orrery.simulate.leases.workload.model import Arrival, Workload, in_order
from orrery.simulate.leases.workload.sites import site_of

NODE = Capacity(100, 1024)
SHORTEST_S, LONGEST_S = 5 * MINUTE_S, 12 * HOUR_S
NOTICE_S = (HOUR_S, 12 * HOUR_S)
LARGEST_SHARE = 0.5
"""Of the site: what the largest leases take."""
FULL_SHARE = 0.2
"""Of the leases: those that use all the time they asked for."""


def synthetic(leases: int, nodes: int, ar_share: float, seed: int, load: float = 0.9) -> Workload:
    """So many leases on so many single-core hosts; `ar_share` of them (0 to 1) are reservations,
    and all together keep `load` of the site busy while they arrive."""
    rng = Random(seed)  # noqa: S311 - a simulation, no secret
    found = [drawn(lease_id, nodes, rng) for lease_id in range(1, leases + 1)]
    work = sum(arrival.terms.node_count * real_of(arrival) for arrival in found)
    span_s = round(work / (nodes * load))
    times = sorted(rng.randint(0, span_s) for _ in found)
    timed = (
        with_times(arrival, at, ar_share, rng) for arrival, at in zip(found, times, strict=True)
    )
    return Workload(
        name=f"synthetic-{leases}-{nodes}-{seed}",
        arrivals=in_order(timed),
        site=site_of([(nodes, Amounts(NODE))]),
    )


def drawn(lease_id: int, nodes: int, rng: Random) -> Arrival:
    count = round(log_uniform(1, max(1.0, nodes * LARGEST_SHARE), rng))
    duration = round(log_uniform(SHORTEST_S, LONGEST_S, rng))
    real = duration if rng.random() < FULL_SHARE else round(duration * rng.uniform(0.1, 1.0))
    return Arrival(
        at=0,
        lease_id=lease_id,
        terms=Terms(nodes=(NodeSet(count=count, capacity=NODE),), duration=duration),
        real_duration=real if real < duration else None,
    )


def real_of(arrival: Arrival) -> float:
    return arrival.terms.duration if arrival.real_duration is None else arrival.real_duration


def log_uniform(least: float, most: float, rng: Random) -> float:
    return float(least * (most / least) ** rng.random())


def with_times(arrival: Arrival, at: int, ar_share: float, rng: Random) -> Arrival:
    if rng.random() >= ar_share:
        return replace(arrival, at=at)
    return replace(arrival, at=at, terms=replace(arrival.terms, start=at + rng.randint(*NOTICE_S)))
