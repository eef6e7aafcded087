"""Leases when things go wrong: lost hosts, failing and slow drivers, users who change plans."""

import asyncio
from pathlib import Path

import pytest

from orrery.core.messages import (
    ENGINE,
    AllocateHost,
    CancelLease,
    DeleteObject,
    SetHostStatus,
    UpdateTemplate,
)
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import LeaseStatus
from orrery.core.status import HostStatus, VmStatus
from orrery.core.template import parse
from orrery.drivers.sim import Faults
from tests.engine.lease_cloud import (
    HOUR,
    LeaseCloud,
    best_effort,
    in_lease_cloud,
    reservation,
)

S = LeaseStatus
V = VmStatus


def lose(cloud: LeaseCloud, name: str) -> None:
    """The machine is gone with all that ran on it."""
    host = cloud.world.host(name)
    host.alive = False
    host.domains.clear()


def test_a_reservation_whose_host_is_lost_goes_on_elsewhere(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        other = await cloud.add_host("h2")
        lease_id = await cloud.lease_of(reservation(float(int(cloud.now + 60)), 2, 2 * HOUR))
        await cloud.lease_reaches(lease_id, S.ACTIVE)
        before = cloud.lease(lease_id)
        lost = before.runs[0].hosts[0]
        lose(cloud, cloud.engine.state.hosts[lost].name)
        await cloud.until(lambda: cloud.lease(lease_id).vms != before.vms, 600)
        await cloud.until(lambda: cloud.statuses(lease_id) == {V.RUNNING}, 600)
        lease = cloud.lease(lease_id)
        assert "was lost" in (lease.reason or "")
        assert {vm.host_id for vm in cloud.vms(lease_id)} == {1, other} - {lost}
        done = await cloud.lease_reaches(lease_id, S.DONE)
        assert done.runs[-1].ended == pytest.approx(before.runs[0].vm_end, abs=10)
        cloud.world.hosts[cloud.engine.state.hosts[lost].name].alive = True
        await cloud.until(lambda: not cloud.leftovers(), HOUR)
        assert cloud.world.violations == []

    in_lease_cloud(tmp_path, story)


def test_a_reservation_that_no_other_host_can_take_fails_and_says_so(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        lease_id = await cloud.lease_of(reservation(float(int(cloud.now + 300)), 2, HOUR))
        lose(cloud, "h1")
        lease = await cloud.lease_reaches(lease_id, S.FAILED, seconds=600)
        assert "host h1 was lost" in (lease.reason or "")
        assert cloud.statuses(lease_id) == {V.DONE}

    in_lease_cloud(tmp_path, story)


def test_best_effort_starts_afresh_when_its_host_is_lost_and_comes_back(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        lease_id = await cloud.lease_of(best_effort(2, 600.0))
        await cloud.lease_reaches(lease_id, S.ACTIVE)
        lose(cloud, "h1")
        await cloud.lease_reaches(lease_id, S.QUEUED, S.SCHEDULED, seconds=600)
        cloud.world.host("h1").alive = True
        lease = await cloud.lease_reaches(lease_id, S.DONE)
        assert (lease.runs[-1].ended or 0) - (lease.runs[-1].began or 0) == pytest.approx(
            600, abs=5
        )
        await cloud.until(lambda: not cloud.leftovers(), HOUR)
        assert cloud.world.violations == []

    in_lease_cloud(tmp_path, story)


def test_a_new_host_is_used_at_once(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await cloud.lease_of(best_effort(2, HOUR))
        second = await cloud.lease_of(best_effort(2, 600.0))
        await asyncio.sleep(60)
        assert cloud.lease(second).first_start is None
        other = await cloud.add_host("h2")
        lease = await cloud.lease_reaches(second, S.ACTIVE, seconds=60)
        assert set(lease.runs[0].hosts) == {other}

    in_lease_cloud(tmp_path, story)


def test_a_disabled_host_takes_no_new_leases(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        first = await cloud.lease_of(reservation(float(int(cloud.now + 60)), 1, 600.0))
        await cloud.lease_reaches(first, S.ACTIVE)
        await cloud.ask(SetHostStatus(cause="t", actor=ENGINE, host_id=1, status=1))
        verdict = await cloud.request(reservation(float(int(cloud.now + 60)), 1, 60.0))
        assert not verdict.accepted
        await cloud.lease_reaches(first, S.DONE)
        await cloud.ask(SetHostStatus(cause="t", actor=ENGINE, host_id=1, status=0))
        await cloud.until(lambda: cloud.engine.state.hosts[1].status is HostStatus.MONITORED)
        await asyncio.sleep(1)
        assert (await cloud.request(reservation(float(int(cloud.now + 60)), 2, 60.0))).accepted

    in_lease_cloud(tmp_path, story)


def test_a_guest_that_shuts_down_ends_its_lease_early(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        lease_id = await cloud.lease_of(best_effort(2, HOUR))
        await cloud.lease_reaches(lease_id, S.ACTIVE)
        cloud.world.host("h1").domains.clear()
        await cloud.lease_reaches(lease_id, S.DONE, seconds=120)
        assert cloud.leftovers() == []

    in_lease_cloud(tmp_path, story)


@pytest.mark.parametrize("seed", range(12))
def test_failing_drivers_delay_or_fail_a_lease_but_leave_nothing(tmp_path: Path, seed: int) -> None:
    async def story(cloud: LeaseCloud) -> None:
        cloud.world.rng.seed(seed)
        first = await cloud.lease_of(best_effort(2, 600.0))
        second = await cloud.lease_of(reservation(float(int(cloud.now + 300)), 2, 120.0))
        over = (S.DONE, S.FAILED, S.CANCELLED)
        await cloud.lease_reaches(second, *over)
        await cloud.lease_reaches(first, *over)
        for lease_id in (first, second):
            lease = cloud.lease(lease_id)
            assert lease.status is S.DONE or lease.reason
        cloud.world.faults = Faults()
        await cloud.until(lambda: not cloud.engine.state.lease_vms(first), 2 * HOUR)
        await cloud.until(lambda: not cloud.engine.state.lease_vms(second), 2 * HOUR)
        await cloud.until(lambda: not cloud.leftovers(), HOUR)
        assert cloud.world.violations == []

    async def furnished(cloud: LeaseCloud) -> None:
        cloud.world.faults = Faults(fail_rate=0.15)
        await story(cloud)

    in_lease_cloud(tmp_path, furnished)


def test_a_start_that_fails_is_tried_again_with_all_nodes(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        cloud.world.faults = Faults(fail_rate=1.0, retryable_share=0.0)
        lease_id = await cloud.lease_of(best_effort(2, 300.0))
        await cloud.until(lambda: cloud.lease(lease_id).attempts == 1, 60)
        assert "simulated failure" in (cloud.lease(lease_id).reason or "")
        cloud.world.faults = Faults()
        lease = await cloud.lease_reaches(lease_id, S.DONE)
        assert lease.attempts == 0
        assert len(cloud.engine.state.vms) == 4

    in_lease_cloud(tmp_path, story)


def test_a_lease_that_cannot_be_started_fails_with_the_reason(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        cloud.world.faults = Faults(fail_rate=1.0, retryable_share=0.0)
        lease_id = await cloud.lease_of(best_effort(2, 300.0))
        lease = await cloud.lease_reaches(lease_id, S.FAILED, seconds=600)
        assert "simulated failure" in (lease.reason or "")

    in_lease_cloud(tmp_path, story)


def test_a_slow_suspension_delays_who_waits_for_its_room_and_no_longer(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        first = await cloud.lease_of(best_effort(2, 2 * HOUR))
        await cloud.lease_reaches(first, S.ACTIVE)
        start = float(int(cloud.now + 300))
        second = await cloud.lease_of(reservation(start, 2, 600.0))
        begins = cloud.lease(first).runs[0].vm_end
        await asyncio.sleep(begins - 1 - cloud.now)
        cloud.world.faults = Faults(latency_s=(100.0, 100.0))
        await asyncio.sleep(10)
        cloud.world.faults = Faults()
        lease = await cloud.lease_reaches(second, S.ACTIVE)
        assert 30 < (lease.runs[0].began or 0) - start < 120
        done = await cloud.lease_reaches(second, S.DONE)
        assert done.runs[0].ended == pytest.approx(start + 600, abs=10)
        await cloud.lease_reaches(first, S.DONE)

    in_lease_cloud(tmp_path, story)


EVERY_STATUS = [
    S.QUEUED,
    S.SCHEDULED,
    S.READY,
    S.ACTIVE,
    S.SUSPENDING,
    S.SUSPENDED_SCHEDULED,
    S.SUSPENDED_QUEUED,
    S.RESUMING,
]


@pytest.mark.parametrize("status", EVERY_STATUS, ids=lambda s: s.name)
def test_a_lease_is_cancelled_in_every_status(tmp_path: Path, status: LeaseStatus) -> None:
    async def story(cloud: LeaseCloud) -> None:
        blocker = await cloud.lease_of(best_effort(2, 300.0))
        lease_id = await cloud.lease_of(best_effort(2, HOUR))
        await cloud.lease_reaches(blocker, S.ACTIVE)
        reserved = await cloud.lease_of(reservation(float(int(cloud.now + 900)), 2, 600.0))
        if status is S.QUEUED:
            lease_id = await cloud.lease_of(best_effort(2, HOUR))
        if status is S.SUSPENDED_QUEUED:
            await cloud.lease_reaches(lease_id, S.SUSPENDED_SCHEDULED, S.SUSPENDED_QUEUED)
        else:
            await reach_fast(cloud, lease_id, status)
        await cloud.ask(CancelLease(cause="t", actor=ENGINE, lease_id=lease_id))
        assert cloud.lease(lease_id).status is S.CANCELLED
        await cloud.until(lambda: cloud.statuses(lease_id) <= {V.DONE}, 300)
        await cloud.lease_reaches(reserved, S.DONE)
        await asyncio.sleep(60)
        last = max(cloud.engine.state.leases)
        if last != lease_id and not cloud.lease(last).status.final:
            await cloud.ask(CancelLease(cause="t", actor=ENGINE, lease_id=last))
        if not cloud.lease(lease_id).status.final:
            await cloud.ask(CancelLease(cause="t", actor=ENGINE, lease_id=lease_id))
        for other in list(cloud.engine.state.leases_live()):
            await cloud.ask(CancelLease(cause="t", actor=ENGINE, lease_id=other))
        await cloud.until(lambda: not cloud.leftovers(), 600)
        await cloud.ask(DeleteObject(cause="t", actor=ENGINE, kind=Kind.LEASE, id=lease_id))

    in_lease_cloud(tmp_path, story)


async def reach_fast(cloud: LeaseCloud, lease_id: int, status: LeaseStatus) -> None:
    """Look every few hundredths of a second: some statuses are short."""
    async with asyncio.timeout(4 * HOUR):
        while cloud.lease(lease_id).status is not status:
            await asyncio.sleep(0.02)


def test_ordinary_vms_and_leases_share_what_an_operator_takes_back(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        update = UpdateTemplate(
            cause="t",
            actor=ENGINE,
            kind=Kind.HOST,
            id=1,
            template=parse('RESERVED_CPU="50%"'),
            append=True,
        )
        await cloud.ask(update)
        await asyncio.sleep(1)
        assert not (await cloud.request(reservation(float(int(cloud.now + 60)), 2))).accepted
        assert (await cloud.request(reservation(float(int(cloud.now + 60)), 1))).accepted

    in_lease_cloud(tmp_path, story)


def test_a_host_that_was_never_seen_offers_nothing(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        cloud.world.host("dead").alive = False
        await cloud.ask(
            AllocateHost(cause="t", actor=ENGINE, name="dead", im_mad="sim", vm_mad="sim")
        )
        await asyncio.sleep(120)
        assert not (await cloud.request(reservation(float(int(cloud.now + 60)), 3))).accepted

    in_lease_cloud(tmp_path, story)
