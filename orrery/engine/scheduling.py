"""When something changed that may let a VM start: plan on the view, submit the plan."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from orrery.core.messages import ApplyPlan, Message
from orrery.core.model.host import Host
from orrery.core.model.lease import Lease
from orrery.core.model.storage import Datastore
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.status import HostStatus, VmStatus
from orrery.engine.writer import Commit
from orrery.ports.clock import Clock
from orrery.sched.planner import Plan

log = logging.getLogger(__name__)

Planner = Callable[[View, float], Plan]
Submit = Callable[[Message], Awaitable[int | None]]

FREEING = frozenset({VmStatus.DONE, VmStatus.POWEROFF, VmStatus.SUSPENDED, VmStatus.PENDING})
"""Statuses whose entry may give another VM room, or is itself a VM that waits."""


REST = 4.0
REST_MAX_S = 2.0


class Scheduling:
    """Plans at once when there is news; many changes in one commit make one plan."""

    def __init__(self, view: View, planner: Planner, submit: Submit, clock: Clock) -> None:
        self._view = view
        self._planner = planner
        self._submit = submit
        self._clock = clock
        self._wake = asyncio.Event()
        self._wake.set()

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
            self._wake.clear()
            if self._view.vms_pending():
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
        made = self._planner(self._view, self._clock.now())
        news = tuple(
            e for e in made.explanations if self._view.vms[e.vm_id].sched_message != e.text
        )
        if made.placements or news:
            await self._submit(
                ApplyPlan(cause="scheduler", placements=made.placements, explanations=news)
            )
        return made.wake_at
