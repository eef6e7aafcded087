"""The context volume: an ISO 9660 image with Joliet names, as bytes. Pure: no clock, no files.

Every system that reads CDs reads it: Joliet carries the names as they are, ISO 9660 short ones.
"""

import re
import struct
from collections.abc import Mapping

from msgspec import Struct

from orrery.core.errors import InvalidInput

SECTOR = 2048
_PVD, _SVD, _END, _TABLES = 16, 17, 18, 19
_ROOTS = 23
_JOLIET_LEVEL_3 = b"%/E"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,16}")
# One moment for all volumes (2020-01-01 00:00 UTC): the time of writing would change the bytes.
_WHEN_SHORT = bytes((120, 1, 1, 0, 0, 0, 0))
_WHEN_LONG = b"2020010100000000\0"
_NEVER = b"0000000000000000\0"


class _File(Struct, frozen=True):
    name: str
    short: str
    data: bytes
    sector: int


class _Tree(Struct, frozen=True):
    """One of the two directory trees: where its parts lie and how it writes names."""

    tables: int
    root: int
    root_size: int
    joliet: bool

    def text(self, value: str, width: int) -> bytes:
        """A field of a volume descriptor, padded with blanks."""
        if not self.joliet:
            return value.encode("ascii").ljust(width)
        return value.ljust(width // 2).encode("utf-16-be").ljust(width, b"\0")

    def identifier(self, file: _File) -> bytes:
        return file.name.encode("utf-16-be") if self.joliet else file.short.encode("ascii")


def iso_image(label: str, files: Mapping[str, bytes]) -> bytes:
    """A volume of that label with the files in its root directory."""
    if not _LABEL.fullmatch(label):
        raise InvalidInput("label", label, "is no volume label: use 1 to 16 of A-Z a-z 0-9 _ -")
    names = sorted(files)
    for name in names:
        if not _NAME.fullmatch(name) or name in (".", ".."):
            raise InvalidInput("files", name, "is no file name: use 1 to 64 of A-Z a-z 0-9 _ . -")
    sizes = [_root_size(names, joliet=joliet) for joliet in (False, True)]
    joliet_root = _ROOTS + sizes[0] // SECTOR
    placed = _place(names, files, joliet_root + sizes[1] // SECTOR)
    end = placed[-1].sector + _sectors(len(placed[-1].data)) if placed else joliet_root + 1
    plain = _Tree(_TABLES, _ROOTS, sizes[0], joliet=False)
    joliet = _Tree(_TABLES + 2, joliet_root, sizes[1], joliet=True)
    parts = [
        bytes(_PVD * SECTOR),
        _descriptor(plain, label, end),
        _descriptor(joliet, label, end),
        _sector(b"\xffCD001\x01"),
        *_path_tables(plain),
        *_path_tables(joliet),
        _directory(plain, sorted(placed, key=lambda file: file.short)),
        _directory(joliet, placed),
        *(_padded(file.data) for file in placed),
    ]
    return b"".join(parts)


def _place(names: list[str], files: Mapping[str, bytes], sector: int) -> list[_File]:
    placed, used = [], set[str]()
    for name in names:
        short = _short_name(name, used)
        used.add(short)
        placed.append(_File(name, short, files[name], sector))
        sector += _sectors(len(files[name]))
    return placed


def _short_name(name: str, used: set[str]) -> str:
    """A name of ISO 9660 level 1: eight characters, a dot, three, a version."""
    stem, _, suffix = name.upper().rpartition(".") if "." in name[1:] else (name.upper(), "", "")
    stem, suffix = (re.sub(r"[^A-Z0-9_]", "_", part) for part in (stem, suffix))
    for number in range(1000):
        tail = str(number) if number else ""
        short = f"{stem[: 8 - len(tail)]}{tail}.{suffix[:3]};1"
        if short not in used:
            return short
    raise InvalidInput("files", name, "is one of too many similar names")


# --- records -------------------------------------------------------------------------------------


def _descriptor(tree: _Tree, label: str, sectors: int) -> bytes:
    """Primary or, for Joliet, supplementary volume descriptor."""
    text = tree.text
    return _sector(
        bytes((2 if tree.joliet else 1,))
        + b"CD001\x01\0"
        + text("LINUX", 32)
        + text(label, 32)
        + bytes(8)
        + _both32(sectors)
        + (_JOLIET_LEVEL_3 if tree.joliet else b"").ljust(32, b"\0")
        + _both16(1)
        + _both16(1)
        + _both16(SECTOR)
        + _both32(10)
        + struct.pack("<II", tree.tables, 0)
        + struct.pack(">II", tree.tables + 1, 0)
        + _record(b"\0", tree.root, tree.root_size, directory=True)
        + b"".join(text("", 128) for _ in range(4))
        + b"".join(text("", 37) for _ in range(3))
        + _WHEN_LONG * 2
        + _NEVER * 2
        + b"\x01"
    )


def _path_tables(tree: _Tree) -> list[bytes]:
    """The root alone, once in each byte order."""
    return [_sector(struct.pack(f"{o}BBIH", 1, 0, tree.root, 1) + b"\0\0") for o in "<>"]


def _directory(tree: _Tree, files: list[_File]) -> bytes:
    entries = [_record(name, tree.root, tree.root_size, directory=True) for name in (b"\0", b"\1")]
    entries += [_record(tree.identifier(f), f.sector, len(f.data)) for f in files]
    sectors = b"".join(_sector(part) for part in _packed(entries))
    return sectors.ljust(tree.root_size, b"\0")


def _root_size(names: list[str], *, joliet: bool) -> int:
    """Bytes of a root directory. Short names count at their longest, so that both passes agree."""
    lengths = [34, 34, *(_record_length(2 * len(name) if joliet else 14) for name in names)]
    return len(_packed([bytes(length) for length in lengths])) * SECTOR


def _packed(entries: list[bytes]) -> list[bytes]:
    """Entries in sectors: none crosses the end of one."""
    sectors = [b""]
    for entry in entries:
        if len(sectors[-1]) + len(entry) > SECTOR:
            sectors.append(b"")
        sectors[-1] += entry
    return sectors


def _record_length(name_length: int) -> int:
    return 33 + name_length + (1 - name_length % 2)


def _record(name: bytes, sector: int, size: int, *, directory: bool = False) -> bytes:
    length = _record_length(len(name))
    head = bytes((length, 0)) + _both32(sector) + _both32(size) + _WHEN_SHORT
    flags = bytes((2 if directory else 0, 0, 0)) + _both16(1)
    return (head + flags + bytes((len(name),)) + name).ljust(length, b"\0")


def _both16(value: int) -> bytes:
    return struct.pack("<H", value) + struct.pack(">H", value)


def _both32(value: int) -> bytes:
    return struct.pack("<I", value) + struct.pack(">I", value)


def _sectors(size: int) -> int:
    return (size + SECTOR - 1) // SECTOR


def _sector(data: bytes) -> bytes:
    return data.ljust(SECTOR, b"\0")


def _padded(data: bytes) -> bytes:
    return data.ljust(_sectors(len(data)) * SECTOR, b"\0")
