"""The most that leases hold on a host from a moment on equals what a look at every moment finds."""

from hypothesis import given
from hypothesis import strategies as st

from orrery.core.capacity import Capacity
from orrery.core.model.lease import Lease, LeaseStatus, NodeSet, Run, Terms
from orrery.core.promises import Promises
from orrery.core.template import Template

SPANS = st.tuples(st.integers(0, 20), st.integers(1, 10))
RUNS = st.tuples(SPANS, st.lists(st.sampled_from([1, 2]), min_size=2, max_size=2))


def lease(number: int, cpu: int, runs: list[tuple[tuple[int, int], list[int]]]) -> Lease:
    nodes = NodeSet(count=2, capacity=Capacity(cpu, 10 * cpu))
    return Lease(
        id=number,
        name="x",
        uid=0,
        gid=0,
        status=LeaseStatus.SCHEDULED,
        terms=Terms(nodes=(nodes,), duration=1.0),
        submitted=0.0,
        template=Template(),
        user_template=Template(),
        runs=tuple(
            Run(
                hosts=tuple(hosts),
                start=float(start),
                vm_start=float(start),
                vm_end=float(start + length),
                end=float(start + length),
            )
            for (start, length), hosts in runs
        ),
    )


def held_at(leases: list[Lease], time: float) -> int:
    return sum(
        found.terms.nodes[0].capacity.cpu_pct * run.hosts.count(1)
        for found in leases
        for run in found.runs
        if run.start <= time < run.end
    )


@given(
    st.lists(st.tuples(st.integers(1, 5), st.lists(RUNS, max_size=3)), max_size=4),
    st.integers(-1, 32),
)
def test_the_most_that_is_held_from_a_time_on(
    wanted: list[tuple[int, list[tuple[tuple[int, int], list[int]]]]], now: int
) -> None:
    leases = [lease(number, cpu, runs) for number, (cpu, runs) in enumerate(wanted)]
    most = Promises(1, leases).most_from(now)
    assert most.cpu_pct == max(held_at(leases, time) for time in range(now, 40))
    assert most.memory_mib == 10 * most.cpu_pct
