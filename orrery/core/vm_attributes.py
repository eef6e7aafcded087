"""What the attributes that reach the hypervisor may say: a table, checked before a VM is made.

A value that no hypervisor takes is refused here, with its name, instead of failing at boot.
"""

import re
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from xml.parsers import expat

from orrery.core.errors import InvalidInput
from orrery.core.template import Template

Check = Callable[[str], str | None]
"""The remedy when the value is wrong, None when it will do."""

MAX_PORT = 65535


def choice(*allowed: str) -> Check:
    """One of these words, in any case."""
    words = frozenset(allowed)

    def check(value: str) -> str | None:
        return None if value.lower() in words else f"is not one of {', '.join(allowed)}"

    return check


def word(remedy: str, pattern: str = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}") -> Check:
    """A name as hypervisors have them."""
    fits = re.compile(pattern).fullmatch

    def check(value: str) -> str | None:
        return None if fits(value) else remedy

    return check


def port(value: str) -> str | None:
    digits = value.isascii() and value.isdigit() and len(value) < 6
    return None if digits and 0 < int(value) <= MAX_PORT else f"is not a port: 1 to {MAX_PORT}"


def listen(value: str) -> str | None:
    try:
        ip_address(value)
    except ValueError:
        return "is not an IP address, like 127.0.0.1"
    return None


def boot(value: str) -> str | None:
    known = re.compile(r"(hd|fd|cdrom|network|disk[0-9]+|nic[0-9]+)")
    if all(known.fullmatch(part.strip()) for part in value.split(",")):
        return None
    return "is not a boot order: hd, fd, cdrom, network, disk0, nic0 ... by comma"


def fragment(value: str) -> str | None:
    """XML that may stand inside a domain: well-formed elements, no declarations."""
    parser = expat.ParserCreate()
    try:
        parser.Parse(f"<domain>{value}</domain>", True)
    except expat.ExpatError as error:
        return f"is not well-formed XML: {error}"
    return None


YES_NO = choice("yes", "no")

CHECKS: dict[tuple[str, str], Check] = {
    ("DISK", "CACHE"): choice(
        "default", "none", "writethrough", "writeback", "directsync", "unsafe"
    ),
    ("DISK", "IO"): choice("native", "threads", "io_uring"),
    ("DISK", "DISCARD"): choice("ignore", "unmap"),
    ("DISK", "READONLY"): YES_NO,
    ("NIC", "MODEL"): word("is no model of a network card, like virtio or e1000"),
    ("NIC_DEFAULT", "MODEL"): word("is no model of a network card, like virtio or e1000"),
    ("GRAPHICS", "TYPE"): choice("vnc", "spice"),
    ("GRAPHICS", "LISTEN"): listen,
    ("GRAPHICS", "PORT"): port,
    ("GRAPHICS", "KEYMAP"): word("is no keymap, like en-us or de"),
    ("OS", "ARCH"): word("is no architecture, like x86_64"),
    ("OS", "MACHINE"): word("is no machine type, like q35"),
    ("OS", "BOOT"): boot,
    ("CPU_MODEL", "MODEL"): word("is no CPU model, like host-passthrough"),
    ("FEATURES", "ACPI"): YES_NO,
    ("FEATURES", "APIC"): YES_NO,
    ("FEATURES", "PAE"): YES_NO,
    ("FEATURES", "HYPERV"): YES_NO,
    ("FEATURES", "LOCALTIME"): YES_NO,
    ("FEATURES", "GUEST_AGENT"): YES_NO,
    ("INPUT", "TYPE"): choice("mouse", "tablet", "keyboard"),
    ("INPUT", "BUS"): choice("usb", "ps2", "virtio", "xen"),
    ("RAW", "TYPE"): choice("kvm", "qemu", "xen"),
    ("RAW", "DATA"): fragment,
}

NUMBERED = frozenset({"DISK", "NIC"})
"""Attributes of which a VM has several: a refusal says which."""

MAX_VNC_PASSWORD = 8
"""VNC's own limit: what is longer would be cut off silently."""


def check_attributes(template: Template) -> None:
    """Nothing, when all attributes of the table say something sensible.

    Raises:
        InvalidInput: the first one that does not.
    """
    seen: Counter[str] = Counter()
    for name, value in template.attributes:
        if isinstance(value, str):
            continue
        where = f"{name} {seen[name]}" if name in NUMBERED else name
        seen[name] += 1
        for key, text in value:
            check = CHECKS.get((name, key))
            remedy = None if check is None or text == "" else check(text)
            if remedy is not None:
                raise InvalidInput(f"{where}/{key}", text, remedy)
    check_password(template)


def check_password(template: Template) -> None:
    graphics = template.vector("GRAPHICS") or {}
    password = graphics.get("PASSWD", "")
    if graphics.get("TYPE", "").lower() == "vnc" and len(password) > MAX_VNC_PASSWORD:
        raise InvalidInput(
            "GRAPHICS/PASSWD", "*" * 8, f"is too long: VNC takes {MAX_VNC_PASSWORD} characters"
        )
