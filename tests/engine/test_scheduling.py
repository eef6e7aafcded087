"""Scheduling: VMs that wait are placed when something changes, and say why they wait until then."""

from pathlib import Path

from orrery.core.messages import (
    ENGINE,
    AllocateHost,
    AllocateVm,
    Record,
    TerminateVm,
    UpdateTemplate,
)
from orrery.core.model.kinds import Kind
from orrery.core.status import VmStatus
from orrery.core.template import parse
from tests.engine.harness import Cloud, in_cloud

S = VmStatus
BIG = 'CPU="1" MEMORY="6000"'


async def waiting(cloud: Cloud, vm_id: int) -> str:
    await cloud.until(lambda: cloud.vm(vm_id).sched_message is not None)
    return cloud.vm(vm_id).sched_message or ""


def test_a_vm_that_finds_no_room_says_so_and_starts_when_there_is_some(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        first = await cloud.new_vm(BIG)
        await cloud.reach(first, S.RUNNING)
        second = await cloud.new_vm(BIG)
        reason = await waiting(cloud, second)
        assert reason == (
            "No host can take it now: 1 host lacks memory: 6000 MiB needed, at most 2192 free"
        )
        await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=first, hard=True))
        await cloud.reach(second, S.RUNNING)
        assert cloud.vm(second).sched_message is None

    in_cloud(tmp_path, story)


def test_a_new_host_is_used_at_once(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        vms = [await cloud.new_vm(BIG) for _ in range(2)]
        await cloud.until(lambda: any(cloud.vm(v).status is S.RUNNING for v in vms))
        message = AllocateHost(cause="t", actor=ENGINE, name="h2", im_mad="sim", vm_mad="sim")
        await cloud.ask(message)
        for vm_id in vms:
            await cloud.reach(vm_id, S.RUNNING)
        assert {cloud.vm(v).host_id for v in vms} == {1, 2}

    in_cloud(tmp_path, story)


def test_a_changed_requirement_is_looked_at_again(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        text = 'CPU="0.1" MEMORY="16" SCHED_REQUIREMENTS="HOSTNAME = nowhere"'
        vm_id = await cloud.new_vm(text)
        assert "HOSTNAME = nowhere" in await waiting(cloud, vm_id)
        update = UpdateTemplate(
            cause="t",
            actor=ENGINE,
            kind=Kind.VM,
            id=vm_id,
            template=parse('SCHED_REQUIREMENTS="HOSTNAME = h1"'),
            append=True,
        )
        await cloud.ask(update)
        await cloud.reach(vm_id, S.RUNNING)

    in_cloud(tmp_path, story)


def test_a_reason_is_written_once_and_not_with_every_plan(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        vm_id = await cloud.new_vm('CPU="1" MEMORY="999999"')
        await waiting(cloud, vm_id)
        for _ in range(5):
            await cloud.running_vm()
        found: list[Record] = await cloud.engine.store.records(
            0, 1000, kind=Kind.VM, subject_id=vm_id
        )
        reasons = [r.body["reason"] for r in found if r.kind == "vm.waiting"]
        assert len(set(reasons)) == len(reasons)

    in_cloud(tmp_path, story)


def test_a_vm_on_hold_is_not_placed(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        held = await cloud.new_vm('CPU="0.1" MEMORY="16"', hold=True)
        await cloud.running_vm()
        assert cloud.vm(held).status is S.HOLD

    in_cloud(tmp_path, story)


def test_what_a_command_started_carries_its_cause_to_the_end(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        template = parse('CPU="0.1" MEMORY="16"')
        message = AllocateVm(cause="abc", actor=ENGINE, template=template, hold=False)
        vm_id = await cloud.ask(message)
        await cloud.reach(vm_id, S.RUNNING)
        found = await cloud.engine.store.records(0, 1000, kind=Kind.VM, subject_id=vm_id)
        assert {record.cause for record in found} == {"abc"}
        assert found[-1].kind == "vm.running"

    in_cloud(tmp_path, story)
