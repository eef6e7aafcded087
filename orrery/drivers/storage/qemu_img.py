"""qemu-img, run with explicit formats: it must never guess what a stranger's file is."""

import subprocess
from pathlib import Path

import msgspec
from msgspec import Struct

TIMEOUT_S = 60.0
COPY_TIMEOUT_S = 6 * 3600.0


class ToolFailed(Exception):
    """A program could not be started or did not end well."""


class _Info(Struct, frozen=True, rename="kebab"):
    virtual_size: int
    format: str
    backing_filename: str | None = None


def virtual_size(path: Path, image_format: str) -> int:
    """Bytes the guest sees; a running guest may hold the image."""
    argv = ("qemu-img", "info", "--force-share", "--output=json", "-f", image_format, str(path))
    return msgspec.json.decode(run(argv), type=_Info).virtual_size


def create(path: Path, image_format: str, size: int) -> None:
    run(("qemu-img", "create", "-q", "-f", image_format, str(path), str(size)))


def create_overlay(path: Path, backing: Path, backing_format: str, size: int) -> None:
    """A copy in no time: reads come from the backing file until the guest writes."""
    named = ("-F", backing_format, "-b", str(backing))
    run(("qemu-img", "create", "-q", "-f", "qcow2", *named, str(path), str(size)))


def convert(source: Path, source_format: str, target: Path, target_format: str) -> None:
    argv = ("qemu-img", "convert", "-q", "-U", "-f", source_format, "-O", target_format)
    run((*argv, str(source), str(target)), COPY_TIMEOUT_S)


def resize(path: Path, image_format: str, size: int) -> None:
    run(("qemu-img", "resize", "-q", "-f", image_format, str(path), str(size)))


def run(argv: tuple[str, ...], timeout_s: float = TIMEOUT_S) -> bytes:
    try:
        done = subprocess.run(
            argv, capture_output=True, check=False, timeout=timeout_s, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise ToolFailed(f"{argv[0]}: not installed on this host") from None
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"{argv[0]}: stopped after {timeout_s:g} s without an end") from None
    if done.returncode != 0:
        reason = " ".join(done.stderr.decode(errors="replace").split())[:400]
        raise ToolFailed(f"{argv[0]} {argv[1]}: {reason or f'exit status {done.returncode}'}")
    return done.stdout
