"""Domain XML from a Domain: pure, one function per device. Knows no connection."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass

from orrery.ports.driver import Domain, DomainDisk, DomainNic, Graphics

METADATA_NS = "urn:orrery:domain:1"
"""Marks our domains; the element carries the engine's and the VM's id."""

XEN_BUS = {"virtio": "xen", "scsi": "xen"}
"""A Xen guest has no virtio: its paravirtual disks are on bus `xen`."""

CPU_MODES = {
    "host-passthrough": "host-passthrough",
    "host-model": "host-model",
    "max": "maximum",
    "maximum": "maximum",
}

MIN_SHARES = 2


class InvalidDomain(ValueError):
    """The description cannot be written as domain XML: says which field and what to do."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What of the host the XML depends on."""

    virt_type: str
    """kvm, qemu or xen."""
    max_shares: int | None = None
    """The largest CPU weight the host's cgroups take; None where CPU time cannot be weighed."""
    tb_cache_mib: int = 64
    """Translation buffer of an emulated guest; QEMU's own choice can be larger than the guest."""


def domain_xml(domain: Domain, target: Target) -> str:
    """The whole definition, ready for createXML and for restoring."""
    root = _el(
        "domain",
        _el("name", text=domain.name),
        _el("uuid", text=domain.uuid),
        _el("metadata", _owner(domain)),
        _el("memory", text=domain.memory_mib, unit="MiB"),
        _el("vcpu", text=domain.vcpus),
        _cputune(domain, target),
        _os(domain, target),
        _features(domain, target),
        _cpu(domain, target),
        _el("clock", offset="localtime" if _on(domain, "localtime") else "utc"),
        _el("on_poweroff", text="destroy"),
        _el("on_reboot", text="restart"),
        _el("on_crash", text="destroy"),
        _devices(domain, target),
        type=target.virt_type,
    )
    root.extend(_raw(domain.raw))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


# --- the domain outside its devices ------------------------------------------------------------


def _owner(domain: Domain) -> ET.Element:
    mark = {"xmlns:orrery": METADATA_NS, "engine": domain.engine_id, "vm": str(domain.vm_id)}
    return ET.Element("orrery:domain", mark)


def _cputune(domain: Domain, target: Target) -> ET.Element | None:
    if target.max_shares is None:
        return None
    shares = min(max(domain.cpu_pct * 1024 // 100, MIN_SHARES), target.max_shares)
    return _el("cputune", _el("shares", text=shares))


def _os(domain: Domain, target: Target) -> ET.Element:
    boot = () if domain.kernel else domain.boot
    return _el(
        "os",
        _el(
            "type",
            text="linux" if _paravirtual(domain, target) else "hvm",
            arch=domain.arch,
            machine=domain.machine,
        ),
        _el("kernel", text=domain.kernel) if domain.kernel else None,
        _el("initrd", text=domain.initrd) if domain.initrd else None,
        _el("cmdline", text=domain.cmdline) if domain.cmdline else None,
        *(_el("boot", dev=device) for device in boot),
    )


def _features(domain: Domain, target: Target) -> ET.Element:
    return _el(
        "features",
        *(_el(name) for name in ("acpi", "apic", "pae") if _on(domain, name)),
        # The enlightenments live in KVM: software emulation refuses them.
        _hyperv() if _on(domain, "hyperv") and target.virt_type == "kvm" else None,
        _el("tcg", _el("tb-cache", text=target.tb_cache_mib, unit="MiB"))
        if target.virt_type == "qemu"
        else None,
    )


def _hyperv() -> ET.Element:
    return _el(
        "hyperv",
        _el("relaxed", state="on"),
        _el("vapic", state="on"),
        _el("spinlocks", state="on", retries=8191),
    )


def _cpu(domain: Domain, target: Target) -> ET.Element | None:
    if domain.cpu_model is None or target.virt_type == "xen":
        return None
    mode = CPU_MODES.get(domain.cpu_model)
    if mode is None:
        model = _el("model", text=domain.cpu_model, fallback="allow")
        return _el("cpu", model, mode="custom", match="exact")
    # Emulation has no host CPU to pass through: its nearest is all that it can emulate.
    return _el("cpu", mode="maximum" if target.virt_type == "qemu" else mode)


# --- devices -----------------------------------------------------------------------------------


def _devices(domain: Domain, target: Target) -> ET.Element:
    xen = target.virt_type == "xen"
    scsi = not xen and any(disk.bus == "scsi" for disk in domain.disks)
    return _el(
        "devices",
        _el("controller", type="scsi", index=0, model="virtio-scsi") if scsi else None,
        *(_disk(disk, xen=xen) for disk in domain.disks),
        *(_nic(nic, xen=xen) for nic in domain.nics),
        *_console(domain.console_log, paravirtual=_paravirtual(domain, target)),
        _agent() if _on(domain, "guest_agent") and not xen else None,
        *(_el("input", type=kind, bus=bus or None) for kind, bus in domain.inputs),
        *_graphics(domain.graphics),
        None if xen else _el("memballoon", _el("stats", period=10), model="virtio"),
        None if xen else _rng(),
    )


def _disk(disk: DomainDisk, *, xen: bool) -> ET.Element:
    block = disk.path.startswith("/dev/")
    bus = XEN_BUS.get(disk.bus, disk.bus) if xen else disk.bus
    name = f"x{disk.target}" if xen and disk.target.startswith("vd") else disk.target
    return _el(
        "disk",
        _el(
            "driver",
            name="qemu",
            type=disk.format,
            cache=disk.cache,
            io=disk.io,
            discard=disk.discard,
        ),
        _el("source", dev=disk.path) if block else _el("source", file=disk.path),
        _el("target", dev=name, bus=bus),
        _el("readonly") if disk.readonly or disk.device == "cdrom" else None,
        type="block" if block else "file",
        device=disk.device,
    )


def _nic(nic: DomainNic, *, xen: bool) -> ET.Element:
    return _el(
        "interface",
        _el("mac", address=nic.mac),
        _el("source", bridge=nic.bridge),
        _el("target", dev=nic.target),
        None if xen else _el("model", type=nic.model),
        _el("mtu", size=nic.mtu) if nic.mtu else None,
        type="bridge",
    )


def _console(log: str | None, *, paravirtual: bool) -> Iterable[ET.Element]:
    """A terminal for `virsh console`, of which libvirt's log daemon also writes a file."""
    if paravirtual:
        yield _el("console", _el("target", type="xen", port=0), type="pty")
        return
    copy = _el("log", file=log, append="on") if log else None
    yield _el("serial", copy, _el("target", port=0), type="pty")
    yield _el("console", _el("target", type="serial", port=0), type="pty")


def _agent() -> ET.Element:
    return _el("channel", _el("target", type="virtio", name="org.qemu.guest_agent.0"), type="unix")


def _graphics(graphics: Graphics | None) -> Iterable[ET.Element]:
    if graphics is None:
        return
    listen = graphics.listen
    yield _el(
        "graphics",
        _el("listen", type="address", address=listen),
        type=graphics.type.lower(),
        port=graphics.port if graphics.port is not None else -1,
        autoport="yes" if graphics.port is None else "no",
        listen=listen,
        passwd=graphics.password,
        keymap=graphics.keymap,
    )
    yield _el("video", _el("model", type="vga"))


def _rng() -> ET.Element:
    return _el("rng", _el("backend", text="/dev/urandom", model="random"), model="virtio")


# --- building ----------------------------------------------------------------------------------


def _paravirtual(domain: Domain, target: Target) -> bool:
    return target.virt_type == "xen" and domain.machine == "xenpv"


def _on(domain: Domain, feature: str) -> bool:
    return domain.features.get(feature, "no").lower() == "yes"


def _el(
    tag: str,
    *children: ET.Element | None,
    text: str | int | None = None,
    **attributes: str | int | None,
) -> ET.Element:
    """One element; what is None is left out."""
    element = ET.Element(tag, {k: str(v) for k, v in attributes.items() if v is not None})
    element.extend(child for child in children if child is not None)
    element.text = None if text is None else str(text)
    return element


def _raw(raw: str | None) -> list[ET.Element]:
    if not raw:
        return []
    # QEMU's own namespace is the one people use here, and they rarely declare it.
    wrapped = f'<raw xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">{raw}</raw>'
    try:
        return list(ET.fromstring(wrapped))  # noqa: S314 - inside an element no entity can be declared
    except ET.ParseError as error:
        raise InvalidDomain(f"RAW: {raw[:80]!r} is not XML ({error}): correct RAW/DATA") from error
