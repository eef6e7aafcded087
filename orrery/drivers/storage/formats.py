"""What an image file is, told from its first bytes. Pure: it opens nothing.

A file comes from a stranger: a qcow2 header may name another file of the host as its content, and
whoever opens the image then reads that file. Such headers are refused before any tool sees them.
"""

import struct

from msgspec import Struct

HEAD_BYTES = 104
"""Enough of a file for every question here; a tar's mark lies further on and is not asked for."""
SECTOR = 512
MIB = 1 << 20

_QCOW2 = b"QFI\xfb"
_EXTERNAL_DATA = 1 << 2
_KNOWN_INCOMPATIBLE = 0b11011
"""Dirty, corrupt, compression type, extended L2: features that do not reach outside the file."""
_FOREIGN = {
    b"KDMV": "vmdk",
    b"COWD": "vmdk",
    b"# Di": "vmdk",
    b"vhdx": "vhdx",
    b"cone": "vpc",
    b"<<< ": "vdi",
    b"QED\0": "qed",
}
_COMPRESSED = {b"\x1f\x8b": "gz", b"\xfd7zXZ\0": "xz", b"BZh": "bz2"}


class BadImage(Exception):
    """The file is no image that may be registered; the text says what to do."""


class Shape(Struct, frozen=True):
    """Format and size as the guest will see them."""

    format: str
    size: int

    @property
    def size_mib(self) -> int:
        return -(-self.size // MIB)


def shape_of(head: bytes, file_size: int) -> Shape:
    """The shape of an image; raises BadImage for one that is unsafe or of a foreign format."""
    if head[:4] == _QCOW2:
        return Shape("qcow2", _qcow2_size(head))
    foreign = _FOREIGN.get(head[:4])
    if foreign:
        raise BadImage(f"is a {foreign} image: convert it with qemu-img convert -O qcow2")
    if file_size == 0:
        raise BadImage("is empty: give the path of an image")
    return Shape("raw", -(-file_size // SECTOR) * SECTOR)


def declared_size(head: bytes) -> int:
    """Bytes the guest sees of a qcow2 image that was accepted before."""
    if head[:4] != _QCOW2 or len(head) < 32:
        raise BadImage("is no qcow2 image: correct its format")
    return int.from_bytes(head[24:32])


def compression_of(head: bytes) -> str | None:
    """gz, xz or bz2 if the file is so compressed."""
    return next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), None)


def _qcow2_size(head: bytes) -> int:
    if len(head) < 72:
        raise BadImage("is a qcow2 image that ends within its header: fetch it again")
    version, backing_offset, _backing_length = struct.unpack(">IQI", head[4:20])
    size, encryption = struct.unpack(">QI", head[24:36])
    if version not in (2, 3):
        raise BadImage(f"is of qcow version {version}: convert it with qemu-img convert -O qcow2")
    if backing_offset:
        raise BadImage("names a backing file inside: flatten it with qemu-img convert -O qcow2")
    if encryption:
        raise BadImage("is encrypted inside: convert it to a plain qcow2 image")
    if version == 3:
        _check_features(head)
    return int(size)


def _check_features(head: bytes) -> None:
    if len(head) < HEAD_BYTES:
        raise BadImage("is a qcow2 image that ends within its header: fetch it again")
    (features,) = struct.unpack(">Q", head[72:80])
    if features & _EXTERNAL_DATA:
        raise BadImage("keeps its data in another file: convert it with qemu-img convert -O qcow2")
    if features & ~_KNOWN_INCOMPATIBLE:
        raise BadImage(f"uses unknown qcow2 features ({features:#x}): convert it to a plain image")
