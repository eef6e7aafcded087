"""A whole engine on a simulated world under virtual time, for tests to drive."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from orrery.core.capacity import Capacity
from orrery.core.messages import (
    ENGINE,
    AllocateHost,
    AllocateImage,
    AllocateNetwork,
    AllocateVm,
    Bootstrap,
    Message,
)
from orrery.core.model.vm import Vm
from orrery.core.status import HostStatus, ImageStatus, VmStatus
from orrery.core.template import parse
from orrery.drivers.sim import Faults, World
from orrery.engine.assembly import LEASES, Engine
from orrery.engine.limits import Limits
from orrery.sched.planner import plan
from orrery.simulate.chaos import ENGINE_ID, SimFleet
from orrery.simulate.loop import VirtualClock, VirtualLoop, run
from orrery.store.series import MemorySeries
from orrery.store.sqlite import SqliteStore

T = TypeVar("T")

VM = 'NAME="a" CPU="1" MEMORY="512" DISK=[IMAGE="os"] NIC=[NETWORK="net"]'
LIMITS = Limits(look_delay_s=1.0, look_attempts=3, monitor_period_s=30.0, reconcile_period_s=60.0)


class Cloud:
    """One engine at a time on a world and a database that stay."""

    lease_settings = LEASES
    learns = False

    def __init__(self, loop: VirtualLoop, home: Path, faults: Faults | None = None) -> None:
        self.clock = VirtualClock(loop)
        self.world = World(random.Random(1), faults or Faults(), lambda _: Capacity(800, 8192))
        self.database = home / "orrery.db"
        self.engine: Engine
        self._task: asyncio.Task[None] | None = None
        self._store: SqliteStore | None = None

    async def start(self, limits: Limits = LIMITS) -> None:
        self._store = SqliteStore(self.database, durable=False)
        await self._store.open(ENGINE_ID)
        self.engine = await Engine.load(
            self._store,
            MemorySeries(),
            lambda _: SimFleet(self.world),
            self.clock,
            plan,
            limits,
            leases=self.lease_settings,
            learns=self.learns,
        )
        ready = asyncio.Event()
        bootstrap = Bootstrap(cause="start", password_hash="", datastore_dir="/ds", driver="sim")
        self._task = asyncio.create_task(self.engine.run(bootstrap, ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([self._task, waiting], return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()

    async def kill(self) -> None:
        """The engine is gone at once; world and database stay."""
        assert self._task is not None
        assert self._store is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._store.close()

    async def ask(self, message: Message) -> int:
        result = await self.engine.submit(message)
        assert result is not None
        return result

    async def until(self, condition: Callable[[], bool], seconds: float = 3600.0) -> None:
        """Wait (virtual time) until it holds; an engine that ended by itself is the test's end."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.5)
                if self._task is not None and self._task.done() and not self._task.cancelled():
                    self._task.result()

    def vm(self, vm_id: int) -> Vm:
        return self.engine.state.vms[vm_id]

    async def reach(self, vm_id: int, *statuses: VmStatus) -> Vm:
        try:
            await self.until(lambda: self.vm(vm_id).status in statuses)
        except TimeoutError:
            raise AssertionError(f"VM {vm_id} is {self.vm(vm_id).status.name}") from None
        return self.vm(vm_id)

    async def furnish(self) -> None:
        await self.ask(AllocateHost(cause="t", actor=ENGINE, name="h1", im_mad="sim", vm_mad="sim"))
        image = parse('NAME="os" PATH="/os.qcow2" SIZE="100"')
        await self.ask(AllocateImage(cause="t", actor=ENGINE, template=image, datastore_id=1))
        network = parse('NAME="net" VN_MAD="nat" AR=[TYPE="IP4", IP="10.0.0.2", SIZE="50"]')
        await self.ask(AllocateNetwork(cause="t", actor=ENGINE, template=network))
        state = self.engine.state
        await self.until(lambda: state.images[0].status is ImageStatus.READY)
        await self.until(lambda: state.hosts[1].status is HostStatus.MONITORED)

    async def new_vm(self, text: str = VM, *, hold: bool = False) -> int:
        return await self.ask(AllocateVm(cause="t", actor=ENGINE, template=parse(text), hold=hold))

    async def running_vm(self) -> int:
        vm_id = await self.new_vm()
        await self.reach(vm_id, VmStatus.RUNNING)
        return vm_id

    def leftovers(self) -> list[str]:
        """Whatever is on the simulated hosts."""
        found = []
        for host in self.world.hosts.values():
            found += [f"domain {d.name}" for d in host.domains.values()]
            found += [f"file {path}" for path in host.files]
        return found


def in_cloud(
    home: Path,
    story: Callable[[Cloud], Awaitable[T]],
    faults: Faults | None = None,
    **limits: Any,
) -> T:
    """Run a story in a furnished cloud to its end."""

    async def main(loop: VirtualLoop) -> T:
        cloud = Cloud(loop, home, faults)
        await cloud.start(Limits(**limits) if limits else LIMITS)
        await cloud.furnish()
        try:
            return await story(cloud)
        finally:
            await cloud.kill()

    return run(main)
