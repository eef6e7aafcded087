"""Simulation and engine give the same schedule for the same requests: they share the scheduler."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.model.lease import LeaseStatus, NodeSet, Terms
from orrery.drivers.sim import Faults
from orrery.engine.assembly import LEASES
from orrery.engine.limits import Limits
from orrery.sched.leases.site import Site, SiteHost
from orrery.simulate.leases.run import simulate
from orrery.simulate.leases.workload.model import Arrival, Workload, in_order
from tests.engine.lease_cloud import LeaseCloud, in_lease_cloud

INSTANT = replace(LEASES, boot_s=0, shutdown_s=0, fixed_suspend_s=0, fixed_resume_s=0)
"""Operations take no time in the plan, nor in the world: what is left is the schedule."""

SIZE = Capacity(800, 8192)
HOSTS = 3
LATE = Limits(monitor_period_s=50_000.0, reconcile_period_s=50_000.0)

Schedule = dict[int, tuple[str, list[tuple[float, float, tuple[int, ...]]]]]

NODES = st.builds(
    lambda count, cpu: (NodeSet(count=count, capacity=Capacity(100 * cpu, 512 * cpu)),),
    st.integers(1, 4),
    st.sampled_from([1, 3, 4, 8]),
)
TERMS = st.builds(
    lambda nodes, minutes, kind, ahead: (nodes, minutes * 60.0, kind, ahead * 60.0),
    NODES,
    st.integers(1, 60),
    st.sampled_from(["best effort", "best effort", "reservation", "immediate"]),
    st.integers(1, 90),
)
REQUESTS = st.lists(st.tuples(st.integers(0, 100), TERMS), min_size=1, max_size=9)


def arrivals(requests: list[tuple[int, tuple[tuple[NodeSet, ...], float, str, float]]]) -> Workload:
    """Requests come at odd moments, so that they do not fall together with what is planned."""
    made = []
    for number, (minute, (nodes, duration, kind, ahead)) in enumerate(sorted(requests, key=str)):
        at = minute * 60 + 7 * (number + 1)
        terms = Terms(nodes=nodes, duration=duration, immediate=kind == "immediate")
        if kind == "reservation":
            terms = replace(terms, start=float((at // 60 + 1) * 60 + ahead))
        made.append((at, terms))
    made.sort(key=lambda one: one[0])
    return Workload(
        name="t",
        arrivals=in_order(
            Arrival(at=at, lease_id=number, terms=terms) for number, (at, terms) in enumerate(made)
        ),
    )


def in_simulation(workload: Workload) -> Schedule:
    hosts = tuple(SiteHost(id=1 + i, name=f"h{1 + i}", capacity=SIZE) for i in range(HOSTS))
    result = simulate(workload, INSTANT, Site(hosts=hosts))
    return {
        booking.id: (
            booking.status.name,
            [
                (run.vm_start, run.vm_end, tuple(hosts[i].id for i in run.hosts))
                for run in booking.runs
            ],
        )
        for booking in result.bookings.values()
    }


def in_engine(workload: Workload, home: Path) -> Schedule:
    async def story(cloud: LeaseCloud) -> Schedule:
        for number in range(1, HOSTS):
            await cloud.add_host(f"h{1 + number}")
        zero = float(int(cloud.now) + 10)
        requests = []
        for arrival in workload.arrivals:
            await asyncio.sleep(zero + arrival.at - cloud.now)
            start = arrival.terms.start
            terms = replace(arrival.terms, start=None if start is None else zero + start)
            requests.append(await cloud.request(terms))
        await cloud.until(lambda: not cloud.engine.state.leases_live(), 500_000)
        return {
            lease.id: (
                lease.status.name,
                [(run.vm_start - zero, run.vm_end - zero, run.hosts) for run in lease.runs],
            )
            for lease in cloud.engine.state.leases.values()
        }

    return in_lease_cloud(
        home, story, Faults(latency_s=(0.0, 0.0)), settings=INSTANT, engine_limits=LATE
    )


@settings(
    max_examples=40,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(REQUESTS)
def test_simulation_and_engine_give_the_same_schedule(
    requests: list[tuple[int, tuple[tuple[NodeSet, ...], float, str, float]]],
) -> None:
    workload = arrivals(requests)
    with tempfile.TemporaryDirectory() as home:
        assert in_engine(workload, Path(home)) == in_simulation(workload)


def test_a_reservation_between_suspended_work_is_the_same_in_both(tmp_path: Path) -> None:
    nodes = (NodeSet(count=3, capacity=Capacity(800, 1024)),)
    workload = Workload(
        name="t",
        arrivals=(
            Arrival(at=7, lease_id=0, terms=Terms(nodes=nodes, duration=3600.0)),
            Arrival(at=14, lease_id=1, terms=Terms(nodes=nodes, duration=600.0, start=1800.0)),
            Arrival(at=2521, lease_id=2, terms=Terms(nodes=nodes, duration=60.0)),
        ),
    )
    simulated = in_simulation(workload)
    assert simulated == in_engine(workload, tmp_path)
    assert [len(runs) for _, runs in simulated.values()] == [2, 1, 1]
    assert {status for status, _ in simulated.values()} == {LeaseStatus.DONE.name}
