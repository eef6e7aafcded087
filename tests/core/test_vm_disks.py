"""The disks of a new VM: which images it may have, how large they are, what they are called."""

import pytest

from orrery.core.errors import (
    InUse,
    InvalidInput,
    NotAuthorized,
    NotFound,
    Refused,
    WrongState,
)
from orrery.core.messages import (
    ENGINE,
    Actor,
    AllocateImage,
    AllocateVm,
    DeleteObject,
    EnableImage,
    TerminateVm,
)
from orrery.core.model.kinds import Kind
from orrery.core.model.vm import Disk
from orrery.core.template import parse
from tests.core.refusals import refused
from tests.site import FAILED, Site

LONG = "1" + "0" * 5000


def allocation(disks: str, actor: Actor = ENGINE) -> AllocateVm:
    template = parse(f'CPU="1" MEMORY="64"\n{disks}')
    return AllocateVm(cause="t", actor=actor, template=template, hold=False)


def disks_of(site: Site, disks: str, actor: Actor = ENGINE) -> tuple[Disk, ...]:
    vm_id = site.do(allocation(disks, actor))
    assert vm_id is not None
    return site.state.vms[vm_id].disks


@pytest.fixture
def site() -> Site:
    made = Site()
    made.image("os")
    made.image("data", 'TYPE="DATABLOCK" PERSISTENT="YES"')
    made.image("cd", 'TYPE="CDROM"')
    return made


@pytest.mark.parametrize(
    ("disk", "error", "words"),
    [
        ('IMAGE="none"', NotFound, ("DISK 0/IMAGE", "'none'", "IMAGE_UNAME", "IMAGE_ID")),
        ('IMAGE=""', NotFound, ("DISK 0/IMAGE",)),
        ('IMAGE="os", IMAGE_UNAME="nobody"', NotFound, ("DISK 0/IMAGE_UNAME", "'nobody'")),
        ('IMAGE="os", IMAGE_UID="77"', NotFound, ("DISK 0/IMAGE_UID", "[77]")),
        ('IMAGE="os", IMAGE_UID="x"', NotFound, ("DISK 0/IMAGE_UID", "[x]")),
        ('IMAGE_ID="77"', NotFound, ("DISK 0/IMAGE_ID", "[77]")),
        ('IMAGE_ID="-1"', NotFound, ("DISK 0/IMAGE_ID", "[-1]")),
        ('IMAGE_ID="0x0"', NotFound, ("DISK 0/IMAGE_ID", "[0x0]")),
        ('IMAGE_ID="٠"', NotFound, ("DISK 0/IMAGE_ID",)),
        ('IMAGE_ID="²"', NotFound, ("DISK 0/IMAGE_ID",)),
        ('IMAGE_ID="0000000000005"', NotFound, ("DISK 0/IMAGE_ID",)),
        (f'IMAGE_ID="{LONG}"', NotFound, ("DISK 0/IMAGE_ID",)),
        (f'IMAGE_ID="{"0" * 20}{LONG}"', NotFound, ("DISK 0/IMAGE_ID",)),
        ('SIZE="10"', InvalidInput, ("DISK 0", "names no IMAGE")),
        ('TYPE="block", SIZE="10"', InvalidInput, ("DISK 0", "names no IMAGE")),
        ('TYPE="fs"', InvalidInput, ("DISK 0/SIZE", "is missing")),
        ('TYPE="fs", SIZE="0"', InvalidInput, ("DISK 0/SIZE", "'0'", "whole MiB")),
        ('TYPE="fs", SIZE="-5"', InvalidInput, ("DISK 0/SIZE", "'-5'", "whole MiB")),
        ('TYPE="fs", SIZE="1.5"', InvalidInput, ("DISK 0/SIZE", "'1.5'", "whole MiB")),
        ('TYPE="fs", SIZE="1G"', InvalidInput, ("DISK 0/SIZE", "'1G'", "whole MiB")),
        ('TYPE="fs", SIZE="1073741825"', InvalidInput, ("DISK 0/SIZE", "1 to 1073741824")),
        ('TYPE="fs", SIZE="0000000000019999999999"', InvalidInput, ("DISK 0/SIZE",)),
        (f'TYPE="fs", SIZE="{LONG}"', InvalidInput, ("DISK 0/SIZE", "whole MiB")),
        ('IMAGE="os", SIZE="big"', InvalidInput, ("DISK 0/SIZE", "'big'")),
        ('TYPE="fs", SIZE="1", FORMAT="vmdk"', InvalidInput, ("DISK 0/FORMAT", "'vmdk'", "qcow2")),
        ('IMAGE="os", TARGET="vd"', InvalidInput, ("DISK 0/TARGET", "'vd'", "vda")),
        ('IMAGE="os", TARGET="vd1"', InvalidInput, ("DISK 0/TARGET", "'vd1'")),
        ('IMAGE="os", TARGET="vdé"', InvalidInput, ("DISK 0/TARGET",)),
        ('IMAGE="os", TARGET="sda;reboot"', InvalidInput, ("DISK 0/TARGET", "sda;reboot")),
        ('IMAGE="os", TARGET="/dev/sda"', InvalidInput, ("DISK 0/TARGET", "/dev/sda")),
        ('IMAGE="os", TARGET="vdabc"', InvalidInput, ("DISK 0/TARGET", "vdabc")),
        ('IMAGE="os", DEV_PREFIX="<x>"', InvalidInput, ("DISK 0/DEV_PREFIX", "<x>", "vd, sd")),
    ],
)
def test_a_disk_that_makes_no_sense_is_refused(
    site: Site, disk: str, error: type[Refused], words: tuple[str, ...]
) -> None:
    refused(site, allocation(f"DISK=[{disk}]"), error, *words)


def test_the_message_says_which_of_the_disks(site: Site) -> None:
    refused(site, allocation('DISK=[IMAGE="os"] DISK=[IMAGE="x"]'), NotFound, "DISK 1/IMAGE", "'x'")


def test_images_of_other_users_are_found_under_their_name_alone(site: Site) -> None:
    sam, kim = site.user("sam"), site.user("kim")
    site.image("hers", actor=kim)
    refused(site, allocation('DISK=[IMAGE="hers"]', sam), NotFound, f"user [{sam.uid}] owns no")
    named = allocation('DISK=[IMAGE="hers", IMAGE_UNAME="kim"]', sam)
    refused(site, named, NotAuthorized, f"User [{sam.uid}]", "USE IMAGE")
    assert disks_of(site, 'DISK=[IMAGE="hers", IMAGE_UNAME="kim"]')[0].image_id == 3
    assert disks_of(site, f'DISK=[IMAGE="hers", IMAGE_UID="{kim.uid}"]')[0].image_id == 3


@pytest.mark.parametrize("status", ["LOCKED", "ERROR", "DISABLED", "DELETE"])
def test_an_image_that_is_not_ready_is_refused(site: Site, status: str) -> None:
    if status == "DISABLED":
        site.do(EnableImage(cause="t", actor=ENGINE, image_id=0, enable=False))
        refused(site, allocation('DISK=[IMAGE="os"]'), WrongState, "os [0] is DISABLED, not READY")
        return
    template = parse('NAME="late" PATH="/late"')
    site.do(AllocateImage(cause="t", actor=ENGINE, template=template, datastore_id=1))
    if status == "ERROR":
        site.settle(Kind.IMAGE, 3, FAILED)
    if status == "DELETE":
        site.do(DeleteObject(cause="t", actor=ENGINE, kind=Kind.IMAGE, id=3))
    refused(site, allocation('DISK=[IMAGE="late"]'), WrongState, f"is {status}, not READY")


def test_a_file_is_no_disk(site: Site) -> None:
    template = parse('NAME="vmlinuz" PATH="/boot/vmlinuz"')
    kernel = site.do(AllocateImage(cause="t", actor=ENGINE, template=template, datastore_id=2))
    assert kernel is not None
    site.settle(Kind.IMAGE, kernel)
    message = allocation(f'DISK=[IMAGE_ID="{kernel}"]')
    refused(site, message, InvalidInput, "DISK 0/IMAGE", "'vmlinuz'", "OS or CONTEXT")


def test_a_persistent_image_is_in_one_vm_at_a_time(site: Site) -> None:
    vm_id = site.vm('CPU="1" MEMORY="64" DISK=[IMAGE="data"]')
    refused(site, allocation('DISK=[IMAGE="data"]'), InUse, "data [1]", f"VM [{vm_id}]")
    site.do(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id))
    assert disks_of(site, 'DISK=[IMAGE="data"]')[0].persistent


def test_a_persistent_image_is_not_two_disks_of_one_vm(site: Site) -> None:
    refused(site, allocation('DISK=[IMAGE="data"] DISK=[IMAGE_ID="1"]'), InUse, "two disks")


def test_other_images_may_be_used_as_often_as_one_likes(site: Site) -> None:
    first, second = disks_of(site, 'DISK=[IMAGE="os"] DISK=[IMAGE="os"]')
    assert (first.target, second.target) == ("vda", "vdb")


def test_disks_are_counted(site: Site) -> None:
    many = 'DISK=[TYPE="fs", SIZE="1"]\n'
    assert len({disk.target for disk in disks_of(site, many * 64)}) == 64
    refused(site, allocation(many * 65), InvalidInput, "DISK", "'65'", "at most 64")


@pytest.mark.parametrize(
    "disks",
    [
        'DISK=[IMAGE="os", TARGET="vda"] DISK=[IMAGE="os", TARGET="vda"]',
        'DISK=[TYPE="fs", SIZE="1", TARGET="sdb"] DISK=[IMAGE="os", TARGET="sdb"]',
    ],
)
def test_a_device_is_named_once(site: Site, disks: str) -> None:
    refused(site, allocation(disks), InvalidInput, "DISK/TARGET", "one device twice")


def test_devices_without_a_name_get_what_is_left(site: Site) -> None:
    disks = disks_of(
        site,
        'DISK=[IMAGE="os"] DISK=[IMAGE="os", TARGET="vda"] DISK=[IMAGE="cd"] '
        'DISK=[TYPE="swap", SIZE="5"] DISK=[IMAGE="os", DEV_PREFIX="sd"]',
    )
    assert [disk.target for disk in disks] == ["vdb", "vda", "hda", "vdc", "sda"]


def test_disks_know_what_their_images_say(site: Site) -> None:
    os, data, cd, swap = disks_of(
        site,
        'DISK=[IMAGE="os", SIZE="2048", CACHE="none"] DISK=[IMAGE="data"] DISK=[IMAGE="cd"] '
        'DISK=[TYPE="swap", SIZE="5", FORMAT="qcow2"]',
    )
    assert (os.size_mib, os.original_size_mib, os.format, os.clone) == (2048, 100, "qcow2", True)
    assert dict(os.extra)["CACHE"] == "none"
    assert (data.persistent, data.clone, data.readonly) == (True, False, False)
    assert (cd.kind, cd.readonly) == ("CDROM", True)
    assert (swap.kind, swap.format, swap.image_id, swap.size_mib) == ("swap", "raw", None, 5)


def test_a_disk_is_never_smaller_than_its_image(site: Site) -> None:
    assert disks_of(site, 'DISK=[IMAGE="os", SIZE="5"]')[0].size_mib == 100
