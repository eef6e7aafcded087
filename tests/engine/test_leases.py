"""Leases carried out under virtual time: promises are kept, by suspension where that is needed."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from orrery.core.errors import QuotaExceeded
from orrery.core.messages import ENGINE, Actor, TerminateVm
from orrery.core.model.host import Measured
from orrery.core.model.lease import LeaseKind, LeaseStatus, OperationKind, Terms
from orrery.core.status import VmStatus
from orrery.engine.lease_rates import rates_from
from orrery.service import leases
from orrery.service.engine import LeaseLimits
from tests.engine.lease_cloud import (
    HOUR,
    LeaseCloud,
    best_effort,
    in_lease_cloud,
    nodes,
    reservation,
)

S = LeaseStatus
V = VmStatus


def test_a_best_effort_lease_runs_for_its_duration_and_is_gone(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        lease_id = await cloud.lease_of(best_effort(2, 600.0))
        await cloud.lease_reaches(lease_id, S.ACTIVE)
        assert cloud.statuses(lease_id) == {V.RUNNING}
        lease = await cloud.lease_reaches(lease_id, S.DONE)
        (run,) = lease.runs
        assert run.began is not None and run.ended is not None
        assert run.ended - run.began == pytest.approx(600.0, abs=2.0)
        assert cloud.statuses(lease_id) == {V.DONE}
        assert cloud.leftovers() == []

    in_lease_cloud(tmp_path, story)


def test_a_reservation_suspends_best_effort_in_time_and_it_goes_on_after(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        first = await cloud.lease_of(best_effort(2, 2 * HOUR))
        await cloud.lease_reaches(first, S.ACTIVE)
        start = float(int(cloud.now + 1000))
        second = await cloud.lease_of(reservation(start, 2, 600.0))
        reserved = await cloud.lease_reaches(second, S.ACTIVE)
        assert cloud.statuses(first) == {V.SUSPENDED}
        began = reserved.runs[0].began
        assert began is not None and abs(began - start) <= 5.0
        suspended = cloud.lease(first).runs[0].operations[-1]
        assert suspended.kind is OperationKind.SUSPEND
        assert suspended.ended is not None and suspended.ended <= reserved.runs[0].start + 1
        await cloud.lease_reaches(second, S.DONE)
        await cloud.lease_reaches(first, S.ACTIVE)
        done = await cloud.lease_reaches(first, S.DONE)
        assert done.suspensions == 1
        ran = sum((r.ended or 0) - (r.began or 0) for r in done.runs)
        assert ran == pytest.approx(2 * HOUR, abs=10.0)
        assert cloud.leftovers() == []

    in_lease_cloud(tmp_path, story)


def test_an_answer_is_stored_before_it_is_given(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        start = float(int(cloud.now + 1000))
        verdict = await cloud.request(reservation(start))
        assert (verdict.accepted, verdict.start) == (True, start)
        await cloud.kill()
        await cloud.start()
        assert verdict.lease_id is not None
        assert cloud.lease(verdict.lease_id).status is S.SCHEDULED
        lease = await cloud.lease_reaches(verdict.lease_id, S.ACTIVE)
        assert abs((lease.runs[0].began or 0) - start) <= 5.0

    in_lease_cloud(tmp_path, story)


def test_what_cannot_be_is_refused_with_the_nearest_alternatives(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        start = float(int(cloud.now + 1000))
        await cloud.lease_of(reservation(start))
        verdict = await cloud.request(reservation(start + 60, 2, 600.0))
        assert (verdict.accepted, verdict.status) == (False, S.REJECTED)
        assert verdict.reason
        assert [a.what for a in verdict.alternatives][:1] == ["later"]
        assert verdict.alternatives[0].start >= start + HOUR
        assert not cloud.engine.state.lease_vms(verdict.lease_id or 0)

    in_lease_cloud(tmp_path, story)


def test_an_offer_is_held_taken_or_runs_out(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        start = float(int(cloud.now + 1000))
        await cloud.lease_of(reservation(start))
        offers = [
            await cloud.request(reservation(start + 60, 2, 600.0), hold_offer=True)
            for _ in range(2)
        ]
        assert [o.status for o in offers] == [S.OFFERED, S.OFFERED]
        assert offers[0].start != offers[1].start
        first, second = (o.lease_id or 0 for o in offers)
        taken = await leases.accept(cloud.services, ENGINE, first)
        assert (taken.accepted, taken.start) == (True, offers[0].start)
        lapsed = await cloud.lease_reaches(second, S.CANCELLED, seconds=120)
        assert lapsed.reason == "the offer was not taken in time"
        assert (await cloud.lease_reaches(first, S.ACTIVE)).asked is not None

    in_lease_cloud(tmp_path, story)


def test_an_ordinary_vm_takes_nothing_that_is_promised_for_later(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        start = float(int(cloud.now + 1000))
        lease_id = await cloud.lease_of(reservation(start, 2, 600.0))
        vm_id = await cloud.new_vm('CPU="1" MEMORY="512"')
        await cloud.until(lambda: cloud.vm(vm_id).sched_message is not None)
        await cloud.lease_reaches(lease_id, S.ACTIVE)
        assert cloud.vm(vm_id).status is V.PENDING
        await cloud.lease_reaches(lease_id, S.DONE)
        await cloud.reach(vm_id, V.RUNNING)

    in_lease_cloud(tmp_path, story)


def test_a_lease_is_not_promised_what_an_ordinary_vm_holds(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await cloud.running_vm()
        verdict = await cloud.request(reservation(float(int(cloud.now + 1000))))
        assert not verdict.accepted
        assert (await cloud.request(reservation(float(int(cloud.now + 1000)), 1))).accepted

    in_lease_cloud(tmp_path, story)


def test_a_lease_ends_early_when_its_user_ends_its_vms(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        lease_id = await cloud.lease_of(best_effort(2))
        waiting = await cloud.lease_of(best_effort(2, 60.0))
        await cloud.lease_reaches(lease_id, S.ACTIVE)
        for vm_id in cloud.lease(lease_id).vms:
            await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id))
        done = await cloud.lease_reaches(lease_id, S.DONE, seconds=300)
        assert done.ended is not None and done.ended < cloud.now + 1
        await cloud.lease_reaches(waiting, S.ACTIVE, seconds=300)

    in_lease_cloud(tmp_path, story)


def test_what_a_user_does_with_one_node_leaves_the_others(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        lease_id = await cloud.lease_of(best_effort(2, 600.0))
        await cloud.lease_reaches(lease_id, S.ACTIVE)
        first, second = cloud.lease(lease_id).vms
        await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=first))
        await cloud.reach(first, V.DONE)
        assert (cloud.vm(second).status, cloud.lease(lease_id).status) == (V.RUNNING, S.ACTIVE)
        await cloud.lease_reaches(lease_id, S.DONE)

    in_lease_cloud(tmp_path, story)


def test_a_lease_is_extended_shortened_and_moved(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        start = float(int(cloud.now + 1000))
        lease_id = await cloud.lease_of(reservation(start, 2, 600.0))
        moved = await leases.move(cloud.services, ENGINE, lease_id, start + 500)
        assert (moved.accepted, moved.start) == (True, start + 500)
        longer = await leases.extend(cloud.services, ENGINE, lease_id, 300.0)
        assert (longer.accepted, longer.end) == (True, start + 1400)
        after = await cloud.lease_of(reservation(start + 1500, 2, 600.0))
        refused = await leases.extend(cloud.services, ENGINE, lease_id, 600.0)
        assert not refused.accepted and refused.reason
        shorter = await leases.shorten(cloud.services, ENGINE, lease_id, 800.0)
        assert (shorter.accepted, shorter.end) == (True, start + 600)
        done = await cloud.lease_reaches(lease_id, S.DONE)
        assert done.terms.duration == 100.0
        await cloud.lease_reaches(after, S.DONE)

    in_lease_cloud(tmp_path, story)


def test_priority_goes_first_in_the_queue(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await cloud.lease_of(best_effort(2, 300.0))
        first, second = [await cloud.lease_of(best_effort(2, 300.0)) for _ in range(2)]
        await leases.top(cloud.services, ENGINE, second, 5)
        assert cloud.lease(second).terms.priority == 5
        await cloud.lease_reaches(second, S.ACTIVE)
        assert cloud.lease(first).first_start is None

    in_lease_cloud(tmp_path, story)


def test_asking_when_promises_nothing(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        start = float(int(cloud.now + 1000))
        asked = leases.when(cloud.services, ENGINE, reservation(start))
        assert (asked.accepted, asked.start, asked.lease_id) == (True, start, None)
        assert not cloud.engine.state.leases
        assert (await cloud.request(reservation(start))).accepted
        assert not leases.when(cloud.services, ENGINE, reservation(start)).accepted

    in_lease_cloud(tmp_path, story)


def test_an_immediate_lease_runs_at_once_or_is_refused(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        terms = Terms(nodes=nodes(2), duration=600.0, immediate=True)
        first = await cloud.request(terms)
        assert (first.accepted, cloud.lease(0).terms.kind) == (True, LeaseKind.IMMEDIATE)
        assert not (await cloud.request(terms)).accepted
        await cloud.lease_reaches(0, S.ACTIVE, seconds=30)

    in_lease_cloud(tmp_path, story)


def test_a_recurring_reservation_is_several_leases_of_one_series(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        start = float(int(cloud.now + 1000))
        repeat = leases.Repeat(every_s=7200.0, count=3)
        verdict = await cloud.request(reservation(start, 2, 600.0), repeat=repeat)
        assert verdict.series == (0, 1, 2)
        assert [cloud.lease(i).terms.start for i in range(3)] == [
            start,
            start + 7200,
            start + 14400,
        ]
        assert [cloud.lease(i).series for i in range(3)] == [None, 0, 0]

    in_lease_cloud(tmp_path, story)


def test_a_user_has_limits_and_an_administrator_none(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        user = Actor(2, (1,))
        with pytest.raises(QuotaExceeded, match="nodes"):
            await cloud.request(best_effort(3), user)
        with pytest.raises(QuotaExceeded, match="duration"):
            await cloud.request(best_effort(1, 2 * HOUR), user)
        with pytest.raises(QuotaExceeded, match="start"):
            await cloud.request(reservation(cloud.now + 90000.0, 1), user)
        assert (await cloud.request(best_effort(4, 2 * HOUR, cpu=100))).accepted

    limits = LeaseLimits(max_nodes=2, max_duration_s=HOUR, max_ahead_s=86400.0)
    in_lease_cloud(tmp_path, story, limits=limits)


def boots(hosts: Iterable[Iterable[Measured]]) -> int:
    """How many were measured."""
    return sum(one.count for host in hosts for one in host if one.kind == "boot")


def test_operations_that_end_together_are_all_measured(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        ids = [await cloud.lease_of(best_effort(1, 600.0)) for _ in range(3)]
        for lease_id in ids:
            await cloud.lease_reaches(lease_id, S.DONE)
        ended = [(replace(cloud.lease(one), runs=()), cloud.lease(one)) for one in ids]
        rates = rates_from(ended, cloud.engine.state, "test")
        before = {rate.host_id: cloud.engine.state.hosts[rate.host_id].measured for rate in rates}
        more = boots(rate.measured for rate in rates) - boots(before.values())
        assert more == len(ids)

    in_lease_cloud(tmp_path, story)


def test_rates_are_measured_and_used_for_the_next_plan(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        lease_id = await cloud.lease_of(best_effort(2, 600.0))
        await cloud.lease_reaches(lease_id, S.DONE)
        kinds = {one.kind: one for one in cloud.engine.state.hosts[1].measured}
        assert {"boot", "shutdown"} <= kinds.keys()
        assert 0.1 < kinds["boot"].mean < 10.0
        await cloud.kill()
        await cloud.start()
        assert cloud.engine.state.hosts[1].measured
        start = float(int(cloud.now + 1000))
        other = await cloud.lease_of(reservation(start))
        run = cloud.lease(other).runs[0]
        assert 1.0 <= run.vm_start - run.start < 60.0

    in_lease_cloud(tmp_path, story, learns=True)
