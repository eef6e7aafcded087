"""The Hypervisor port on libvirt, for KVM, QEMU and Xen on one host. Knows nothing of engines.

Domains are transient: what does not run does not exist, so `absent` needs no second meaning.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from orrery.core.capacity import Capacity
from orrery.core.messages import Done, Failed, Outcome
from orrery.core.status import DomainState
from orrery.drivers.libvirt import hostfacts, inventory, savefile
from orrery.drivers.libvirt.binding import libvirt
from orrery.drivers.libvirt.connection import Connection, OnEvent, ignore_event
from orrery.drivers.libvirt.domainxml import InvalidDomain, Target, domain_xml
from orrery.drivers.libvirt.faults import (
    Impossible,
    NotConnected,
    NotStarted,
    Overdue,
    is_absent,
    outcome_of,
)
from orrery.drivers.libvirt.probe import PREFIX, Acceleration, device_warning, probe
from orrery.ports.driver import Domain, DomainRef, Inventory

QUERY_S = 20.0
START_S = 120.0
MEMORY_S = 900.0
"""Deadline of save and restore: they write or read all memory."""
DESTROY_S = 60.0
STATISTICS_S = 2.0
PROBE_S = 90.0

ASK_AGAIN_S = 5.0
"""A guest that is still booting misses the power button: press it again."""
LOOK_AGAIN_S = 1.0
"""Events of libvirt are hints: look as well."""

CAPABILITIES = ["suspend"]

FIXED = {
    "qemu": Acceleration("tcg", "asked for: this driver always emulates"),
    "xen": Acceleration("xen", "Xen runs its guests itself"),
}
"""Modes that leave nothing to probe."""


class LibvirtHypervisor:
    """One host. `mode` is kvm (where a guest really boots with it, else emulation), qemu or xen."""

    def __init__(self, uri: str, mode: str, on_event: OnEvent = ignore_event) -> None:
        self.uri = uri
        self.mode = mode
        self._on_event = on_event
        # libvirtd serves five calls at a time on a connection; none may wait behind another kind.
        self._queries = Connection(uri, workers=4, on_event=self._hint)
        self._operations = Connection(uri, workers=4)
        self._statistics = Connection(uri, workers=2)
        self._monitor = inventory.Monitor.fresh()
        self._acceleration = FIXED.get(mode)
        self._accelerated = asyncio.Event()
        self._max_shares = hostfacts.max_shares(uri)
        self._pulse = asyncio.Event()

    async def run(self) -> None:
        """Keep the connections, find out how guests run: a task beside the calls."""
        async with asyncio.TaskGroup() as group:
            for connection in (self._queries, self._operations, self._statistics):
                group.create_task(connection.run())
            group.create_task(self._probe())

    # --- the port ------------------------------------------------------------------------------

    async def inventory(self) -> Outcome:
        try:
            acceleration = await self._known_acceleration()
            await self._read_blocks()
            found = await self._queries.call(lambda raw: self._look(raw, acceleration), QUERY_S)
        except Exception as error:  # every error becomes an outcome, here as in all methods
            return outcome_of(error, "inventory")
        return Done(msgspec.to_builtins(found))

    async def create(self, domain: Domain) -> Outcome:
        return await self._start(domain, "create", lambda raw, xml: raw.createXML(xml), START_S)

    async def restore(self, domain: Domain, path: str) -> Outcome:
        def bring_back(raw: Any, xml: str) -> None:
            file = Path(path)
            _finish_save(file)
            if not file.exists():
                raise Impossible(f"there is no saved state at {path}: start the VM anew")
            savefile.adopt(file, domain.uuid)
            raw.restoreFlags(path, xml, self._run_flag)

        return await self._start(domain, "restore", bring_back, MEMORY_S)

    async def save(self, ref: DomainRef, path: str) -> Outcome:
        def keep(raw: Any) -> Outcome:
            found, file = _running(raw, ref.uuid), Path(path)
            if found is None:
                _finish_save(file)
                return Done() if file.exists() else Failed(f"save {ref.name}: it does not run")
            partial = _partial(file)
            partial.unlink(missing_ok=True)
            found.saveFlags(str(partial), None, self._run_flag)
            partial.replace(file)
            return Done()

        return await self._outcome(keep, MEMORY_S, f"save {ref.name}")

    async def shutdown(self, ref: DomainRef, timeout_s: float) -> Outcome:
        named = f"shut down {ref.name}"
        loop = asyncio.get_running_loop()
        end = ask_at = loop.time()
        end += timeout_s
        while True:
            outcome = await self.state(ref)
            if not isinstance(outcome, Done):
                return outcome
            if outcome.result["state"] == DomainState.ABSENT.value:
                return Done()
            if loop.time() >= end:
                return Failed(
                    f"{named}: the guest still runs after {timeout_s:.0f} s. It may lack an ACPI "
                    "daemon: use the hard variant"
                )
            if loop.time() >= ask_at:
                ask_at += ASK_AGAIN_S
                asked = await self._upon(ref, "shut down", self._press, QUERY_S, absent=Done())
                if not isinstance(asked, Done):
                    return asked
            await self._wait_for_event(min(LOOK_AGAIN_S, max(end - loop.time(), 0)))

    async def destroy(self, ref: DomainRef) -> Outcome:
        # Among the queries, which never block: a stuck QEMU may hold all threads for operations.
        return await self._upon(
            ref,
            "destroy",
            lambda found: found.destroy(),
            DESTROY_S,
            through=self._queries,
            absent=Done(),
        )

    async def reboot(self, ref: DomainRef) -> Outcome:
        flag = 0 if self.mode == "xen" else libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN
        return await self._upon(ref, "reboot", lambda found: found.reboot(flag), QUERY_S)

    async def reset(self, ref: DomainRef) -> Outcome:
        return await self._upon(ref, "reset", lambda found: found.reset(0), QUERY_S)

    async def state(self, ref: DomainRef) -> Outcome:
        def look(raw: Any) -> Outcome:
            return Done({"state": _state(raw, ref.uuid).value})

        return await self._outcome(look, QUERY_S, f"state of {ref.name}", through=self._queries)

    # --- starting ------------------------------------------------------------------------------

    async def _start(
        self, domain: Domain, what: str, begin: Callable[[Any, str], Any], deadline_s: float
    ) -> Outcome:
        named = f"{what} {domain.name}"
        try:
            target = await self._target()
            return await self._operations.call(
                lambda raw: self._begin(raw, domain, target, begin), deadline_s
            )
        except InvalidDomain as error:
            return Failed(f"{named}: {error}")
        except Exception as error:
            return outcome_of(error, named)

    def _begin(
        self, raw: Any, domain: Domain, target: Target, begin: Callable[[Any, str], Any]
    ) -> Outcome:
        done = Done({"deploy_id": domain.uuid})
        if _running(raw, domain.uuid) is not None:
            return done
        _check_name(raw, domain)
        if domain.console_log:
            Path(domain.console_log).parent.mkdir(parents=True, exist_ok=True)
        try:
            begin(raw, domain_xml(domain, target))
        except libvirt.libvirtError as error:
            if target.max_shares is None or "cgroup" not in str(error).lower():
                raise
            # This host cannot weigh CPU time: remembered, and reported as a fact.
            self._max_shares = None
            begin(raw, domain_xml(domain, replace(target, max_shares=None)))
        return done

    @property
    def _run_flag(self) -> int:
        """A VM is running after it was saved and restored, whatever it was at that moment."""
        return 0 if self.mode == "xen" else int(libvirt.VIR_DOMAIN_SAVE_RUNNING)

    # --- acceleration --------------------------------------------------------------------------

    async def _probe(self) -> None:
        """Probe once, when the host first answers; kept as long as the process lives."""
        while self._acceleration is None:
            try:
                self._acceleration = await self._operations.call(
                    lambda raw: probe(raw, self.uri), PROBE_S
                )
            except (NotConnected, NotStarted):
                continue
            except Exception as error:  # then without KVM: that always works
                self._acceleration = Acceleration("tcg", f"the KVM probe did not end: {error}")
        self._accelerated.set()

    async def _known_acceleration(self) -> Acceleration:
        try:
            async with asyncio.timeout(PROBE_S):
                await self._accelerated.wait()
        except TimeoutError:
            raise NotConnected(f"{self.uri}: {self._operations.problem}") from None
        assert self._acceleration is not None
        return self._acceleration

    async def _target(self) -> Target:
        acceleration = await self._known_acceleration()
        kind = "qemu" if acceleration.kind == "tcg" else acceleration.kind
        return Target(virt_type=kind, max_shares=self._max_shares)

    # --- looking -------------------------------------------------------------------------------

    async def _read_blocks(self) -> None:
        """Disk numbers, if all QEMU processes answer in time; else the last known ones stay."""
        keys = list(self._monitor.identities)
        with contextlib.suppress(NotConnected, NotStarted, Overdue, libvirt.libvirtError):
            found = await self._statistics.call(
                lambda raw: inventory.block_values(raw, keys), STATISTICS_S
            )
            self._monitor.blocks.update(found)

    def _look(self, raw: Any, acceleration: Acceleration) -> Inventory:
        domains = [d for d in self._monitor.domains(raw) if not d.name.startswith(PREFIX)]
        total = hostfacts.total(raw)
        idle = self._monitor.idle_fraction(raw)
        used = sum(domain.values["CPU"] for domain in domains)
        free_cpu = max(total.cpu_pct - used, 0.0) if idle is None else total.cpu_pct * idle
        free_kib = hostfacts.free_memory_kib(raw)
        return Inventory(
            total=total,
            free=Capacity(cpu_pct=int(free_cpu), memory_mib=free_kib // 1024),
            facts={**hostfacts.facts(raw, self.uri), **self._own_facts(acceleration)},
            capabilities=CAPABILITIES,
            domains=domains,
            values={
                "USED_CPU": round(total.cpu_pct - free_cpu, 1),
                "FREE_CPU": round(free_cpu, 1),
                "USED_MEMORY": float(total.memory_mib * 1024 - free_kib),
                "FREE_MEMORY": float(free_kib),
                **(hostfacts.traffic() if hostfacts.is_local(self.uri) else {}),
            },
        )

    def _own_facts(self, acceleration: Acceleration) -> dict[str, str]:
        warning = device_warning() if hostfacts.is_local(self.uri) else None
        facts = {
            "HYPERVISOR": self.mode,
            "ACCELERATION": acceleration.kind,
            "ACCELERATION_REASON": acceleration.reason,
            "CPU_SHARES": "no" if self._max_shares is None else "yes",
        }
        return facts if warning is None else {**facts, "HOST_WARNING": warning}

    # --- calling -------------------------------------------------------------------------------

    async def _outcome(
        self,
        function: Callable[[Any], Outcome],
        deadline_s: float,
        named: str,
        *,
        through: Connection | None = None,
    ) -> Outcome:
        try:
            return await (through or self._operations).call(function, deadline_s)
        except Exception as error:
            return outcome_of(error, named)

    async def _upon(
        self,
        ref: DomainRef,
        what: str,
        act: Callable[[Any], object],
        deadline_s: float,
        *,
        through: Connection | None = None,
        absent: Outcome | None = None,
    ) -> Outcome:
        """Act on a running domain; `absent` is the outcome where there is none."""
        named = f"{what} {ref.name}"
        missing = absent or Failed(f"{named}: it does not run")

        def do(raw: Any) -> Outcome:
            found = _running(raw, ref.uuid)
            if found is None:
                return missing
            try:
                act(found)
            except libvirt.libvirtError:
                if _running(raw, ref.uuid) is None:  # it ended by itself in the meantime
                    return missing
                raise
            return Done()

        return await self._outcome(do, deadline_s, named, through=through)

    def _press(self, found: Any) -> None:
        found.shutdownFlags(0 if self.mode == "xen" else libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)

    async def _wait_for_event(self, limit_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._pulse.wait()

    def _hint(self, uuid: str | None, name: str | None, event: str, reason: str | None) -> None:
        self._pulse.set()
        self._pulse = asyncio.Event()
        if name is None or not name.startswith(PREFIX):
            self._on_event(uuid, name, event, reason)


def kvm(uri: str, on_event: OnEvent) -> LibvirtHypervisor:
    """KVM where a guest really boots with it, software emulation otherwise."""
    return LibvirtHypervisor(uri, "kvm", on_event)


def qemu(uri: str, on_event: OnEvent) -> LibvirtHypervisor:
    """Always software emulation."""
    return LibvirtHypervisor(uri, "qemu", on_event)


def xen(uri: str, on_event: OnEvent) -> LibvirtHypervisor:
    """Xen through libvirt's own driver for it."""
    return LibvirtHypervisor(uri, "xen", on_event)


def _running(raw: Any, uuid: str) -> Any:
    """The domain of that uuid if it runs, else None."""
    try:
        found = raw.lookupByUUIDString(uuid)
        return found if found.isActive() else None
    except libvirt.libvirtError as error:
        if is_absent(error):
            return None
        raise


def _state(raw: Any, uuid: str) -> DomainState:
    """A domain may go between being found and being asked: then it is absent."""
    try:
        found = _running(raw, uuid)
        return DomainState.ABSENT if found is None else inventory.state_of(found)
    except libvirt.libvirtError as error:
        if is_absent(error):
            return DomainState.ABSENT
        raise


def _check_name(raw: Any, domain: Domain) -> None:
    try:
        other = raw.lookupByName(domain.name)
    except libvirt.libvirtError as error:
        if is_absent(error):
            return
        raise
    if other.UUIDString() != domain.uuid:
        raise Impossible(
            f"the host has another domain of that name (uuid {other.UUIDString()}, wanted "
            f"{domain.uuid}): if nobody needs it, remove it (virsh destroy, virsh undefine)"
        )


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _finish_save(path: Path) -> None:
    """A save that ended while nobody listened left a whole file under the other name."""
    if savefile.is_whole(_partial(path)):
        _partial(path).replace(path)
