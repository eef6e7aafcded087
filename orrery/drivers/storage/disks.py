"""Makes one disk of a VM as its plan says: whole, or not at all. Knows the kinds of disks."""

import base64
import os
import struct
from collections.abc import Callable
from hashlib import md5
from pathlib import Path

from orrery.drivers.context import iso_image
from orrery.drivers.storage import qemu_img
from orrery.drivers.storage.formats import HEAD_BYTES, SECTOR, BadImage, declared_size
from orrery.drivers.storage.places import MIB, Refusal, check_source, written_aside
from orrery.ports.driver import DiskPlan

PAGE = 4096
FORMATS = ("raw", "qcow2")


def make_disk(plan: DiskPlan, target: Path) -> None:
    """Make the disk unless it is whole already."""
    makers: dict[str, Callable[[DiskPlan, Path], None]] = {
        "clone": _clone,
        "link": _link,
        "copy": _copy,
        "blank": _blank,
        "swap": _swap,
        "context": _context,
    }
    if plan.how not in makers:
        raise Refusal(f"how {plan.how!r}: is unknown: use one of {', '.join(makers)}")
    if plan.format not in FORMATS:
        raise Refusal(f"format {plan.format!r}: is unknown: use one of {', '.join(FORMATS)}")
    makers[plan.how](plan, target)


def _clone(plan: DiskPlan, target: Path) -> None:
    if plan.format != "qcow2":
        raise Refusal(f"format {plan.format!r}: a clone is always qcow2; use copy for raw disks")
    if _is_whole(target):
        return
    source, source_format = _nearest(plan), _source_format(plan)
    size = max(_guest_size(source, source_format), (plan.size_mib or 0) * MIB)
    with written_aside(target) as part:
        qemu_img.create_overlay(part, source, source_format, size)


def _link(plan: DiskPlan, target: Path) -> None:
    """The image itself under another name; a link that points elsewhere is replaced."""
    source = check_source(plan.source)
    if target.is_symlink() and target.readlink() == source:
        return
    if target.exists() and not target.is_symlink():
        raise Refusal(f"target {str(target)!r}: is a file where a link should be: remove it first")
    with written_aside(target) as part:
        part.symlink_to(source)


def _copy(plan: DiskPlan, target: Path) -> None:
    if _is_whole(target):
        return
    source, source_format = _nearest(plan), _source_format(plan)
    with written_aside(target) as part:
        if source_format == plan.format:
            argv = ("cp", "--reflink=auto", "--sparse=always", "--", str(source), str(part))
            qemu_img.run(argv, qemu_img.COPY_TIMEOUT_S)
        else:
            qemu_img.convert(source, source_format, part, plan.format)
        wanted = (plan.size_mib or 0) * MIB
        if wanted > qemu_img.virtual_size(part, plan.format):
            qemu_img.resize(part, plan.format, wanted)


def _blank(plan: DiskPlan, target: Path) -> None:
    if not _is_whole(target):
        with written_aside(target) as part:
            qemu_img.create(part, plan.format, _size(plan))


def _swap(plan: DiskPlan, target: Path) -> None:
    if _is_whole(target):
        return
    size, raw = _size(plan), target.with_name(f".{target.name}.raw.part")
    try:
        with written_aside(target) as part:
            first = part if plan.format == "raw" else raw
            with first.open("wb") as file:
                file.write(swap_signature(size, str(target)))
                file.truncate(size)
            if first is raw:
                qemu_img.convert(raw, "raw", part, plan.format)
    finally:
        raw.unlink(missing_ok=True)


def swap_signature(size: int, name: str) -> bytes:
    """The first page of a swap area; its identity follows from the name, and so does a repeat's."""
    last_page = size // PAGE - 1
    uuid = md5(name.encode(), usedforsecurity=False).digest()
    header = struct.pack("<III", 1, last_page, 0) + uuid + bytes(16)
    return bytes(1024) + header.ljust(PAGE - 1024 - 10, b"\0") + b"SWAPSPACE2"


def _context(plan: DiskPlan, target: Path) -> None:
    """Written again when its content has changed: the guest reads it at every boot."""
    files = {name: base64.b64decode(text, validate=True) for name, text in plan.files.items()}
    image = iso_image(plan.label or "CONTEXT", files)
    if not _is_whole(target) or target.read_bytes() != image:
        with written_aside(target) as part:
            part.write_bytes(image)


def _nearest(plan: DiskPlan) -> Path:
    """The copy in the cache of this host, or the image itself where there is none."""
    if plan.staged is not None and _is_whole(Path(plan.staged)):
        return check_source(plan.staged)
    return check_source(plan.source)


def _is_whole(target: Path) -> bool:
    """A file under its own name was renamed when it was whole."""
    return target.is_file() and not target.is_symlink()


def _source_format(plan: DiskPlan) -> str:
    if plan.source_format not in FORMATS:
        known = ", ".join(FORMATS)
        raise Refusal(f"source_format {plan.source_format!r}: must be one of {known}")
    return plan.source_format


def _guest_size(path: Path, image_format: str) -> int:
    """Bytes the guest sees. Read here: every start of a VM asks, and qemu-img takes 4 ms to say."""
    with path.open("rb") as file:
        if image_format == "qcow2":
            try:
                return declared_size(file.read(HEAD_BYTES))
            except BadImage as error:
                raise Refusal(f"source {str(path)!r}: {error}") from None
        return -(-file.seek(0, os.SEEK_END) // SECTOR) * SECTOR


def _size(plan: DiskPlan) -> int:
    if plan.size_mib is None or plan.size_mib <= 0:
        raise Refusal(f"size_mib {plan.size_mib}: a {plan.how} disk needs a size above 0")
    return plan.size_mib * MIB
