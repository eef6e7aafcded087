"""The head of libvirt's QEMU save file: is it whole, and whose is it. Knows no connection."""

import re
import struct
from pathlib import Path

WHOLE = b"LibvirtQemudSave"
"""libvirt writes another magic first and this one last, when all memory is in the file."""

HEAD = struct.Struct("<16s5I56x")
"""Magic, version, length of the XML and what follows it up to QEMU's stream, three more numbers."""

UUID = re.compile(rb"<uuid>([0-9a-f-]{36})</uuid>")


def is_whole(path: Path) -> bool:
    """True when a save into this file has ended well."""
    try:
        with path.open("rb") as file:
            return file.read(len(WHOLE)) == WHOLE
    except FileNotFoundError:
        return False


def adopt(path: Path, uuid: str) -> None:
    """Make the file that of domain `uuid`.

    A VM's next domain has another uuid than the one that was saved, and libvirt restores only an
    equal one. All uuids have one length: the head is changed in place; repeating changes nothing.
    """
    with path.open("r+b") as file:
        head = file.read(HEAD.size)
        if len(head) < HEAD.size or not head.startswith(WHOLE):
            return
        text = file.read(HEAD.unpack(head)[2])
        found = UUID.search(text)
        if found and found[1] != uuid.encode():
            file.seek(HEAD.size)
            file.write(text.replace(found[1], uuid.encode()))
