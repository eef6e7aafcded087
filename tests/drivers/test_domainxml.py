"""Domain XML: golden files, and a proof that no field of the description goes unwritten."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.drivers.libvirt.domainxml import METADATA_NS, InvalidDomain, Target, domain_xml
from orrery.ports.driver import Domain, DomainDisk, DomainNic, Graphics

KVM = Target(virt_type="kvm", max_shares=10000)
QEMU = Target(virt_type="qemu")
XEN = Target(virt_type="xen", max_shares=65535)

BASE = Domain(
    uuid="6f0f5b5e-9a0e-5d4a-8a53-2f6f8f0a1c11",
    name="one-7",
    engine_id="lab",
    vm_id=7,
    memory_mib=96,
    vcpus=1,
    cpu_pct=50,
)

ROOT_DISK = DomainDisk(
    path="/ds/0/7/disk.0", format="qcow2", device="disk", bus="virtio", target="vda"
)
CONTEXT = DomainDisk(path="/ds/0/7/disk.1", format="raw", device="cdrom", bus="ide", target="hda")

SERVER = msgspec.structs.replace(
    BASE,
    vcpus=4,
    cpu_pct=400,
    memory_mib=4096,
    arch="x86_64",
    machine="q35",
    cpu_model="host-passthrough",
    boot=("cdrom", "hd", "network"),
    disks=(
        msgspec.structs.replace(ROOT_DISK, cache="none", io="native", discard="unmap"),
        DomainDisk(path="/dev/vg/data", format="raw", device="disk", bus="scsi", target="sda"),
        DomainDisk(
            path="/ds/0/7/disk.3",
            format="raw",
            device="disk",
            bus="sata",
            target="sdb",
            readonly=True,
        ),
        DomainDisk(path="/ds/0/7/disk.4", format="raw", device="cdrom", bus="sata", target="sdc"),
    ),
    nics=(
        DomainNic(mac="02:00:0a:00:00:05", bridge="br0", target="one-7-0", mtu=1450),
        DomainNic(mac="02:00:0a:00:00:06", bridge="br1", target="one-7-1", model="e1000"),
    ),
    graphics=Graphics(type="VNC", port=5907, password="secret", keymap="de"),
    console_log="/var/log/orrery/one-7.console",
    features={
        "acpi": "yes",
        "apic": "yes",
        "pae": "yes",
        "hyperv": "yes",
        "localtime": "yes",
        "guest_agent": "yes",
    },
    inputs=(("tablet", "usb"),),
    raw="<qemu:commandline><qemu:arg value='-snapshot'/></qemu:commandline>",
)

DIRECT = msgspec.structs.replace(
    BASE,
    kernel="/ds/2/vmlinuz",
    initrd="/ds/2/initrd",
    cmdline="console=ttyS0 root=/dev/vda",
    disks=(ROOT_DISK, CONTEXT),
    graphics=Graphics(type="vnc", listen="::1"),
    cpu_model="Westmere",
    features={"acpi": "yes", "hyperv": "no"},
)

PARAVIRTUAL = msgspec.structs.replace(
    DIRECT, machine="xenpv", nics=SERVER.nics, inputs=(("tablet", ""),)
)

CASES = {
    "minimal": (BASE, KVM),
    "server": (SERVER, KVM),
    "server-emulated": (SERVER, QEMU),
    "direct-kernel": (DIRECT, QEMU),
    "xen-pv": (PARAVIRTUAL, XEN),
}


@pytest.mark.parametrize("name", CASES)
def test_domain_xml_is_as_reviewed(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"domain/{name}.xml", domain_xml(*CASES[name]))


OTHER: dict[type, Any] = {
    str: "other",
    int: 3,
    bool: True,
    tuple: ("other",),
    type(None): "other",
}


def variants(value: msgspec.Struct) -> list[tuple[str, msgspec.Struct]]:
    """The same description with one field changed, for each field and those of its parts."""
    found = []
    for field in msgspec.structs.fields(type(value)):
        old = getattr(value, field.name)
        new: list[tuple[str, Any]]
        if isinstance(old, msgspec.Struct):
            new = [(f"{field.name}.{n}", v) for n, v in variants(old)]
        elif isinstance(old, tuple) and old and isinstance(old[0], msgspec.Struct):
            new = [(f"{field.name}.{n}", (v, *old[1:])) for n, v in variants(old[0])]
        elif field.name == "features":
            new = [(f"features.{k}", {**old, k: "no"}) for k in old]
        elif field.name == "raw":
            new = [("raw", "<other/>")]
        elif field.name == "inputs":
            new = [("inputs", (("mouse", "ps2"),))]
        else:
            new = [(field.name, OTHER[type(old)])]
        found += [(n, msgspec.structs.replace(value, **{field.name: v})) for n, v in new]
    return found


def test_no_field_of_a_domain_goes_unwritten() -> None:
    whole = [SERVER, msgspec.structs.replace(SERVER, kernel="/k", initrd="/i", cmdline="c")]
    unwritten = None
    for base in whole:
        before = domain_xml(base, KVM)
        same = {n for n, v in variants(base) if domain_xml(v, KVM) == before}  # type: ignore[arg-type]
        unwritten = same if unwritten is None else unwritten & same
    assert unwritten == set()


def test_every_field_is_set_in_some_golden_case() -> None:
    domains = [domain for domain, _ in CASES.values()]
    parts: dict[type, list[msgspec.Struct]] = {
        Domain: list(domains),
        DomainDisk: [d for domain in domains for d in domain.disks],
        DomainNic: [n for domain in domains for n in domain.nics],
        Graphics: [domain.graphics for domain in domains if domain.graphics],
    }
    for kind, values in parts.items():
        for field in msgspec.structs.fields(kind):
            seen = {msgspec.json.encode(getattr(value, field.name)) for value in values}
            fixed = {"uuid", "name", "engine_id", "vm_id"}
            assert len(seen) > 1 or field.name in fixed, f"{kind.__name__}.{field.name}"


def test_cpu_weight_is_left_out_where_the_host_cannot_weigh() -> None:
    assert "cputune" not in domain_xml(BASE, Target(virt_type="qemu", max_shares=None))


@pytest.mark.parametrize(
    ("cpu_pct", "limit", "shares"), [(100, 10000, "1024"), (0, 10000, "2"), (6400, 10000, "10000")]
)
def test_cpu_weight_follows_cpu_within_the_hosts_limits(
    cpu_pct: int, limit: int, shares: str
) -> None:
    domain = msgspec.structs.replace(BASE, cpu_pct=cpu_pct)
    root = ET.fromstring(domain_xml(domain, Target(virt_type="kvm", max_shares=limit)))
    assert root.findtext("cputune/shares") == shares


@given(name=st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1))
def test_text_of_the_user_cannot_leave_its_element(name: str) -> None:
    domain = msgspec.structs.replace(BASE, name=name, cmdline=name, kernel=name, engine_id=name)
    valid = all(c not in "\ufffe\uffff" for c in name)
    if not valid:
        return
    root = ET.fromstring(domain_xml(domain, QEMU))
    assert root.findtext("name") == name
    assert root.findtext("os/cmdline") == name
    mark = root.find(f"metadata/{{{METADATA_NS}}}domain")
    assert mark is not None
    assert mark.get("engine") == name
    assert len(root) == len(ET.fromstring(domain_xml(BASE, QEMU)))


@pytest.mark.parametrize("raw", ["<a>", "text & more", '<!DOCTYPE x [<!ENTITY a "b">]><x/>'])
def test_raw_that_is_not_xml_is_refused_with_the_remedy(raw: str) -> None:
    with pytest.raises(InvalidDomain, match="RAW/DATA"):
        domain_xml(msgspec.structs.replace(BASE, raw=raw), QEMU)
