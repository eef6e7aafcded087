"""The disks of a new VM: images found and checked, device names given."""

import re
import string
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from orrery.core.access import require
from orrery.core.errors import InUse, InvalidInput, NotFound, WrongState
from orrery.core.messages import Actor
from orrery.core.model.kinds import Kind
from orrery.core.model.storage import Image
from orrery.core.model.view import View
from orrery.core.model.vm import Disk
from orrery.core.numbers import known_id, whole
from orrery.core.status import ImageStatus, ImageType, Right
from orrery.core.template import Template

MAX_DISKS = 64
MAX_SIZE_MIB = 1 << 30
CONSUMED = frozenset({"SIZE", "TARGET", "DEV_PREFIX", "READONLY", "FORMAT", "TYPE", "DISK_ID"})
"""Attributes that become fields; the others stay as the user gave them."""

PREFIXES = ("vd", "sd", "hd", "xvd")
DEVICE = re.compile(f"({'|'.join(PREFIXES)})[a-z]{{1,2}}")
LETTERS = (*string.ascii_lowercase, *(a + b for a in "ab" for b in string.ascii_lowercase))
"""More than a VM may have disks."""

CONTEXT_PREFIX = "hd"
"""Where the context ISO goes: an IDE CD-ROM is what every guest can read."""


def build_disks(template: Template, view: View, actor: Actor) -> tuple[Disk, ...]:
    """One Disk per DISK of the template, ids in order.

    Raises:
        InvalidInput, NotFound, NotAuthorized, InUse, WrongState: which disk, and why.
    """
    wanted = template.vectors("DISK")
    if len(wanted) > MAX_DISKS:
        raise InvalidInput("DISK", str(len(wanted)), f"are too many: at most {MAX_DISKS} disks")
    disks = [build_disk(i, disk, view, actor) for i, disk in enumerate(wanted)]
    refuse_shared_persistent(disks)
    return name_targets(disks, context_reserves(template))


def build_disk(index: int, disk: Mapping[str, str], view: View, actor: Actor) -> Disk:
    image = find_image(index, disk, view, actor)
    extra = tuple((k, v) for k, v in disk.items() if k not in CONSUMED)
    if image is None:
        return volatile_disk(index, disk, extra)
    check_usable(index, image, view, actor)
    cdrom = image.type is ImageType.CDROM
    return Disk(
        id=index,
        image_id=image.id,
        datastore_id=image.datastore_id,
        kind="CDROM" if cdrom else "FILE",
        source=image.source,
        format=image.format if image.persistent or cdrom else "qcow2",
        size_mib=max(size_of(index, disk, image.size_mib), image.size_mib),
        original_size_mib=image.size_mib,
        target=target_of(index, disk),
        dev_prefix=prefix_of(
            index, disk, image.template.get("DEV_PREFIX") or prefix_for(image.type)
        ),
        persistent=image.persistent,
        readonly=cdrom or disk.get("READONLY", "").upper() == "YES",
        clone=not image.persistent,
        extra=extra,
    )


def volatile_disk(index: int, disk: Mapping[str, str], extra: tuple[tuple[str, str], ...]) -> Disk:
    kind = disk.get("TYPE", "").lower()
    if kind not in ("fs", "swap"):
        raise InvalidInput(
            f"DISK {index}",
            str(dict(disk)),
            'names no IMAGE or IMAGE_ID, and TYPE is not "fs" or "swap"',
        )
    if "SIZE" not in disk:
        raise InvalidInput(
            f"DISK {index}/SIZE", "", "is missing: a volatile disk needs a size in MiB"
        )
    form = disk.get("FORMAT", "raw").lower()
    if form not in ("raw", "qcow2"):
        raise InvalidInput(f"DISK {index}/FORMAT", form, "is not known: raw or qcow2")
    size = size_of(index, disk, 0)
    return Disk(
        id=index,
        image_id=None,
        datastore_id=None,
        kind=kind,
        source="",
        format="raw" if kind == "swap" else form,
        size_mib=size,
        original_size_mib=size,
        target=target_of(index, disk),
        dev_prefix=prefix_of(index, disk, "vd"),
        extra=extra,
    )


def find_image(index: int, disk: Mapping[str, str], view: View, actor: Actor) -> Image | None:
    by_id, by_name = disk.get("IMAGE_ID"), disk.get("IMAGE")
    if by_id is not None:
        image_id = known_id(by_id, view.images)
        if image_id is None:
            raise NotFound(
                f"DISK {index}/IMAGE_ID: there is no image [{by_id[:20]}]", object_kind="IMAGE"
            )
        return view.images[image_id]
    if by_name is None:
        return None
    owner = owner_of(index, disk, view, actor)
    found = view.by_name(Kind.IMAGE, by_name, owner)
    if found is None:
        raise NotFound(
            f"DISK {index}/IMAGE: user [{owner}] owns no image named {by_name!r}; "
            "name another owner with IMAGE_UNAME, or use IMAGE_ID",
            object_kind="IMAGE",
        )
    return view.images[found]


def owner_of(index: int, disk: Mapping[str, str], view: View, actor: Actor) -> int:
    uname, uid = disk.get("IMAGE_UNAME"), disk.get("IMAGE_UID")
    if uid is not None:
        owner = known_id(uid, view.users)
        if owner is None:
            raise NotFound(
                f"DISK {index}/IMAGE_UID: there is no user [{uid[:20]}]", object_kind="USER"
            )
        return owner
    if uname is None:
        return actor.uid
    found = view.by_name(Kind.USER, uname)
    if found is None:
        raise NotFound(f"DISK {index}/IMAGE_UNAME: there is no user {uname!r}", object_kind="USER")
    return found


def check_usable(index: int, image: Image, view: View, actor: Actor) -> None:
    require(actor, Right.MANAGE if image.persistent else Right.USE, image)
    if image.type not in (ImageType.OS, ImageType.CDROM, ImageType.DATABLOCK):
        raise InvalidInput(
            f"DISK {index}/IMAGE", image.name, "is a file, not a disk: use it in OS or CONTEXT"
        )
    if image.status is not ImageStatus.READY:
        raise WrongState(
            f"DISK {index}: image {image.name} [{image.id}] is {image.status.name}, not READY",
            object_kind="IMAGE",
            object_id=image.id,
        )
    users = view.image_users(image.id)
    if image.persistent and users:
        raise InUse(
            f"DISK {index}: persistent image {image.name} [{image.id}] is in use by VM "
            f"[{min(users)}]",
            object_kind="IMAGE",
            object_id=image.id,
        )


def refuse_shared_persistent(disks: list[Disk]) -> None:
    persistent = [disk.image_id for disk in disks if disk.persistent]
    if len(set(persistent)) != len(persistent):
        raise InUse("DISK: a persistent image cannot be two disks of one VM")


def size_of(index: int, disk: Mapping[str, str], default: int) -> int:
    text = disk.get("SIZE")
    if text is None:
        return default
    size = whole(text, MAX_SIZE_MIB)
    if not size:
        raise InvalidInput(
            f"DISK {index}/SIZE", text, f"is not a size: whole MiB, 1 to {MAX_SIZE_MIB}"
        )
    return size


def prefix_for(kind: ImageType) -> str:
    return "hd" if kind is ImageType.CDROM else "vd"


def target_of(index: int, disk: Mapping[str, str]) -> str:
    target = disk.get("TARGET", "")
    check_target(f"DISK {index}/TARGET", target)
    return target


def check_target(field: str, target: str) -> None:
    if target and not DEVICE.fullmatch(target):
        raise InvalidInput(field, target, "is no device name: use one like vda, sdb, hdc")


def prefix_of(index: int, disk: Mapping[str, str], default: str) -> str:
    """The letters that the device's name begins with: they choose its bus."""
    prefix = disk.get("DEV_PREFIX") or default
    if prefix not in PREFIXES:
        raise InvalidInput(
            f"DISK {index}/DEV_PREFIX", prefix, f"is not known: use one of {', '.join(PREFIXES)}"
        )
    return prefix


def name_targets(disks: list[Disk], reserved: frozenset[str]) -> tuple[Disk, ...]:
    """Names as given, the others the next free letter of their prefix; none that is reserved."""
    taken = {disk.target for disk in disks if disk.target} | reserved
    named: list[Disk] = []
    for disk in disks:
        target = disk.target or next_letter(disk.dev_prefix, taken)
        taken.add(target)
        named.append(replace(disk, target=target))
    targets = [disk.target for disk in named] + list(reserved)
    if len(set(targets)) != len(targets):
        raise InvalidInput(
            "DISK/TARGET", ", ".join(targets), "names one device twice: give each another name"
        )
    return tuple(named)


def next_letter(prefix: str, taken: Any) -> str:
    for letter in LETTERS:
        if f"{prefix}{letter}" not in taken:
            return f"{prefix}{letter}"
    raise InvalidInput("DISK/DEV_PREFIX", prefix, "has no letter left: use another prefix")


def context_reserves(template: Template) -> frozenset[str]:
    """The device that CONTEXT names for itself, if it does."""
    target = (template.vector("CONTEXT") or {}).get("TARGET", "")
    check_target("CONTEXT/TARGET", target)
    return frozenset({target}) if target else frozenset()


def context_target(taken: frozenset[str]) -> str:
    return next_letter(CONTEXT_PREFIX, taken)
