"""Where files may lie, and how one appears: written aside, made durable, renamed. Nothing else."""

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

FILE_MODE, DIRECTORY_MODE = 0o644, 0o755
MIB = 1 << 20


class Refusal(Exception):
    """A path or file that must not be used; the text names it and the remedy."""


class Cancelled(Exception):
    """The caller has gone: the work stops and leaves nothing."""


class Roots:
    """The directories under which a driver may write. Without any it may write anywhere."""

    def __init__(self, roots: tuple[Path, ...]) -> None:
        self._roots = tuple(root.resolve() for root in roots)

    def check(self, text: str) -> Path:
        """The path, resolved but for its last part, which may be a link that is to be replaced."""
        path = Path(text)
        if not path.is_absolute() or path.name in ("", ".."):
            raise Refusal(f"path {text!r}: must be absolute and name a file or directory")
        resolved = path.parent.resolve() / path.name
        if self._roots and not any(root in resolved.parents for root in self._roots):
            allowed = ", ".join(map(str, self._roots))
            raise Refusal(f"path {text!r}: lies outside the datastores: use one of {allowed}")
        return resolved


def check_inside(directory: Path, target: str) -> Path:
    """The target as a file directly within the directory."""
    path = directory / target
    resolved = path.parent.resolve() / path.name
    if resolved.parent != directory or path.name in ("", ".", ".."):
        raise Refusal(f"target {target!r}: must lie directly in {directory}")
    return resolved


def check_source(text: str | None) -> Path:
    """The source, if it is a file or a block device; a pipe would hang whoever reads it."""
    if not text:
        raise Refusal("source: is missing: name the image's file")
    path = Path(text).resolve()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise Refusal(f"source {text!r}: does not exist") from None
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        raise Refusal(f"source {text!r}: is neither a regular file nor a block device")
    return path


def make_directory(path: Path) -> None:
    path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def part_of(target: Path) -> Path:
    """Where the target is written until it is whole: one place, so that a repeat finds it."""
    return target.with_name(f".{target.name}.part")


@contextlib.contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """A path to write to; it becomes the target if the block ends well, and is gone if not."""
    part = part_of(target)
    part.unlink(missing_ok=True)
    try:
        yield part
        if not part.is_symlink():
            part.chmod(FILE_MODE)
            sync(part)
        part.replace(target)
        sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def existing_parent(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())


def free_bytes(path: Path) -> int:
    stats = os.statvfs(existing_parent(path))
    return stats.f_bavail * stats.f_frsize


class Busy:
    """Files that some thread is writing: a repeated call must not undo the work of the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: set[Path] = set()

    @contextlib.contextmanager
    def hold(self, path: Path) -> Iterator[None]:
        with self._lock:
            if path in self._paths:
                raise BlockingIOError(errno.EAGAIN, "an earlier call still writes it", str(path))
            self._paths.add(path)
        try:
            yield
        finally:
            with self._lock:
                self._paths.discard(path)


Stop = Callable[[], bool]
"""True when the caller has gone."""
