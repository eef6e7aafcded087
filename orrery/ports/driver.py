"""Contracts between the engine and whatever runs VMs, keeps disks and links networks.

All methods are async and idempotent and return an outcome; none raises for what the other side did.
What they are given is complete: a driver never asks back. The same contracts are spoken over a pipe
(docs/reference/driver-protocol.md), so every argument and result is plain data that JSON can carry.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from orrery.core.capacity import Capacity
from orrery.core.messages import Outcome
from orrery.core.status import DomainState

Progress = Callable[[float], None]
"""Called with the fraction done, 0 to 1."""


# --- hypervisor -----------------------------------------------------------------------------------


class DomainDisk(Struct, frozen=True, kw_only=True):
    """A disk as the hypervisor sees it. `device` is disk, cdrom or floppy; `bus` virtio, ide, sata,
    scsi, fdc."""

    path: str
    format: str
    device: str
    bus: str
    target: str
    readonly: bool = False
    cache: str | None = None
    io: str | None = None
    discard: str | None = None


class DomainNic(Struct, frozen=True, kw_only=True):
    """`target` is the tap's name: the network driver finds the port by it."""

    mac: str
    bridge: str
    target: str
    model: str = "virtio"
    mtu: int | None = None


class Graphics(Struct, frozen=True, kw_only=True):
    """`port` None lets the hypervisor choose."""

    type: str
    listen: str = "127.0.0.1"
    port: int | None = None
    password: str | None = None
    keymap: str | None = None


class Domain(Struct, frozen=True, kw_only=True):
    """All a hypervisor needs to start a VM. `uuid` is uuid5(engine, VM, deployment): a repeated
    create meets its own."""

    uuid: str
    name: str
    engine_id: str
    vm_id: int
    memory_mib: int
    vcpus: int
    cpu_pct: int
    disks: tuple[DomainDisk, ...] = ()
    nics: tuple[DomainNic, ...] = ()
    boot: tuple[str, ...] = ("hd",)
    arch: str | None = None
    machine: str | None = None
    kernel: str | None = None
    initrd: str | None = None
    cmdline: str | None = None
    graphics: Graphics | None = None
    console_log: str | None = None
    """File the serial console is also written to."""
    features: Mapping[str, str] = {}
    """acpi, apic, pae, hyperv, localtime, guest_agent: yes or no."""
    inputs: tuple[tuple[str, str], ...] = ()
    """(type, bus) of input devices."""
    cpu_model: str | None = None
    raw: str | None = None
    """XML the user added, verbatim, inside the domain element."""


class DomainRef(Struct, frozen=True, kw_only=True):
    """Names a domain without describing it."""

    uuid: str
    name: str


class DomainFacts(Struct, frozen=True, kw_only=True):
    """One domain as found on a host."""

    uuid: str
    name: str
    state: DomainState
    owner: str | None
    """engine_id of the engine that made it, None for a wild one."""
    vm_id: int | None
    values: dict[str, float] = {}
    """CPU (percent of one core), MEMORY (KiB), NETRX, NETTX, DISKRDBYTES, DISKWRBYTES ...
    (totals)."""
    reason: str | None = None


class Inventory(Struct, frozen=True, kw_only=True):
    """A host and all its domains, whoever made them."""

    total: Capacity
    free: Capacity
    facts: dict[str, str]
    """Attributes for REQUIREMENTS and RANK: ARCH, HYPERVISOR, ACCELERATION (kvm or tcg), MODELNAME,
    CPUSPEED, VERSION ..."""
    capabilities: list[str]
    domains: list[DomainFacts]
    values: dict[str, float] = {}
    """Monitoring numbers of the host: USED_CPU, FREE_CPU, USED_MEMORY, FREE_MEMORY (KiB), NETRX,
    NETTX."""


class Hypervisor(Protocol):
    """Starts, stops and watches domains of one host."""

    async def inventory(self) -> Outcome:
        """Done.result is an Inventory as plain data."""
        ...

    async def create(self, domain: Domain) -> Outcome:
        """Start it; if a domain of that uuid already runs, done. Result: {"deploy_id": str}."""
        ...

    async def shutdown(self, ref: DomainRef, timeout_s: float) -> Outcome:
        """Ask the guest to stop and wait until the domain is gone; Failed if it is still there
        after `timeout_s`."""
        ...

    async def destroy(self, ref: DomainRef) -> Outcome:
        """Stop it at once. Absent is done."""
        ...

    async def reboot(self, ref: DomainRef) -> Outcome:
        """Ask the guest to reboot."""
        ...

    async def reset(self, ref: DomainRef) -> Outcome:
        """Press the reset button."""
        ...

    async def save(self, ref: DomainRef, path: str) -> Outcome:
        """Write memory to `path` and stop the domain: whole, or not at all (written aside, then
        renamed)."""
        ...

    async def restore(self, domain: Domain, path: str) -> Outcome:
        """Start it from `path`, which is kept. If it already runs, done. Result: {"deploy_id":
        str}."""
        ...

    async def state(self, ref: DomainRef) -> Outcome:
        """Look: Done.result {"state": DomainState value}; Unknown if it cannot tell."""
        ...


# --- storage --------------------------------------------------------------------------------------


class DiskPlan(Struct, frozen=True, kw_only=True):
    """One file to make in a VM's directory.

    `how`: clone (instant, by backing file), link (persistent: the image itself), copy, blank, swap,
    context.
    """

    how: str
    target: str
    source: str | None = None
    source_format: str | None = None
    staged: str | None = None
    """A copy of the source in the cache of the host: taken instead of it when it is there."""
    format: str
    size_mib: int | None = None
    files: Mapping[str, str] = {}
    """For context: file names and base64 contents of the ISO."""
    label: str | None = None
    """For context: the volume label (CONTEXT or cidata)."""


class ImagePlan(Struct, frozen=True, kw_only=True):
    """An image to bring into a datastore. `origin` is a path, an http(s) URL, or None for an empty
    one."""

    origin: str | None
    target: str
    format: str | None
    size_mib: int | None
    checksum: str | None


class StagePlan(Struct, frozen=True, kw_only=True):
    """An image to copy into the cache of a host. Its content is taken as it is."""

    source: str
    target: str
    size_mib: int
    """As the guest sees it; the file may be smaller."""


class Storage(Protocol):
    """Disks and images in directories (or whatever a datastore is)."""

    async def place(self, directory: str, disks: tuple[DiskPlan, ...]) -> Outcome:
        """Make a VM's directory and all its disks; what is already whole stays."""
        ...

    async def remove(self, directory: str) -> Outcome:
        """Remove a VM's directory with all in it; linked images stay. Absent is done."""
        ...

    async def exists(self, path: str) -> Outcome:
        """Done.result {"exists": bool, "size": int}."""
        ...

    async def discard(self, path: str) -> Outcome:
        """Remove one file. Absent is done."""
        ...

    async def read(self, path: str, offset: int, limit: int) -> Outcome:
        """A part of a file, as of a console log. Absent is empty.

        Args:
            offset: where to begin; negative counts from the end.
            limit: at most so many bytes.

        Returns:
            Done.result {"data": base64, "size": size of the whole file}.
        """
        ...

    async def register(self, plan: ImagePlan, progress: Progress | None = None) -> Outcome:
        """Fetch, verify, convert nothing. Result: {"size_mib", "format", "checksum"}; whole, or not
        at all."""
        ...

    async def stage(self, plan: StagePlan, progress: Progress | None = None) -> Outcome:
        """Copy an image into the cache of the host: whole, or not at all; what is there stays.
        Optional: a host whose driver has it has the capability `stage`.

        Returns:
            Done.result {"size": bytes, "seconds": what the copying took, absent if it was there}.
        """
        ...

    async def usage(self, directory: str) -> Outcome:
        """Done.result {"total_mib", "free_mib", "used_mib"}."""
        ...

    async def listing(self, directory: str) -> Outcome:
        """Done.result {"names": [...]}: to find leftovers."""
        ...


# --- network --------------------------------------------------------------------------------------


class FilterRule(Struct, frozen=True, kw_only=True):
    """One rule of a security group, resolved. Empty lists mean any."""

    inbound: bool
    protocol: str
    """all, tcp, udp, icmp, icmpv6, ipsec."""
    ports: tuple[tuple[int, int], ...] = ()
    networks: tuple[str, ...] = ()
    """CIDR or first-last."""
    icmp_type: int | None = None


class Port(Struct, frozen=True, kw_only=True):
    """A VM's NIC on this host: what may pass through its tap."""

    target: str
    vm_id: int
    bridge: str
    mac: str
    ip: str | None
    filter_mac: bool = True
    filter_ip: bool = True
    rules: tuple[FilterRule, ...] = ()


class DhcpHost(Struct, frozen=True, kw_only=True):
    mac: str
    ip: str
    name: str


class Bridge(Struct, frozen=True, kw_only=True):
    """A bridge the engine owns on this host."""

    name: str
    network_id: int
    address: str | None = None
    """Gateway address with prefix length, `10.0.0.1/24`; None for a plain bridge."""
    nat: bool = False
    dhcp: bool = False
    dns: tuple[str, ...] = ()
    hosts: tuple[DhcpHost, ...] = ()
    mtu: int | None = None
    phydev: str | None = None
    adopt: bool = False
    """The bridge must exist already and is never removed."""


class HostNetwork(Struct, frozen=True, kw_only=True):
    """The whole intended network of one host: what is not in it and bears our mark is removed."""

    engine_id: str
    bridges: tuple[Bridge, ...] = ()
    ports: tuple[Port, ...] = ()


class Network(Protocol):
    """Links, DHCP and filters of one host, applied whole, never by increments."""

    async def apply(self, intended: HostNetwork) -> Outcome:
        """Make it so; nothing changes when it is so already. Result: {"changed": [what ...]}."""
        ...

    async def clear(self, engine_id: str) -> Outcome:
        """Remove everything that bears this engine's mark."""
        ...


class HostDrivers(Struct, frozen=True):
    """What serves one host."""

    hypervisor: Hypervisor
    storage: Storage
    network: Network
