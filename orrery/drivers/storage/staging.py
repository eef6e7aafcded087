"""Copies an image into the cache of a host: written aside, compared, and then given its name."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from orrery.drivers.storage.fetch import CHUNK, SPACE_CHECK, NoRoom, TransferFailed
from orrery.drivers.storage.places import (
    Cancelled,
    Refusal,
    Stop,
    check_source,
    free_bytes,
    make_directory,
    written_aside,
)
from orrery.ports.driver import StagePlan

SECTOR = 512


class Staged(Struct, frozen=True):
    """A copy that is whole."""

    size: int
    seconds: float | None
    """What the copying took; None when there was nothing to do."""


def stage(
    plan: StagePlan,
    target: Path,
    *,
    reserve: int,
    stop: Stop,
    progress: Callable[[float], None],
) -> Staged:
    """The copy under its name; one that is there already, of the right size, stays."""
    source = check_source(plan.source)
    size = source.stat().st_size
    if target.is_symlink() or target.is_dir():
        raise Refusal(f"target {str(target)!r}: is no file: remove it by hand")
    if target.exists() and target.stat().st_size == size:
        return Staged(size, None)
    began = time.monotonic()
    _check_room(target, source.stat().st_blocks * SECTOR + reserve)
    make_directory(target.parent)
    with written_aside(target) as part:
        told = _copy(source, part, size, reserve=reserve, stop=stop, progress=progress)
        if part.stat().st_size != size or source.stat().st_size != size:
            raise TransferFailed(f"source {plan.source!r}: changed while it was copied")
        if _digest(part, stop) != told:
            raise TransferFailed(f"target {str(target)!r}: is not what was written to it")
    return Staged(size, time.monotonic() - began)


def _copy(
    source: Path,
    part: Path,
    size: int,
    *,
    reserve: int,
    stop: Stop,
    progress: Callable[[float], None],
) -> bytes:
    """Copy sparsely; the digest of what was read."""
    digest = hashlib.sha256()
    done = unchecked = 0
    with source.open("rb", buffering=0) as reading, part.open("xb", buffering=0) as writing:
        while chunk := reading.read(CHUNK):
            if stop():
                raise Cancelled
            digest.update(chunk)
            if chunk.count(0) == len(chunk):
                writing.seek(len(chunk), os.SEEK_CUR)
            else:
                writing.write(chunk)
            done += len(chunk)
            unchecked += len(chunk)
            if unchecked >= SPACE_CHECK:
                unchecked = 0
                _check_room(part, reserve)
            progress(min(done / size, 1.0))
        writing.truncate(done)
    return digest.digest()


def _digest(path: Path, stop: Stop) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            if stop():
                raise Cancelled
            digest.update(chunk)
    return digest.digest()


def _check_room(path: Path, wanted: int) -> None:
    free = free_bytes(path)
    if wanted > free:
        raise NoRoom(path.parent, wanted, free)
