"""Images: what may be registered, and every pair of status and event."""

import pytest

from orrery.core.errors import (
    Exists,
    InUse,
    InvalidInput,
    NotAuthorized,
    NotFound,
    Refused,
    WrongState,
)
from orrery.core.image import DEMANDS, MACHINE
from orrery.core.messages import (
    ENGINE,
    AllocateDatastore,
    AllocateImage,
    Command,
    DeleteObject,
    Done,
    EnableImage,
    Failed,
    SetImagePersistent,
    Settled,
    TerminateVm,
    Unknown,
)
from orrery.core.model.action import ActionKind
from orrery.core.model.kinds import Kind
from orrery.core.status import ImageStatus, ImageType
from orrery.core.template import parse
from tests.core.refusals import refused, snapshot
from tests.site import FAILED, UNKNOWN, Site

S = ImageStatus
STORED = [S.LOCKED, S.READY, S.DISABLED, S.ERROR, S.DELETE]
"""INIT is never entered; USED and USED_PERS follow from the VMs."""


def new_image(text: str, datastore_id: int = 1) -> AllocateImage:
    return AllocateImage(cause="t", actor=ENGINE, template=parse(text), datastore_id=datastore_id)


def delete(image_id: int = 0) -> DeleteObject:
    return DeleteObject(cause="t", actor=ENGINE, kind=Kind.IMAGE, id=image_id)


def enable(wanted: bool) -> EnableImage:
    return EnableImage(cause="t", actor=ENGINE, image_id=0, enable=wanted)


def persistent(wanted: bool) -> SetImagePersistent:
    return SetImagePersistent(cause="t", actor=ENGINE, image_id=0, persistent=wanted)


def site_with(status: ImageStatus) -> Site:
    """Image 0 in that status."""
    site = Site()
    site.do(new_image('NAME="os" PATH="/os.qcow2"'))
    if status in (S.READY, S.DISABLED, S.DELETE):
        site.settle(Kind.IMAGE, 0, Done({"size_mib": 100, "format": "qcow2"}))
    if status is S.ERROR:
        site.settle(Kind.IMAGE, 0, FAILED)
    if status is S.DISABLED:
        site.do(enable(False))
    if status is S.DELETE:
        site.do(delete())
    assert site.state.images[0].status is status
    return site


# --- what may be registered ---------------------------------------------------------------------

OK = 'NAME="x" PATH="/x"'


@pytest.mark.parametrize(
    ("text", "datastore", "error", "words"),
    [
        ('PATH="/x"', 1, InvalidInput, ("NAME",)),
        ('NAME="a/b" PATH="/x"', 1, InvalidInput, ("NAME", "a/b")),
        ('NAME="x"', 1, InvalidInput, ("PATH", "is missing", "URL")),
        ('NAME="x" PATH="x.qcow2"', 1, InvalidInput, ("PATH", "x.qcow2", "absolute path")),
        ('NAME="x" PATH="file:///etc/passwd"', 1, InvalidInput, ("PATH", "file:///etc/passwd")),
        ('NAME="x" PATH="ftp://h/x"', 1, InvalidInput, ("PATH", "ftp://h/x")),
        ('NAME="x" PATH="/a\nb"', 1, InvalidInput, ("PATH", "control")),
        ('NAME="x" PATH="/a\u2028b"', 1, InvalidInput, ("PATH", "control")),
        (OK + ' TYPE="FLOPPY"', 1, InvalidInput, ("TYPE", "FLOPPY", "CDROM")),
        (OK + ' TYPE="KERNEL"', 1, InvalidInput, ("TYPE", "KERNEL", "files datastore")),
        (OK + ' TYPE="OS"', 2, InvalidInput, ("TYPE", "OS", "image datastore")),
        (OK + ' FORMAT="vmdk"', 1, InvalidInput, ("FORMAT", "vmdk", "qcow2")),
        (OK + ' SIZE="-1"', 1, InvalidInput, ("SIZE", "-1")),
        (OK + ' SIZE="10G"', 1, InvalidInput, ("SIZE", "10G", "MiB")),
        (OK + ' SIZE="000000000000199999999999"', 1, InvalidInput, ("SIZE", "MiB")),
        (OK + ' SIZE="' + "9" * 5000 + '"', 1, InvalidInput, ("SIZE", "MiB")),
        (OK + ' SIZE="²"', 1, InvalidInput, ("SIZE", "MiB")),
        ('NAME="x" TYPE="DATABLOCK"', 1, InvalidInput, ("SIZE", "is missing")),
        ('NAME="x" TYPE="DATABLOCK" SIZE="0"', 1, InvalidInput, ("SIZE", "'0'")),
        (OK + ' MD5="abc"', 1, InvalidInput, ("MD5", "abc", "32 hexadecimal")),
        (OK + ' CHECKSUM="' + "g" * 64 + '"', 1, InvalidInput, ("CHECKSUM", "64 hexadecimal")),
        (OK + ' PERSISTENT="YES"', 2, InvalidInput, ("PERSISTENT", "YES", "leave it out")),
        (OK, 0, InvalidInput, ("DATASTORE", "system", "image datastore")),
        (OK, 77, NotFound, ("datastore [77]",)),
    ],
)
def test_an_image_that_makes_no_sense_is_refused(
    text: str, datastore: int, error: type[Refused], words: tuple[str, ...]
) -> None:
    refused(Site(), new_image(text, datastore), error, *words)


def test_a_name_is_taken_once_per_owner() -> None:
    site = Site()
    sam, kim = site.user("sam"), site.user("kim")
    site.image("os", actor=sam)
    site.image("os", actor=kim)
    again = AllocateImage(
        cause="t", actor=sam, template=parse('NAME="os" PATH="/x"'), datastore_id=1
    )
    refused(site, again, Exists, "NAME is already taken by IMAGE 0")


def test_source_is_for_administrators() -> None:
    site = Site()
    template = parse('NAME="x" SOURCE="/etc/shadow"')
    message = AllocateImage(cause="t", actor=site.user("sam"), template=template, datastore_id=1)
    refused(site, message, NotAuthorized, "restricted attribute SOURCE")


@pytest.mark.parametrize(
    ("digest", "stored"),
    [
        (f'CHECKSUM="{"A" * 64}"', f"sha256:{'a' * 64}"),
        (f'CHECKSUM="sha256:{"a" * 64}"', f"sha256:{'a' * 64}"),
        (f'MD5="{"1" * 32}"', f"md5:{'1' * 32}"),
        (f'SHA1="{"2" * 40}"', f"sha1:{'2' * 40}"),
        ("", None),
    ],
)
def test_a_digest_is_kept_to_be_verified(digest: str, stored: str | None) -> None:
    site = Site()
    site.do(new_image(f'NAME="x" PATH="https://example.org/x" {digest}'))
    assert site.state.images[0].checksum == stored


def test_an_empty_datablock_needs_no_path() -> None:
    site = Site()
    site.do(new_image('NAME="x" TYPE="datablock" SIZE="10"'))
    image = site.state.images[0]
    assert (image.path, image.size_mib, image.type) == ("", 10, ImageType.DATABLOCK)


def test_what_was_found_in_the_data_is_what_counts() -> None:
    site = Site()
    site.do(new_image('NAME="x" PATH="/x" SIZE="10"'))
    site.settle(Kind.IMAGE, 0, Done({"size_mib": 99, "format": "raw", "checksum": "sha256:ab"}))
    image = site.state.images[0]
    assert (image.size_mib, image.format, image.checksum) == (99, "raw", "sha256:ab")


def test_an_image_lies_in_the_directory_of_its_datastore() -> None:
    site = Site()
    template = parse('NAME="fast" BASE_PATH="/srv/fast"')
    store = site.do(AllocateDatastore(cause="t", actor=ENGINE, template=template))
    assert store is not None
    site.do(new_image('NAME="x" PATH="/x"', store))
    assert site.state.images[0].source == "/srv/fast/0"


# --- pairs --------------------------------------------------------------------------------------

OUTCOMES: dict[ImageStatus, tuple[ImageStatus | None, ImageStatus, ImageStatus]] = {
    S.LOCKED: (S.READY, S.ERROR, S.ERROR),
    S.DELETE: (None, S.ERROR, S.ERROR),
}
"""Status -> after success, failure, nobody knows; None: the image is gone."""


def test_statuses_that_demand_work_are_those_with_outcomes() -> None:
    assert OUTCOMES.keys() == DEMANDS.keys()


@pytest.mark.parametrize("which", [0, 1, 2], ids=["done", "failed", "unknown"])
@pytest.mark.parametrize("status", OUTCOMES, ids=lambda s: s.name)
def test_an_outcome_leads_where_the_table_says(status: ImageStatus, which: int) -> None:
    site = site_with(status)
    site.settle(Kind.IMAGE, 0, (Done(), FAILED, UNKNOWN)[which])
    image = site.state.images.get(0)
    assert (None if image is None else image.status) is OUTCOMES[status][which]
    assert site.state.unfinished(Kind.IMAGE, 0) is None
    if image is not None and image.status is S.ERROR:
        assert image.error in (FAILED.message, UNKNOWN.message)


COMMANDS: dict[str, tuple[Command, dict[ImageStatus, ImageStatus]]] = {
    "delete": (
        delete(),
        {S.READY: S.DELETE, S.DISABLED: S.DELETE, S.ERROR: S.DELETE, S.LOCKED: S.DELETE},
    ),
    "enable": (enable(True), {S.READY: S.READY, S.DISABLED: S.READY}),
    "disable": (enable(False), {S.READY: S.DISABLED, S.DISABLED: S.DISABLED}),
    "persistent": (persistent(True), {S.READY: S.READY, S.DISABLED: S.DISABLED}),
    "non-persistent": (persistent(False), {S.READY: S.READY, S.DISABLED: S.DISABLED}),
}


@pytest.mark.parametrize("status", STORED, ids=lambda s: s.name)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_legal_exactly_where_the_table_says(name: str, status: ImageStatus) -> None:
    message, legal = COMMANDS[name]
    site = site_with(status)
    if status not in legal:
        refused(site, message, WrongState, f"os [0] is {status.name}", "not available")
        return
    site.do(message)
    assert site.state.images[0].status is legal[status]


@pytest.mark.parametrize("status", STORED, ids=lambda s: s.name)
def test_the_outbox_holds_exactly_what_the_status_demands(status: ImageStatus) -> None:
    action = site_with(status).state.unfinished(Kind.IMAGE, 0)
    assert (None if action is None else action.kind) is DEMANDS.get(status)


def test_only_the_fetch_that_is_under_way_can_settle_an_image() -> None:
    site = site_with(S.LOCKED)
    fetch = site.state.unfinished(Kind.IMAGE, 0)
    assert fetch is not None
    site.do(delete())
    removal = site.state.unfinished(Kind.IMAGE, 0)
    assert removal is not None
    assert removal.kind is ActionKind.IMAGE_DELETE
    before = snapshot(site)
    for outcome in (Done({"size_mib": 5}), Failed("late"), Unknown("late")):
        site.do(Settled(cause="late", action=fetch, outcome=outcome))
    assert snapshot(site) == before


def test_a_removal_that_failed_can_be_asked_for_again() -> None:
    site = site_with(S.DELETE)
    site.settle(Kind.IMAGE, 0, FAILED)
    site.do(delete())
    site.settle(Kind.IMAGE, 0)
    assert 0 not in site.state.images


def test_states_that_follow_from_vms_are_in_no_row() -> None:
    for status, _ in MACHINE.edges():
        assert status in STORED


@pytest.mark.parametrize("name", ["delete", "disable", "persistent"])
def test_an_image_in_use_stays_as_it_is(name: str) -> None:
    site = Site().furnished()
    vm_id = site.vm()
    refused(site, COMMANDS[name][0], InUse, "os [0]", f"VM [{vm_id}]", "Terminate")
    site.do(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id))
    site.do(COMMANDS[name][0])


def test_a_file_is_never_persistent() -> None:
    site = Site()
    site.do(new_image('NAME="k" PATH="/k" TYPE="KERNEL"', 2))
    site.settle(Kind.IMAGE, 0)
    refused(site, persistent(True), WrongState, "KERNEL cannot be persistent")


def test_an_unknown_image_is_named_in_the_refusal() -> None:
    refused(Site(), enable(True), NotFound, "Error getting image [0].")
    refused(Site(), delete(), NotFound, "Error getting image [0].")
