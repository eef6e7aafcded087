"""Questions that change nothing, and offers that can be had."""

import math

import pytest
from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.model.lease import LeaseStatus as S
from orrery.core.model.lease import NodeSet, Terms
from orrery.sched.leases.settings import Settings
from tests.sched.leases.world import (
    World,
    best_effort,
    by_deadline,
    immediate,
    nodes,
    reservation,
    site,
)


def promised() -> World:
    """Three hosts; one is promised from 100 to 200, another from 150 to 300."""
    world = World(site(3))
    world.submit(1, reservation(100, 1, 100))
    world.submit(2, reservation(150, 1, 150))
    return world


@pytest.mark.parametrize(
    "terms",
    [
        best_effort(3, 50),
        best_effort(3, 200),
        best_effort(4),
        reservation(100, 2, 50),
        reservation(100, 2, 51),
        reservation(120, 3),
        immediate(3, 100),
        immediate(3, 101),
        by_deadline(300, 3, 100),
        by_deadline(399, 3, 100, start=150),
        by_deadline(400, 3, 100, start=150),
    ],
)
def test_the_answer_beforehand_is_the_answer_then(terms: Terms) -> None:
    world = promised()
    before = world.schedule()
    said = world.calendar.when(terms, 0)
    assert world.schedule() == before
    world.calendar.line.changed.clear()
    assert world.calendar.when(terms, 0) == said
    answer = world.submit(3, terms)
    assert answer.accepted == said.accepted
    if said.status is S.SCHEDULED:
        assert (said.start, said.end) == (answer.start, answer.end)


def test_where_the_deadline_is_met_by_moving_others_asking_moves_nobody() -> None:
    world = World(site(1), Settings(suspension=Settings().suspension))
    world.submit(1, by_deadline(1000, start=50, preemptible=False))
    terms = by_deadline(160, start=50, preemptible=False)
    before = world.schedule()
    said = world.calendar.when(terms, 0)
    assert (said.status, said.start, said.end) == (S.SCHEDULED, 50, 150)
    assert world.schedule() == before
    answer = world.submit(2, terms)
    assert (answer.start, answer.end) == (50, 150)


def test_a_question_leaves_no_trace_of_itself() -> None:
    world = promised()
    world.calendar.line.changed.clear()
    for terms in (best_effort(), reservation(120, 3), immediate(), by_deadline(300, 3)):
        world.calendar.when(terms, 0)
        world.calendar.alternatives(terms, 0)
    assert -1 not in world.calendar.bookings
    assert -1 not in world.calendar.line.changed
    assert -1 not in world.calendar.line.live


def test_a_refused_reservation_is_offered_later_on_fewer_nodes_and_for_a_shorter_time() -> None:
    world = promised()
    offers = world.calendar.alternatives(reservation(100, 2, 100), 0)
    assert [(o.what, o.start, o.end, o.terms.node_count) for o in offers] == [
        ("later", 200, 300, 2),
        ("fewer nodes", 100, 200, 1),
        ("shorter", 100, 150, 2),
    ]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_offer_that_is_taken_at_once_is_kept(which: int) -> None:
    world = promised()
    offer = world.calendar.alternatives(reservation(100, 2, 100), 0)[which]
    answer = world.submit(3, offer.terms)
    assert answer.accepted
    assert (answer.start, answer.end) == (offer.start, offer.end)
    world.run()
    world.audit_end()


def test_an_immediate_lease_is_offered_the_next_time_at_which_it_fits() -> None:
    world = World(site(1))
    world.submit(1, reservation(0, 1, 80))
    (offer,) = world.calendar.alternatives(immediate(), 0)
    assert (offer.what, offer.start) == ("later", 80)
    assert world.submit(2, offer.terms).accepted


def test_a_lease_too_large_for_the_site_is_offered_as_many_nodes_as_there_are() -> None:
    world = promised()
    (offer,) = world.calendar.alternatives(reservation(500, 9), 0)
    assert (offer.what, offer.start, offer.terms.node_count) == ("fewer nodes", 500, 3)
    assert world.submit(3, offer.terms).accepted


def test_nothing_is_offered_for_what_no_host_has() -> None:
    assert promised().calendar.alternatives(Terms(nodes=(nodes(1, gpu=1),), duration=9), 0) == []


def test_best_effort_is_told_the_earliest_time() -> None:
    world = World(site(1))
    world.submit(1, best_effort())
    said = world.calendar.when(best_effort(), 0)
    assert (said.status, said.start, said.end) == (S.QUEUED, 100, 200)


# --- what means nothing ---------------------------------------------------------------------------

GOOD = reservation(100)
NAN = math.nan


def sized(cpu: int = 100, memory: int = 1024, disk: int = 0, **other: int) -> Terms:
    capacity = Capacity(cpu, memory, disk)
    node = NodeSet(count=1, capacity=capacity, other=tuple(other.items()))
    return replace(GOOD, nodes=(node,))


SENSELESS = [
    (replace(GOOD, nodes=()), "nodes: 0 is no number"),
    (replace(GOOD, nodes=(nodes(0),)), "nodes: 0 is no number"),
    (replace(GOOD, nodes=(nodes(-2), nodes(1))), "nodes: -1 is no number"),
    (replace(GOOD, nodes=(nodes(2), nodes(-1))), "nodes: 1 is no number"),
    (sized(cpu=-1), "cpu_pct: -1 is no amount"),
    (sized(memory=-1024), "memory_mib: -1024 is no amount"),
    (sized(disk=-3), "disk_mib: -3 is no amount"),
    (sized(gpu=-1), "gpu: -1 is no amount"),
    (sized(cpu=1 << 39), "cpu_pct: 549755813888 is no amount"),
    (sized(cpu=0, memory=0), "they ask for nothing"),
    (replace(GOOD, duration=0), "duration: 0 is no number of seconds"),
    (replace(GOOD, duration=-7), "duration: -7 is no number of seconds"),
    (replace(GOOD, duration=0.5), "duration: 0.5 is no number of seconds"),
    (replace(GOOD, duration=NAN), "duration: nan is no number of seconds"),
    (replace(GOOD, duration=math.inf), "duration: inf is no number of seconds"),
    (replace(GOOD, start=NAN), "start: nan is no time"),
    (replace(GOOD, start=math.inf), "start: inf is no time"),
    (replace(GOOD, deadline=NAN), "deadline: nan is no time"),
]


@pytest.mark.parametrize(("terms", "words"), SENSELESS, ids=[words for _, words in SENSELESS])
def test_what_means_nothing_is_refused_by_name_and_value(terms: Terms, words: str) -> None:
    world = World(site(2))
    for answer in (world.calendar.when(terms, 0), world.submit(1, terms)):
        assert answer.status is S.REJECTED
        assert words in (answer.reason or "")
    assert world.calendar.alternatives(terms, 0) == []
    assert world[1].status is S.REJECTED
    assert world.next_time() is None
    world.audit_end()


def test_a_deadline_in_the_past_is_refused() -> None:
    world = World(site(1)).run(1000)
    answer = world.submit(1, by_deadline(900, start=100))
    assert answer.status is S.REJECTED
    assert "does not fit between" in (answer.reason or "")
