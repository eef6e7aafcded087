"""The Storage port on directories of this host. It decides nothing: plans say what lies where.

Blocking work runs in threads of its own: few for transfers, others for everything short, so that a
slow server never keeps a VM from its disks.
"""

import asyncio
import base64
import errno
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from orrery.core.errors import InvalidInput
from orrery.core.messages import Done, Failed, Json, Outcome, Unknown
from orrery.drivers.storage import places
from orrery.drivers.storage.disks import make_disk
from orrery.drivers.storage.fetch import NoRoom, TransferFailed
from orrery.drivers.storage.formats import BadImage
from orrery.drivers.storage.images import register
from orrery.drivers.storage.places import Cancelled, Refusal
from orrery.drivers.storage.qemu_img import ToolFailed
from orrery.drivers.storage.staging import stage
from orrery.ports.driver import DiskPlan, ImagePlan, Progress, StagePlan

MIB = 1 << 20
PROGRESS_STEP = 0.01


class FileStorage:
    """Raw and qcow2 files in directories.

    `roots` are the directories it may write in, `safe_sources` those from which images may be
    registered by path; empty means anywhere. `reserve_mib` is left free when an image is fetched.
    """

    name = "fs"

    def __init__(
        self,
        roots: tuple[Path, ...] = (),
        safe_sources: tuple[Path, ...] = (),
        *,
        workers: int = 4,
        transfers: int = 2,
        reserve_mib: int = 64,
    ) -> None:
        self._roots = places.Roots(roots)
        self._safe = safe_sources
        self._reserve = reserve_mib * MIB
        self._busy = places.Busy()
        self._short = ThreadPoolExecutor(workers, thread_name_prefix="storage")
        self._long = ThreadPoolExecutor(transfers, thread_name_prefix="transfer")

    def close(self) -> None:
        for executor in (self._short, self._long):
            executor.shutdown(wait=False, cancel_futures=True)

    async def place(self, directory: str, disks: tuple[DiskPlan, ...]) -> Outcome:
        """Make a VM's directory and all its disks; what is already whole stays."""
        return await self._call(self._short, partial(self._place, directory, disks))

    async def remove(self, directory: str) -> Outcome:
        """Remove a VM's directory with all in it; linked images stay. Absent is done."""
        return await self._call(self._short, partial(self._remove, directory))

    async def exists(self, path: str) -> Outcome:
        """Done.result {"exists": bool, "size": int}."""
        return await self._call(self._short, partial(_exists, Path(path)))

    async def discard(self, path: str) -> Outcome:
        """Remove one file. Absent is done."""
        return await self._call(self._short, partial(self._discard, path))

    async def read(self, path: str, offset: int, limit: int) -> Outcome:
        """Done.result {"data": base64, "size": int}. Absent is empty."""
        return await self._call(self._short, partial(self._read, path, offset, limit))

    async def register(self, plan: ImagePlan, progress: Progress | None = None) -> Outcome:
        """Fetch, verify, convert nothing; a caller that goes away takes the transfer with it."""
        stop = threading.Event()
        told = _on_loop(asyncio.get_running_loop(), progress)
        try:
            return await self._call(self._long, partial(self._register, plan, stop, told))
        finally:
            stop.set()

    async def stage(self, plan: StagePlan, progress: Progress | None = None) -> Outcome:
        """Copy an image into the cache; a caller that goes away takes the copying with it."""
        stop = threading.Event()
        told = _on_loop(asyncio.get_running_loop(), progress)
        try:
            return await self._call(self._long, partial(self._stage, plan, stop, told))
        finally:
            stop.set()

    async def usage(self, directory: str) -> Outcome:
        """Done.result {"total_mib", "free_mib", "used_mib"} of the file system it lies on."""
        return await self._call(self._short, partial(_usage, Path(directory)))

    async def listing(self, directory: str) -> Outcome:
        """Done.result {"names": [...]}: to find leftovers."""
        return await self._call(self._short, partial(_listing, Path(directory)))

    async def _call(
        self, executor: ThreadPoolExecutor, work: Callable[[], dict[str, Json]]
    ) -> Outcome:
        try:
            return Done(await asyncio.get_running_loop().run_in_executor(executor, work))
        except TimeoutError as error:
            return Unknown(str(error))
        except BlockingIOError as error:
            return Failed(f"{error.filename}: {error.strerror}", retryable=True)
        except OSError as error:
            return Failed(_described(error))
        except TransferFailed as error:
            return Failed(str(error), retryable=True)
        except (Refusal, NoRoom, BadImage, Cancelled) as error:
            return Failed(str(error))
        except ToolFailed as error:
            return Failed(str(error))
        except InvalidInput as error:
            return Failed(error.message)

    # --- in threads -------------------------------------------------------------------------------

    def _place(self, directory: str, disks: tuple[DiskPlan, ...]) -> dict[str, Json]:
        home = self._roots.check(directory)
        targets = [places.check_inside(home, plan.target) for plan in disks]
        with self._busy.hold(home):
            places.make_directory(home)
            for plan, target in zip(disks, targets, strict=True):
                make_disk(plan, target)
        return {}

    def _remove(self, directory: str) -> dict[str, Json]:
        home = self._roots.check(directory)
        if home.is_symlink() or home.is_mount():
            raise Refusal(f"directory {directory!r}: is a link or mount point: remove it by hand")
        with self._busy.hold(home):
            if home.exists():
                shutil.rmtree(home)
        return {}

    def _read(self, path: str, offset: int, limit: int) -> dict[str, Json]:
        file = self._roots.check(path)
        try:
            with file.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size + offset) if offset < 0 else offset)
                data = stream.read(max(0, limit))
        except FileNotFoundError:
            size, data = 0, b""
        return {"data": base64.b64encode(data).decode(), "size": size}

    def _discard(self, path: str) -> dict[str, Json]:
        file = self._roots.check(path)
        if file.is_dir() and not file.is_symlink():
            raise Refusal(f"path {path!r}: is a directory: only files are discarded")
        with self._busy.hold(file):
            file.unlink(missing_ok=True)
            places.part_of(file).unlink(missing_ok=True)
        return {}

    def _register(
        self, plan: ImagePlan, stop: threading.Event, progress: Progress
    ) -> dict[str, Json]:
        target = self._roots.check(plan.target)
        with self._busy.hold(target):
            try:
                made = register(
                    plan,
                    target,
                    safe=self._safe,
                    reserve=self._reserve,
                    stop=stop.is_set,
                    progress=progress,
                )
            except BadImage as error:
                raise BadImage(f"image {plan.origin!r} {error}") from None
        facts = msgspec.to_builtins(made)
        return {key: facts[key] for key in ("size_mib", "format", "checksum")}

    def _stage(self, plan: StagePlan, stop: threading.Event, progress: Progress) -> dict[str, Json]:
        target = self._roots.check(plan.target)
        with self._busy.hold(target):
            staged = stage(plan, target, reserve=self._reserve, stop=stop.is_set, progress=progress)
        known: dict[str, Json] = {"size": staged.size}
        return known if staged.seconds is None else known | {"seconds": staged.seconds}


def _exists(path: Path) -> dict[str, Json]:
    try:
        return {"exists": True, "size": path.stat().st_size}
    except (FileNotFoundError, NotADirectoryError):
        return {"exists": False, "size": 0}


def _usage(directory: Path) -> dict[str, Json]:
    total, used, free = shutil.disk_usage(places.existing_parent(directory))
    return {"total_mib": total // MIB, "free_mib": free // MIB, "used_mib": used // MIB}


def _listing(directory: Path) -> dict[str, Json]:
    names = sorted(entry.name for entry in directory.iterdir()) if directory.is_dir() else []
    return {"names": [*names]}


def _described(error: OSError) -> str:
    where = error.filename or "storage"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}: no space left: free some space or use another datastore"
    return f"{where}: {error.strerror or error}"


def _on_loop(loop: asyncio.AbstractEventLoop, progress: Progress | None) -> Progress:
    """Progress comes from a thread, in many small steps; the caller hears of whole percents."""
    last = -1.0

    def tell(fraction: float) -> None:
        nonlocal last
        if progress is None or (fraction - last < PROGRESS_STEP and fraction < 1.0):
            return
        last = fraction
        if not loop.is_closed():
            loop.call_soon_threadsafe(progress, fraction)

    return tell
