"""What pools show: filter flags, ranges, pages, states, search; never what may not be seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orrery.core.access import visible
from orrery.core.errors import InvalidInput
from orrery.core.messages import Actor
from orrery.core.model.vm import Nic
from orrery.core.status import VmStatus
from orrery.core.template import parse
from orrery.service.listing import select
from orrery.service.vms import ANY_STATE, VmFilter, by_ids, listing, stays
from tests.api.world import ADMIN, ANNA, BEN, NOW, World


@pytest.fixture
def world() -> World:
    """VMs 0 and 1 of oneadmin (1 readable by all), 2 and 3 of anna (3 for her group), 4 of ben."""
    world = World()
    for vm_id, actor, permissions in (
        (0, ADMIN, 0o600),
        (1, ADMIN, 0o604),
        (2, ANNA, 0o600),
        (3, ANNA, 0o640),
        (4, BEN, 0o600),
    ):
        world.running_vm(vm_id, actor, permissions=permissions)
    return world


def ids(world: World, actor: Actor, **wanted: object) -> list[int]:
    return [vm.id for vm in listing(world.state, actor, VmFilter(**wanted))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("actor", "flag", "expected"),
    [
        (ADMIN, -2, [0, 1, 2, 3, 4]),
        (ADMIN, -3, [0, 1]),
        (ADMIN, -1, [0, 1]),
        (ADMIN, 2, [2, 3]),
        (ANNA, -2, [1, 2, 3]),
        (ANNA, -3, [2, 3]),
        (ANNA, -1, [2, 3]),
        (ANNA, -4, [2, 3]),
        (ANNA, 0, [1]),
        (BEN, -2, [1, 3, 4]),
        (BEN, -1, [3, 4]),
        (BEN, 2, [3]),
        (Actor(9, (100,)), -2, [1]),
    ],
)
def test_filter_flags(world: World, actor: Actor, flag: int, expected: list[int]) -> None:
    assert ids(world, actor, flag=flag) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (-1, -1, [0, 1, 2, 3, 4]),
        (-1, 3, [0, 1, 2, 3, 4]),
        (1, 3, [1, 2, 3]),
        (3, 1, []),
        (2, -1, [2, 3, 4]),
        (0, -2, [0, 1]),
        (4, -2, [4]),
        (9, -2, []),
        (-1, -3, [0, 1, 2]),
    ],
)
def test_ranges_and_pages(world: World, start: int, end: int, expected: list[int]) -> None:
    assert ids(world, ADMIN, start=start, end=end) == expected


def test_pages_count_rows_after_the_filters(world: World) -> None:
    assert ids(world, BEN, start=1, end=-2) == [3, 4]


@given(
    flag=st.integers(-4, 5),
    start=st.integers(-3, 8),
    end=st.integers(-8, 8),
    uid=st.integers(0, 5),
    gid=st.integers(0, 2),
)
def test_no_listing_shows_what_may_not_be_seen(
    flag: int, start: int, end: int, uid: int, gid: int
) -> None:
    world = WORLD
    actor = Actor(uid, (gid,))
    for pool in (world.state.vms, world.state.images, world.state.networks):
        assert all(visible(actor, obj) for obj in select(pool, actor, flag, start, end))
    assert all(visible(actor, vm) for vm in by_ids(world.state, actor, "0,1,2,3,4"))
    assert all(visible(actor, vm) for vm, _ in stays(world.state, actor, flag, -1, -1))


WORLD = World()
for number, owner in enumerate((ADMIN, ANNA, BEN)):
    WORLD.running_vm(number, owner, permissions=0o640)


def test_states(world: World) -> None:
    world.put(replace(world.state.vms[0], status=VmStatus.DONE))
    world.put(replace(world.state.vms[1], status=VmStatus.POWEROFF))
    assert ids(world, ADMIN) == [1, 2, 3, 4]
    assert ids(world, ADMIN, state=ANY_STATE) == [0, 1, 2, 3, 4]
    assert ids(world, ADMIN, state=3) == [2, 3, 4]
    assert ids(world, ADMIN, state=6) == [0]
    with pytest.raises(InvalidInput):
        ids(world, ADMIN, state=-3)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("vm2", [2]),
        ("NAME=VM2", [2]),
        ("VM.NAME=vm2", [2]),
        ("VM/NAME=vm2", [2]),
        ("UNAME=anna", [2, 3]),
        ("UNAME=anna&NAME=3", [3]),
        ("HOSTNAME=node2", [4]),
        ("NIC.IP=10.0.0", [4]),
        ("TEMPLATE/NIC/IP=10.0.0.7", [4]),
        ("USER_TEMPLATE.ROLE=web", [4]),
        ("ROLE=db", []),
        ("NAME='vm1'", [1]),
        ("COLOUR=a<b", [0, 1, 2, 3]),
    ],
)
def test_search(world: World, query: str, expected: list[int]) -> None:
    nic = Nic(
        id=0,
        network_id=0,
        ar_id=0,
        index=6,
        mac="02:00:0a:00:00:07",
        ip="10.0.0.7",
        bridge="br0",
        target="one-4-0",
        vn_mad="bridge",
    )
    world.running_vm(4, BEN, host_id=2, nics=(nic,), user_template=parse('ROLE="webserver"'))
    assert ids(world, ADMIN, query=query) == expected


@pytest.mark.parametrize("query", ["=x&", "A=1&B", "x" * 5000, "&".join(["A=1"] * 20)])
def test_bad_searches_are_refused(world: World, query: str) -> None:
    with pytest.raises(InvalidInput, match="query"):
        ids(world, ADMIN, query=query)


def test_stays_are_those_that_overlap_the_interval(world: World) -> None:
    begin = int(NOW - 90)
    assert len(stays(world.state, ADMIN, -2, -1, -1)) == 5
    assert stays(world.state, ADMIN, -2, -1, begin - 1) == []
    assert len(stays(world.state, ADMIN, -2, begin + 50, -1)) == 5
    ended = replace(world.state.vms[0].history[0], etime=NOW - 60)
    world.put(replace(world.state.vms[0], history=(ended,)))
    assert len(stays(world.state, ADMIN, -2, int(NOW - 10), -1)) == 4
