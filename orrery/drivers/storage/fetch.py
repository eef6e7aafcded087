"""Brings the bytes of an image from a path or a URL into a file: checked, bounded, resumed.

It knows nothing of images; what the bytes are is for others to say.
"""

import bz2
import hashlib
import http.client
import lzma
import os
import stat
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from orrery.drivers.storage.formats import BadImage, compression_of
from orrery.drivers.storage.places import MIB, Cancelled, Refusal, Stop, free_bytes

CHUNK = 1 << 18
SPACE_CHECK = 64 * MIB
TRIES = 5
PAUSE_S = 1.0
TIMEOUT_S = 30.0
ALGORITHMS = {"sha256": 64, "sha512": 128, "sha1": 40, "md5": 32}


class TransferFailed(Exception):
    """The other side did not deliver; trying again later may help."""


class Source(Protocol):
    """Bytes in order, and how many there will be."""

    total: int | None

    def chunks(self, stop: Stop) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class Checksum:
    """Counts while bytes pass and compares at the end: `sha256:...`, also sha512, sha1, md5."""

    def __init__(self, expected: str | None) -> None:
        self._expected = expected.lower() if expected else None
        name, _, digits = (self._expected or "sha256:").partition(":")
        if name not in ALGORITHMS or (self._expected and len(digits) != ALGORITHMS[name]):
            known = ", ".join(ALGORITHMS)
            raise Refusal(f"checksum {expected!r}: write it as NAME:HEX with NAME one of {known}")
        self._name = name
        self._hash = hashlib.new(name, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    def settled(self) -> str:
        """`name:hex` of what passed; raises when something else was expected."""
        found = f"{self._name}:{self._hash.hexdigest()}"
        if self._expected is not None and found != self._expected:
            raise BadImage(
                f"has checksum {found}, not {self._expected}: fetch or name another file"
            )
        return found


class FileSource:
    """A file or block device of this host."""

    def __init__(self, path: Path, safe: tuple[Path, ...] = ()) -> None:
        self._file = os.fdopen(_open_safe(path, safe), "rb", buffering=0)
        self.total: int | None = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)

    def chunks(self, stop: Stop) -> Iterator[bytes]:
        while chunk := self._file.read(CHUNK):
            if stop():
                raise Cancelled
            yield chunk

    def close(self) -> None:
        self._file.close()


def _open_safe(path: Path, safe: tuple[Path, ...]) -> int:
    """The descriptor is judged, not the name: a name may come to mean another file in between."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Refusal(f"path {str(path)!r}: does not exist on this host") from None
    try:
        real = Path(f"/proc/self/fd/{fd}").readlink()
        mode = os.fstat(fd).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            raise Refusal(f"path {str(path)!r}: is neither a regular file nor a block device")
        if safe and not any(root.resolve() in real.parents for root in safe):
            allowed = ", ".join(map(str, safe))
            raise Refusal(f"path {str(path)!r}: lies outside the safe directories: {allowed}")
    except BaseException:
        os.close(fd)
        raise
    return fd


class HttpSource:
    """A web server; a transfer that breaks off is taken up where it broke, if the server can."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Only these handlers: a redirect must not lead to a file or an FTP server.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.HTTPHandler,
            urllib.request.HTTPSHandler,
            urllib.request.HTTPRedirectHandler,
            urllib.request.HTTPErrorProcessor,
            urllib.request.HTTPDefaultErrorHandler,
            urllib.request.ProxyHandler,
        ):
            self._opener.add_handler(handler())
        try:
            self._response = self._ask({})
        except OSError as error:
            raise TransferFailed(f"{url}: {error}") from None
        headers = self._response.headers
        self.total: int | None = _length(self._response)
        self._tag = headers.get("ETag") or headers.get("Last-Modified")

    def chunks(self, stop: Stop) -> Iterator[bytes]:
        position = failures = 0
        while self.total is None or position < self.total:
            try:
                if position or failures:
                    self._resume(position)
                while chunk := self._response.read(CHUNK):
                    if stop():
                        raise Cancelled
                    position, failures = position + len(chunk), 0
                    yield chunk
                if self.total is None:
                    return
                reason = "the connection was closed early"
            except (http.client.HTTPException, OSError) as error:
                reason = str(error) or type(error).__name__
            failures += 1
            if failures >= TRIES or stop():
                raise TransferFailed(f"{self._url}: {reason}, at byte {position}")
            if position < (self.total or 0):
                time.sleep(PAUSE_S * failures)

    def close(self) -> None:
        self._response.close()

    def _resume(self, position: int) -> None:
        """Ask for the rest of the same file; of a changed one `If-Range` gets the whole."""
        self._response.close()
        if self.total is None or self._tag is None or self._tag.startswith("W/"):
            raise TransferFailed(f"{self._url}: broke off at byte {position} and cannot be resumed")
        self._response = self._ask({"Range": f"bytes={position}-", "If-Range": self._tag})
        if self._response.status != http.client.PARTIAL_CONTENT:
            raise TransferFailed(f"{self._url}: the file changed or the server cannot resume")

    def _ask(self, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Raises OSError for what may pass, Refusal for what will not."""
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310 - two handlers
        try:
            response = self._opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < http.client.INTERNAL_SERVER_ERROR:
                text = f"{self._url}: the server answered {error.code} {error.reason}"
                raise Refusal(text) from None
            raise
        if not isinstance(response, http.client.HTTPResponse):
            raise Refusal(f"path {self._url!r}: must be an http or https URL")
        return response


def _length(response: http.client.HTTPResponse) -> int | None:
    text = response.headers.get("Content-Length") or ""
    return int(text) if text.isdigit() else None


def transfer(
    source: Source,
    target: Path,
    checksum: Checksum,
    *,
    reserve: int,
    stop: Stop,
    progress: Callable[[float], None],
) -> None:
    """Write the source to the target, unpacked if it is compressed, sparse where it is empty."""
    if source.total is not None:
        _check_room(target, source.total + reserve)
    done = 0
    with target.open("xb") as file:
        writer: _Writer | None = None
        for chunk in source.chunks(stop):
            checksum.update(chunk)
            writer = writer or _Writer(file, target, compression_of(chunk), reserve)
            writer.write(chunk)
            done += len(chunk)
            if source.total:
                progress(min(done / source.total, 1.0))
        if writer is not None:
            writer.finish()


class _Writer:
    """Unpacks and writes; stops while there is still room for others on the disk."""

    def __init__(self, file: BinaryIO, path: Path, compression: str | None, reserve: int) -> None:
        self._file, self._path, self._reserve = file, path, reserve
        self._unpack = _UNPACKERS[compression]() if compression else None
        self._since_check = SPACE_CHECK

    def write(self, chunk: bytes) -> None:
        if self._unpack is None:
            self._put(chunk)
            return
        for piece in self._unpack.pieces(chunk):
            self._put(piece)

    def finish(self) -> None:
        if self._unpack is not None and not self._unpack.ended:
            raise BadImage("is compressed and ends too early: fetch it again")
        self._file.truncate(self._file.tell())

    def _put(self, data: bytes) -> None:
        self._since_check += len(data)
        if self._since_check >= SPACE_CHECK:
            self._since_check = 0
            _check_room(self._path, self._reserve + len(data))
        if data.count(0) == len(data):
            self._file.seek(len(data), os.SEEK_CUR)
        else:
            self._file.write(data)


class _Unpacker:
    """Streams of one kind, one after another, in pieces of bounded size."""

    def __init__(self, make: Callable[[], "_Decompressor"]) -> None:
        self._make = make
        self._stream = make()
        self.ended = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data or not self._stream.needs_input:
            if self._stream.eof:
                self._stream = self._make()
            try:
                piece = self._stream.decompress(data, CHUNK)
            except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
                if self.ended and not isinstance(error, MemoryError):
                    return  # what follows the last stream is padding
                raise BadImage(f"is compressed and damaged: {error}") from None
            if piece:
                yield piece
            data = self._stream.unused_data if self._stream.eof else b""
            self.ended = self._stream.eof
            if self._stream.eof and not data:
                return


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's interface made like that of bz2 and lzma."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self._filled = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail and not self._filled

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._filled = len(piece) == max_length and not self._zlib.eof
        return piece


_UNPACKERS: dict[str, Callable[[], _Unpacker]] = {
    "gz": lambda: _Unpacker(_Gzip),
    "bz2": lambda: _Unpacker(bz2.BZ2Decompressor),
    "xz": lambda: _Unpacker(lzma.LZMADecompressor),
}


def _check_room(path: Path, wanted: int) -> None:
    free = free_bytes(path)
    if wanted > free:
        raise NoRoom(path.parent, wanted, free)


class NoRoom(Exception):
    """The file system is full, or would be."""

    def __init__(self, directory: Path, wanted: int, free: int) -> None:
        super().__init__(
            f"no room in {directory}: {-(-wanted // MIB)} MiB needed, {free // MIB} MiB free: "
            "free some space or use another datastore"
        )
