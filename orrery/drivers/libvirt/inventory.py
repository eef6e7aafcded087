"""What is on a host: domains and numbers, read so that one stuck QEMU cannot hold up the answer.

Only calls that libvirt answers by itself are made for every domain; those that ask the QEMU
process are made apart (`block_values`). All functions block. Knows no deadline and no outcome.
"""

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from orrery.core.status import DomainState
from orrery.drivers.libvirt.binding import libvirt
from orrery.drivers.libvirt.domainxml import METADATA_NS
from orrery.drivers.libvirt.faults import is_absent
from orrery.ports.driver import DomainFacts

STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: DomainState.RUNNING,  # Xen says so of a guest that is idle
    libvirt.VIR_DOMAIN_RUNNING: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: DomainState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_SHUTOFF: DomainState.ABSENT,
    libvirt.VIR_DOMAIN_CRASHED: DomainState.ABSENT,
    libvirt.VIR_DOMAIN_PMSUSPENDED: DomainState.PAUSED,
}

PAUSED_REASONS = {
    libvirt.VIR_DOMAIN_PAUSED_USER: "paused by a user",
    libvirt.VIR_DOMAIN_PAUSED_MIGRATION: "migrating",
    libvirt.VIR_DOMAIN_PAUSED_SAVE: "being saved",
    libvirt.VIR_DOMAIN_PAUSED_IOERROR: "disk error (is the datastore full?)",
    libvirt.VIR_DOMAIN_PAUSED_WATCHDOG: "watchdog",
    libvirt.VIR_DOMAIN_PAUSED_CRASHED: "guest crashed",
    libvirt.VIR_DOMAIN_PAUSED_STARTING_UP: "starting",
}

SHORTEST_S = 0.5
"""Over less time a rate is noise: the last one is told again."""

Key = tuple[str, int]
"""(uuid, libvirt's number of this run): what is known under it cannot change."""


@dataclass(frozen=True)
class Identity:
    """What the XML of a running domain says and does not change while it runs."""

    owner: str | None
    vm_id: int | None
    taps: tuple[str, ...]


@dataclass(frozen=True)
class CpuReading:
    """Processor time used so far, and when that was read."""

    at: float
    used_ns: int
    percent: float = 0.0


@dataclass(frozen=True)
class HostCpu:
    """Processor time of the host since its boot, and how idle it was of late."""

    idle_ns: float
    all_ns: float
    fraction: float


@dataclass
class Monitor:
    """Remembers what is needed to make rates of totals; one per host."""

    identities: dict[Key, Identity]
    cpu: dict[Key, CpuReading]
    blocks: dict[Key, dict[str, float]]
    host: HostCpu | None = None

    @classmethod
    def fresh(cls) -> "Monitor":
        return cls({}, {}, {})

    def domains(self, raw: Any) -> list[DomainFacts]:
        """All running domains of the host, whoever made them."""
        present = {}
        for domain in raw.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            try:
                key = (domain.UUIDString(), domain.ID())
                present[key] = self._facts(domain, key)
            except libvirt.libvirtError as error:
                if not is_absent(error):  # it may end while we look
                    raise
        self._forget(present)
        return list(present.values())

    def _facts(self, domain: Any, key: Key) -> DomainFacts:
        state, reason = domain.state()
        identity = self._identity(domain, key)
        found = STATES.get(state, DomainState.RUNNING)
        return DomainFacts(
            uuid=key[0],
            name=domain.name(),
            state=found,
            owner=identity.owner,
            vm_id=identity.vm_id,
            values=self._values(domain, key, identity),
            reason=PAUSED_REASONS.get(reason) if found is DomainState.PAUSED else None,
        )

    def _identity(self, domain: Any, key: Key) -> Identity:
        if key not in self.identities:
            self.identities[key] = read_identity(domain.XMLDesc())
        return self.identities[key]

    def _values(self, domain: Any, key: Key, identity: Identity) -> dict[str, float]:
        _state, _max_kib, kib, _vcpus, used_ns = domain.info()
        received, sent = _traffic(domain, identity.taps)
        return {
            "CPU": self._cpu_percent(key, used_ns),
            "MEMORY": float(kib),
            "NETRX": received,
            "NETTX": sent,
            **self.blocks.get(key, {}),
        }

    def _cpu_percent(self, key: Key, used_ns: int) -> float:
        at, before = monotonic(), self.cpu.get(key)
        if before is None:
            self.cpu[key] = CpuReading(at, used_ns)
            return 0.0
        if at - before.at < SHORTEST_S:
            return before.percent
        percent = round((used_ns - before.used_ns) / (at - before.at) / 1e7, 2)
        self.cpu[key] = CpuReading(at, used_ns, percent)
        return percent

    def _forget(self, present: Mapping[Key, object]) -> None:
        for memory in (self.identities, self.cpu, self.blocks):
            for key in memory.keys() - present.keys():
                del memory[key]

    def idle_fraction(self, raw: Any) -> float | None:
        """How idle the processors were since the last call; None where libvirt cannot say."""
        try:
            times = raw.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS)
        except libvirt.libvirtError:
            return None
        idle, all_time = float(times["idle"] + times.get("iowait", 0)), float(sum(times.values()))
        before = self.host or HostCpu(0.0, 0.0, 1.0)
        passed = all_time - before.all_ns
        if passed >= SHORTEST_S * 1e9:
            self.host = HostCpu(idle, all_time, (idle - before.idle_ns) / passed)
        return (self.host or before).fraction


def state_of(domain: Any) -> DomainState:
    """The state of one domain."""
    return STATES.get(domain.state()[0], DomainState.RUNNING)


def read_identity(xml: str) -> Identity:
    """Owner mark and tap names of a domain's XML."""
    root = ET.fromstring(xml)  # noqa: S314 - written by libvirt
    mark = root.find(f"metadata/{{{METADATA_NS}}}domain")
    taps = (target.get("dev") for target in root.iterfind("devices/interface/target"))
    vm = None if mark is None else mark.get("vm")
    return Identity(
        owner=None if mark is None else mark.get("engine"),
        vm_id=int(vm) if vm and vm.isdecimal() else None,
        taps=tuple(tap for tap in taps if tap),
    )


def block_values(raw: Any, keys: Iterable[Key]) -> dict[Key, dict[str, float]]:
    """Totals of each domain's disks. Asks the QEMU processes: blocks for as long as one is stuck.

    A QEMU that already holds up another call is passed over.
    """
    found = {}
    for key in keys:
        with contextlib.suppress(libvirt.libvirtError):  # gone, or without disks: no values
            domain = raw.lookupByID(key[1])
            if domain.controlInfo()[0] != libvirt.VIR_DOMAIN_CONTROL_OK:
                continue
            reads, read_bytes, writes, written_bytes, _errors = domain.blockStats("")
            found[key] = {
                "DISKRDBYTES": float(read_bytes),
                "DISKWRBYTES": float(written_bytes),
                "DISKRDIOPS": float(reads),
                "DISKWRIOPS": float(writes),
            }
    return found


def _traffic(domain: Any, taps: tuple[str, ...]) -> tuple[float, float]:
    received = sent = 0
    for tap in taps:
        with contextlib.suppress(libvirt.libvirtError):  # a NIC may just be going
            numbers = domain.interfaceStats(tap)
            received, sent = received + numbers[0], sent + numbers[4]
    return float(received), float(sent)
