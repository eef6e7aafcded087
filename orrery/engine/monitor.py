"""Asks every host how it is, once a period; facts become events, numbers become samples."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from orrery.core.messages import (
    DomainSeen,
    Done,
    Failed,
    HostSeen,
    HostSilent,
    Message,
    Unknown,
)
from orrery.core.model.host import Host
from orrery.core.model.kinds import Kind
from orrery.core.model.storage import Datastore
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.status import DomainState, HostStatus, VmStatus
from orrery.core.template import Template
from orrery.engine import specs
from orrery.engine.fleet import Fleet
from orrery.engine.limits import Limits
from orrery.engine.reconcile import Reconciler
from orrery.engine.writer import Commit
from orrery.ports.clock import Clock
from orrery.ports.driver import DomainFacts, Inventory
from orrery.ports.store import Sample, Series

log = logging.getLogger(__name__)

T = TypeVar("T")
Submit = Callable[[Message], Awaitable[int | None]]

WATCHED = (HostStatus.INIT, HostStatus.MONITORED, HostStatus.ERROR, HostStatus.DISABLED)
"""Hosts that are asked; OFFLINE ones are left alone."""


HINT_DELAY_S = 0.2
"""One start of a guest gives several hints: wait for the last of them, then look once."""

SAMPLE_GAP_S = 1.0
"""Samples closer together than this say nothing new: only the first is kept."""


class Monitor:
    """Keeps the newest sample of everything at hand; the series go to the store."""

    def __init__(
        self,
        view: View,
        fleet: Fleet,
        submit: Submit,
        reconciler: Reconciler,
        series: Series,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._view = view
        self._fleet = fleet
        self._submit = submit
        self._reconciler = reconciler
        self._series = series
        self._clock = clock
        self._limits = limits
        self._parallel = asyncio.Semaphore(limits.monitor_parallel)
        self._wake = asyncio.Event()
        self._soon: set[int] = set()
        self._polling: set[int] = set()
        self.last: dict[tuple[Kind, int], Sample] = {}
        self.last_of_vms: dict[int, Sample] = {}
        """Those of VMs again, by id alone: lists of VMs look at all of them."""
        self.revision = 0
        """Grows with every change of `last`: tells whether an answer made from it is still good."""

    def on_commit(self, commit: Commit) -> None:
        """A new or re-enabled host is asked at once; what is gone or at rest has no numbers."""
        for obj in commit.put:
            if isinstance(obj, Host) and obj.status is HostStatus.INIT:
                self.poll_soon(obj.id)
            elif isinstance(obj, Vm) and not obj.holds_capacity:
                self._forget((Kind.VM, obj.id))
        for key in commit.deleted:
            self._forget(key)

    def _forget(self, key: tuple[Kind, int]) -> None:
        if self.last.pop(key, None) is None:
            return
        self.revision += 1
        if key[0] is Kind.VM:
            self.last_of_vms.pop(key[1], None)

    def poll_soon(self, host_id: int) -> None:
        """A hint (a driver's event) that a host is worth a look now."""
        self._soon.add(host_id)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled: all hosts once a period, those hinted at in between.

        Each host is asked by a task of its own: one that hangs holds up no other.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_house(), name="monitor datastores")
            self._poll(group, set(self._view.hosts))
            due = loop.time() + self._limits.monitor_period_s
            while True:
                try:
                    async with asyncio.timeout_at(due):
                        await self._wake.wait()
                    await asyncio.sleep(HINT_DELAY_S)
                    self._wake.clear()
                    hosts, self._soon = self._soon, set()
                except TimeoutError:
                    due = loop.time() + self._limits.monitor_period_s
                    hosts = set(self._view.hosts)
                self._poll(group, hosts)

    def _poll(self, group: asyncio.TaskGroup, host_ids: set[int]) -> None:
        """Start a poll of each host that is watched and has none under way."""
        for host_id in sorted(host_ids - self._polling):
            host = self._view.hosts.get(host_id)
            if host is not None and host.status in WATCHED:
                self._polling.add(host_id)
                group.create_task(self._poll_one(host), name=f"monitor {host.name}")

    async def _poll_one(self, host: Host) -> None:
        try:
            async with self._parallel:
                await self._look_at(host)
        finally:
            self._polling.discard(host.id)

    async def _look_at(self, host: Host) -> None:
        before = {vm_id: self._view.vms[vm_id] for vm_id in self._view.vms_on(host.id)}
        cause = f"monitor-{host.id}"
        inventory = await self._ask(host)
        if isinstance(inventory, Unknown | Failed):
            await self._submit(HostSilent(cause=cause, host_id=host.id, message=inventory.message))
            return
        seen = await self._guarded(host, self._seen(host, inventory, before, cause))
        if seen is None:
            return
        await self._submit(seen)
        await self._keep_samples(host, inventory)
        await self._guarded(host, self._reconciler.remove_leftovers(host, inventory.domains))

    async def _guarded(self, host: Host, call: Coroutine[Any, Any, T]) -> T | None:
        """None when a driver of a host that answers does not, or has a fault."""
        try:
            async with asyncio.timeout(self._limits.monitor_timeout_s):
                return await call
        except TimeoutError:
            log.warning("host %s answers, but not all of its drivers do", host.name)
        except Exception:  # as in `_ask`
            log.exception("host %s answers, but a driver of it has a fault", host.name)
        return None

    async def _keep_house(self) -> None:
        while True:
            await self._measure_datastores()
            await self._series.prune(self._clock.now() - self._limits.samples_kept_s)
            await asyncio.sleep(self._limits.monitor_period_s)

    async def _ask(self, host: Host) -> Inventory | Failed | Unknown:
        try:
            async with asyncio.timeout(self._limits.monitor_timeout_s):
                outcome = await self._fleet.drivers(host).hypervisor.inventory()
            return inventory_in(outcome) if isinstance(outcome, Done) else outcome
        except TimeoutError:
            return Unknown(f"no answer within {self._limits.monitor_timeout_s:g} s")
        except Exception as error:  # a driver's fault is the host's trouble, not the engine's end
            log.exception("host %s cannot be monitored", host.name)
            return Unknown(f"{type(error).__name__}: {error}")

    async def _seen(
        self, host: Host, inventory: Inventory, before: dict[int, Vm], cause: str
    ) -> HostSeen:
        by_uuid = {found.uuid: found for found in inventory.domains}
        domains = []
        for vm in before.values():
            found = by_uuid.get(specs.domain_uuid(self._view.engine_id, vm))
            state = found.state if found else await self._absent_or_saved(host, vm)
            if state is None:
                continue
            domains.append(
                DomainSeen(
                    cause=cause,
                    vm_id=vm.id,
                    gen=vm.gen,
                    host_id=host.id,
                    state=state,
                    reason=None if found is None else found.reason,
                )
            )
        return HostSeen(
            cause=cause,
            host_id=host.id,
            total=inventory.total,
            facts=Template(tuple(sorted(inventory.facts.items()))),
            capabilities=frozenset(inventory.capabilities),
            domains=tuple(domains),
        )

    async def _absent_or_saved(self, host: Host, vm: Vm) -> DomainState | None:
        """A VM that should run and does not may have been saved by a call whose answer was lost.

        None when its host cannot tell now: nothing is said of this VM, the next look may know.
        """
        if vm.status not in (VmStatus.RUNNING, VmStatus.UNKNOWN):
            return DomainState.ABSENT
        path = specs.checkpoint_path(vm, self._view)
        try:
            found = await self._fleet.drivers(host).storage.exists(path)
        except Exception:  # as in `_ask`
            log.exception("host %s: %s cannot be looked for", host.name, path)
            return None
        if not isinstance(found, Done):
            log.warning("host %s: %s cannot be looked for: %s", host.name, path, found.message)
            return None
        return DomainState.SAVED if found.result.get("exists") else DomainState.ABSENT

    async def _keep_samples(self, host: Host, inventory: Inventory) -> None:
        now = self._clock.now()
        samples = [Sample(Kind.HOST, host.id, now, inventory.values)]
        samples.extend(
            Sample(Kind.VM, found.vm_id, now, found.values)
            for found in inventory.domains
            if self._is_ours(found) and found.vm_id is not None
        )
        fresh = [sample for sample in samples if self._is_fresh(sample)]
        self.revision += 1
        for sample in fresh:
            self.last[sample.kind, sample.id] = sample
            if sample.kind is Kind.VM:
                self.last_of_vms[sample.id] = sample
        await self._series.append(fresh)

    def _is_fresh(self, sample: Sample) -> bool:
        last = self.last.get((sample.kind, sample.id))
        return last is None or sample.at - last.at >= SAMPLE_GAP_S

    def _is_ours(self, found: DomainFacts) -> bool:
        """A VM that came to rest while its host was asked has no numbers any more."""
        if found.owner != self._view.engine_id or found.vm_id is None:
            return False
        vm = self._view.vms.get(found.vm_id)
        return vm is not None and vm.holds_capacity

    async def _measure_datastores(self) -> None:
        now = self._clock.now()
        for datastore in list(self._view.datastores.values()):
            numbers = await self._usage(datastore)
            if numbers is not None:
                self.revision += 1
                self.last[Kind.DATASTORE, datastore.id] = Sample(
                    Kind.DATASTORE, datastore.id, now, numbers
                )

    async def _usage(self, datastore: Datastore) -> dict[str, float] | None:
        try:
            async with asyncio.timeout(self._limits.monitor_timeout_s):
                outcome = await self._fleet.images(datastore).usage(datastore.base_path)
        except TimeoutError:
            return None
        except Exception:  # as in `_ask`
            log.exception("datastore %s cannot be measured", datastore.name)
            return None
        if not isinstance(outcome, Done):
            return None
        return {k: float(v) for k, v in outcome.result.items() if isinstance(v, int | float)}


def inventory_in(outcome: Done) -> Inventory | Failed:
    """What a driver says is not ours to trust."""
    try:
        return msgspec.convert(outcome.result, Inventory)
    except msgspec.ValidationError as error:
        return Failed(f"its driver's inventory is malformed: {error}")
