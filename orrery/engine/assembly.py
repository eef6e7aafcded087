"""Puts the parts of the engine together and runs them in one task group. Production and simulation
use it alike."""

import asyncio
from collections.abc import Callable

from orrery.core.messages import Bootstrap, Message
from orrery.core.model.view import View
from orrery.engine.dispatcher import Dispatcher
from orrery.engine.events import Hub
from orrery.engine.fleet import Fleet
from orrery.engine.leasing import Leasing
from orrery.engine.limits import Limits
from orrery.engine.monitor import Monitor
from orrery.engine.reconcile import Reconciler
from orrery.engine.recovery import recover
from orrery.engine.scheduling import Planner, Scheduling
from orrery.engine.view import State
from orrery.engine.writer import Listener, Writer
from orrery.ports.clock import Clock
from orrery.ports.store import Series, Store
from orrery.sched.leases.settings import Migration, Settings

LEASES = Settings(migration=Migration.NO)
"""A suspended VM resumes where its memory lies: hosts have no disk in common."""


class Engine:
    """Everything that has to run. Make it with `await Engine.load(...)`, then `await
    engine.run()`."""

    def __init__(
        self,
        store: Store,
        series: Series,
        state: State,
        published: State,
        fleet: Fleet,
        clock: Clock,
        planner: Planner,
        limits: Limits,
        leases: Settings,
        *,
        learns: bool,
    ) -> None:
        self.store = store
        self.series = series
        self.view: View = published
        self.state = published
        self.clock = clock
        self.fleet = fleet
        self.writer = Writer(store, state, published, clock)
        self.reconciler = Reconciler(published, fleet, limits)
        self.dispatcher = Dispatcher(
            published, fleet, self.submit, self.reconciler.apply_network, clock, limits
        )
        self.monitor = Monitor(
            published, fleet, self.submit, self.reconciler, series, clock, limits
        )
        self.scheduling = Scheduling(published, planner, self.submit, clock)
        self.leasing = Leasing(published, self.submit, clock, leases, learns=learns)
        self.hub = Hub(store)
        listeners: tuple[Listener, ...] = (
            self.dispatcher.on_commit,
            self.scheduling.on_commit,
            self.reconciler.on_commit,
            self.monitor.on_commit,
            self.leasing.on_commit,
            self.hub.on_commit,
        )
        for listener in listeners:
            self.writer.listen(listener)

    @classmethod
    async def load(
        cls,
        store: Store,
        series: Series,
        fleet: Callable[[State], Fleet],
        clock: Clock,
        planner: Planner,
        limits: Limits,
        *,
        shared_state: bool = True,
        name_prefix: str = "one",
        leases: Settings = LEASES,
        learns: bool = True,
    ) -> "Engine":
        """Read the state from an open store.

        Args:
            fleet: makes the drivers' side, given the state it may read.
            name_prefix: what names of domains and taps on the hosts begin with.
            leases: how leases are planned.
            learns: whether leases are planned with what their operations took.
            shared_state: whether the store commits without yielding, so that one state serves both
            sides.
        """
        loaded = await store.load()
        state = State(loaded.engine_id, name_prefix)
        state.load(loaded.objects, loaded.actions, loaded.next_ids)
        published = state
        if not shared_state:
            published = State(loaded.engine_id, name_prefix)
            published.load(loaded.objects, loaded.actions, loaded.next_ids)
        return cls(
            store,
            series,
            state,
            published,
            fleet(published),
            clock,
            planner,
            limits,
            leases,
            learns=learns,
        )

    async def submit(self, message: Message) -> int | None:
        """Decide and store a message; see `Writer.submit`."""
        return await self.writer.submit(message)

    async def run(self, bootstrap: Bootstrap, ready: asyncio.Event | None = None) -> None:
        """Run until cancelled. What goes wrong unexpectedly ends all of it: a restart recovers."""
        unfinished = await recover(self.store, self.state, self.clock.now())
        async with asyncio.TaskGroup() as group:
            group.create_task(self.writer.run(), name="writer")
            await self.submit(bootstrap)
            group.create_task(self.dispatcher.run(unfinished), name="dispatcher")
            group.create_task(self.scheduling.run(), name="scheduling")
            group.create_task(self.leasing.run(), name="leasing")
            group.create_task(self.reconciler.run(), name="reconciler")
            group.create_task(self.monitor.run(), name="monitor")
            if ready is not None:
                ready.set()
