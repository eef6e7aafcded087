"""Leases in a cloud under virtual time: what tests of them share."""

from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.messages import ENGINE, Actor, AllocateHost
from orrery.core.model.lease import Lease, LeaseStatus, NodeSet, Terms
from orrery.core.model.vm import Vm
from orrery.core.status import HostStatus, VmStatus
from orrery.drivers.sim import Faults
from orrery.engine.assembly import LEASES
from orrery.engine.limits import Limits
from orrery.sched.leases.settings import Settings
from orrery.service import leases
from orrery.service.engine import Engine as Services
from orrery.service.engine import LeaseLimits
from orrery.simulate.loop import VirtualLoop, run
from tests.engine.harness import LIMITS, Cloud

T = TypeVar("T")

S = LeaseStatus
HOUR = 3600.0
SETTINGS = replace(LEASES, boot_s=5, shutdown_s=5, suspend_rate=100.0, resume_rate=100.0)
QUICK = Faults(latency_s=(0.05, 0.5))
"""A simulated host is 8 cores and 8 GiB."""


class LeaseCloud(Cloud):
    """With a word for each use case of leases."""

    lease_settings = SETTINGS
    limits = LeaseLimits()

    @property
    def services(self) -> Services:
        causes = count()
        return Services(
            self.engine.view,
            self.engine.submit,
            lambda: f"c{next(causes)}",
            self.clock,
            self.engine.leasing,
            self.limits,
        )

    @property
    def now(self) -> float:
        return self.clock.now()

    async def request(self, terms: Terms, actor: Actor = ENGINE, **more: object) -> leases.Verdict:
        wanted = leases.Request(terms=terms, **more)  # type: ignore[arg-type] # by name
        return await leases.request(self.services, actor, wanted)

    async def lease_of(self, terms: Terms) -> int:
        verdict = await self.request(terms)
        assert verdict.accepted, verdict.reason
        assert verdict.lease_id is not None
        return verdict.lease_id

    def lease(self, lease_id: int) -> Lease:
        return self.engine.state.leases[lease_id]

    def vms(self, lease_id: int) -> list[Vm]:
        return [self.engine.state.vms[i] for i in self.lease(lease_id).vms]

    def statuses(self, lease_id: int) -> set[VmStatus]:
        return {vm.status for vm in self.vms(lease_id)}

    async def lease_reaches(
        self, lease_id: int, *statuses: LeaseStatus, seconds: float = 20 * HOUR
    ) -> Lease:
        try:
            await self.until(lambda: self.lease(lease_id).status in statuses, seconds)
        except TimeoutError:
            found = self.lease(lease_id)
            vms = [vm.status.name for vm in self.vms(lease_id)]
            raise AssertionError(f"lease {found} with VMs {vms} at {self.now}") from None
        return self.lease(lease_id)

    async def add_host(self, name: str) -> int:
        host_id = await self.ask(
            AllocateHost(cause="t", actor=ENGINE, name=name, im_mad="sim", vm_mad="sim")
        )
        await self.until(lambda: self.engine.state.hosts[host_id].status is HostStatus.MONITORED)
        return host_id


def nodes(count: int, cpu: int = 400, memory: int = 2048) -> tuple[NodeSet, ...]:
    return (NodeSet(count=count, capacity=Capacity(cpu, memory)),)


def best_effort(count: int = 2, seconds: float = HOUR, **size: int) -> Terms:
    return Terms(nodes=nodes(count, **size), duration=seconds)


def reservation(start: float, count: int = 2, seconds: float = HOUR, **size: int) -> Terms:
    return Terms(nodes=nodes(count, **size), duration=seconds, start=start)


def in_lease_cloud(
    home: Path,
    story: Callable[[LeaseCloud], Awaitable[T]],
    faults: Faults | None = None,
    *,
    settings: Settings = SETTINGS,
    learns: bool = False,
    limits: LeaseLimits | None = None,
    engine_limits: Limits = LIMITS,
) -> T:
    """Run a story in a furnished cloud of one host to its end."""

    async def main(loop: VirtualLoop) -> T:
        cloud = LeaseCloud(loop, home, faults or QUICK)
        cloud.lease_settings, cloud.learns = settings, learns
        cloud.limits = limits or LeaseLimits()
        await cloud.start(engine_limits)
        await cloud.furnish()
        try:
            return await story(cloud)
        finally:
            await cloud.kill()

    return run(main)
