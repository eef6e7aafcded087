"""Virtual networks, their address ranges, and security groups."""

import re
from ipaddress import IPv4Address

from msgspec import Struct

from orrery.core.model.host import EMPTY
from orrery.core.model.kinds import Owned
from orrery.core.status import NetworkStatus
from orrery.core.template import Pairs, Template

MAC = re.compile("[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


def mac_number(mac: str) -> int:
    return int(mac.replace(":", ""), 16)


class AddressRange(Struct, frozen=True, kw_only=True):
    """`size` addresses in a row; the i-th has first address + i."""

    id: int
    type: str
    """IP4 or ETHER."""
    size: int
    ip: str | None
    mac: str
    held: tuple[int, ...] = ()
    """Indexes an operator holds back."""
    extra: Pairs = ()

    def ip_at(self, index: int) -> str | None:
        return None if self.ip is None else str(IPv4Address(int(IPv4Address(self.ip)) + index))

    def mac_at(self, index: int) -> str:
        number = mac_number(self.mac) + index
        return ":".join(f"{number:012x}"[i : i + 2] for i in range(0, 12, 2))

    def index_of_ip(self, ip: str) -> int | None:
        """Where that address lies in the range; None when it does not, or is no address."""
        try:
            offset = int(IPv4Address(ip)) - int(IPv4Address(self.ip or ""))
        except ValueError:
            return None
        return offset if 0 <= offset < self.size else None

    def index_of_mac(self, mac: str) -> int | None:
        if not MAC.fullmatch(mac):
            return None
        offset = mac_number(mac) - mac_number(self.mac)
        return offset if 0 <= offset < self.size else None


class VirtualNetwork(Owned, frozen=True, kw_only=True):
    """Address ranges plus a link kind; hands out addresses."""

    status: NetworkStatus
    vn_mad: str
    """bridge: a bridge the engine makes or finds; nat: a bridge with gateway, DHCP and
    masquerading; dummy."""
    bridge: str
    phydev: str | None = None
    vlan_id: str | None = None
    clusters: tuple[int, ...] = (0,)
    ranges: tuple[AddressRange, ...] = ()
    template: Template = EMPTY
    """NETWORK_ADDRESS, NETWORK_MASK, GATEWAY, DNS, GUEST_MTU, SECURITY_GROUPS ... and the user's
    own."""
    security_groups: tuple[int, ...] = (0,)


class SecurityGroup(Owned, frozen=True, kw_only=True):
    """Rules that admit traffic; what no rule admits is dropped."""

    template: Template = EMPTY
    """DESCRIPTION and RULE vectors: PROTOCOL, RULE_TYPE, RANGE, IP, SIZE, NETWORK_ID, ICMP_TYPE."""
