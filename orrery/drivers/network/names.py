"""Names by which an engine knows its own things on a host, and checks of others' names. Pure."""

import re
from hashlib import sha256

from msgspec import Struct

from orrery.core.errors import InvalidInput

_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class Mark(Struct, frozen=True):
    """What an engine writes on all it makes: its id where there is room, else a short hash."""

    engine_id: str

    @property
    def short(self) -> str:
        return sha256(self.engine_id.encode()).hexdigest()[:8]

    @property
    def alias(self) -> str:
        """Alias of a link."""
        return f"orrery:{self.engine_id}"

    @property
    def table(self) -> str:
        """Name of the nftables tables."""
        return f"orrery_{self.short}"

    @property
    def nascent(self) -> str:
        """Name of a bridge until it bears its alias: a crash between the two leaves no orphan."""
        return f"orry-{self.short}"


def interface_name(field: str, name: str) -> str:
    """The name, if the kernel, nftables and dnsmasq all take it literally."""
    if not _INTERFACE.fullmatch(name):
        raise InvalidInput(
            field, name, "is not an interface name: use 1 to 15 of A-Z a-z 0-9 _ . -"
        )
    return name


def mac_address(field: str, mac: str) -> str:
    """The address in lower case."""
    if not _MAC.fullmatch(mac.lower()):
        raise InvalidInput(field, mac, "is not a MAC address: write it as 02:00:0a:00:00:01")
    return mac.lower()
