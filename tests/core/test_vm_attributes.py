"""Values that no hypervisor takes are refused before a VM is made."""

import pytest

from orrery.core.errors import InvalidInput
from orrery.core.template import parse
from orrery.core.vm_attributes import CHECKS, check_attributes
from tests.site import Site

GOOD = {
    "DISK": 'IMAGE="x", CACHE="none", IO="native", DISCARD="unmap", READONLY="yes"',
    "NIC": 'NETWORK="x", MODEL="e1000e"',
    "NIC_DEFAULT": 'MODEL="virtio"',
    "GRAPHICS": 'TYPE="VNC", LISTEN="0.0.0.0", PORT="5901", KEYMAP="en-us", PASSWD="12345678"',
    "OS": 'ARCH="x86_64", MACHINE="pc-i440fx-7.2", BOOT="hd, cdrom"',
    "CPU_MODEL": 'MODEL="host-passthrough"',
    "FEATURES": 'ACPI="YES", APIC="no", PAE="no", HYPERV="no", LOCALTIME="no", GUEST_AGENT="yes"',
    "INPUT": 'TYPE="tablet", BUS="usb"',
    "RAW": 'TYPE="kvm", DATA="<devices><watchdog model=\'i6300esb\'/></devices>"',
}

BAD = [
    ("DISK", "CACHE", "fast"),
    ("DISK", "IO", "magic"),
    ("DISK", "DISCARD", "yes"),
    ("DISK", "READONLY", "maybe"),
    ("NIC", "MODEL", "<model/>"),
    ("NIC_DEFAULT", "MODEL", "a b"),
    ("GRAPHICS", "TYPE", "rdp"),
    ("GRAPHICS", "LISTEN", "everywhere"),
    ("GRAPHICS", "PORT", "0"),
    ("GRAPHICS", "PORT", "65536"),
    ("GRAPHICS", "PORT", "\u0665"),
    ("GRAPHICS", "KEYMAP", "../../etc"),
    ("OS", "ARCH", "x86 64"),
    ("OS", "MACHINE", "pc,accel=kvm"),
    ("OS", "BOOT", "floppy drive"),
    ("CPU_MODEL", "MODEL", "qemu64,+svm"),
    ("FEATURES", "ACPI", "1"),
    ("FEATURES", "APIC", "on"),
    ("FEATURES", "PAE", "x"),
    ("FEATURES", "HYPERV", "x"),
    ("FEATURES", "LOCALTIME", "x"),
    ("FEATURES", "GUEST_AGENT", "x"),
    ("INPUT", "TYPE", "joystick"),
    ("INPUT", "BUS", "pci"),
    ("RAW", "TYPE", "vmware"),
    ("RAW", "DATA", "<open>"),
    ("RAW", "DATA", "</domain><domain>"),
]


@pytest.mark.parametrize("name", GOOD)
def test_sensible_values_pass(name: str) -> None:
    check_attributes(parse(f"{name}=[{GOOD[name]}]"))


@pytest.mark.parametrize(("name", "key", "value"), BAD)
def test_a_senseless_value_is_refused_by_name_and_makes_no_vm(
    name: str, key: str, value: str
) -> None:
    site = Site().furnished()
    with pytest.raises(InvalidInput) as refusal:
        site.vm(f'CPU="1" MEMORY="64" {name}=[{key}="{value}"]')
    assert refusal.value.field in (f"{name}/{key}", f"{name} 0/{key}")
    assert refusal.value.remedy
    assert not site.state.vms


def test_every_row_of_the_table_is_tried() -> None:
    assert {(name, key) for name, key, _ in BAD} == CHECKS.keys()


def test_a_vnc_password_that_would_be_cut_off_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidInput, match="8 characters") as refusal:
        check_attributes(parse('GRAPHICS=[TYPE="vnc", PASSWD="secret-secret"]'))
    assert "secret" not in str(refusal.value)
