"""The dispatcher: limits, time-outs, order on one object, and drivers that misbehave."""

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
    RecoverVm,
    TerminateVm,
    Unknown,
)
from orrery.core.model.action import ActionKind
from orrery.core.model.kinds import Kind
from orrery.core.status import RecoverOperation, VmStatus
from orrery.engine.limits import TIMEOUTS_S
from orrery.engine.steps import CREATE, STEPS, WIRE, VmWork
from tests.engine.harness import Cloud, in_cloud

S = VmStatus
K = ActionKind
TEXT = 'CPU="0.1" MEMORY="16"'
Do = Callable[[VmWork], Awaitable[Outcome]]


def instead(monkeypatch: pytest.MonkeyPatch, kind: ActionKind, do: Do) -> None:
    """The first step of an action does this."""
    first, *rest = STEPS[kind]
    monkeypatch.setitem(STEPS, kind, (replace(first, do=do, look=None), *rest))


class Gauge:
    """How many calls are under way, and how many were at most."""

    def __init__(self, seconds: float = 10.0) -> None:
        self.now = self.most = self.calls = 0
        self._seconds = seconds

    async def __call__(self, work: VmWork) -> Outcome:
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self.now -= 1
        return Done()


def test_a_host_gets_a_few_actions_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauge = Gauge()

    async def story(cloud: Cloud) -> None:
        instead(monkeypatch, K.VM_PROLOG, gauge)
        vms = [await cloud.new_vm(TEXT) for _ in range(20)]
        for vm_id in vms:
            await cloud.reach(vm_id, S.RUNNING)

    in_cloud(tmp_path, story, actions_per_host=3)
    assert (gauge.most, gauge.calls) == (3, 20)


def test_all_hosts_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gauge = Gauge()

    async def story(cloud: Cloud) -> None:
        instead(monkeypatch, K.VM_PROLOG, gauge)
        vms = [await cloud.new_vm(TEXT) for _ in range(10)]
        for vm_id in vms:
            await cloud.reach(vm_id, S.RUNNING)

    in_cloud(tmp_path, story, actions_per_host=8, actions_total=2)
    assert gauge.most == 2


def test_a_call_that_never_answers_is_given_up_and_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[float] = []

    async def story(cloud: Cloud) -> None:
        async def hang_once(work: VmWork) -> Outcome:
            calls.append(cloud.clock.now())
            if len(calls) == 1:
                await asyncio.sleep(1e9)
            return Done()

        instead(monkeypatch, K.VM_PROLOG, hang_once)
        await cloud.reach(await cloud.new_vm(TEXT), S.RUNNING)

    in_cloud(tmp_path, story, look_delay_s=1.0, timeouts_s=TIMEOUTS_S | {K.VM_PROLOG: 30.0})
    assert len(calls) == 2
    assert 31.0 <= calls[1] - calls[0] < 32.0


def test_a_driver_that_raises_does_not_end_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(cloud: Cloud) -> None:
        async def broken(work: VmWork) -> Outcome:
            raise ZeroDivisionError("a driver's mistake")

        instead(monkeypatch, K.VM_PROLOG, broken)
        vm_id = await cloud.new_vm(TEXT)
        vm = await cloud.reach(vm_id, S.PROLOG_FAILURE)
        assert "a driver's mistake" in (vm.error or "")
        monkeypatch.undo()
        operation = RecoverOperation.RETRY
        await cloud.ask(RecoverVm(cause="t", actor=ENGINE, vm_id=vm_id, operation=operation))
        await cloud.reach(vm_id, S.RUNNING)

    in_cloud(tmp_path, story)


def test_a_hard_terminate_does_not_wait_for_the_soft_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(cloud: Cloud) -> None:
        waiting = asyncio.Event()

        async def stubborn(work: VmWork) -> Outcome:
            waiting.set()
            await asyncio.sleep(1e6)
            return Done()

        vm_id = await cloud.running_vm()
        instead(monkeypatch, K.VM_SHUTDOWN, stubborn)
        await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id))
        await waiting.wait()
        before = cloud.clock.now()
        await cloud.ask(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id, hard=True))
        await cloud.reach(vm_id, S.DONE)
        assert cloud.clock.now() - before < 10.0

    in_cloud(tmp_path, story)


def test_a_clean_up_waits_for_the_action_before_it_on_the_same_vm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else disks would be removed while they are made, and made after they were removed."""

    async def story(cloud: Cloud) -> None:
        placing = asyncio.Event()
        place = STEPS[K.VM_PROLOG][0].do

        async def slowly(work: VmWork) -> Outcome:
            placing.set()
            await asyncio.sleep(300)
            return await place(work)

        instead(monkeypatch, K.VM_PROLOG, slowly)
        vm_id = await cloud.new_vm(TEXT)
        await placing.wait()
        operation = RecoverOperation.DELETE
        await cloud.ask(RecoverVm(cause="t", actor=ENGINE, vm_id=vm_id, operation=operation))
        before = cloud.clock.now()
        await cloud.reach(vm_id, S.DONE)
        assert cloud.clock.now() - before > 250
        assert cloud.leftovers() == []

    in_cloud(tmp_path, story)


def test_an_action_waits_until_it_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[float] = []

    async def story(cloud: Cloud) -> None:
        async def busy_twice(work: VmWork) -> Outcome:
            times.append(cloud.clock.now())
            return Failed("busy", retryable=True) if len(times) < 3 else Done()

        instead(monkeypatch, K.VM_PROLOG, busy_twice)
        vm_id = await cloud.new_vm(TEXT)
        await cloud.reach(vm_id, S.RUNNING)
        assert cloud.engine.state.unfinished(Kind.VM, vm_id) is None

    in_cloud(tmp_path, story)
    first, second, third = times
    assert second - first == pytest.approx(5.0, abs=0.1)
    assert third - second == pytest.approx(10.0, abs=0.1)


def test_a_timer_survives_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[float] = []

    async def story(cloud: Cloud) -> None:
        async def busy_once(work: VmWork) -> Outcome:
            times.append(cloud.clock.now())
            return Failed("busy", retryable=True) if len(times) < 2 else Done()

        instead(monkeypatch, K.VM_PROLOG, busy_once)
        vm_id = await cloud.new_vm(TEXT)
        await cloud.until(lambda: bool(times))
        await asyncio.sleep(1)
        await cloud.kill()
        await cloud.start()
        await cloud.reach(vm_id, S.RUNNING)

    in_cloud(tmp_path, story)
    assert times[1] - times[0] >= 5.0


BUSY = Failed("busy", retryable=True)
BROKEN = Failed("broken")
LOST = Unknown("the answer was lost")

STARTS = {
    "busy to the end": ([], [BUSY], S.BOOT_FAILURE),
    "busy, then broken": ([], [BUSY, BROKEN], S.BOOT_FAILURE),
    "lost, then broken": ([], [LOST, BROKEN], S.UNKNOWN),
    "lost, then busy to the end": ([], [LOST, BUSY], S.UNKNOWN),
    "lost, busy, and then no network": ([Done(), BROKEN], [LOST, BUSY], S.UNKNOWN),
}
"""What the steps `apply network` and `create domain` answer in turn, the last one for ever (done
where nothing is said), and where the VM ends."""


def answering(outcomes: list[Outcome]) -> Do:
    async def do(_: VmWork) -> Outcome:
        if not outcomes:
            return Done()
        return outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]

    return do


@pytest.mark.parametrize(("wires", "creates", "end"), STARTS.values(), ids=STARTS)
def test_a_start_has_failed_only_when_no_try_of_it_may_still_take_effect(
    wires: list[Outcome],
    creates: list[Outcome],
    end: VmStatus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = (
        replace(WIRE, do=answering([*wires])),
        replace(CREATE, do=answering([*creates])),
    )

    async def story(cloud: Cloud) -> None:
        monkeypatch.setitem(STEPS, K.VM_BOOT, steps)
        vm = await cloud.reach(await cloud.new_vm(TEXT), S.BOOT_FAILURE, S.UNKNOWN)
        assert vm.status is end

    in_cloud(tmp_path, story)
