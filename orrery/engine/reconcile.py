"""Intended against actual, for what follows from the state: networks of hosts, leftover domains and
directories.

By signal when something changed and by timer in any case; always the whole, never increments.
"""

import asyncio
import logging
import re
from collections import defaultdict

from orrery.core import staging
from orrery.core.messages import Done, Outcome
from orrery.core.model.host import Host
from orrery.core.model.kinds import Kind
from orrery.core.model.network import SecurityGroup, VirtualNetwork
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.status import HostStatus, VmStatus
from orrery.engine import specs
from orrery.engine.fleet import Fleet
from orrery.engine.limits import Limits
from orrery.engine.writer import Commit
from orrery.ports.driver import DomainFacts, DomainRef, HostNetwork

log = logging.getLogger(__name__)

MOVING = (
    VmStatus.PROLOG,
    VmStatus.DONE,
    VmStatus.POWEROFF,
    VmStatus.SUSPENDED,
    VmStatus.EPILOG,
    VmStatus.PENDING,
)
"""A VM that gets there needs its ports soon (they are made while its disks are), or no longer."""

OURS = re.compile("0|[1-9][0-9]*")
"""Names of directories of VMs: their ids, as we write them."""


COPY = re.compile(r"(0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)")
"""Names of copies in caches: the image and its generation."""


class Reconciler:
    """`apply_network` is also called by the step that wires a VM before it boots."""

    def __init__(self, view: View, fleet: Fleet, limits: Limits) -> None:
        self._view = view
        self._fleet = fleet
        self._limits = limits
        self._locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._applied: dict[int, HostNetwork] = {}
        self._dirty: set[int] = set()
        self._applying: set[int] = set()
        self._parallel = asyncio.Semaphore(limits.monitor_parallel)
        self._hosts: dict[int, Host] = dict(view.hosts)
        self._gone: list[Host] = []
        self._wake = asyncio.Event()
        self.removed = 0
        """Leftovers removed since the start."""

    # --- networks ------------------------------------------------------------------------------

    def on_commit(self, commit: Commit) -> None:
        for obj in commit.put:
            if isinstance(obj, Vm) and obj.status in MOVING and obj.history and obj.nics:
                self._dirty.add(obj.history[-1].host_id)
            elif isinstance(obj, VirtualNetwork | SecurityGroup):
                self._dirty.update(self._view.hosts)
            elif isinstance(obj, Host):
                self._hosts[obj.id] = obj
        for kind, object_id in commit.deleted:
            if kind is Kind.HOST and object_id in self._hosts:
                self._gone.append(self._hosts.pop(object_id))
        if self._dirty or self._gone:
            self._wake.set()

    async def apply_network(self, host_id: int) -> Outcome:
        """Bring a host's network to the newest state. Who waits for its turn finds it done
        already."""
        async with self._locks[host_id]:
            host = self._view.hosts.get(host_id)
            if host is None:
                return Done()
            intended = specs.host_network(self._view, host_id)
            if self._applied.get(host_id) == intended:
                return Done()
            self._applied.pop(host_id, None)
            outcome = await self._fleet.drivers(host).network.apply(intended)
            if isinstance(outcome, Done):
                self._applied[host_id] = intended
            return outcome

    async def run(self) -> None:
        """Until cancelled: apply what changed, and everything once a period, each host by
        itself."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    async with asyncio.timeout(self._limits.reconcile_period_s):
                        await self._wake.wait()
                except TimeoutError:
                    self._applied.clear()
                    self._dirty.update(self._view.hosts)
                self._wake.clear()
                while self._gone:
                    host = self._gone.pop()
                    group.create_task(self._leave(host), name=f"leave {host.name}")
                for host_id in sorted(self._dirty - self._applying):
                    self._dirty.discard(host_id)
                    self._applying.add(host_id)
                    group.create_task(self._apply_one(host_id), name=f"network of host {host_id}")

    async def _apply_one(self, host_id: int) -> None:
        """A host that changed meanwhile has its turn again."""
        try:
            async with self._parallel:
                await self._apply_quietly(host_id)
        finally:
            self._applying.discard(host_id)
            if host_id in self._dirty:
                self._wake.set()

    async def _leave(self, host: Host) -> None:
        """A host that is deleted keeps nothing of ours."""
        self._applied.pop(host.id, None)
        try:
            async with asyncio.timeout(self._limits.monitor_timeout_s):
                outcome = await self._fleet.drivers(host).network.clear(self._view.engine_id)
            if not isinstance(outcome, Done):
                log.warning("host %s: its network stays: %s", host.name, outcome.message)
        except Exception as error:  # a host may be deleted because it is broken
            log.warning("host %s: its network stays: %s", host.name, error)
        self._fleet.forget(host.id)

    async def _apply_quietly(self, host_id: int) -> None:
        host = self._view.hosts.get(host_id)
        if host is None or host.status not in (HostStatus.MONITORED, HostStatus.DISABLED):
            return
        try:
            async with asyncio.timeout(self._limits.monitor_timeout_s):
                outcome = await self.apply_network(host_id)
        except TimeoutError:
            log.warning("network of host %s: no answer", host.name)
            return
        except Exception:  # a driver's fault is the host's trouble, not the engine's end
            log.exception("network of host %s cannot be applied", host.name)
            return
        if not isinstance(outcome, Done):
            log.warning("network of host %s: %s", host.name, outcome.message)

    # --- leftovers -------------------------------------------------------------------------------

    async def remove_leftovers(self, host: Host, domains: list[DomainFacts]) -> None:
        """Remove what bears our mark on the host and no VM explains any more."""
        drivers = self._fleet.drivers(host)
        for found in domains:
            if not self._explained(host, found):
                log.warning(
                    "host %s: domain %s belongs to no VM: removing it", host.name, found.name
                )
                outcome = await drivers.hypervisor.destroy(
                    DomainRef(uuid=found.uuid, name=found.name)
                )
                self.removed += isinstance(outcome, Done)
        await self._remove_directories(host)

    def _explained(self, host: Host, found: DomainFacts) -> bool:
        if found.owner != self._view.engine_id or found.vm_id is None:
            return True
        vm = self._view.vms.get(found.vm_id)
        if vm is None:  # made after the backup that this state is from: not ours to judge
            return True
        if vm.host_id != host.id:
            return False
        return specs.domain_uuid(self._view.engine_id, vm) == found.uuid

    async def _remove_directories(self, host: Host) -> None:
        datastore = self._view.system_datastore(host.cluster_id)
        if datastore is None:
            return
        storage = self._fleet.drivers(host).storage
        listed = await storage.listing(datastore.base_path)
        names = names_in(listed)
        for name in names:
            if not OURS.fullmatch(name) or self._keeps(int(name)):
                continue
            log.warning("host %s: %s belongs to no VM: removing it", host.name, name)
            outcome = await storage.remove(f"{datastore.base_path}/{name}")
            self.removed += isinstance(outcome, Done)
        vms = [int(name) for name in names if OURS.fullmatch(name)]
        if staging.CACHE in names and all(vm_id in self._view.vms for vm_id in vms):
            await self._remove_copies(host, f"{datastore.base_path}/{staging.CACHE}")

    async def _remove_copies(self, host: Host, directory: str) -> None:
        """Copies of images that nobody here knows. Where there are VMs that nobody knows either,
        nothing is removed: their disks may lie on them."""
        storage = self._fleet.drivers(host).storage
        for name in names_in(await storage.listing(directory)):
            found = COPY.fullmatch(name)
            path = f"{directory}/{name}"
            if found is None or self._keeps_copy(host, path, int(found[1])):
                continue
            log.warning("host %s: no lease knows of %s: removing it", host.name, path)
            outcome = await storage.discard(path)
            self.removed += isinstance(outcome, Done)

    def _keeps_copy(self, host: Host, path: str, image_id: int) -> bool:
        copies = self._view.staged_images.values()
        if any(copy.host_id == host.id and copy.path == path for copy in copies):
            return True
        users = (self._view.vms[vm_id] for vm_id in self._view.image_users(image_id))
        return any(vm.host_id == host.id for vm in users)

    def _keeps(self, vm_id: int) -> bool:
        """A directory is kept while its VM is on a host, and when nobody here knows its VM."""
        vm = self._view.vms.get(vm_id)
        return vm is None or vm.host_id is not None


def names_in(listed: Outcome) -> list[str]:
    """What a driver lists is not ours to trust."""
    names = listed.result.get("names") if isinstance(listed, Done) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
