"""Workloads and a site so small that what becomes of them can be worked out by hand: two hosts of
one core and 1 GiB, which takes ten seconds to save and ten to read back.
"""

from orrery.core.capacity import Capacity
from orrery.core.model.lease import NodeSet, Terms
from orrery.sched.leases.settings import Settings
from orrery.simulate.leases.run import Result, simulate
from orrery.simulate.leases.workload.model import Arrival, Workload, in_order
from orrery.simulate.leases.workload.sites import site_from_resources

SITE = site_from_resources("2 CPU:100,Memory:1024")
SETTINGS = Settings(suspend_rate=102.4, resume_rate=102.4)


def asked(
    lease_id: int,
    nodes: int,
    duration: int,
    *,
    at: int = 0,
    start: int | None = None,
    deadline: int | None = None,
    immediate: bool = False,
    real: int | None = None,
    image_mib: int = 0,
    user: int = 0,
    extras: tuple[tuple[str, str], ...] = (),
) -> Arrival:
    terms = Terms(
        nodes=(NodeSet(count=nodes, capacity=Capacity(100, 1024)),),
        duration=duration,
        start=start,
        deadline=deadline,
        immediate=immediate,
        image="image" if image_mib else None,
        image_mib=image_mib,
    )
    return Arrival(
        at=at, lease_id=lease_id, terms=terms, real_duration=real, user=user, extras=extras
    )


def workload(*arrivals: Arrival) -> Workload:
    return Workload(name="small", arrivals=in_order(arrivals), site=SITE)


def run(*arrivals: Arrival, settings: Settings = SETTINGS) -> Result:
    return simulate(workload(*arrivals), settings)


PREEMPTED = (asked(1, 2, 1000, user=7), asked(2, 2, 300, at=100, start=500))
"""Best effort from 0 to 490, saved until 500, the reservation to 800, read back until 810, the rest
to 1320."""
