"""VM templates that make no sense are refused as a whole, in words that say what to change."""

import pytest

from orrery.core.errors import InvalidInput, NotAuthorized, Refused
from orrery.core.messages import ENGINE, AllocateVm
from orrery.core.status import VmStatus
from orrery.core.template import parse
from tests.core.refusals import refused
from tests.site import VM, Site

LONG = "9" * 5000


def allocation(site: Site, text: str, *, ordinary: bool = False) -> AllocateVm:
    actor = site.user("sam") if ordinary else ADMIN
    return AllocateVm(cause="t", actor=actor, template=parse(text), hold=False)


ADMIN = ENGINE


def sized(**changes: str) -> str:
    values = {"CPU": "1", "MEMORY": "512", **changes}
    return "\n".join(f'{name}="{value}"' for name, value in values.items())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CPU", "", "is missing"),
        ("CPU", "0", "number above 0"),
        ("CPU", "-1", "number above 0"),
        ("CPU", "many", "number above 0"),
        ("CPU", "nan", "number above 0"),
        ("CPU", "inf", "number above 0"),
        ("CPU", "1e3", "number above 0"),
        ("CPU", "1_0", "number above 0"),
        ("CPU", "1,5", "number above 0"),
        ("CPU", "1025", "up to 1024"),
        ("CPU", "٣", "number above 0"),
        ("CPU", "0.0", "number above 0"),
        ("CPU", LONG, "up to 1024"),
        ("MEMORY", "", "is missing"),
        ("MEMORY", "0", "out of range"),
        ("MEMORY", "-512", "whole MiB"),
        ("MEMORY", "512.0", "whole MiB"),
        ("MEMORY", "1e3", "whole MiB"),
        ("MEMORY", "0x200", "whole MiB"),
        ("MEMORY", "half", "whole MiB"),
        ("MEMORY", "512 K", "whole MiB"),
        ("MEMORY", "512B", "whole MiB"),
        ("MEMORY", "512GM", "whole MiB"),
        ("MEMORY", "M", "whole MiB"),
        ("MEMORY", "५१२", "whole MiB"),
        ("MEMORY", "17T", "out of range"),
        ("MEMORY", LONG, "out of range"),
        ("VCPU", "0", "1 to 1024"),
        ("VCPU", "-1", "1 to 1024"),
        ("VCPU", "1.5", "1 to 1024"),
        ("VCPU", "²", "1 to 1024"),
        ("VCPU", "1025", "1 to 1024"),
        ("VCPU", "00000000199999", "1 to 1024"),
        ("VCPU", LONG, "1 to 1024"),
    ],
)
def test_an_impossible_size_is_refused(name: str, value: str, words: str) -> None:
    site = Site()
    error = refused(site, allocation(site, sized(**{name: value})), InvalidInput, words)
    assert isinstance(error, InvalidInput)
    assert (error.field, error.value) == (name, value)


@pytest.mark.parametrize(
    ("text", "cpu", "memory", "vcpu"),
    [
        (sized(CPU="0.5"), 50, 512, 1),
        (sized(CPU=".25"), 25, 512, 1),
        (sized(CPU="1024"), 102400, 512, 1),
        (sized(CPU="0.001"), 1, 512, 1),
        (sized(CPU=" 2 "), 200, 512, 1),
        (sized(MEMORY="2G"), 100, 2048, 1),
        (sized(MEMORY="2 gb"), 100, 2048, 1),
        (sized(MEMORY="1T"), 100, 1 << 20, 1),
        (sized(MEMORY="000000000000000000000000512"), 100, 512, 1),
        (sized(VCPU="4"), 100, 512, 4),
        (sized(VCPU=""), 100, 512, 1),
        (sized(VCPU="0000000008"), 100, 512, 8),
    ],
)
def test_sizes_are_understood(text: str, cpu: int, memory: int, vcpu: int) -> None:
    site = Site()
    vm = site.state.vms[site.vm(text)]
    assert (vm.capacity.cpu_pct, vm.capacity.memory_mib, vm.vcpu) == (cpu, memory, vcpu)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('SCHED_REQUIREMENTS="FREE_CPU >"', "REQUIREMENTS"),
        ('SCHED_REQUIREMENTS="(ID = 1"', "REQUIREMENTS"),
        ('REQUIREMENTS="ID == 1 && & 2"', "REQUIREMENTS"),
        ('SCHED_RANK="FREE_CPU +"', "RANK"),
        ('RANK="* 2"', "RANK"),
        ('SCHED_REQUIREMENTS="' + "(" * 500 + '"', "REQUIREMENTS"),
    ],
)
def test_an_expression_that_cannot_be_parsed_is_refused(text: str, words: str) -> None:
    site = Site()
    refused(site, allocation(site, sized() + "\n" + text), InvalidInput, words)


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ('NIC=[NETWORK="net", MAC="02:00:0a:00:00:0a"]', "NIC/MAC"),
        ('NIC_DEFAULT=[BRIDGE="br0"]', "NIC_DEFAULT/BRIDGE"),
        ('NIC=[NETWORK="net", FILTER="no"]', "NIC/FILTER"),
        ('CONTEXT=[FILES="/etc/shadow"]', "CONTEXT/FILES"),
        ('OS=[KERNEL="/boot/vmlinuz"]', "OS/KERNEL"),
        ('os=[initrd="/boot/initrd"]', "OS/INITRD"),
        ('DISK=[SOURCE="/dev/sda"]', "DISK/SOURCE"),
        ('RAW=[TYPE="kvm", DATA="<x/>"]', "RAW/DATA"),
        ('EMULATOR="/bin/sh"', "EMULATOR"),
        ('PCI=[VENDOR="8086"]', "PCI"),
        ('CPU_COST="0"', "CPU_COST"),
        ('DEPLOY_ID="one-0"', "DEPLOY_ID"),
    ],
)
def test_what_reaches_into_the_host_is_for_administrators(text: str, attribute: str) -> None:
    site = Site().furnished()
    message = allocation(site, sized() + "\n" + text, ordinary=True)
    refused(site, message, NotAuthorized, f"restricted attribute {attribute}")


@pytest.mark.parametrize(
    ("text", "field"), [('DISK="os"', "DISK"), ('NIC="net"', "NIC")], ids=["disk", "nic"]
)
def test_a_list_without_brackets_is_refused_not_left_out(text: str, field: str) -> None:
    site = Site().furnished()
    error = refused(site, allocation(site, sized() + "\n" + text), InvalidInput, "write")
    assert isinstance(error, InvalidInput)
    assert error.field == field


@pytest.mark.parametrize("bad", ["last", "name", "cpu"])
def test_a_late_mistake_takes_no_address_and_no_id(bad: str) -> None:
    site = Site().furnished()
    text = {
        "last": VM + 'NIC=[NETWORK="no such"]',
        "name": VM.replace('NAME="a"', 'NAME="a;b"'),
        "cpu": VM.replace('CPU="1"', 'CPU="none"'),
    }[bad]
    refused(site, allocation(site, text), Refused)
    vm = site.state.vms[site.vm()]
    assert (vm.id, vm.nics[0].index) == (0, 0)


def test_the_engine_names_what_the_user_did_not() -> None:
    site = Site()
    assert site.state.vms[site.vm(sized())].name == "one-0"


def test_a_vm_asked_to_hold_waits_for_nobody() -> None:
    site = Site()
    vm_id = site.vm(sized(), hold=True)
    assert site.state.vms[vm_id].status is VmStatus.HOLD
    assert vm_id not in site.state.vms_pending()


def test_attributes_go_where_they_belong() -> None:
    site = Site().furnished()
    text = VM + 'OS=[ARCH="x86_64"] OWNER="sam" SCHED_RANK="FREE_CPU" TEMPLATE_ID="7"'
    vm = site.state.vms[site.vm(text)]
    assert [name for name, _ in vm.template.attributes] == ["CPU", "MEMORY", "OS"]
    assert [name for name, _ in vm.user_template.attributes] == ["OWNER", "SCHED_RANK"]


def test_a_context_volume_gets_a_device_that_no_disk_has() -> None:
    site = Site().furnished()
    vm = site.state.vms[
        site.vm(VM.replace('IMAGE="os"', 'IMAGE="os", TARGET="hda"') + "CONTEXT=[A=b]")
    ]
    assert (vm.template.vector("CONTEXT") or {})["TARGET"] == "hdb"


def test_a_context_volume_keeps_the_device_it_was_given() -> None:
    site = Site().furnished()
    text = VM.replace('IMAGE="os"', 'IMAGE="os", DEV_PREFIX="hd"') + 'CONTEXT=[TARGET="hda"]'
    vm = site.state.vms[site.vm(text)]
    assert (vm.template.vector("CONTEXT") or {})["TARGET"] == "hda"
    assert vm.disks[0].target == "hdb"


@pytest.mark.parametrize("target", ["hda", "../x"])
def test_a_context_device_that_is_taken_or_none_is_refused(target: str) -> None:
    site = Site().furnished()
    text = VM.replace('IMAGE="os"', 'IMAGE="os", TARGET="hda"') + f'CONTEXT=[TARGET="{target}"]'
    refused(site, allocation(site, text), InvalidInput, "TARGET", target)
