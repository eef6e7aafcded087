"""Scheduling: VMs that wait are placed when something changes, and say why they wait until then."""

import asyncio
from itertools import pairwise
from pathlib import Path

from orrery.core.capacity import Capacity
from orrery.core.messages import (
    ENGINE,
    AllocateHost,
    AllocateVm,
    ApplyPlan,
    Message,
    Record,
    TerminateVm,
    UpdateTemplate,
)
from orrery.core.model.kinds import Kind
from orrery.core.model.view import View
from orrery.core.status import VmStatus
from orrery.core.template import parse
from orrery.engine.scheduling import Scheduling
from orrery.sched.planner import Plan, Seen, plan
from orrery.simulate.loop import VirtualClock, VirtualLoop, run
from tests.engine.harness import Cloud, in_cloud
from tests.site import Site

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


class Planned:
    """`Scheduling` on a state alone: what each plan took on, and how far the loop was then."""

    def __init__(self, site: Site, looks: int) -> None:
        self.site = site
        self.sizes: list[int] = []
        self.turns: list[int] = []
        self.commits: list[int] = []
        self.lose_first = False
        self._looks = looks
        self._turn = 0

    def planner(self, view: View, now: float, *, seen: Seen) -> Plan:
        made = plan(view, now, seen=seen, looks=self._looks)
        self.sizes.append(len(made.placements) + len(made.explanations))
        self.turns.append(self._turn)
        return made

    async def submit(self, message: Message) -> int | None:
        assert isinstance(message, ApplyPlan)
        self.commits.append(len(message.placements) + len(message.explanations))
        if self.lose_first:
            self.lose_first = False
            return None
        return self.site.do(message)

    async def until_nobody_waits(self, loop: VirtualLoop) -> None:
        scheduling = Scheduling(self.site.state, self.planner, self.submit, VirtualClock(loop))
        task = loop.create_task(scheduling.run())
        vms = self.site.state.vms.values()
        async with asyncio.timeout(3600):
            while any(vm.status is S.PENDING and vm.sched_message is None for vm in vms):
                self._turn += 1
                await asyncio.sleep(0 if self._turn % 100 else 0.1)
        task.cancel()


def waiting_site(texts: list[str]) -> Site:
    site = Site()
    site.host("h1", Capacity(100_000, 100_000))
    for text in texts:
        site.vm(f'CPU="0.1" MEMORY="16" {text}')
    return site


def test_planning_lets_the_loop_go_on_between_parts_and_leaves_nobody_out() -> None:
    texts = [f'SCHED_REQUIREMENTS="ID = {number}"' for number in range(40)]
    planned = Planned(waiting_site(texts), looks=50)
    run(planned.until_nobody_waits)
    assert max(planned.sizes) <= 5
    assert sum(planned.sizes) == 40
    assert all(before < after for before, after in pairwise(planned.turns))


def test_a_large_plan_is_committed_a_portion_at_a_time() -> None:
    planned = Planned(waiting_site([""] * 600), looks=100_000)
    run(planned.until_nobody_waits)
    assert planned.sizes == [600]
    assert planned.commits == [256, 256, 88]


def test_what_the_engine_refuses_of_a_plan_is_planned_again() -> None:
    planned = Planned(waiting_site([""]), looks=100)
    planned.lose_first = True
    run(planned.until_nobody_waits)
    assert planned.sizes == [1, 1]
