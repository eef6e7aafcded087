"""The whole engine under virtual time, with a world that misbehaves and an engine that is killed
again and again.

One seed is one story, the same every time: users create VMs and drive them about until all are
done, driver calls fail, hang and take effect late, the engine dies at random moments and starts
again on the same database. Afterwards the architecture's invariants must hold. `simulate.soak`
and the tests run it.
"""

import asyncio
import random
import tempfile
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.errors import Refused
from orrery.core.messages import (
    ENGINE,
    AllocateHost,
    AllocateImage,
    AllocateNetwork,
    AllocateVm,
    Bootstrap,
    CancelLease,
    ChangeLease,
    DeleteObject,
    Message,
    PoweroffVm,
    RebootVm,
    RecoverVm,
    RequestLease,
    ResumeVm,
    SuspendVm,
    TerminateVm,
)
from orrery.core.model.host import Host
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import Change, ChangeKind, LeaseStatus, NodeSet, Terms
from orrery.core.model.storage import Datastore
from orrery.core.status import HostStatus, ImageStatus, RecoverOperation, VmStatus
from orrery.core.template import parse
from orrery.drivers.sim import Faults, World
from orrery.engine.assembly import LEASES, Engine
from orrery.engine.limits import Limits
from orrery.engine.view import State
from orrery.ports.driver import HostDrivers, Storage
from orrery.sched.leases.settings import Preparation, Settings, TransferSettings
from orrery.sched.planner import plan
from orrery.simulate.loop import EverybodyWaits, VirtualClock, VirtualLoop, run
from orrery.store.series import MemorySeries
from orrery.store.sqlite import SqliteStore

ENGINE_ID = "6f1c9a52-0000-4000-8000-000000000001"
DAY_S = 86400.0
PATIENCE_S = 20 * DAY_S

FAILURES = (VmStatus.PROLOG_FAILURE, VmStatus.BOOT_FAILURE, VmStatus.EPILOG_FAILURE)


class Story(Struct, frozen=True, kw_only=True):
    """What happens: all of it follows from the seed."""

    seed: int
    vms: int = 20
    hosts: int = 4
    leases: int = 0
    staging: bool = False
    """Images are brought to hosts ahead of leases."""
    crashes: int = 6
    faults: Faults = Faults(fail_rate=0.05, hang_rate=0.03, late_rate=0.5)
    limits: Limits = Limits(
        look_delay_s=5.0, look_attempts=4, monitor_period_s=30.0, reconcile_period_s=120.0
    )


class Report(Struct, kw_only=True):
    """How it ended; `broken` lists every invariant that did not hold."""

    seed: int
    virtual_s: float = 0.0
    crashes: int = 0
    effects: int = 0
    absorbed_boots: int = 0
    removed: int = 0
    done: int = 0
    broken: list[str] = []


class SimFleet:
    """`engine.fleet.Fleet` on one simulated world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def drivers(self, host: Host) -> HostDrivers:
        return self._world.drivers(host.name)

    def images(self, datastore: Datastore) -> Storage:
        return self._world.images()

    def forget(self, host_id: int) -> None:
        return


def tell(story: Story) -> Report:
    """Run one story to its end."""
    report = Report(seed=story.seed, broken=[])
    directory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a private directory below it
    with tempfile.TemporaryDirectory(dir=directory) as home:
        try:
            run(lambda loop: _Site(story, report, Path(home), loop).live())
        except EverybodyWaits as deadlock:
            report.broken.append(str(deadlock))
        except TimeoutError:
            report.broken.append(f"not over after {PATIENCE_S / DAY_S:g} days")
    return report


class _Site:
    """One run: the world and the database outlive every engine."""

    def __init__(self, story: Story, report: Report, home: Path, loop: VirtualLoop) -> None:
        self._story = story
        self._report = report
        self._database = home / "orrery.db"
        self._loop = loop
        self._clock = VirtualClock(loop)
        self._rng = random.Random(story.seed)  # noqa: S311 - a story, not a secret
        world_rng = random.Random(self._rng.random())  # noqa: S311
        self._world = World(
            world_rng,
            story.faults,
            lambda _: Capacity(800, 8192, 100_000),
            transfer_mib_s=(3.0, 30.0)[story.seed % 2],
        )
        self._engine: Engine | None = None
        self._up = asyncio.Event()
        self._last_life = asyncio.Event()
        self._removed = 0

    async def live(self) -> None:
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            engine = group.create_task(self._keep_running())
            await self._furnish()
            async with asyncio.TaskGroup() as users:
                for number in range(self._story.vms):
                    rng = random.Random(self._rng.random())  # noqa: S311
                    users.create_task(self._user(number, rng))
                for number in range(self._story.leases):
                    rng = random.Random(self._rng.random())  # noqa: S311
                    users.create_task(self._lessee(number, rng))
            await self._settle()
            self._check_end()
            engine.cancel()
        self._report.virtual_s = self._loop.time()
        self._report.effects = self._world.effects
        self._report.absorbed_boots = self._world.absorbed_boots

    # --- the engine and its deaths ----------------------------------------------------------------

    async def _keep_running(self) -> None:
        lives = [self._rng.uniform(20, 900) for _ in range(self._story.crashes)]
        for life in lives:
            await self._one_life(life)
            self._report.crashes += 1
            await asyncio.sleep(self._rng.uniform(1, 60))
        self._last_life.set()
        await self._one_life(None)

    async def _one_life(self, seconds: float | None) -> None:
        store = SqliteStore(self._database, durable=False)
        await store.open(ENGINE_ID)
        engine = await Engine.load(
            store,
            MemorySeries(),
            lambda _: SimFleet(self._world),
            self._clock,
            plan,
            self._story.limits,
            leases=staging_settings(self._story.seed) if self._story.staging else LEASES,
        )
        bootstrap = Bootstrap(cause="start", password_hash="", datastore_dir="/ds", driver="sim")
        self._engine = engine
        try:
            async with asyncio.timeout(seconds):
                await engine.run(bootstrap, self._up)
        except TimeoutError:
            pass
        finally:
            self._up.clear()
            self._removed += engine.reconciler.removed
            self._check_alive(engine)
            self._check_database(engine, await store.load())
            self._engine = None
            await store.close()

    async def _ask(self, message: Message) -> int | None:
        """Submit, or None when it is refused or the engine dies over it."""
        await self._up.wait()
        engine = self._engine
        assert engine is not None  # it is up
        try:
            async with asyncio.timeout(30):
                return await engine.submit(message)
        except (Refused, TimeoutError):
            return None

    def _view(self) -> State | None:
        return None if self._engine is None else self._engine.state

    # --- what users do ----------------------------------------------------------------------------

    async def _furnish(self) -> None:
        for number in range(self._story.hosts):
            await self._until_named(
                Kind.HOST,
                f"h{number}",
                AllocateHost(
                    cause="f", actor=ENGINE, name=f"h{number}", im_mad="sim", vm_mad="sim"
                ),
            )
        size = self._story.vms
        network = parse(
            f'NAME="net" VN_MAD="nat" AR=[TYPE="IP4", IP="10.0.0.2", SIZE="{size}"] '
            'GATEWAY="10.0.0.1" NETWORK_MASK="255.255.0.0"'
        )
        await self._until_named(
            Kind.NETWORK, "net", AllocateNetwork(cause="f", actor=ENGINE, template=network)
        )
        await self._until_image_ready()

    async def _until_named(self, kind: Kind, name: str, message: Message) -> int:
        """The object of that name, made if it is not there: what a client does that lost its
        answer."""
        while True:
            await self._up.wait()
            view = self._view()
            assert view is not None  # it is up
            found = view.by_name(kind, name)
            if found is not None:
                return found
            await self._ask(message)
            await asyncio.sleep(5)

    async def _until_image_ready(self) -> None:
        """An image in error is of no use: another one takes its place."""
        template = parse('NAME="os" PATH="/os.qcow2" SIZE="100"')
        wanted = AllocateImage(cause="f", actor=ENGINE, template=template, datastore_id=1)
        status = None
        while status is not ImageStatus.READY:
            image_id = await self._until_named(Kind.IMAGE, "os", wanted)
            view = self._view()
            image = None if view is None else view.images.get(image_id)
            status = None if image is None else image.status
            if status is ImageStatus.ERROR:
                await self._ask(DeleteObject(cause="f", actor=ENGINE, kind=Kind.IMAGE, id=image_id))
            await asyncio.sleep(5)

    async def _user(self, number: int, rng: random.Random) -> None:
        await asyncio.sleep(rng.uniform(0, 600))
        name = f"vm{number}"
        text = (
            f'NAME="{name}" CPU="1" MEMORY="{rng.choice((256, 1024, 2048))}" '
            'DISK=[IMAGE="os"] NIC=[NETWORK="net"]'
        )
        message = AllocateVm(cause=name, actor=ENGINE, template=parse(text), hold=False)
        vm_id = await self._until_named(Kind.VM, name, message)
        for _ in range(rng.randrange(1, 5)):
            await self._until_resting(vm_id)
            await asyncio.sleep(rng.uniform(0, 300))
            await self._ask(some_action(vm_id, name, rng))
        await self._end(vm_id, name, rng)

    async def _until_resting(self, vm_id: int) -> None:
        while True:
            view = self._view()
            if view is not None:
                vm = view.vms[vm_id]
                if vm.status in FAILURES:
                    operation = RecoverOperation.RETRY
                    await self._ask(
                        RecoverVm(cause="r", actor=ENGINE, vm_id=vm_id, operation=operation)
                    )
                elif view.unfinished(Kind.VM, vm_id) is None and vm.status is not VmStatus.PENDING:
                    return
            await asyncio.sleep(20)

    async def _end(self, vm_id: int, name: str, rng: random.Random) -> None:
        """Terminate until it is done, as a patient operator would."""
        while True:
            view = self._view()
            if view is not None and view.vms[vm_id].status is VmStatus.DONE:
                self._report.done += 1
                return
            await self._ask(
                TerminateVm(cause=name, actor=ENGINE, vm_id=vm_id, hard=rng.random() < 0.3)
            )
            await asyncio.sleep(rng.uniform(10, 120))

    async def _lessee(self, number: int, rng: random.Random) -> None:
        """Asks for a lease, changes plans now and then, and waits until it is over."""
        await asyncio.sleep(rng.uniform(0, 3600))
        name = f"lease{number}"
        message = RequestLease(
            cause=name,
            actor=ENGINE,
            terms=some_terms(self._clock.now(), rng),
            template=parse('DISK=[IMAGE="os"]'),
            name=name,
        )
        lease_id = await self._until_named(Kind.LEASE, name, message)
        if rng.random() < 0.4:
            await asyncio.sleep(rng.uniform(0, 3600))
            await self._ask(some_change(lease_id, name, rng))
        while True:
            view = self._view()
            lease = None if view is None else view.leases[lease_id]
            if lease is not None and lease.status.final:
                self._check_lease_over(lease_id, lease.status, lease.reason)
                return
            await asyncio.sleep(60)

    def _check_lease_over(self, lease_id: int, status: LeaseStatus, reason: str | None) -> None:
        if status is not LeaseStatus.DONE and not reason:
            self._break(f"lease {lease_id} is {status.name} and nobody says why")

    async def _settle(self) -> None:
        """Until the last late effect has come and the timers have had their turns on a sound
        engine."""
        await asyncio.sleep(max(self._story.faults.late_s[1], 600.0) + 3600.0)
        await self._last_life.wait()
        await self._up.wait()
        self._world.faults = Faults()
        await asyncio.sleep(20 * self._story.limits.monitor_period_s)

    # --- what must hold ---------------------------------------------------------------------------

    def _check_alive(self, engine: Engine) -> None:
        """At the moment of a death: capacity and addresses."""
        state = engine.state
        for host in state.hosts.values():
            usage = state.host_usage(host.id)
            if host.status is HostStatus.MONITORED and not usage.fits(host.offered):
                self._break(f"host {host.name} holds {usage}, offers {host.offered}")
        seen: dict[tuple[int, int, int], int] = {}
        for vm in state.vms.values():
            for nic in vm.nics if vm.status is not VmStatus.DONE else ():
                place = (nic.network_id, nic.ar_id, nic.index)
                if place in seen:
                    self._break(f"VMs {seen[place]} and {vm.id} hold one address {nic.ip}")
                seen[place] = vm.id

    def _check_database(self, engine: Engine, loaded: object) -> None:
        """The view equals the database."""
        fresh = {(type(o), o.id): o for o in loaded.objects}  # type: ignore[attr-defined] # Loaded
        for pool in engine.state.pools.values():
            for obj in pool.values():
                if fresh.pop((type(obj), obj.id), None) != obj:
                    self._break(f"{type(obj).__name__} {obj.id} differs from the database")
        if fresh:
            self._break(f"the database has {len(fresh)} objects the view lacks")
        actions = {a.key: a for a in loaded.actions}  # type: ignore[attr-defined] # Loaded
        if actions != engine.state.actions:
            self._break("the outbox in memory differs from the one in the database")

    def _check_end(self) -> None:
        """When all is over: everything done, nothing left behind."""
        engine = self._engine
        assert engine is not None  # the last life has no end of its own
        self._report.removed = self._removed + engine.reconciler.removed
        for vm in engine.state.vms.values():
            if vm.status is not VmStatus.DONE:
                self._break(f"VM {vm.id} ended as {vm.status.name}")
        for key, action in engine.state.actions.items():
            self._break(f"unfinished {action.kind.value} of {key}")
        kept = {copy.path for copy in engine.state.staged_images.values()}
        for host in self._world.hosts.values():
            for domain in host.domains.values():
                self._break(f"domain {domain.name} is left on {host.name}")
            for path in host.files:
                if path in kept:
                    continue
                self._break(f"file {path} is left on {host.name}")
        for violation in self._world.violations:
            self._break(violation)

    def _break(self, what: str) -> None:
        self._report.broken.append(f"at {self._loop.time():.0f} s: {what}")


def some_terms(now: float, rng: random.Random) -> Terms:
    """Any kind of lease, small enough to find room now and then."""
    size = Capacity(rng.choice((100, 200, 400)), rng.choice((256, 1024)))
    terms = Terms(
        nodes=(NodeSet(count=rng.randrange(1, 4), capacity=size),),
        duration=float(rng.randrange(60, 3600)),
        image="os",
        image_mib=100,
    )
    start = float(int(now) + rng.randrange(60, 3600))
    match rng.randrange(4):
        case 0:
            return replace(terms, start=start)
        case 1:
            return replace(terms, immediate=True)
        case 2:
            return replace(terms, start=start, deadline=start + 4 * terms.duration)
    return terms


def staging_settings(seed: int) -> Settings:
    """Slow or fast, to one host after another or to all at once, with or without room in caches."""
    rng = random.Random(seed)  # noqa: S311 - a story, not a secret
    transfer = TransferSettings(
        bandwidth_mbit=rng.choice((80.0, 800.0)),
        multicast=rng.random() < 0.5,
        channels=rng.choice((1, 2)),
        cache_mib=rng.choice((0, 50, 150, None)),
    )
    return replace(LEASES, preparation=Preparation.TRANSFER, transfer=transfer)


def some_change(lease_id: int, cause: str, rng: random.Random) -> Message:
    """Something its owner might want of a lease; refused where its status does not allow it."""
    kind = rng.choice((ChangeKind.EXTEND, ChangeKind.SHORTEN, ChangeKind.TOP))
    change = Change(kind=kind, cause=cause, seconds=30.0, priority=rng.randrange(3))
    return rng.choice(
        (
            CancelLease(cause=cause, actor=ENGINE, lease_id=lease_id),
            ChangeLease(cause=cause, actor=ENGINE, lease_id=lease_id, change=change),
            ChangeLease(cause=cause, actor=ENGINE, lease_id=lease_id, change=change),
        )
    )


def some_action(vm_id: int, cause: str, rng: random.Random) -> Message:
    """Something a user might ask for; refused where the status does not allow it."""
    hard = rng.random() < 0.3
    return rng.choice(
        (
            SuspendVm(cause=cause, actor=ENGINE, vm_id=vm_id),
            ResumeVm(cause=cause, actor=ENGINE, vm_id=vm_id),
            ResumeVm(cause=cause, actor=ENGINE, vm_id=vm_id),
            PoweroffVm(cause=cause, actor=ENGINE, vm_id=vm_id, hard=hard),
            RebootVm(cause=cause, actor=ENGINE, vm_id=vm_id, hard=hard),
            TerminateVm(cause=cause, actor=ENGINE, vm_id=vm_id, hard=hard),
        )
    )
