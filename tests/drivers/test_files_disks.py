"""The disks of VMs on real files, with qemu-img and, as root, a full disk."""

import base64
import gzip
import os
import subprocess
from pathlib import Path

import pytest

from orrery.drivers.storage.disks import swap_signature
from orrery.drivers.storage.files import FileStorage
from orrery.ports.driver import DiskPlan, ImagePlan
from tests.drivers.stored import MIB, RAW, done, failed, image, info, qcow2, raw_file


def disk(how: str, target: str = "disk.0", **changes: object) -> DiskPlan:
    base = {"how": how, "target": target, "format": "qcow2" if how == "clone" else "raw"}
    return DiskPlan(**{**base, **changes})  # type: ignore[arg-type]


@pytest.fixture
def base(ds: Path) -> Path:
    return raw_file(ds / "images" / "base")


def test_all_kinds_of_disks_are_placed(storage: FileStorage, ds: Path, base: Path) -> None:
    grown = qcow2(ds / "images" / "grown", 8)
    raw = {"source": str(base), "source_format": "raw"}
    plans = (
        disk("clone", "disk.0", **raw),
        disk("clone", "disk.1", source=str(grown), source_format="qcow2", size_mib=20),
        disk("link", "disk.2", **raw),
        disk("copy", "disk.3", size_mib=9, **raw),
        disk("copy", "disk.4", format="qcow2", **raw),
        disk("blank", "disk.5", size_mib=10),
        disk("blank", "disk.6", size_mib=10, format="qcow2"),
        disk("swap", "disk.7", size_mib=10),
        disk("context", "disk.8", files={"context.sh": base64.b64encode(b"A='1'\n").decode()}),
    )
    vm = ds / "system" / "7"
    done(storage.place(str(vm), plans))
    sizes = {n: info(vm / f"disk.{n}")["virtual-size"] for n in range(8)}
    assert sizes == dict(enumerate(n * MIB for n in (5, 20, 5, 9, 5, 10, 10, 10)))
    formats = [info(vm / f"disk.{n}")["format"] for n in range(8)]
    assert formats == ["qcow2", "qcow2", "raw", "raw", "qcow2", "raw", "qcow2", "raw"]
    assert info(vm / "disk.0")["backing-filename"] == str(base)
    assert info(vm / "disk.0")["backing-filename-format"] == "raw"
    assert (vm / "disk.2").readlink() == base
    assert (vm / "disk.3").read_bytes()[: len(RAW)] == RAW
    assert b"CD001" in (vm / "disk.8").read_bytes()
    assert len(list(vm.iterdir())) == len(plans)
    assert vm.stat().st_mode & 0o055 == 0o055


@pytest.mark.parametrize("source_format", ["raw", "qcow2"])
@pytest.mark.parametrize("size", [512, 100_000, 5 * MIB + 1, 3 << 40])
def test_clone_has_the_size_that_its_image_shows(
    storage: FileStorage, ds: Path, source_format: str, size: int
) -> None:
    source = ds / "image"
    ds.mkdir()
    with source.open("wb") as file:
        file.truncate(size)
    if source_format == "qcow2":
        made = ("qemu-img", "create", "-q", "-f", "qcow2", str(source), str(size))
        subprocess.run(made, check=True)
    plan = disk("clone", source=str(source), source_format=source_format)
    done(storage.place(str(ds / "7"), (plan,)))
    shown = info(source)["virtual-size"]
    assert info(ds / "7" / "disk.0")["virtual-size"] == shown


def test_clone_of_an_image_that_is_not_qcow2_as_said_is_refused(
    storage: FileStorage, ds: Path, base: Path
) -> None:
    plan = disk("clone", source=str(base), source_format="qcow2")
    assert "is no qcow2 image" in failed(storage.place(str(ds / "7"), (plan,))).message


def test_place_repeated_leaves_whole_disks_and_mends_the_rest(
    storage: FileStorage, ds: Path, base: Path
) -> None:
    plans = tuple(
        disk("clone", f"disk.{n}", source=str(base), source_format="raw") for n in range(3)
    )
    vm = ds / "7"
    done(storage.place(str(vm), plans))
    kept = (vm / "disk.0").stat()
    (vm / "disk.1").unlink()
    (vm / ".disk.1.part").write_bytes(b"half")
    done(storage.place(str(vm), plans))
    assert (vm / "disk.0").stat() == kept
    assert info(vm / "disk.1")["format"] == "qcow2"
    assert sorted(p.name for p in vm.iterdir()) == ["disk.0", "disk.1", "disk.2"]


def test_context_is_written_again_only_when_it_changed(storage: FileStorage, ds: Path) -> None:
    def volume(text: bytes) -> tuple[DiskPlan]:
        return (disk("context", files={"context.sh": base64.b64encode(text).decode()}),)

    vm = ds / "7"
    done(storage.place(str(vm), volume(b"A='1'\n")))
    first = (vm / "disk.0").stat()
    done(storage.place(str(vm), volume(b"A='1'\n")))
    assert (vm / "disk.0").stat() == first
    done(storage.place(str(vm), volume(b"A='2'\n")))
    assert b"A='2'" in (vm / "disk.0").read_bytes()


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (disk("clone", source="/nonexistent", source_format="raw"), "does not exist"),
        (disk("clone", source="/dev/zero", source_format="raw"), "neither a regular file"),
        (disk("clone", source="/etc/passwd", source_format="raw", format="raw"), "always qcow2"),
        (disk("clone", source="/etc/passwd"), "source_format"),
        (disk("blank"), "size_mib"),
        (disk("blank", size_mib=1, format="vmdk"), "format 'vmdk'"),
        (disk("melt"), "how 'melt'"),
        (disk("blank", "../disk.0", size_mib=1), "target"),
        (disk("blank", "/etc/disk.0", size_mib=1), "target"),
        (disk("context", files={"a/b": ""}), "is no file name"),
    ],
)
def test_plan_that_cannot_be_followed_is_refused(
    storage: FileStorage, ds: Path, plan: DiskPlan, words: str
) -> None:
    assert words in failed(storage.place(str(ds / "7"), (plan,))).message
    assert not (ds / "7").exists() or list((ds / "7").iterdir()) == []


@pytest.mark.parametrize("path", ["/elsewhere/7", "relative/7", "{ds}", "{ds}/../7", "{ds}/out/7"])
def test_nothing_is_written_outside_the_datastores(
    storage: FileStorage, tmp_path: Path, ds: Path, path: str
) -> None:
    ds.mkdir()
    (tmp_path / "away").mkdir()
    (ds / "out").symlink_to(tmp_path / "away")
    place = path.format(ds=ds)
    for call in (
        storage.place(place, ()),
        storage.remove(place),
        storage.discard(place),
        storage.register(
            ImagePlan(origin=None, target=place, format=None, size_mib=1, checksum=None)
        ),
    ):
        assert failed(call).message
    assert list((tmp_path / "away").iterdir()) == []


def test_removal_takes_the_links_and_leaves_the_images(
    storage: FileStorage, ds: Path, base: Path
) -> None:
    vm = ds / "7"
    done(storage.place(str(vm), (disk("link", source=str(base), source_format="raw"),)))
    done(storage.remove(str(vm)))
    assert not vm.exists()
    assert base.read_bytes() == RAW
    done(storage.remove(str(vm)))


def test_discard_removes_one_file_and_its_leftover(storage: FileStorage, ds: Path) -> None:
    raw_file(ds / "a")
    raw_file(ds / ".a.part")
    done(storage.discard(str(ds / "a")))
    done(storage.discard(str(ds / "a")))
    assert list(ds.iterdir()) == []
    (ds / "dir").mkdir()
    assert "is a directory" in failed(storage.discard(str(ds / "dir"))).message


def test_questions_are_answered_without_changing_anything(
    storage: FileStorage, ds: Path, base: Path
) -> None:
    assert done(storage.exists(str(base))) == {"exists": True, "size": len(RAW)}
    assert done(storage.exists(str(ds / "no"))) == {"exists": False, "size": 0}
    assert done(storage.listing(str(ds))) == {"names": ["images"]}
    assert done(storage.listing(str(ds / "no"))) == {"names": []}
    usage = done(storage.usage(str(ds / "no" / "such")))
    total, free = usage["total_mib"], usage["free_mib"]
    assert isinstance(total, int)
    assert isinstance(free, int)
    assert total >= free > 0
    assert not (ds / "no").exists()


def test_swap_signature_is_what_mkswap_would_write(tmp_path: Path) -> None:
    area = tmp_path / "swap"
    area.write_bytes(swap_signature(4 * MIB, "one").ljust(4 * MIB, b"\0"))
    shown = subprocess.run(["blkid", "-p", str(area)], capture_output=True, text=True, check=True)
    assert 'TYPE="swap"' in shown.stdout


@pytest.mark.real
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk_fails_with_the_remedy_and_leaves_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(small)], check=True)
    storage = FileStorage((small,), reserve_mib=0)
    noise = os.urandom(4 * MIB)
    packed = raw_file(tmp_path / "a.gz", gzip.compress(b"a" * 8 * MIB))
    source = raw_file(tmp_path / "a.img", noise)
    try:
        plans = (disk("copy", source=str(source), source_format="raw"),)
        for call in (
            storage.register(image(packed, small / "a")),
            storage.register(image(source, small / "b")),
            storage.place(str(small / "7"), plans),
        ):
            message = failed(call).message.lower()
            assert "no room in" in message or "no space left" in message
        assert [p.name for p in small.rglob("*")] == ["7"]
    finally:
        storage.close()
        subprocess.run(["umount", str(small)], check=True)
