"""What the tests of stored files share: their bytes, and calls to a storage that is waited for."""

import asyncio
import hashlib
import json
import os
import subprocess
from collections.abc import Awaitable
from pathlib import Path

from orrery.core.messages import Done, Failed, Json, Outcome
from orrery.ports.driver import ImagePlan

MIB = 1 << 20
DATA = os.urandom(1000) + bytes(3 * MIB) + os.urandom(MIB)
RAW = DATA.ljust(5 * MIB, b"\0")


def outcome(call: Awaitable[Outcome]) -> Outcome:
    async def waited() -> Outcome:
        return await call

    return asyncio.run(waited())


def done(call: Awaitable[Outcome]) -> dict[str, Json]:
    result = outcome(call)
    assert isinstance(result, Done), result
    return result.result


def failed(call: Awaitable[Outcome]) -> Failed:
    result = outcome(call)
    assert isinstance(result, Failed), result
    return result


def qcow2(path: Path, size_mib: int = 8, *options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), f"{size_mib}M"]
    subprocess.run(argv, check=True)
    return path


def info(path: Path) -> dict[str, object]:
    argv = ["qemu-img", "info", "-U", "--output=json", str(path)]
    found = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    assert isinstance(found, dict)
    return found


def image(origin: Path | str | None, target: Path, **changes: object) -> ImagePlan:
    base = {"format": None, "size_mib": None, "checksum": None}
    where = None if origin is None else str(origin)
    return ImagePlan(origin=where, target=str(target), **{**base, **changes})  # type: ignore[arg-type]


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def raw_file(path: Path, data: bytes = RAW) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
