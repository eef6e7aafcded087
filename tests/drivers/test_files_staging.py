"""Copies of images in the cache of a host, on real files: whole or not at all, disks on them."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orrery.agent_check import check
from orrery.core.messages import Done, Failed, Outcome
from orrery.drivers.storage import staging
from orrery.drivers.storage.fetch import CHUNK
from orrery.drivers.storage.files import FileStorage
from orrery.ports.driver import DiskPlan, StagePlan
from tests.drivers.stored import MIB, RAW, done, failed, info, qcow2, raw_file


@pytest.fixture
def base(ds: Path) -> Path:
    return raw_file(ds / "1" / "7")


@pytest.fixture
def copy(ds: Path) -> Path:
    return ds / "0" / "cache" / "7.1"


def plan(source: Path, target: Path) -> StagePlan:
    return StagePlan(source=str(source), target=str(target), size_mib=5)


def clone(target: Path, source: Path, copy: Path) -> DiskPlan:
    return DiskPlan(
        how="clone",
        target=str(target),
        source=str(source),
        source_format="raw",
        staged=str(copy),
        format="qcow2",
    )


def test_a_copy_is_whole_sparse_and_made_once(storage: FileStorage, base: Path, copy: Path) -> None:
    told: list[float] = []

    async def first() -> Outcome:
        outcome = await storage.stage(plan(base, copy), told.append)
        await asyncio.sleep(0)
        return outcome

    result = asyncio.run(first())
    assert isinstance(result, Done)
    assert result.result["size"] == len(RAW)
    assert isinstance(result.result["seconds"], float)
    assert copy.read_bytes() == RAW
    assert copy.stat().st_blocks * 512 < len(RAW) // 2
    assert told[-1] == 1.0
    before = copy.stat()
    again = done(storage.stage(plan(base, copy)))
    assert again == {"size": len(RAW)}
    assert copy.stat().st_mtime_ns == before.st_mtime_ns
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]
    assert base.read_bytes() == RAW


def test_what_a_crash_left_is_made_anew(storage: FileStorage, base: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True)
    (copy.parent / f".{copy.name}.part").write_bytes(b"half")
    assert done(storage.exists(str(copy)))["exists"] is False
    done(storage.stage(plan(base, copy)))
    assert copy.read_bytes() == RAW
    copy.write_bytes(RAW[:1000])
    done(storage.stage(plan(base, copy)))
    assert copy.read_bytes() == RAW


def test_a_copy_that_differs_from_what_was_read_is_no_copy(
    storage: FileStorage, base: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "_digest", lambda path, stop: b"something else")
    outcome = failed(storage.stage(plan(base, copy)))
    assert outcome.retryable
    assert "is not what was written" in outcome.message
    assert list(copy.parent.iterdir()) == []


def test_an_image_that_changes_meanwhile_is_tried_again_later(
    storage: FileStorage, base: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = staging._copy

    def growing(source: Path, *args: object, **more: object) -> bytes:
        found = real(source, *args, **more)  # type: ignore[arg-type] # as it was called
        with source.open("ab") as file:
            file.write(b"more")
        return found

    monkeypatch.setattr(staging, "_copy", growing)
    outcome = failed(storage.stage(plan(base, copy)))
    assert outcome.retryable
    assert "changed while it was copied" in outcome.message
    assert list(copy.parent.iterdir()) == []


def test_there_has_to_be_room_first(
    ds: Path, base: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    greedy = FileStorage((ds,), reserve_mib=1 << 40)
    outcome = failed(greedy.stage(plan(base, copy)))
    greedy.close()
    assert "no room in" in outcome.message
    assert not copy.parent.exists()


@pytest.mark.parametrize("wrong", ["absent", "outside", "directory"])
def test_what_cannot_be_copied_is_refused_and_nothing_is_left(
    storage: FileStorage, ds: Path, base: Path, copy: Path, tmp_path: Path, wrong: str
) -> None:
    wanted, word = {
        "absent": (plan(ds / "1" / "8", copy), "does not exist"),
        "outside": (plan(base, tmp_path / "elsewhere" / "7.1"), "lies outside"),
        "directory": (plan(base, ds / "1"), "is no file"),
    }[wrong]
    assert word in failed(storage.stage(wanted)).message
    assert not Path(wanted.target).is_file()


def test_a_caller_that_goes_away_takes_the_copying_with_it(
    storage: FileStorage, ds: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = raw_file(ds / "1" / "9", os.urandom(CHUNK) * 40)
    begun, gone = threading.Event(), threading.Event()
    checked = staging._check_room

    def hold(path: Path, wanted: int) -> None:
        begun.set()
        gone.wait(10)
        checked(path, wanted)

    monkeypatch.setattr(staging, "_check_room", hold)

    async def story() -> Outcome:
        calling = asyncio.ensure_future(storage.stage(plan(big, copy)))
        await asyncio.to_thread(begun.wait, 10)
        calling.cancel()
        await asyncio.wait([calling])
        gone.set()
        async with asyncio.timeout(10):
            while isinstance(outcome := await storage.discard(str(copy)), Failed):
                assert outcome.retryable
        return outcome

    assert isinstance(asyncio.run(story()), Done)
    assert not copy.exists()
    assert list(copy.parent.iterdir()) == []


def test_a_disk_lies_on_the_copy_if_it_is_there(
    storage: FileStorage, ds: Path, base: Path, copy: Path
) -> None:
    without, with_it = ds / "0" / "1", ds / "0" / "2"
    done(storage.place(str(without), (clone(without / "disk.0", base, copy),)))
    done(storage.stage(plan(base, copy)))
    done(storage.place(str(with_it), (clone(with_it / "disk.0", base, copy),)))
    assert info(without / "disk.0")["backing-filename"] == str(base)
    assert info(with_it / "disk.0")["backing-filename"] == str(copy)
    for home in (without, with_it):
        assert info(home / "disk.0")["virtual-size"] == len(RAW)
        argv = ("qemu-img", "compare", "-f", "qcow2", "-F", "raw", f"{home}/disk.0", f"{base}")
        subprocess.run(argv, check=True, capture_output=True)


def test_a_qcow2_image_is_copied_as_it_is(storage: FileStorage, ds: Path, copy: Path) -> None:
    image = qcow2(ds / "1" / "3", 64)
    done(storage.stage(plan(image, copy)))
    assert copy.read_bytes() == image.read_bytes()
    assert info(copy)["virtual-size"] == 64 * MIB


# --- the contract check ---------------------------------------------------------------------------

SERVE = "import sys; from orrery.agent import serve; sys.exit(serve(['--storage', 'fs']))"

BREACHES = {
    "files.stage = lambda plan, target, **_: Staged(0, 0.0)": "stage: of a source that is",
    "FileStorage._discard = lambda self, path: {}": "exists: of the copy it must say False",
}


def served(before: str = "") -> list[str]:
    imports = "from orrery.drivers.storage import files; from orrery.drivers.storage.files import "
    names = "FileStorage; from orrery.drivers.storage.staging import Staged"
    return [sys.executable, "-c", f"{imports}{names}\n{before}\n{SERVE}"]


def test_the_file_driver_keeps_the_contract_of_copies(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(served()) == 0
    assert "stages images, twice each: ok" in capsys.readouterr().out


@pytest.mark.parametrize("breach", BREACHES)
def test_a_driver_that_does_not_is_named(breach: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(served(breach)) == 1
    out = capsys.readouterr().out
    assert f"stages images, twice each: BROKEN: {BREACHES[breach]}" in out


def test_a_driver_without_it_is_as_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(served("del FileStorage.stage")) == 0
    assert "stages images, twice each: not served" in capsys.readouterr().out
