"""Virtual networks: made, given address ranges, removed. Which addresses are taken follows from the
VMs."""

from ipaddress import AddressValueError, IPv4Address, ip_network

from msgspec.structs import replace

from orrery.core.errors import Exists, InUse, InvalidInput, NotFound
from orrery.core.messages import (
    AddAddressRange,
    AllocateNetwork,
    Decision,
    DeleteObject,
    HoldAddress,
    Message,
    Record,
    RemoveAddressRange,
)
from orrery.core.model.kinds import Kind
from orrery.core.model.network import AddressRange, VirtualNetwork
from orrery.core.model.view import View
from orrery.core.names import check_name
from orrery.core.status import NetworkStatus
from orrery.core.template import Template

LINKS = ("bridge", "nat", "dummy")
CONSUMED = frozenset({"NAME", "VN_MAD", "BRIDGE", "PHYDEV", "VLAN_ID", "AR", "SECURITY_GROUPS"})
RANGE_FIELDS = frozenset({"TYPE", "SIZE", "IP", "MAC", "AR_ID"})
MAX_RANGE = 1 << 20
MAC_PREFIX = "02:00"
BRIDGE_NAME_MAX = 15


def record(network: VirtualNetwork, what: str, message: Message, now: float) -> Record:
    return Record(
        kind=f"network.{what}",
        subject_kind=Kind.NETWORK,
        subject_id=network.id,
        at=now,
        cause=message.cause,
        body={"name": network.name},
    )


def changed(network: VirtualNetwork, what: str, message: Message, now: float) -> Decision:
    fresh = replace(network, gen=network.gen + 1)
    return Decision(put=(fresh,), records=(record(fresh, what, message, now),), result=network.id)


def allocate(m: AllocateNetwork, view: View, now: float) -> Decision:
    """A new virtual network.

    Raises:
        InvalidInput, Exists, NotFound: nothing was changed.
    """
    template = m.template
    name = check_name("NAME", template.get("NAME") or "")
    taken = view.by_name(Kind.NETWORK, name, m.actor.uid)
    if taken is not None:
        raise Exists(f"NAME is already taken by NET {taken}.", object_kind="NET")
    if m.cluster_id not in view.clusters:
        raise NotFound(f"There is no cluster [{m.cluster_id}]", object_kind="CLUSTER")
    network_id = view.next_id(Kind.NETWORK)
    link = link_of(template)
    network = VirtualNetwork(
        id=network_id,
        name=name,
        uid=m.actor.uid,
        gid=m.actor.gids[0],
        status=NetworkStatus.READY,
        vn_mad=link,
        bridge=bridge_of(template, network_id),
        phydev=template.get("PHYDEV"),
        vlan_id=template.get("VLAN_ID"),
        clusters=(m.cluster_id,),
        template=template.without(CONSUMED),
        security_groups=groups_of(template, view),
    )
    for pairs in template.vectors("AR"):
        network = with_range(network, Template((("AR", tuple(pairs.items())),)))
    network = with_gateway(network)
    return Decision(
        put=(network,), records=(record(network, "created", m, now),), result=network_id
    )


def link_of(template: Template) -> str:
    text = (template.get("VN_MAD") or "").lower()
    if text in ("fw", "ebtables"):
        return "bridge"
    if text not in LINKS:
        raise InvalidInput("VN_MAD", text, f"is not a network driver: {', '.join(LINKS)}")
    return text


def bridge_of(template: Template, network_id: int) -> str:
    bridge = template.get("BRIDGE") or f"onebr.{network_id}"
    if (
        len(bridge) > BRIDGE_NAME_MAX
        or not bridge.replace(".", "").replace("-", "").replace("_", "").isalnum()
    ):
        raise InvalidInput(
            "BRIDGE", bridge, "is no interface name: up to 15 letters, digits, . - _"
        )
    return bridge


def groups_of(template: Template, view: View) -> tuple[int, ...]:
    groups = []
    for part in (template.get("SECURITY_GROUPS") or "0").split(","):
        if not part.strip().isdigit() or int(part) not in view.security_groups:
            raise NotFound(f"SECURITY_GROUPS: there is no security group [{part.strip()}]")
        groups.append(int(part))
    return tuple(groups)


def with_gateway(network: VirtualNetwork) -> VirtualNetwork:
    """A NATed network needs a gateway on its bridge: what is left out is derived from its first
    range."""
    if network.vn_mad != "nat":
        return network
    first = next((ar for ar in network.ranges if ar.ip), None)
    template = network.template
    for name in ("GATEWAY", "NETWORK_ADDRESS", "NETWORK_MASK"):
        value = template.get(name)
        if value is not None:
            address(name, value)
    if first is None:
        raise InvalidInput("AR", "", "is missing: a nat network needs an address range of TYPE=IP4")
    mask = template.get("NETWORK_MASK") or "255.255.255.0"
    try:
        subnet = ip_network(f"{first.ip}/{mask}", strict=False)
    except ValueError:
        raise InvalidInput("NETWORK_MASK", mask, "is not a mask, like 255.255.255.0") from None
    gateway = template.get("GATEWAY") or str(subnet[1])
    for name, value in (
        ("NETWORK_ADDRESS", str(subnet.network_address)),
        ("NETWORK_MASK", mask),
        ("GATEWAY", gateway),
    ):
        template = template if template.has(name) else template.replaced(name, value)
    if any(ar.index_of_ip(gateway) is not None for ar in network.ranges):
        raise InvalidInput("GATEWAY", gateway, "lies in an address range: guests could be given it")
    return replace(network, template=template)


def address(field: str, text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise InvalidInput(field, text, "is not an IPv4 address") from None


def with_range(network: VirtualNetwork, template: Template) -> VirtualNetwork:
    """The network with one more range, from AR=[TYPE, IP, MAC, SIZE].

    Raises:
        InvalidInput: a field is wrong, or the range overlaps another of this network.
    """
    pairs = template.vector("AR")
    if pairs is None:
        raise InvalidInput("AR", "", "is missing: AR=[TYPE=IP4, IP=..., SIZE=...]")
    kind = pairs.get("TYPE", "IP4").upper()
    if kind not in ("IP4", "ETHER"):
        raise InvalidInput("AR/TYPE", kind, "is not supported: IP4 or ETHER")
    size = range_size(pairs.get("SIZE", ""))
    ip = str(address("AR/IP", pairs.get("IP", ""))) if kind == "IP4" else None
    if ip is not None and int(IPv4Address(ip)) + size > 1 << 32:
        raise InvalidInput("AR/SIZE", str(size), "goes past the last IPv4 address")
    ar_id = 1 + max((ar.id for ar in network.ranges), default=-1)
    ar = AddressRange(
        id=ar_id,
        type=kind,
        size=size,
        ip=ip,
        mac=first_mac(pairs.get("MAC"), ip, network.id, ar_id),
        extra=tuple((k, v) for k, v in pairs.items() if k not in RANGE_FIELDS),
    )
    refuse_overlap(network, ar)
    return replace(network, ranges=(*network.ranges, ar))


def range_size(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) <= MAX_RANGE:
        raise InvalidInput("AR/SIZE", text, f"is not a number of addresses: 1 to {MAX_RANGE}")
    return int(text)


def first_mac(text: str | None, ip: str | None, network_id: int, ar_id: int) -> str:
    """As given, or 02:00 and the IPv4 address (OpenNebula's rule), or a block named after the
    range."""
    if text:
        parts = text.lower().split(":")
        if len(parts) != 6 or any(len(p) != 2 or set(p) - set("0123456789abcdef") for p in parts):
            raise InvalidInput("AR/MAC", text, "is not a MAC address, like 02:00:0a:00:00:01")
        return ":".join(parts)
    tail = int(IPv4Address(ip)) if ip else (network_id & 0xFF) << 24 | (ar_id & 0x0F) << 20
    digits = f"{tail:08x}"
    return MAC_PREFIX + "".join(f":{digits[i : i + 2]}" for i in range(0, 8, 2))


def refuse_overlap(network: VirtualNetwork, ar: AddressRange) -> None:
    for other in network.ranges:
        if ar.ip is None or other.ip is None:
            continue
        start, end = int(IPv4Address(ar.ip)), int(IPv4Address(ar.ip)) + ar.size
        first = int(IPv4Address(other.ip))
        if start < first + other.size and first < end:
            raise InvalidInput("AR/IP", ar.ip, f"overlaps address range {other.id} of this network")


def add_range(network: VirtualNetwork, m: AddAddressRange, view: View, now: float) -> Decision:
    return changed(with_range(network, m.template), "range-added", m, now)


def remove_range(
    network: VirtualNetwork, m: RemoveAddressRange, view: View, now: float
) -> Decision:
    if all(ar.id != m.ar_id for ar in network.ranges):
        raise NotFound(f"Virtual network {network.name} has no address range [{m.ar_id}]")
    if view.addresses_taken(network.id, m.ar_id):
        raise InUse(
            f"Address range [{m.ar_id}] of virtual network {network.name} has addresses in use",
            object_kind="NET",
            object_id=network.id,
        )
    kept = tuple(ar for ar in network.ranges if ar.id != m.ar_id)
    return changed(replace(network, ranges=kept), "range-removed", m, now)


def hold_address(network: VirtualNetwork, m: HoldAddress, view: View, now: float) -> Decision:
    """Hold an address back from VMs, or give it free again."""
    for ar in network.ranges:
        index = ar.index_of_ip(m.address)
        index = ar.index_of_mac(m.address) if index is None else index
        if index is None:
            continue
        holder = view.address_holder(network.id, ar.id, index)
        if holder is not None:
            raise InUse(f"Address {m.address} is in use by VM [{holder}]", object_kind="NET")
        held = set(ar.held) | {index} if m.held else set(ar.held) - {index}
        if (index in ar.held) is m.held:
            state = "held" if m.held else "free"
            raise InUse(f"Address {m.address} is {state} already")
        fresh = replace(ar, held=tuple(sorted(held)))
        ranges = tuple(fresh if other.id == ar.id else other for other in network.ranges)
        what = "address-held" if m.held else "address-released"
        return changed(replace(network, ranges=ranges), what, m, now)
    raise InvalidInput("LEASES/IP", m.address, f"is in no address range of {network.name}")


def delete(network: VirtualNetwork, m: DeleteObject, view: View, now: float) -> Decision:
    users = view.network_vms(network.id)
    if users:
        raise InUse(
            f"Virtual network {network.name} [{network.id}] is in use by {len(users)} VMs, "
            f"among them VM [{min(users)}]. Terminate them first",
            object_kind="NET",
            object_id=network.id,
        )
    return Decision(
        delete=((Kind.NETWORK, network.id),),
        records=(record(network, "deleted", m, now),),
        result=network.id,
    )
