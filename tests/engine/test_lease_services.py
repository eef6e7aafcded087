"""Use cases of leases in a running engine: rights, templates that ask for one, calendar, usage."""

from pathlib import Path

import pytest

from orrery.core.errors import InvalidInput, NoCapacity, NotAuthorized, NotFound, Unavailable
from orrery.core.messages import ENGINE, Actor, AllocateUser
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import LeaseStatus, Terms
from orrery.core.status import VmStatus
from orrery.service import leases, objects, vms
from orrery.service.engine import Engine
from orrery.service.lease_calendar import calendar, usage
from orrery.service.leases import LeaseFilter
from tests.engine.lease_cloud import (
    HOUR,
    LeaseCloud,
    best_effort,
    in_lease_cloud,
    nodes,
    reservation,
)

S = LeaseStatus
ALICE, BOB = Actor(2, (1,)), Actor(3, (1,))


async def users(cloud: LeaseCloud) -> None:
    for name in ("alice", "bob"):
        message = AllocateUser(
            cause="t", actor=ENGINE, name=name, password_hash="x", auth_driver="core"
        )
        await cloud.ask(message)


async def lease_of_alice(cloud: LeaseCloud, terms: Terms | None = None) -> int:
    verdict = await cloud.request(terms or best_effort(1, 600.0), ALICE)
    assert verdict.lease_id is not None
    return verdict.lease_id


# --- rights ---------------------------------------------------------------------------------------


def test_only_its_owner_and_administrators_may_touch_a_lease(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await users(cloud)
        lease_id = await lease_of_alice(cloud, reservation(float(int(cloud.now + 900)), 1))
        engine = cloud.services
        attempts = (
            leases.cancel(engine, BOB, lease_id),
            leases.extend(engine, BOB, lease_id, 60.0),
            leases.shorten(engine, BOB, lease_id, 60.0),
            leases.move(engine, BOB, lease_id, cloud.now + 1000),
            leases.accept(engine, BOB, lease_id),
            leases.top(engine, ALICE, lease_id, 1),
            objects.rename(engine, BOB, Kind.LEASE, lease_id, "mine"),
            objects.delete(engine, BOB, Kind.LEASE, lease_id),
        )
        for attempt in attempts:
            with pytest.raises(NotAuthorized):
                await attempt
        with pytest.raises(NotAuthorized):
            leases.get(engine.view, BOB, lease_id)
        assert leases.listing(engine.view, BOB, LeaseFilter()) == []
        assert [found.id for found in leases.listing(engine.view, ALICE, LeaseFilter())] == [
            lease_id
        ]
        await objects.rename(engine, ALICE, Kind.LEASE, lease_id, "class")
        assert (await leases.top(engine, ENGINE, lease_id, 1)).accepted
        await leases.cancel(engine, ALICE, lease_id)
        assert leases.listing(engine.view, ALICE, LeaseFilter()) == []
        assert len(leases.listing(engine.view, ALICE, LeaseFilter(status=-2))) == 1
        assert len(leases.listing(engine.view, ALICE, LeaseFilter(status=5))) == 1

    in_lease_cloud(tmp_path, story)


def test_a_lease_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        with pytest.raises(NotFound, match=r"Error getting lease \[7\]"):
            await leases.cancel(cloud.services, ENGINE, 7)

    in_lease_cloud(tmp_path, story)


def test_users_cannot_give_themselves_priority(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        with pytest.raises(NotAuthorized, match="priority"):
            await cloud.request(Terms(nodes=nodes(1), duration=60.0, priority=1), ALICE)

    in_lease_cloud(tmp_path, story)


def test_a_lease_can_be_shared_by_its_permissions(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await users(cloud)
        lease_id = await lease_of_alice(cloud)
        await objects.chmod(
            cloud.services, ALICE, Kind.LEASE, lease_id, (-1, -1, -1, 1, -1, -1, -1, -1, -1)
        )
        assert leases.get(cloud.services.view, BOB, lease_id).uid == 2

    in_lease_cloud(tmp_path, story)


def test_an_engine_without_a_scheduler_says_so(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        full = cloud.services
        bare = Engine(full.view, full.submit, full.new_cause, full.clock)
        with pytest.raises(Unavailable):
            await leases.request(bare, ENGINE, leases.Request(terms=best_effort()))

    in_lease_cloud(tmp_path, story)


# --- templates that ask for a lease ---------------------------------------------------------------


def text(lease: str) -> str:
    return f'CPU="4" MEMORY="2048" LEASE=[{lease}]'


def test_a_vm_whose_template_asks_for_a_lease_runs_when_its_lease_says(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        vm_id = await vms.allocate(
            cloud.services, ENGINE, text('START="+00:10:00", DURATION="00:05:00"')
        )
        began = cloud.now
        assert cloud.vm(vm_id).lease_id == 0
        await cloud.reach(vm_id, VmStatus.RUNNING)
        assert 595 <= cloud.now - began <= 610
        await cloud.reach(vm_id, VmStatus.DONE)
        assert cloud.lease(0).status is S.DONE

    in_lease_cloud(tmp_path, story)


def test_a_vm_whose_lease_is_refused_is_refused(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await cloud.lease_of(Terms(nodes=nodes(2), duration=HOUR, immediate=True))
        with pytest.raises(NoCapacity, match="is refused"):
            await vms.allocate(cloud.services, ENGINE, text('START="now", DURATION="00:05:00"'))
        assert not cloud.engine.state.lease_vms(1)

    in_lease_cloud(tmp_path, story)


def test_vms_of_one_group_start_and_end_together(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        wanted = text('START="best_effort", DURATION="00:05:00", GROUP="pair"')
        first = await vms.allocate(cloud.services, ENGINE, wanted)
        second = await vms.allocate(cloud.services, ENGINE, wanted)
        assert cloud.lease(0).vms == (first, second)
        assert cloud.lease(0).status is S.PENDING
        lease = await cloud.lease_reaches(0, S.ACTIVE, seconds=30)
        assert lease.terms.node_count == 2
        await cloud.lease_reaches(0, S.DONE)

    in_lease_cloud(tmp_path, story)


def test_a_lease_and_hold_exclude_each_other(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        with pytest.raises(InvalidInput, match="hold"):
            await vms.allocate(cloud.services, ENGINE, text('START="now"'), hold=True)

    in_lease_cloud(tmp_path, story)


# --- calendar and usage ---------------------------------------------------------------------------


def test_the_calendar_shows_what_is_planned_and_how_it_went(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await users(cloud)
        begin = cloud.now
        first = await lease_of_alice(cloud, best_effort(2, HOUR))
        await cloud.lease_reaches(first, S.ACTIVE)
        start = float(int(cloud.now + 600))
        second = await cloud.lease_of(reservation(start, 2, 300.0))
        view = cloud.services.view
        before = calendar(view, ALICE, cloud.now, begin, begin + 2 * HOUR)
        kinds = [(s.kind, s.lease_id, s.actual) for s in before.slots if s.start < start]
        assert ("vm", first, False) in kinds and ("suspend", first, False) in kinds
        assert ("boot", None, False) in kinds  # of a lease she may not see
        assert [lease.id for lease in before.leases] == [first]
        await cloud.lease_reaches(second, S.DONE)
        after = calendar(view, ENGINE, cloud.now, begin, begin + 2 * HOUR)
        went = {(s.kind, s.lease_id) for s in after.slots if s.actual}
        assert {("vm", first), ("suspend", first), ("vm", second), ("shutdown", second)} <= went
        assert [host.name for host in after.hosts] == ["h1"]
        assert all(slot.end > slot.start and slot.nodes == 2 for slot in after.slots)

    in_lease_cloud(tmp_path, story)


def test_usage_counts_what_ran_for_whom(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await users(cloud)
        begin = cloud.now
        lease_id = await lease_of_alice(cloud, best_effort(2, 600.0))
        await cloud.lease_reaches(lease_id, S.DONE)
        refused = await cloud.request(reservation(cloud.now + 60, 9), BOB)
        assert not refused.accepted
        view = cloud.services.view
        alice, bob = usage(view, ENGINE, cloud.now, begin, cloud.now + 1)
        assert (alice.uid, alice.leases, alice.accepted, alice.done) == (2, 1, 1, 1)
        assert alice.node_s == pytest.approx(1200.0, abs=4)
        assert alice.cpu_s == pytest.approx(4800.0, abs=16)
        assert (bob.uid, bob.rejected, bob.node_s) == (3, 1, 0.0)
        assert [one.uid for one in usage(view, ALICE, cloud.now, begin, cloud.now)] == [2]

    in_lease_cloud(tmp_path, story)
