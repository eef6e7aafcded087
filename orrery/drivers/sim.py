"""The simulated world: hosts, domains, disks and transfers that take time and fail as told, from a
seed.

A product feature: it serves newcomers (`orrery up`), capacity studies and tests alike. It
implements every port over one world object, which outlives the engine that talks to it, as real
hosts do.
"""

import asyncio
import base64
import random
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import msgspec
from msgspec import Struct

from orrery.core.capacity import Capacity
from orrery.core.messages import Done, Failed, Outcome
from orrery.core.status import DomainState
from orrery.ports.driver import (
    DiskPlan,
    Domain,
    DomainFacts,
    DomainRef,
    HostDrivers,
    HostNetwork,
    ImagePlan,
    Inventory,
    Progress,
    StagePlan,
)

GIB = 1024
MIB = 1 << 20


class Faults(Struct, frozen=True, kw_only=True):
    """How the world misbehaves. Rates are per call, 0 to 1; times in seconds."""

    latency_s: tuple[float, float] = (0.05, 0.5)
    fail_rate: float = 0.0
    retryable_share: float = 0.5
    """Of the failures, how many a driver would call worth another try."""
    hang_rate: float = 0.0
    """Calls that never answer."""
    late_rate: float = 0.0
    """Of the calls that hang, how many take effect all the same, later."""
    late_s: tuple[float, float] = (50.0, 400.0)


class SimDomain(Struct):
    """A domain as it runs on a simulated host."""

    uuid: str
    name: str
    owner: str
    vm_id: int
    cpu_pct: int
    memory_mib: int
    started_at: float
    state: DomainState = DomainState.RUNNING


class SimHost:
    """What one simulated machine has on it."""

    def __init__(self, name: str, total: Capacity) -> None:
        self.name = name
        self.total = total
        self.domains: dict[str, SimDomain] = {}
        self.files: dict[str, int] = {}
        self.network: HostNetwork | None = None
        self.alive = True


class World:
    """All simulated hosts. `rng` and the loop's time are its only sources of chance and time."""

    def __init__(
        self,
        rng: random.Random,
        faults: Faults | None = None,
        host_size: Callable[[str], Capacity] | None = None,
        *,
        transfer_mib_s: float = 100.0,
    ) -> None:
        self.rng = rng
        self.faults = faults or Faults()
        self._size = host_size or (lambda name: Capacity(1600, 64 * GIB, 1000 * GIB))
        self.hosts: dict[str, SimHost] = {}
        self.image_files: dict[str, int] = {}
        self.capabilities: tuple[str, ...] = ("suspend", "reboot", "live-migrate", "stage")
        self.transfer_mib_s = transfer_mib_s
        """How fast images come to hosts."""
        self.stagings: list[str] = []
        """The path of each copy that was made in the cache of a host, in order."""
        self.effects = 0
        """Effects that changed something."""
        self.absorbed_boots = 0
        """Repeated boots of a domain that ran already."""
        self.violations: list[str] = []
        """What must never happen, and did."""

    def host(self, name: str) -> SimHost:
        found = self.hosts.get(name)
        if found is None:
            found = self.hosts[name] = SimHost(name, self._size(name))
        return found

    def drivers(self, host_name: str) -> HostDrivers:
        host = self.host(host_name)
        return HostDrivers(
            SimHypervisor(self, host), SimStorage(self, host.files), SimNetwork(self, host)
        )

    def images(self) -> "SimStorage":
        return SimStorage(self, self.image_files)

    async def act(self, effect: Callable[[], Outcome], alive: Callable[[], bool]) -> Outcome:
        """One call: takes its time, then has its effect, fails, or is never heard of again."""
        faults, rng = self.faults, self.rng
        delay = rng.uniform(*faults.latency_s)
        fate = rng.random()
        if not alive() or fate < faults.hang_rate:
            await self._hang(effect, alive())
        await asyncio.sleep(delay)
        if fate < faults.hang_rate + faults.fail_rate:
            return Failed("simulated failure", rng.random() < faults.retryable_share)
        return effect()

    async def _hang(self, effect: Callable[[], Outcome], alive: bool) -> None:  # noqa: FBT001
        """No answer, ever; the effect may come when nobody waits for it any more."""
        if alive and self.rng.random() < self.faults.late_rate:
            later = self.rng.uniform(*self.faults.late_s)
            asyncio.get_running_loop().call_later(later, effect)
        await asyncio.sleep(10 * 365 * 86400.0)

    def check_single(self, domain: Domain, host: SimHost) -> None:
        """A VM may run on one host only."""
        for other in self.hosts.values():
            for found in other.domains.values():
                twice = found.vm_id == domain.vm_id and found.owner == domain.engine_id
                if twice and (other is not host or found.uuid != domain.uuid):
                    self.violations.append(
                        f"VM {domain.vm_id} runs on {other.name} and {host.name}"
                    )


class SimHypervisor:
    """`ports.driver.Hypervisor` on one simulated host."""

    def __init__(self, world: World, host: SimHost) -> None:
        self._world = world
        self._host = host

    async def _act(self, effect: Callable[[], Outcome]) -> Outcome:
        return await self._world.act(effect, lambda: self._host.alive)

    async def inventory(self) -> Outcome:
        return await self._act(self._inventory)

    def _inventory(self) -> Outcome:
        host = self._host
        used_cpu = sum(d.cpu_pct for d in host.domains.values())
        used_memory = sum(d.memory_mib for d in host.domains.values())
        found = Inventory(
            total=host.total,
            free=host.total - Capacity(used_cpu, used_memory),
            facts={
                "ARCH": "x86_64",
                "HYPERVISOR": "sim",
                "ACCELERATION": "sim",
                "MODELNAME": "Simulated CPU",
                "HOSTNAME": host.name,
                "CPUSPEED": "3000",
            },
            capabilities=[*self._world.capabilities],
            domains=[self._facts(d) for d in host.domains.values()],
            values={
                "USED_CPU": float(used_cpu) * 0.6,
                "FREE_CPU": max(0.0, host.total.cpu_pct - used_cpu * 0.6),
                "USED_MEMORY": float(used_memory * 1024),
                "FREE_MEMORY": float(max(0, host.total.memory_mib - used_memory) * 1024),
                "NETRX": 0.0,
                "NETTX": 0.0,
            },
        )
        return Done(msgspec.to_builtins(found))

    def _facts(self, domain: SimDomain) -> DomainFacts:
        age = asyncio.get_running_loop().time() - domain.started_at
        return DomainFacts(
            uuid=domain.uuid,
            name=domain.name,
            state=domain.state,
            owner=domain.owner,
            vm_id=domain.vm_id,
            values={
                "CPU": round(domain.cpu_pct * 0.6, 1),
                "MEMORY": float(domain.memory_mib * 1024),
                "NETRX": float(int(age) * 1500),
                "NETTX": float(int(age) * 900),
            },
        )

    async def create(self, domain: Domain) -> Outcome:
        return await self._act(lambda: self._create(domain))

    def _create(self, domain: Domain) -> Outcome:
        if domain.uuid in self._host.domains:
            self._world.absorbed_boots += 1
            return Done({"deploy_id": domain.name})
        self._world.check_single(domain, self._host)
        self._world.effects += 1
        self._host.domains[domain.uuid] = SimDomain(
            uuid=domain.uuid,
            name=domain.name,
            owner=domain.engine_id,
            vm_id=domain.vm_id,
            cpu_pct=domain.cpu_pct,
            memory_mib=domain.memory_mib,
            started_at=asyncio.get_running_loop().time(),
        )
        return Done({"deploy_id": domain.name})

    async def shutdown(self, ref: DomainRef, timeout_s: float) -> Outcome:
        return await self._act(lambda: self._stop(ref))

    async def destroy(self, ref: DomainRef) -> Outcome:
        return await self._act(lambda: self._stop(ref))

    def _stop(self, ref: DomainRef) -> Outcome:
        if self._host.domains.pop(ref.uuid, None) is not None:
            self._world.effects += 1
        return Done()

    async def reboot(self, ref: DomainRef) -> Outcome:
        return await self._act(lambda: self._need(ref))

    async def reset(self, ref: DomainRef) -> Outcome:
        return await self._act(lambda: self._need(ref))

    def _need(self, ref: DomainRef) -> Outcome:
        if ref.uuid not in self._host.domains:
            return Failed(f"there is no domain {ref.name} on {self._host.name}")
        self._world.effects += 1
        return Done()

    async def save(self, ref: DomainRef, path: str) -> Outcome:
        return await self._act(lambda: self._save(ref, path))

    def _save(self, ref: DomainRef, path: str) -> Outcome:
        domain = self._host.domains.pop(ref.uuid, None)
        if domain is None:
            return Failed(f"there is no domain {ref.name} on {self._host.name}")
        self._world.effects += 1
        self._host.files[path] = domain.memory_mib
        return Done()

    async def restore(self, domain: Domain, path: str) -> Outcome:
        return await self._act(lambda: self._restore(domain, path))

    def _restore(self, domain: Domain, path: str) -> Outcome:
        if domain.uuid not in self._host.domains and path not in self._host.files:
            return Failed(f"there is no checkpoint {path} on {self._host.name}")
        return self._create(domain)

    async def state(self, ref: DomainRef) -> Outcome:
        def look() -> Outcome:
            found = self._host.domains.get(ref.uuid)
            state = DomainState.ABSENT if found is None else found.state
            return Done({"state": state.value})

        return await self._act(look)


class SimStorage:
    """`ports.driver.Storage` over a table of paths and sizes (MiB)."""

    def __init__(self, world: World, files: dict[str, int]) -> None:
        self._world = world
        self._files = files

    async def _act(self, effect: Callable[[], Outcome]) -> Outcome:
        return await self._world.act(effect, lambda: True)

    async def place(self, directory: str, disks: tuple[DiskPlan, ...]) -> Outcome:
        def effect() -> Outcome:
            fresh = {disk.target: disk.size_mib or 1 for disk in disks}
            fresh.setdefault(f"{directory}/.made", 0)
            if not fresh.keys() <= self._files.keys():
                self._world.effects += 1
            for path, size in fresh.items():
                self._files.setdefault(path, size)
            return Done()

        return await self._act(effect)

    async def remove(self, directory: str) -> Outcome:
        def effect() -> Outcome:
            inside = [path for path in self._files if path.startswith(f"{directory}/")]
            for path in inside:
                del self._files[path]
            self._world.effects += bool(inside)
            return Done()

        return await self._act(effect)

    async def exists(self, path: str) -> Outcome:
        return await self._act(
            lambda: Done({"exists": path in self._files, "size": self._files.get(path, 0)})
        )

    async def discard(self, path: str) -> Outcome:
        def effect() -> Outcome:
            self._world.effects += self._files.pop(path, None) is not None
            return Done()

        return await self._act(effect)

    async def read(self, path: str, offset: int, limit: int) -> Outcome:
        """A simulated console says one line."""
        text = b"This VM is simulated.\n" if path.endswith("console.log") else b""
        part = text[offset:] if offset else text
        return Done({"data": base64.b64encode(part[:limit]).decode(), "size": len(text)})

    async def register(self, plan: ImagePlan, progress: Progress | None = None) -> Outcome:
        def effect() -> Outcome:
            size = plan.size_mib or 1024
            self._files[plan.target] = size
            self._world.effects += 1
            result: dict[str, Any] = {"size_mib": size, "format": plan.format or "qcow2"}
            return Done(result | ({"checksum": plan.checksum} if plan.checksum else {}))

        if progress is not None:
            progress(0.5)
        return await self._act(effect)

    async def stage(self, plan: StagePlan, progress: Progress | None = None) -> Outcome:
        """Takes its time by size; nothing is there before its end."""
        seconds = plan.size_mib / self._world.transfer_mib_s

        def effect() -> Outcome:
            if plan.target in self._files:
                return Done({"size": plan.size_mib * MIB})
            self._files[plan.target] = plan.size_mib
            self._world.stagings.append(plan.target)
            self._world.effects += 1
            return Done({"size": plan.size_mib * MIB, "seconds": seconds})

        if plan.target not in self._files:
            await asyncio.sleep(seconds)
        return await self._act(effect)

    async def usage(self, directory: str) -> Outcome:
        used = sum(s for path, s in self._files.items() if path.startswith(f"{directory}/"))
        total = 1000 * GIB
        return Done({"total_mib": total, "free_mib": max(0, total - used), "used_mib": used})

    async def listing(self, directory: str) -> Outcome:
        def effect() -> Outcome:
            inside = {
                PurePosixPath(path).relative_to(directory).parts[0]
                for path in self._files
                if path.startswith(f"{directory}/")
            }
            return Done({"names": [*sorted(inside)]})

        return await self._act(effect)


class SimNetwork:
    """`ports.driver.Network`: remembers what it was told last."""

    def __init__(self, world: World, host: SimHost) -> None:
        self._world = world
        self._host = host

    async def apply(self, intended: HostNetwork) -> Outcome:
        def effect() -> Outcome:
            changed = self._host.network != intended
            self._host.network = intended
            return Done({"changed": ["network"] if changed else []})

        return await self._world.act(effect, lambda: self._host.alive)

    async def clear(self, engine_id: str) -> Outcome:
        self._host.network = None
        return Done()
