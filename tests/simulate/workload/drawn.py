"""Workloads as Hypothesis draws them: what every format can say."""

from hypothesis import strategies as st

from orrery.core.capacity import Capacity
from orrery.core.lease_lwf import Amounts
from orrery.core.model.lease import NodeSet, Terms
from orrery.sched.leases.site import Site
from orrery.simulate.leases.workload.model import Arrival, Workload, in_order
from orrery.simulate.leases.workload.sites import site_of

CENTURY_S = 10**9
TEXTS = st.text(
    st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" <>&\"'"), max_size=9
)
NAMES = st.text("abcdefgh-_.", min_size=1, max_size=8)
SECONDS = st.integers(0, CENTURY_S)
OTHERS = st.dictionaries(st.sampled_from(["Net-in", "Net-out", "gpu"]), st.integers(0, 10**6))
AMOUNTS = st.builds(
    Amounts,
    st.builds(Capacity, st.integers(1, 6400), st.integers(1, 10**6), st.integers(0, 10**7)),
    OTHERS.map(lambda other: tuple(sorted(other.items()))),
)


@st.composite
def node_sets(draw: st.DrawFn) -> NodeSet:
    amounts = draw(AMOUNTS)
    count = draw(st.integers(1, 500))
    return NodeSet(count=count, capacity=amounts.capacity, other=amounts.other)


@st.composite
def terms(draw: st.DrawFn, at: int) -> Terms:
    kind = draw(st.sampled_from(["best effort", "now", "exact", "deadline"]))
    duration = draw(st.integers(1, 10**6))
    start = draw(SECONDS) if kind in ("exact", "deadline") else None
    image = draw(st.none() | NAMES)
    return Terms(
        nodes=tuple(draw(st.lists(node_sets(), min_size=1, max_size=3))),
        duration=duration,
        start=start,
        immediate=kind == "now",
        deadline=(start or 0) + duration + draw(SECONDS) if kind == "deadline" else None,
        preemptible=draw(st.none() | st.booleans()),
        image=image,
        image_mib=0 if image is None else draw(st.integers(0, 10**6)),
        priority=draw(st.integers(-5, 5)),
    )


@st.composite
def arrivals(draw: st.DrawFn, lease_id: int) -> Arrival:
    at = draw(SECONDS)
    wanted = draw(terms(at))
    real = draw(st.none() | st.integers(1, 10**6))
    return Arrival(
        at=at,
        lease_id=lease_id,
        terms=wanted,
        real_duration=None if real is None or real >= wanted.duration else real,
        user=draw(st.integers(0, 99)),
        extras=tuple(draw(st.dictionaries(NAMES, TEXTS, max_size=2)).items()),
    )


SITES: st.SearchStrategy[Site] = st.lists(
    st.tuples(st.integers(1, 5), AMOUNTS), min_size=1, max_size=3
).map(site_of)


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    ids = draw(st.lists(st.integers(1, 10**6), unique=True, max_size=4))
    return Workload(
        name=draw(NAMES),
        arrivals=in_order([draw(arrivals(lease_id)) for lease_id in ids]),
        site=draw(st.none() | SITES),
        attributes=draw(st.dictionaries(NAMES, TEXTS, max_size=2)),
    )
