"""Intended against actual: networks follow the state, leftovers go, what is not ours stays."""

from pathlib import Path

import pytest

from orrery.core.messages import ENGINE, DeleteObject, Outcome, PoweroffVm, TerminateVm
from orrery.core.model.kinds import Kind
from orrery.core.status import VmStatus
from orrery.drivers.sim import SimDomain, SimNetwork
from orrery.ports.driver import HostNetwork
from tests.engine.harness import Cloud, in_cloud

S = VmStatus


def stranger(owner: str, vm_id: int) -> SimDomain:
    return SimDomain(
        uuid="0000",
        name="stranger",
        owner=owner,
        vm_id=vm_id,
        cpu_pct=100,
        memory_mib=64,
        started_at=0.0,
    )


def test_the_network_of_a_host_follows_its_vms(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        vm_id = await cloud.running_vm()
        host = cloud.world.host("h1")
        assert host.network is not None
        assert [port.vm_id for port in host.network.ports] == [vm_id]
        assert [b.network_id for b in host.network.bridges] == [0]
        await cloud.ask(PoweroffVm(cause="t", actor=ENGINE, vm_id=vm_id, hard=True))
        await cloud.until(lambda: host.network is not None and not host.network.ports)
        assert [h.mac for h in host.network.bridges[0].hosts] == [cloud.vm(vm_id).nics[0].mac]
        await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id))
        await cloud.until(lambda: host.network is not None and not host.network.bridges)

    in_cloud(tmp_path, story)


def test_a_network_somebody_changed_is_mended_by_the_timer(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        await cloud.running_vm()
        host = cloud.world.host("h1")
        intended = host.network
        host.network = None
        await cloud.until(lambda: host.network == intended)

    in_cloud(tmp_path, story)


def test_a_domain_that_no_vm_explains_is_removed(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        vm_id = await cloud.running_vm()
        await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id, hard=True))
        await cloud.reach(vm_id, S.DONE)
        host = cloud.world.host("h1")
        host.domains["0000"] = stranger(cloud.engine.state.engine_id, vm_id)
        host.files[f"/ds/0/{vm_id}/disk.0"] = 1
        await cloud.until(lambda: not cloud.leftovers())
        assert cloud.engine.reconciler.removed == 2

    in_cloud(tmp_path, story)


def test_what_belongs_to_a_vm_nobody_here_knows_is_left_alone(tmp_path: Path) -> None:
    """As after a backup was restored: the VM was made later than the backup."""

    async def story(cloud: Cloud) -> None:
        host = cloud.world.host("h1")
        host.domains["0000"] = stranger(cloud.engine.state.engine_id, 77)
        host.files["/ds/0/77/disk.0"] = 1
        vm_id = await cloud.running_vm()
        await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id, hard=True))
        await cloud.reach(vm_id, S.DONE)
        before = cloud.clock.now()
        await cloud.until(lambda: cloud.clock.now() - before > 300)
        assert sorted(cloud.leftovers()) == ["domain stranger", "file /ds/0/77/disk.0"]

    in_cloud(tmp_path, story)


def test_a_domain_of_another_engine_is_left_alone(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        host = cloud.world.host("h1")
        host.domains["0000"] = stranger("somebody-else", 0)
        vm_id = await cloud.running_vm()
        await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id))
        await cloud.reach(vm_id, S.DONE)
        await cloud.until(lambda: not host.files)
        assert list(host.domains) == ["0000"]

    in_cloud(tmp_path, story)


def test_a_deleted_host_keeps_nothing_of_ours(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        vm_id = await cloud.running_vm()
        host = cloud.world.host("h1")
        await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id, hard=True))
        await cloud.reach(vm_id, S.DONE)
        await cloud.ask(DeleteObject(cause="t", actor=ENGINE, kind=Kind.HOST, id=1))
        await cloud.until(lambda: host.network is None)

    in_cloud(tmp_path, story)


@pytest.mark.parametrize("name", ["²", "٠", "00", "lost+found"])
def test_a_directory_whose_name_no_vm_of_ours_has_is_left_alone(name: str, tmp_path: Path) -> None:
    """`²` is a digit to Python, and no number; `٠` and `00` would be read as the id 0."""

    async def story(cloud: Cloud) -> None:
        vm_id = await cloud.running_vm()
        await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id, hard=True))
        await cloud.reach(vm_id, S.DONE)
        host = cloud.world.host("h1")
        host.files[f"/ds/0/{name}/disk.0"] = 1
        host.files[f"/ds/0/{vm_id}/disk.0"] = 1
        await cloud.until(lambda: f"/ds/0/{vm_id}/disk.0" not in host.files)
        await cloud.until(lambda: cloud.engine.reconciler.removed == 1)
        before = cloud.clock.now()
        await cloud.until(lambda: cloud.clock.now() - before > 100)
        assert list(host.files) == [f"/ds/0/{name}/disk.0"]

    in_cloud(tmp_path, story)


def test_a_network_driver_that_raises_does_not_end_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[HostNetwork] = []

    async def broken(self: SimNetwork, intended: HostNetwork) -> Outcome:
        calls.append(intended)
        raise ZeroDivisionError("a driver's mistake")

    async def story(cloud: Cloud) -> None:
        await cloud.running_vm()
        host = cloud.world.host("h1")
        intended, host.network = host.network, None
        monkeypatch.setattr(SimNetwork, "apply", broken)
        await cloud.until(lambda: len(calls) >= 2)
        monkeypatch.undo()
        await cloud.until(lambda: host.network == intended)

    in_cloud(tmp_path, story)
