"""Monitoring: facts become events, one bad host holds up no other, hints are followed."""

from itertools import pairwise
from pathlib import Path

import pytest

from orrery.core.messages import (
    ENGINE,
    AllocateHost,
    Done,
    Outcome,
    PoweroffVm,
    ResumeVm,
    SetHostStatus,
)
from orrery.core.model.kinds import Kind
from orrery.core.status import HostStatus, VmStatus
from orrery.drivers.sim import SimHypervisor, SimStorage
from tests.engine.harness import Cloud, in_cloud

S = VmStatus


def host_status(cloud: Cloud) -> HostStatus:
    return cloud.engine.state.hosts[1].status


async def second_host(cloud: Cloud) -> int:
    host_id = await cloud.ask(
        AllocateHost(cause="t", actor=ENGINE, name="h2", im_mad="sim", vm_mad="sim")
    )
    await cloud.until(lambda: cloud.engine.state.hosts[host_id].status is HostStatus.MONITORED)
    return host_id


def test_a_guest_that_stops_by_itself_is_powered_off_and_can_be_resumed(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        vm_id = await cloud.running_vm()
        cloud.world.host("h1").domains.clear()
        await cloud.reach(vm_id, S.POWEROFF)
        await cloud.ask(ResumeVm(cause="t", actor=ENGINE, vm_id=vm_id))
        await cloud.reach(vm_id, S.RUNNING)

    in_cloud(tmp_path, story)


def test_a_hint_brings_a_look_before_the_period_is_over(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        vm_id = await cloud.running_vm()
        before = cloud.clock.now()
        cloud.world.host("h1").domains.clear()
        cloud.engine.monitor.poll_soon(1)
        await cloud.reach(vm_id, S.POWEROFF)
        assert cloud.clock.now() - before < 5.0

    in_cloud(tmp_path, story)


def test_a_silent_host_is_in_error_and_its_vms_are_unknown_until_it_answers_again(
    tmp_path: Path,
) -> None:
    async def story(cloud: Cloud) -> None:
        vm_id = await cloud.running_vm()
        host = cloud.world.host("h1")
        host.alive = False
        await cloud.reach(vm_id, S.UNKNOWN)
        assert host_status(cloud) is HostStatus.ERROR
        assert "does not answer" in (cloud.vm(vm_id).error or "")
        host.alive = True
        await cloud.reach(vm_id, S.RUNNING)
        assert host_status(cloud) is HostStatus.MONITORED

    in_cloud(tmp_path, story)


def test_a_host_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        second = await second_host(cloud)
        cloud.world.host("h1").alive = False
        seen = cloud.engine.monitor.last[Kind.HOST, second].at
        await cloud.until(
            lambda: cloud.engine.monitor.last[Kind.HOST, second].at >= seen + 60.0, 100.0
        )

    in_cloud(tmp_path, story, monitor_timeout_s=600.0)


def test_an_offline_host_is_left_alone(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        await cloud.ask(SetHostStatus(cause="t", actor=ENGINE, host_id=1, status=2))
        cloud.world.host("h1").alive = False
        before = cloud.clock.now()
        await cloud.until(lambda: cloud.clock.now() - before > 600)
        assert cloud.engine.state.hosts[1].status is HostStatus.OFFLINE

    in_cloud(tmp_path, story)


def test_a_host_whose_driver_is_unknown_is_in_error_and_says_so(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        drivers = cloud.engine.fleet.drivers

        def none_for(host: object) -> object:
            if getattr(host, "name", "") == "odd":
                raise LookupError("there is no driver 'magic'")
            return drivers(host)  # type: ignore[arg-type] # a Host

        cloud.engine.fleet.drivers = none_for  # type: ignore[method-assign,assignment]
        host_id = await cloud.ask(
            AllocateHost(cause="t", actor=ENGINE, name="odd", im_mad="magic", vm_mad="magic")
        )
        state = cloud.engine.state
        await cloud.until(lambda: state.hosts[host_id].status is HostStatus.ERROR)
        assert "magic" in (state.hosts[host_id].error or "")

    in_cloud(tmp_path, story)


def test_samples_are_kept_once_a_second_at_most(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        await cloud.running_vm()
        for _ in range(5):
            cloud.engine.monitor.poll_soon(1)
        before = cloud.clock.now()
        await cloud.until(lambda: cloud.clock.now() - before > 100)
        samples = await cloud.engine.series.read(Kind.HOST, [1], before)
        times = [sample.at for sample in samples]
        assert len(times) >= 3
        assert all(b - a >= 1.0 for a, b in pairwise(times))

    in_cloud(tmp_path, story)


def test_a_vm_at_rest_has_no_numbers_and_answers_made_from_them_are_stale(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        monitor = cloud.engine.monitor
        vm_id = await cloud.running_vm()
        await cloud.until(lambda: vm_id in monitor.last_of_vms)
        before = monitor.revision
        await cloud.ask(PoweroffVm(cause="t", actor=ENGINE, vm_id=vm_id, hard=True))
        await cloud.reach(vm_id, S.POWEROFF)
        assert vm_id not in monitor.last_of_vms
        assert (Kind.VM, vm_id) not in monitor.last
        assert monitor.revision > before

    in_cloud(tmp_path, story)


def test_a_malformed_inventory_puts_the_host_in_error_and_not_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(cloud: Cloud) -> None:
        async def nonsense(self: SimHypervisor) -> Outcome:
            return Done({"total": "much"})

        monkeypatch.setattr(SimHypervisor, "inventory", nonsense)
        await cloud.until(lambda: host_status(cloud) is HostStatus.ERROR)
        error = cloud.engine.state.hosts[1].error or ""
        assert "inventory is malformed" in error
        assert "$.total" in error
        monkeypatch.undo()
        await cloud.until(lambda: host_status(cloud) is HostStatus.MONITORED)

    in_cloud(tmp_path, story)


async def broken(*_: object) -> Outcome:
    raise ZeroDivisionError("a driver's mistake")


@pytest.mark.parametrize("method", ["exists", "listing", "usage"])
def test_a_storage_driver_that_raises_ends_neither_the_engine_nor_the_monitoring(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(cloud: Cloud) -> None:
        lost, seen = await cloud.running_vm(), await cloud.running_vm()
        domains = cloud.world.host("h1").domains
        domains.pop(next(uuid for uuid, found in domains.items() if found.vm_id == lost))
        monkeypatch.setattr(SimStorage, method, broken)
        start, last = cloud.clock.now(), cloud.engine.monitor.last_of_vms
        await cloud.until(lambda: seen in last and last[seen].at > start + 60, 200.0)
        monkeypatch.undo()
        await cloud.reach(lost, S.POWEROFF)
        assert cloud.vm(seen).status is S.RUNNING

    in_cloud(tmp_path, story)
