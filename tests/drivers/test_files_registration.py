"""Registration of images from files: whole, checked, unpacked, of a format that is understood."""

import bz2
import gzip
import hashlib
import lzma
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.drivers.storage import fetch
from orrery.drivers.storage.files import FileStorage
from orrery.drivers.storage.formats import BadImage, shape_of
from tests.drivers.stored import DATA, MIB, RAW, done, failed, image, info, qcow2, raw_file, sha256


def test_file_is_registered_whole_checked_and_sparse(
    storage: FileStorage, tmp_path: Path, ds: Path
) -> None:
    source, target = raw_file(tmp_path / "a.img"), ds / "1" / "abc"
    told = done(storage.register(image(source, target, checksum=sha256(RAW))))
    assert told == {"size_mib": 5, "format": "raw", "checksum": sha256(RAW)}
    assert target.read_bytes() == RAW
    assert target.stat().st_blocks * 512 < len(RAW) - 2 * MIB
    assert target.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in target.parent.iterdir()] == ["abc"]


def test_registration_repeated_does_nothing_again(
    storage: FileStorage, tmp_path: Path, ds: Path
) -> None:
    source = raw_file(tmp_path / "a.img")
    first = done(storage.register(image(source, ds / "abc")))
    try:
        os.getxattr(ds / "abc", "user.orrery.image")
    except OSError:
        pytest.skip("this file system has no extended attributes: a repeat fetches again")
    source.unlink()
    assert done(storage.register(image(source, ds / "abc"))) == first


def test_leftover_of_an_interrupted_registration_is_replaced(
    storage: FileStorage, tmp_path: Path, ds: Path
) -> None:
    raw_file(ds / ".abc.part", b"half")
    done(storage.register(image(raw_file(tmp_path / "a.img"), ds / "abc")))
    assert [p.name for p in ds.iterdir()] == ["abc"]


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_checksum_of_every_kind_is_verified(
    storage: FileStorage, tmp_path: Path, ds: Path, algorithm: str
) -> None:
    source = raw_file(tmp_path / "a.img", b"x" * 512)
    good = f"{algorithm}:{hashlib.new(algorithm, b'x' * 512).hexdigest()}"
    assert done(storage.register(image(source, ds / "a", checksum=good)))["checksum"] == good
    bad = good[:-1] + ("0" if good[-1] != "0" else "1")
    assert "has checksum" in failed(storage.register(image(source, ds / "b", checksum=bad))).message
    assert [p.name for p in ds.iterdir()] == ["a"]


@pytest.mark.parametrize("text", ["crc32:00", "sha256:12", "00", "sha256"])
def test_checksum_that_is_none_is_refused(
    storage: FileStorage, tmp_path: Path, ds: Path, text: str
) -> None:
    plan = image(raw_file(tmp_path / "a.img"), ds / "a", checksum=text)
    assert failed(storage.register(plan)).message.startswith("checksum")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_image_is_unpacked(
    storage: FileStorage, tmp_path: Path, ds: Path, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(DATA) + pack(RAW[len(DATA) :])
    told = done(storage.register(image(raw_file(tmp_path / "a.z", packed), ds / "a")))
    assert (ds / "a").read_bytes() == RAW
    assert told["checksum"] == sha256(packed)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damaged_compressed_image_is_refused(
    storage: FileStorage, tmp_path: Path, ds: Path, pack: Callable[[bytes], bytes], damage: str
) -> None:
    packed = bytearray(pack(DATA))
    if damage == "cut":
        del packed[-2000:]
    else:
        packed[len(packed) // 2] ^= 0xFF
        packed[-6] ^= 0xFF
    plan = image(raw_file(tmp_path / "a.z", bytes(packed)), ds / "a")
    assert "compressed" in failed(storage.register(plan)).message
    assert list(ds.iterdir()) == []


@given(st.lists(st.binary(max_size=2000), max_size=4), st.integers(1, 300))
def test_unpacking_gives_back_what_was_packed(parts: list[bytes], step: int) -> None:
    for name, pack in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        packed = b"".join(pack(part) for part in parts)
        unpack = fetch._UNPACKERS[name]()
        pieces = [
            p for i in range(0, len(packed), step) for p in unpack.pieces(packed[i : i + step])
        ]
        assert b"".join(pieces) == b"".join(parts)
        assert unpack.ended or not parts


def test_qcow2_is_told_by_its_content(storage: FileStorage, tmp_path: Path, ds: Path) -> None:
    source = qcow2(tmp_path / "a.qcow2", 8)
    told = done(storage.register(image(source, ds / "a", format="qcow2")))
    assert (told["format"], told["size_mib"]) == ("qcow2", 8)
    assert (
        "is qcow2, not raw"
        in failed(storage.register(image(source, ds / "b", format="raw"))).message
    )


def test_qcow2_that_names_another_file_is_refused(
    storage: FileStorage, tmp_path: Path, ds: Path
) -> None:
    secret = raw_file(tmp_path / "secret")
    backed = qcow2(tmp_path / "backed.qcow2", 8, "-b", str(secret), "-F", "raw")
    data = qcow2(tmp_path / "data.qcow2", 8, "-o", f"data_file={tmp_path}/other.raw")
    assert "backing file" in failed(storage.register(image(backed, ds / "a"))).message
    assert "data in another file" in failed(storage.register(image(data, ds / "b"))).message
    assert list(ds.iterdir()) == []


def test_compressed_qcow2_is_looked_into_as_well(
    storage: FileStorage, tmp_path: Path, ds: Path
) -> None:
    secret = raw_file(tmp_path / "secret")
    backed = qcow2(tmp_path / "backed.qcow2", 8, "-b", str(secret), "-F", "raw")
    packed = raw_file(tmp_path / "a.gz", gzip.compress(backed.read_bytes()))
    assert "backing file" in failed(storage.register(image(packed, ds / "a"))).message


@given(st.binary(max_size=200))
def test_no_header_makes_the_reader_stumble(tail: bytes) -> None:
    for head in (tail, b"QFI\xfb" + tail, b"QFI\xfb" + struct.pack(">I", 3) + tail):
        try:
            assert shape_of(head, 1024).format in ("raw", "qcow2")
        except BadImage as error:
            assert ":" in str(error)


@pytest.mark.parametrize("head", [b"KDMV", b"vhdxfile", b"<<< Oracle VM VirtualBox"])
def test_foreign_format_is_refused_with_the_remedy(head: bytes) -> None:
    with pytest.raises(BadImage, match="qemu-img convert"):
        shape_of(head.ljust(512), 512)


@pytest.mark.parametrize(("wanted", "made"), [(None, "raw"), ("raw", "raw"), ("qcow2", "qcow2")])
def test_empty_image_is_made(storage: FileStorage, ds: Path, wanted: str | None, made: str) -> None:
    told = done(storage.register(image(None, ds / "a", format=wanted, size_mib=16)))
    assert told == {"size_mib": 16, "format": made, "checksum": None}
    assert info(ds / "a")["virtual-size"] == 16 * MIB
    assert "size above 0" in failed(storage.register(image(None, ds / "b"))).message


def test_source_outside_the_safe_directories_is_refused(tmp_path: Path) -> None:
    (tmp_path / "safe").mkdir()
    storage = FileStorage((tmp_path / "ds",), (tmp_path / "safe",))
    outside = raw_file(tmp_path / "outside")
    (tmp_path / "safe" / "link").symlink_to(outside)
    inside = raw_file(tmp_path / "safe" / "image")
    for origin in (outside, tmp_path / "safe" / "link", tmp_path / "safe" / ".." / "outside"):
        message = failed(storage.register(image(origin, tmp_path / "ds" / "a"))).message
        assert "outside the safe directories" in message
    done(storage.register(image(inside, tmp_path / "ds" / "a")))
    storage.close()


@pytest.mark.parametrize("kind", ["directory", "pipe", "absent", "relative", "device"])
def test_source_that_is_no_file_is_refused(
    storage: FileStorage, tmp_path: Path, ds: Path, kind: str
) -> None:
    origins = {"absent": str(tmp_path / "no"), "relative": "a/b", "device": "/dev/zero"}
    if kind == "pipe":
        os.mkfifo(tmp_path / "pipe")
    origin = origins.get(kind, str(tmp_path / "pipe" if kind == "pipe" else tmp_path))
    assert failed(storage.register(image(origin, ds / "a"))).message.startswith("path ")


def test_image_larger_than_the_room_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    storage = FileStorage(reserve_mib=1 << 40)
    plan = image(raw_file(tmp_path / "a.img"), tmp_path / "ds" / "a")
    assert "no room in" in failed(storage.register(plan)).message
    assert list((tmp_path / "ds").iterdir()) == []
    storage.close()
