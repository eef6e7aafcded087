"""Logs of the Parallel Workloads Archive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput
from orrery.core.model.lease import LeaseKind, NodeSet, Terms
from orrery.simulate.leases.workload.model import Arrival, Workload
from orrery.simulate.leases.workload.swf import SwfOptions, read_swf, swf_text


def job(
    number: int = 1,
    submit: int = 0,
    run: float = 60,
    used: int = 8,
    asked: int = 16,
    requested: int = 600,
    memory: int = -1,
    status: int = 1,
    queue: int = 1,
) -> str:
    return (
        f"{number} {submit} 5 {run} {used} 0.03 -1 {asked} {requested} {memory} {status} 96 2 3"
        f" {queue} -1 -1 -1"
    )


def read_one(line: str, options: SwfOptions = SwfOptions()) -> Arrival:
    (arrival,) = read_swf(line, options).arrivals
    return arrival


def test_a_job_becomes_a_best_effort_lease() -> None:
    arrival = read_one(job(number=7, submit=32))
    assert arrival == Arrival(
        at=32,
        lease_id=7,
        terms=Terms(nodes=(NodeSet(count=16, capacity=Capacity(100, 1024)),), duration=600),
        real_duration=60,
        user=96,
        extras=(
            ("SWF_waittime", "5"),
            ("SWF_runtime", "60"),
            ("SWF_avgcputime", "0.03"),
            ("SWF_queue", "1"),
            ("SWF_group", "2"),
            ("SWF_execnumber", "3"),
        ),
    )
    assert arrival.terms.kind is LeaseKind.BEST_EFFORT


@pytest.mark.parametrize(
    ("line", "requested", "real"),
    [
        (job(run=700), 600, None),
        (job(run=0), 600, 1),
        (job(run=-1, status=-1), 600, None),
        (job(requested=-1), 60, None),
        (job(requested=0), 60, None),
    ],
)
def test_times_are_capped_at_what_was_asked_for(
    line: str, requested: int, real: int | None
) -> None:
    arrival = read_one(line)
    assert (arrival.terms.duration, arrival.real_duration) == (requested, real)


@pytest.mark.parametrize(
    ("line", "options", "nodes"),
    [
        (job(), SwfOptions(processors_per_node=8), 2),
        (job(asked=17), SwfOptions(processors_per_node=8), 3),
        (job(asked=-1), SwfOptions(), 8),
    ],
)
def test_nodes_are_the_processors_that_were_asked_for(
    line: str, options: SwfOptions, nodes: int
) -> None:
    assert read_one(line, options).terms.node_count == nodes


@pytest.mark.parametrize(
    ("line", "options", "memory"),
    [
        (job(memory=2049), SwfOptions(), 3),
        (job(), SwfOptions(default_memory_mib=512), 512),
        (job(memory=2049), SwfOptions(memory_mib=64), 64),
    ],
)
def test_memory_is_asked_for_or_given(line: str, options: SwfOptions, memory: int) -> None:
    assert read_one(line, options).terms.nodes[0].capacity.memory_mib == memory


def test_jobs_are_left_out_by_queue_time_and_state() -> None:
    text = "\n".join(
        [
            job(1, submit=50),
            job(2, submit=100),
            job(3, submit=150, queue=2),
            job(4, submit=150, run=-1, status=5),
            job(5, submit=150, asked=-1, used=-1),
            job(6, submit=199),
            job(7, submit=200),
        ]
    )
    options = SwfOptions(queues=frozenset({1}), start_s=100, interval_s=100)
    found = read_swf(text, options)
    assert [(a.lease_id, a.at) for a in found.arrivals] == [(2, 0), (6, 99)]
    assert found.attributes == {"swf_cancelled": "1", "swf_unusable": "1"}
    kept = read_swf(text, SwfOptions(skip_cancelled=False))
    assert [a.lease_id for a in kept.arrivals] == [1, 2, 3, 4, 6, 7]


def test_jobs_without_a_requested_time_are_counted() -> None:
    assert read_swf(job(requested=-1)).attributes == {"swf_without_requested_time": "1"}


def test_the_site_is_made_of_the_header() -> None:
    header = "; MaxNodes: 128\n; MaxProcs: 256\n"
    site = read_swf(header + job(memory=4 << 20), SwfOptions(processors_per_node=4)).site
    assert site is not None
    assert (len(site.hosts), site.hosts[0].capacity) == (64, Capacity(100, 4096))
    plain = read_swf("; MaxNodes: 128\n").site
    assert plain is not None and len(plain.hosts) == 128
    assert read_swf(job()).site is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "line 1: '1 2 3' has 3 fields"),
        ("\n" + job().replace("0.03", "much"), "line 2, field 6: 'much' is no number"),
        (job().replace("1 0", "1 -9", 1), "line 1: .* has no job number or submit time"),
        (job() + "\n" + job(), "line 2, job number: '1' is given twice"),
    ],
)
def test_an_error_names_line_and_field(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_swf(text)


def test_options_are_checked() -> None:
    with pytest.raises(InvalidInput, match="processors_per_node: '0' is too small"):
        read_swf("", SwfOptions(processors_per_node=0))


@given(
    st.lists(
        st.tuples(st.integers(1, 10**6), st.integers(1, 500), st.integers(0, 10**6)), max_size=5
    ),
    st.integers(1, 8),
)
def test_what_is_written_reads_back(rows: list[tuple[int, int, int]], per_node: int) -> None:
    options = SwfOptions(processors_per_node=per_node)
    lines = [
        job(number, submit=submit, requested=requested, asked=nodes * per_node, memory=1 << 20)
        for number, (requested, nodes, submit) in enumerate(rows, 1)
    ]
    first = read_swf("\n".join(["; MaxProcs: 64", *lines]), options)
    assert read_swf(swf_text(first, options), options) == first


def test_what_swf_cannot_say_is_not_written() -> None:
    terms = Terms(nodes=(NodeSet(count=1, capacity=Capacity(100, 1)),), duration=60, start=5)
    workload = Workload(name="", arrivals=(Arrival(at=0, lease_id=3, terms=terms),))
    with pytest.raises(InvalidInput, match="lease: '3' is no best-effort lease"):
        swf_text(workload)


@given(st.text(max_size=60) | st.lists(st.integers(-(10**18), 10**18), min_size=11).map(str))
def test_junk_is_refused_or_empty_and_nothing_else(text: str) -> None:
    try:
        read_swf(text.strip("[]").replace(",", ""))
    except InvalidInput:
        return
