"""Brings an image into a datastore: fetched aside, checked, and only then given its name."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from orrery.drivers.storage import qemu_img
from orrery.drivers.storage.fetch import Checksum, FileSource, HttpSource, Source, transfer
from orrery.drivers.storage.formats import HEAD_BYTES, MIB, BadImage, Shape, shape_of
from orrery.drivers.storage.places import Refusal, Stop, make_directory, written_aside
from orrery.ports.driver import ImagePlan

_NOTE = "user.orrery.image"
"""Extended attribute of a finished image: tells a repeated call that there is nothing to do."""
_ALIASES = {"iso": "raw", "img": "raw", "": None}


class Registered(Struct, frozen=True):
    """What became of a plan."""

    origin: str | None
    expected: str | None
    size_mib: int
    format: str
    checksum: str | None


def register(
    plan: ImagePlan,
    target: Path,
    *,
    safe: tuple[Path, ...],
    reserve: int,
    stop: Stop,
    progress: Callable[[float], None],
) -> Registered:
    """The image under its name, whole; what an earlier call finished is not done again."""
    finished = _noted(target)
    if finished and (finished.origin, finished.expected) == (plan.origin, plan.checksum):
        return finished
    make_directory(target.parent)
    with written_aside(target) as part:
        if plan.origin is None:
            shape, checksum = _make_empty(plan, part), None
        else:
            counted = Checksum(plan.checksum)
            with contextlib.closing(_source(plan.origin, safe)) as source:
                transfer(source, part, counted, reserve=reserve, stop=stop, progress=progress)
            checksum = counted.settled()
            shape = _inspect(part, plan.format)
        made = Registered(plan.origin, plan.checksum, shape.size_mib, shape.format, checksum)
        _note(part, made)
    return made


def _source(origin: str, safe: tuple[Path, ...]) -> Source:
    scheme = urlsplit(origin).scheme.lower()
    if scheme in ("http", "https"):
        return HttpSource(origin)
    path = Path(origin.removeprefix("file://") if scheme == "file" else origin)
    if not path.is_absolute():
        raise Refusal(f"path {origin!r}: must be an absolute path or an http(s) URL")
    return FileSource(path, safe)


def _make_empty(plan: ImagePlan, part: Path) -> Shape:
    if not plan.size_mib or plan.size_mib < 0:
        raise Refusal(f"size_mib {plan.size_mib}: an empty image needs a size above 0")
    shape = Shape(_wanted(plan.format) or "raw", plan.size_mib * MIB)
    qemu_img.create(part, shape.format, shape.size)
    return shape


def _inspect(part: Path, wanted: str | None) -> Shape:
    """Our own reading of the header comes first: qemu-img would follow what it names."""
    with part.open("rb") as file:
        head = file.read(HEAD_BYTES)
    shape = shape_of(head, part.stat().st_size)
    named = _wanted(wanted)
    if named not in (None, shape.format):
        raise BadImage(f"is {shape.format}, not {wanted} as its format says: correct the format")
    if shape.format == "qcow2":
        qemu_img.virtual_size(part, "qcow2")
    return shape


def _wanted(image_format: str | None) -> str | None:
    if image_format is None:
        return None
    name = _ALIASES.get(image_format.lower(), image_format.lower())
    if name not in (None, "raw", "qcow2"):
        raise Refusal(f"format {image_format!r}: is unknown: use raw or qcow2")
    return name


def _note(path: Path, made: Registered) -> None:
    """A file system without extended attributes only costs a repeated call its short cut."""
    with contextlib.suppress(OSError):
        os.setxattr(path, _NOTE, msgspec.json.encode(made))


def _noted(path: Path) -> Registered | None:
    try:
        return msgspec.json.decode(os.getxattr(path, _NOTE), type=Registered)
    except (OSError, msgspec.DecodeError):
        return None
