"""The Storage port on real files, with qemu-img, a web server and, as root, a full disk."""

import asyncio
import base64
import bz2
import gzip
import hashlib
import http.server
import json
import lzma
import os
import struct
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.messages import Done, Failed, Json, Outcome
from orrery.drivers.storage import fetch
from orrery.drivers.storage.disks import swap_signature
from orrery.drivers.storage.files import FileStorage
from orrery.drivers.storage.formats import BadImage, shape_of
from orrery.ports.driver import DiskPlan, ImagePlan

MIB = 1 << 20
DATA = os.urandom(1000) + bytes(3 * MIB) + os.urandom(MIB)
RAW = DATA.ljust(5 * MIB, b"\0")


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[FileStorage]:
    storage = FileStorage((tmp_path / "ds",))
    yield storage
    storage.close()


@pytest.fixture
def ds(tmp_path: Path) -> Path:
    return tmp_path / "ds"


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


# --- registration ---------------------------------------------------------------------------------


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


# --- from the web ---------------------------------------------------------------------------------


class Server(http.server.ThreadingHTTPServer):
    """Serves DATA; breaks off answers as often as told, and notes what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.breaks = 0
        self.ranged = True
        self.asked: list[str | None] = []
        self.stalled = threading.Event()
        self.go_on = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""

    def url(self, path: str = "/image") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/to-file":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        self._send_image()

    def _send_image(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        start = start if self.server.ranged else 0
        self.send_response(206 if start else 200)
        self.send_header("ETag", '"v1"')
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        body = DATA[start:]
        if self.path == "/slow":
            self.wfile.write(body[:MIB])
            body = body[MIB:]
            self.server.stalled.set()
            self.server.go_on.wait(10)
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: len(body) // 3]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetch, "PAUSE_S", 0.0)
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_url_is_fetched_and_progress_told(storage: FileStorage, ds: Path, web: Server) -> None:
    told: list[float] = []
    result = done(storage.register(image(web.url(), ds / "a"), told.append))
    assert result["checksum"] == sha256(DATA)
    assert (ds / "a").read_bytes() == DATA
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_broken_download_is_resumed_where_it_broke(
    storage: FileStorage, ds: Path, web: Server
) -> None:
    web.breaks = 2
    assert done(storage.register(image(web.url(), ds / "a")))["checksum"] == sha256(DATA)
    assert web.asked[0] is None
    assert all(asked is not None for asked in web.asked[1:])
    assert len(web.asked) == 3


def test_server_that_cannot_resume_leaves_nothing_and_may_be_tried_again(
    storage: FileStorage, ds: Path, web: Server
) -> None:
    web.breaks, web.ranged = 1, False
    assert failed(storage.register(image(web.url(), ds / "a"))).retryable
    assert list(ds.iterdir()) == []


def test_server_that_always_breaks_off_is_given_up(
    storage: FileStorage, ds: Path, web: Server
) -> None:
    web.breaks = 1000
    result = failed(storage.register(image(web.url("/never"), ds / "a")))
    assert result.retryable
    assert "closed early" in result.message
    assert list(ds.iterdir()) == []


@pytest.mark.parametrize("path", ["/missing", "/to-file"])
def test_answer_that_is_no_image_is_refused(
    storage: FileStorage, ds: Path, web: Server, path: str
) -> None:
    assert not failed(storage.register(image(web.url(path), ds / "a"))).retryable
    assert list(ds.iterdir()) == []


def test_server_that_is_not_there_may_be_tried_again(storage: FileStorage, ds: Path) -> None:
    assert failed(storage.register(image("http://127.0.0.1:1/x", ds / "a"))).retryable


def test_caller_that_goes_away_takes_the_transfer_with_it(
    storage: FileStorage, ds: Path, web: Server
) -> None:
    async def give_up() -> None:
        call = asyncio.ensure_future(storage.register(image(web.url("/slow"), ds / "a")))
        await asyncio.to_thread(web.stalled.wait, 10)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        web.go_on.set()

    asyncio.run(give_up())
    storage._long.shutdown(wait=True)
    assert list(ds.iterdir()) == []


def test_image_that_an_earlier_call_still_writes_is_left_to_it(
    storage: FileStorage, ds: Path, web: Server
) -> None:
    async def twice() -> tuple[Outcome, Outcome]:
        first = asyncio.ensure_future(storage.register(image(web.url("/slow"), ds / "a")))
        await asyncio.to_thread(web.stalled.wait, 10)
        second = await storage.register(image(web.url(), ds / "a"))
        web.go_on.set()
        return await first, second

    first, second = asyncio.run(twice())
    assert isinstance(first, Done)
    assert isinstance(second, Failed)
    assert second.retryable


# --- a VM's disks -------------------------------------------------------------------------------


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
