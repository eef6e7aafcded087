"""Performs the outbox: limits per host and in all, time-outs, and a look before anything is
repeated.

An outcome goes back to the writer as a message. A driver's exception is caught here, and only here.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeGuard

from orrery.core.decide import another_try
from orrery.core.messages import Done, Failed, Message, Outcome, Settled, Unknown
from orrery.core.model.action import Action, ActionKind
from orrery.core.model.kinds import Kind
from orrery.core.model.view import View
from orrery.engine.fleet import Fleet
from orrery.engine.limits import Limits
from orrery.engine.steps import STEPS, NetworkApply, Step, Work, prepare
from orrery.engine.writer import Commit
from orrery.ports.cause import CAUSE
from orrery.ports.clock import Clock

log = logging.getLogger(__name__)

Submit = Callable[[Message], Awaitable[int | None]]
Key = tuple[Kind, int]

INTERRUPTIBLE = frozenset(
    {ActionKind.VM_SHUTDOWN, ActionKind.IMAGE_REGISTER, ActionKind.IMAGE_STAGE}
)
"""Actions that mostly wait: a successor need not let them end."""


STAGING = frozenset({ActionKind.IMAGE_STAGE, ActionKind.IMAGE_UNSTAGE})
"""They may take long and wait among themselves: no VM waits for them."""


class Dispatcher:
    """Give it commits (`on_commit`) and a task (`run`)."""

    def __init__(
        self,
        view: View,
        fleet: Fleet,
        submit: Submit,
        apply_network: NetworkApply,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._view = view
        self._fleet = fleet
        self._submit = submit
        self._apply_network = apply_network
        self._clock = clock
        self._limits = limits
        self._current: dict[Key, Action] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._waiting: set[Key] = set()
        self._in_doubt: dict[Key, int] = {}
        """What a try that nobody answered for may still start, with its generation then."""
        self._arrived: asyncio.Queue[tuple[Action, bool]] = asyncio.Queue()
        self._total = asyncio.Semaphore(limits.actions_total)
        self._per_host: dict[tuple[int | None, bool], asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(limits.actions_per_host)
        )
        self.progress: dict[Key, float] = {}
        """Fraction done of long actions, for those who watch."""

    def on_commit(self, commit: Commit) -> None:
        for key in commit.settled:
            self._current.pop(key, None)
            self._in_doubt.pop(key, None)
        for action in commit.actions:
            self._current[action.key] = action
            self._arrived.put_nowait((action, action.attempt > 0))

    async def run(self, unfinished: Iterable[Action] = ()) -> None:
        """Perform until cancelled; what an earlier run left unfinished is looked at before it is
        repeated."""
        for action in unfinished:
            self._current[action.key] = action
            self._doubt(action)
            self._arrived.put_nowait((action, True))
        async with asyncio.TaskGroup() as group:
            while True:
                action, look_first = await self._arrived.get()
                self._start(group, action, look_first)

    def _start(self, group: asyncio.TaskGroup, action: Action, look_first: bool) -> None:  # noqa: FBT001
        before = self._tasks.get(action.key)
        if before is not None and action.key in self._waiting:
            before.cancel()
        task = group.create_task(
            self._perform(action, before, look_first),
            name=f"{action.kind.value} {action.subject_id}",
        )
        self._tasks[action.key] = task
        task.add_done_callback(lambda t: self._ended(action.key, t))

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
            self._waiting.discard(key)
            self.progress.pop(key, None)

    async def _perform(
        self,
        action: Action,
        before: asyncio.Task[None] | None,
        look_first: bool,  # noqa: FBT001
    ) -> None:
        """One action, after the one before it on the same object, at its time, within the
        limits."""
        if before is not None:
            await asyncio.wait([before])
        self._waiting.add(action.key)
        await asyncio.sleep(max(0.0, action.due_at - self._clock.now()))
        async with self._per_host[action.host_id, action.kind in STAGING], self._total:
            if self._current.get(action.key) != action:
                return
            if action.kind not in INTERRUPTIBLE:
                self._waiting.discard(action.key)
            CAUSE.set(action.cause)
            outcome = await self._attempt(action, look_first)
        self._waiting.discard(action.key)
        if outcome is not None:
            await self._submit(Settled(cause=action.cause, action=action, outcome=outcome))

    async def _attempt(self, action: Action, look_first: bool) -> Outcome | None:  # noqa: FBT001
        try:
            work = prepare(
                action,
                self._view,
                self._fleet,
                self._apply_network,
                self._limits.shutdown_timeout_s,
                lambda fraction: self.progress.__setitem__(action.key, fraction),
            )
        except Exception as error:  # a driver that cannot even be found is the operator's to mend
            log.exception("%s %s cannot be prepared", action.kind.value, action.subject_id)
            return Failed(f"{type(error).__name__}: {error}")
        if work is None:
            return None
        outcome = await self._steps(work, look_first)
        if self._in_doubt.get(action.key) == action.gen and is_final(outcome, action):
            return Unknown(f"{outcome.message}; an earlier try may still take effect")
        return outcome

    async def _steps(self, work: Work, look_first: bool) -> Outcome:  # noqa: FBT001
        result = {}
        for step in STEPS[work.action.kind]:
            outcome = await self._step(step, work, look_first)
            if not isinstance(outcome, Done):
                return outcome
            result.update(outcome.result)
        return Done(result)

    def _doubt(self, action: Action) -> None:
        """A start that fails for good after a try of unknown outcome has not failed: that try may
        still succeed."""
        if any(step.starts for step in STEPS[action.kind]):
            self._in_doubt[action.key] = action.gen

    async def _step(self, step: Step, work: Work, look_first: bool) -> Outcome:  # noqa: FBT001
        """Do it; while nobody knows whether it was done, look, and repeat only what is missing."""
        if look_first and step.look is not None:
            outcome = await self._call(step.name, step.look, work)
            if isinstance(outcome, Failed):
                outcome = await self._call(step.name, step.do, work)
        else:
            outcome = await self._call(step.name, step.do, work)
        delay = self._limits.look_delay_s
        for _ in range(self._limits.look_attempts):
            if not isinstance(outcome, Unknown):
                break
            if step.starts:
                self._doubt(work.action)
            await asyncio.sleep(delay)
            delay *= 2
            outcome = await self._look_again(step, work)
        return outcome

    async def _look_again(self, step: Step, work: Work) -> Outcome:
        if step.look is None:
            return await self._call(step.name, step.do, work)
        seen = await self._call(step.name, step.look, work)
        return await self._call(step.name, step.do, work) if isinstance(seen, Failed) else seen

    async def _call(
        self, name: str, function: Callable[[Work], Awaitable[Outcome]], work: Work
    ) -> Outcome:
        seconds = self._limits.timeouts_s[work.action.kind]
        try:
            async with asyncio.timeout(seconds):
                return await function(work)
        except TimeoutError:  # before OSError: since Python 3.11 it is one
            return Unknown(f"{name}: no answer within {seconds:g} s")
        except Exception as error:
            log.exception("%s of %s failed", name, work.action.kind.value)
            return Unknown(f"{name}: {type(error).__name__}: {error}")


def is_final(outcome: Outcome, action: Action) -> TypeGuard[Failed]:
    """Whether the action failed and is not tried again."""
    if not isinstance(outcome, Failed):
        return False
    return not outcome.retryable or another_try(action, 0.0) is None
