"""Two proofs for every action of the engine: fail each of its steps, repeat each of its steps."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from orrery.core.messages import (
    ENGINE,
    Done,
    Failed,
    Outcome,
    PoweroffVm,
    RebootVm,
    RecoverVm,
    ResumeVm,
    SuspendVm,
    TerminateVm,
    Unknown,
)
from orrery.core.model.action import ActionKind
from orrery.core.model.kinds import Kind
from orrery.core.status import RecoverOperation, VmStatus
from orrery.core.vm_entry import one_shot
from orrery.engine.steps import CREATE, STEPS, prepare
from tests.engine.harness import Cloud, in_cloud

S = VmStatus
K = ActionKind
Story = Callable[[Cloud], Awaitable[int]]


async def create(cloud: Cloud) -> int:
    return await cloud.new_vm()


async def suspend(cloud: Cloud) -> int:
    vm_id = await cloud.running_vm()
    return await cloud.ask(SuspendVm(cause="t", actor=ENGINE, vm_id=vm_id))


async def resume(cloud: Cloud) -> int:
    vm_id = await suspend(cloud)
    await cloud.reach(vm_id, S.SUSPENDED)
    return await cloud.ask(ResumeVm(cause="t", actor=ENGINE, vm_id=vm_id))


def poweroff(*, hard: bool) -> Story:
    async def story(cloud: Cloud) -> int:
        vm_id = await cloud.running_vm()
        return await cloud.ask(PoweroffVm(cause="t", actor=ENGINE, vm_id=vm_id, hard=hard))

    return story


def reboot(*, hard: bool) -> Story:
    async def story(cloud: Cloud) -> int:
        vm_id = await cloud.running_vm()
        return await cloud.ask(RebootVm(cause="t", actor=ENGINE, vm_id=vm_id, hard=hard))

    return story


async def terminate(cloud: Cloud) -> int:
    vm_id = await cloud.running_vm()
    return await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id))


async def delete(cloud: Cloud) -> int:
    vm_id = await cloud.running_vm()
    operation = RecoverOperation.DELETE
    return await cloud.ask(RecoverVm(cause="t", actor=ENGINE, vm_id=vm_id, operation=operation))


STORIES: dict[ActionKind, tuple[Story, VmStatus, VmStatus]] = {
    K.VM_PROLOG: (create, S.RUNNING, S.PROLOG_FAILURE),
    K.VM_BOOT: (create, S.RUNNING, S.BOOT_FAILURE),
    K.VM_SAVE: (suspend, S.SUSPENDED, S.RUNNING),
    K.VM_RESTORE: (resume, S.RUNNING, S.SUSPENDED),
    K.VM_SHUTDOWN: (poweroff(hard=False), S.POWEROFF, S.RUNNING),
    K.VM_DESTROY: (poweroff(hard=True), S.POWEROFF, S.RUNNING),
    K.VM_REBOOT: (reboot(hard=False), S.RUNNING, S.RUNNING),
    K.VM_RESET: (reboot(hard=True), S.RUNNING, S.RUNNING),
    K.VM_EPILOG: (terminate, S.DONE, S.EPILOG_FAILURE),
    K.VM_CLEANUP: (delete, S.DONE, S.DONE),
}
"""Action -> the story that leads to it, where success leads, where a lasting failure leads."""

IMAGE_ACTIONS = {K.IMAGE_REGISTER, K.IMAGE_DELETE, K.IMAGE_STAGE, K.IMAGE_UNSTAGE}

CASES = [(kind, index) for kind in STORIES for index in range(len(STEPS[kind]))]
NAMED = [f"{kind.value}: {STEPS[kind][index].name}" for kind, index in CASES]


def test_every_action_has_a_story() -> None:
    assert STORIES.keys() | IMAGE_ACTIONS == set(ActionKind) == STEPS.keys()


def sabotage(
    monkeypatch: pytest.MonkeyPatch,
    kind: ActionKind,
    index: int,
    wrap: Callable[[Callable[..., Awaitable[Outcome]]], Callable[..., Awaitable[Outcome]]],
) -> None:
    steps = list(STEPS[kind])
    steps[index] = replace(steps[index], do=wrap(steps[index].do))
    monkeypatch.setitem(STEPS, kind, tuple(steps))


async def nothing_is_left(cloud: Cloud, vm_id: int) -> None:
    """Terminated from wherever it is, and the host is as empty as before."""
    if cloud.vm(vm_id).status is not S.DONE:
        await cloud.ask(TerminateVm(cause="end", actor=ENGINE, vm_id=vm_id, hard=True))
        await cloud.reach(vm_id, S.DONE)
    await cloud.until(lambda: not cloud.leftovers())
    assert cloud.engine.state.unfinished(Kind.VM, vm_id) is None
    assert cloud.world.violations == []


@pytest.mark.parametrize(("kind", "index"), CASES, ids=NAMED)
def test_a_step_that_fails_leads_to_a_defined_status_and_leaves_nothing(
    kind: ActionKind, index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story, _, failed = STORIES[kind]

    def wrap(_: Callable[..., Awaitable[Outcome]]) -> Callable[..., Awaitable[Outcome]]:
        async def broken(work: object) -> Outcome:
            return Failed("this step is broken")

        return broken

    async def run(cloud: Cloud) -> None:
        sabotage(monkeypatch, kind, index, wrap)
        vm_id = await story(cloud)
        await cloud.until(lambda: failed is S.DONE or cloud.vm(vm_id).error is not None)
        await cloud.reach(vm_id, failed)
        assert cloud.engine.state.unfinished(Kind.VM, vm_id) is None
        if failed is not S.DONE:
            assert "this step is broken" in (cloud.vm(vm_id).error or "")
        monkeypatch.undo()
        await nothing_is_left(cloud, vm_id)

    in_cloud(tmp_path, run)


@pytest.mark.parametrize(("kind", "index"), CASES, ids=NAMED)
def test_a_step_that_is_repeated_changes_nothing(
    kind: ActionKind, index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story, wanted, _ = STORIES[kind]

    def wrap(do: Callable[..., Awaitable[Outcome]]) -> Callable[..., Awaitable[Outcome]]:
        async def twice(work: object) -> Outcome:
            await do(work)
            return await do(work)

        return twice

    async def run(cloud: Cloud) -> None:
        sabotage(monkeypatch, kind, index, wrap)
        vm_id = await story(cloud)
        await cloud.reach(vm_id, wanted)
        monkeypatch.undo()
        await nothing_is_left(cloud, vm_id)

    in_cloud(tmp_path, run)


@pytest.mark.parametrize(("kind", "index"), CASES, ids=NAMED)
def test_a_step_whose_answer_is_lost_is_looked_at_and_not_done_twice(
    kind: ActionKind, index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story, wanted, _ = STORIES[kind]
    calls: list[int] = []

    def wrap(do: Callable[..., Awaitable[Outcome]]) -> Callable[..., Awaitable[Outcome]]:
        async def answer_lost(work: object) -> Outcome:
            calls.append(1)
            outcome = await do(work)
            return Unknown("the answer was lost") if len(calls) == 1 else outcome

        return answer_lost

    async def run(cloud: Cloud) -> None:
        sabotage(monkeypatch, kind, index, wrap)
        vm_id = await story(cloud)
        await cloud.reach(vm_id, wanted)
        await cloud.until(lambda: cloud.engine.state.unfinished(Kind.VM, vm_id) is None)
        assert cloud.vm(vm_id).error is None
        if STEPS[kind][index].look is not None:
            assert len(calls) == 1
        assert cloud.world.absorbed_boots == 0
        monkeypatch.undo()
        await nothing_is_left(cloud, vm_id)

    in_cloud(tmp_path, run)


@pytest.mark.parametrize(("kind", "index"), CASES, ids=NAMED)
def test_a_crash_between_effect_and_outcome_is_recovered_by_looking(
    kind: ActionKind, index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story, wanted, _ = STORIES[kind]
    effects: list[int] = []

    def wrap(do: Callable[..., Awaitable[Outcome]]) -> Callable[..., Awaitable[Outcome]]:
        async def then_hang(work: object) -> Outcome:
            outcome = await do(work)
            effects.append(1)
            if len(effects) > 1:
                return outcome
            await asyncio.sleep(1e6)
            raise AssertionError

        return then_hang

    async def run(cloud: Cloud) -> None:
        sabotage(monkeypatch, kind, index, wrap)
        vm_id = await story(cloud)
        await cloud.until(lambda: bool(effects))
        await cloud.kill()
        await cloud.start()
        await cloud.reach(vm_id, wanted)
        await cloud.until(lambda: cloud.engine.state.unfinished(Kind.VM, vm_id) is None)
        assert cloud.world.absorbed_boots == 0
        monkeypatch.undo()
        await nothing_is_left(cloud, vm_id)

    in_cloud(tmp_path, run)


def test_done_is_what_a_look_answers_for_an_effect_that_is_there(tmp_path: Path) -> None:
    async def run(cloud: Cloud) -> None:
        vm_id = await cloud.running_vm()
        action = one_shot(cloud.vm(vm_id), K.VM_BOOT, 0.0, "t")
        work = prepare(
            action,
            cloud.engine.view,
            cloud.engine.fleet,
            cloud.engine.reconciler.apply_network,
            1.0,
        )
        assert CREATE.look is not None
        assert isinstance(await CREATE.look(work), Done)

    in_cloud(tmp_path, run)
