"""A sweep: where a plan would cost too much it comes in parts, and still nobody is passed over."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrery.core.capacity import Capacity
from orrery.core.messages import ApplyPlan
from orrery.core.model.host import Host
from orrery.sched import match, planner
from orrery.sched.match import Lookup
from orrery.sched.planner import LOOKS_PER_VM, Plan, plan
from orrery.sched.policy import Room
from tests.site import Site


def site_of(hosts: int, requirements: list[str], cpu: str = "1") -> Site:
    site = Site()
    for number in range(hosts):
        site.host(f"h{number}", Capacity(400, 4096))
    for text in requirements:
        quoted = text.replace('"', '\\"')
        site.vm(f'CPU="{cpu}" MEMORY="64" SCHED_REQUIREMENTS="{quoted}"')
    return site


def sweep(site: Site, looks: int) -> Iterator[Plan]:
    """Every plan of a sweep, each applied before the next one is made."""
    made = plan(site.state, site.now, looks=looks)
    while True:
        yield made
        site.decide(
            ApplyPlan(cause="s", placements=made.placements, explanations=made.explanations)
        )
        if made.wake_at is None:
            return
        made = plan(site.state, site.now, seen=made.seen, looks=looks)


def vms_of(made: Plan) -> list[int]:
    return [*(one.vm_id for one in made.placements), *(one.vm_id for one in made.explanations)]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a plan looks at an attribute of a host."""
    counted: Counter[str] = Counter()

    def attributes(host: Host, room: Room, cluster_name: str) -> Lookup:
        look = match.attributes(host, room, cluster_name)

        def counting(name: str) -> str | float | None:
            counted[name] += 1
            return look(name)

        return counting

    monkeypatch.setattr(planner, "attributes", attributes)
    return counted


def test_a_plan_never_looks_at_more_than_it_may_however_many_wishes_wait(
    looks: Counter[str],
) -> None:
    site = site_of(20, [f'NAME = "x{number}"' for number in range(100)])
    most = 0
    planned: list[int] = []
    for made in sweep(site, looks=200):
        most = max(most, looks.total())
        looks.clear()
        planned += vms_of(made)
    assert 0 < most <= 200
    assert planned == sorted(site.state.vms)


def test_without_a_bound_all_are_looked_at_in_one_plan(looks: Counter[str]) -> None:
    site = site_of(20, [f'NAME = "x{number}"' for number in range(100)])
    made = plan(site.state, site.now)
    assert made.wake_at is None
    assert len(made.explanations) == 100
    assert looks.total() >= 20 * 100


def test_even_one_wish_that_costs_more_than_a_plan_may_is_planned() -> None:
    site = site_of(20, ["ID > 0", "ID > 1"])
    assert [vms_of(made) for made in sweep(site, looks=1)] == [[0], [1]]


def test_vms_that_ask_for_the_same_are_planned_with_the_oldest_of_them() -> None:
    site = site_of(20, ["ID > 90", "ID > 91", "ID > 90", "ID > 91"])
    assert 2 * LOOKS_PER_VM == 20
    assert [vms_of(made) for made in sweep(site, looks=40)] == [[0, 2], [1, 3]]


def test_many_vms_with_one_wish_are_bounded_too() -> None:
    site = site_of(1, [""] * 10, cpu="0.1")
    sizes = [len(made.placements) for made in sweep(site, looks=2 * 4 * LOOKS_PER_VM)]
    assert sizes == [4, 4, 2]


def test_a_vm_that_comes_while_a_sweep_is_under_way_has_its_turn_in_it() -> None:
    site = site_of(20, ["ID > 90", "ID > 91"])
    made = plan(site.state, site.now, looks=1)
    late = site.vm('CPU="1" MEMORY="64" SCHED_REQUIREMENTS="ID > 90"')
    made = plan(site.state, site.now, seen=made.seen, looks=1)
    assert vms_of(made) == [1]
    assert made.wake_at == site.now
    made = plan(site.state, site.now, seen=made.seen, looks=1)
    assert (vms_of(made), made.wake_at, made.seen) == ([late], None, {})


TEXTS = st.lists(
    st.sampled_from(["", "ID > 2", 'NAME = "h1"', 'NAME = "x"', "ID < 2"]), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), TEXTS, st.integers(0, 60))
def test_every_vm_has_its_turn_once_in_a_sweep(hosts: int, texts: list[str], looks: int) -> None:
    site = site_of(hosts, texts, cpu="2")
    turns = Counter(vm_id for made in sweep(site, looks) for vm_id in vms_of(made))
    assert turns == Counter(range(len(texts)))
    assert plan(site.state, site.now).placements == ()
