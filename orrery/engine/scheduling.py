"""When something changed that may let a VM start: plan on the view, submit the plan."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from orrery.core.messages import ApplyPlan, Message, PlaceVm
from orrery.core.model.host import Host
from orrery.core.model.lease import Lease
from orrery.core.model.storage import Datastore
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.status import HostStatus, VmStatus
from orrery.engine.writer import Commit
from orrery.ports.clock import Clock
from orrery.sched.planner import Plan, Seen

log = logging.getLogger(__name__)

Submit = Callable[[Message], Awaitable[int | None]]

FREEING = frozenset({VmStatus.DONE, VmStatus.POWEROFF, VmStatus.SUSPENDED, VmStatus.PENDING})
"""Statuses whose entry may give another VM room, or is itself a VM that waits."""


REST = 4.0
REST_MAX_S = 2.0


AT_ONCE = 256
"""Placements or explanations in one commit: as many as the writer takes of other messages."""

AGAIN_S = 1.0
"""When a placement was refused because of what happened meanwhile, plan again so much later."""


class Planner(Protocol):
    """A plan that would hold up the loop comes in parts: see `sched.planner.plan`."""

    def __call__(self, view: View, now: float, *, seen: Seen) -> Plan: ...


class Scheduling:
    """Plans at once when there is news; many changes in one commit make one plan.

    A sweep is one plan or several: each says what the next one is to leave out. What is news while
    a sweep is under way leads to another one.
    """

    def __init__(self, view: View, planner: Planner, submit: Submit, clock: Clock) -> None:
        self._view = view
        self._planner = planner
        self._submit = submit
        self._clock = clock
        self._wake = asyncio.Event()
        self._wake.set()
        self._seen: Seen = {}

    def on_commit(self, commit: Commit) -> None:
        if any(self._is_news(obj) for obj in commit.put) or commit.deleted:
            self._wake.set()

    def _is_news(self, obj: object) -> bool:
        if isinstance(obj, Vm):
            return obj.status in FREEING and obj.sched_message is None
        if isinstance(obj, Host):
            return obj.status is HostStatus.MONITORED
        return isinstance(obj, Datastore | Lease)

    async def run(self) -> None:
        """Until cancelled."""
        wake_at: float | None = None
        while True:
            timeout = None if wake_at is None else max(0.0, wake_at - self._clock.now())
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                pass
            if not self._seen:
                self._wake.clear()
            wake_at = await self._plan_within_bounds()

    async def _plan_within_bounds(self) -> float | None:
        """A plan, and then a rest: planning never takes more than a fifth of the loop's time.

        News that comes meanwhile is planned for together.
        """
        loop = asyncio.get_running_loop()
        begin = loop.time()
        wake_at = await self._plan()
        await asyncio.sleep(min(REST * (loop.time() - begin), REST_MAX_S))
        return wake_at

    async def _plan(self) -> float | None:
        if not self._view.vms_pending():
            self._seen = {}
            return None
        made = self._planner(self._view, self._clock.now(), seen=self._seen)
        self._seen = made.seen
        for part in parts(made, self._view):
            await self._submit(part)
        if any(self._is_refused(placement) for placement in made.placements):
            again_at = self._clock.now() + AGAIN_S
            return again_at if made.wake_at is None else min(made.wake_at, again_at)
        return made.wake_at

    def _is_refused(self, placement: PlaceVm) -> bool:
        vm = self._view.vms.get(placement.vm_id)
        return vm is not None and vm.status is VmStatus.PENDING and vm.gen == placement.gen


def parts(made: Plan, view: View) -> Iterator[ApplyPlan]:
    """What is to be submitted, a commit at a time; explanations only where they are new."""
    news = tuple(e for e in made.explanations if view.vms[e.vm_id].sched_message != e.text)
    for start in range(0, len(made.placements), AT_ONCE):
        yield ApplyPlan(cause="scheduler", placements=made.placements[start : start + AT_ONCE])
    for start in range(0, len(news), AT_ONCE):
        some = news[start : start + AT_ONCE]
        yield ApplyPlan(cause="scheduler", placements=(), explanations=some)
