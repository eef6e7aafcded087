"""Virtual networks: made, given address ranges, removed. Which addresses are taken follows from the
VMs."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from msgspec.structs import replace

from orrery.core.access import initial_permissions
from orrery.core.errors import Exists, InUse, InvalidInput, NotFound
from orrery.core.firewall_rules import names_network
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
from orrery.core.model.network import MAC, AddressRange, VirtualNetwork, mac_number
from orrery.core.model.view import View
from orrery.core.names import check_name
from orrery.core.numbers import known_id, whole
from orrery.core.status import NetworkStatus
from orrery.core.template import Template

LINKS = ("bridge", "nat", "dummy")
CONSUMED = frozenset({"NAME", "VN_MAD", "BRIDGE", "PHYDEV", "VLAN_ID", "AR", "SECURITY_GROUPS"})
RANGE_FIELDS = frozenset({"TYPE", "SIZE", "IP", "MAC", "AR_ID"})
MAX_RANGE = 1 << 20
MAC_PREFIX = "02:00"
MULTICAST = 1 << 40
"""The bit of a MAC address that no single interface may have: the lowest of its first octet."""
INTERFACE = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
MAX_VLAN = 4094
MIN_MTU, MAX_MTU = 68, 65535
MASKS = frozenset(str(IPv4Network((0, length)).netmask) for length in range(1, 33))
SMALLEST_SUBNET = 4


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
        permissions=initial_permissions(view, m.actor),
        status=NetworkStatus.READY,
        vn_mad=link,
        bridge=interface_of(template, "BRIDGE") or f"onebr.{network_id}",
        phydev=interface_of(template, "PHYDEV"),
        vlan_id=vlan_of(template),
        clusters=(m.cluster_id,),
        template=template.without(CONSUMED),
        security_groups=groups_of(template, view),
    )
    for pairs in template.vectors("AR"):
        network = with_range(network, Template((("AR", tuple(pairs.items())),)))
    network = with_gateway(checked(network))
    refuse_shared(network, view)
    return Decision(
        put=(network,), records=(record(network, "created", m, now),), result=network_id
    )


def refuse_shared(network: VirtualNetwork, view: View) -> None:
    """A bridge that the engine makes belongs to one network, and so does the subnet of a nat one.

    Raises:
        InvalidInput: names the other network.
    """
    for other in view.networks.values():
        whose = f"virtual network {other.name} [{other.id}]"
        if other.bridge == network.bridge and (is_made(network) or is_made(other)):
            raise InvalidInput("BRIDGE", network.bridge, f"is the bridge of {whose}: name another")
        mine, its = subnet_of(network), subnet_of(other)
        if mine is not None and its is not None and mine.overlaps(its):
            raise InvalidInput("AR/IP", str(mine), f"overlaps {its}, the subnet of {whose}")


def is_made(network: VirtualNetwork) -> bool:
    """Whether the engine makes the bridge, rather than finding it on the host."""
    return network.vn_mad == "nat" or (network.vn_mad == "bridge" and network.phydev is not None)


def subnet_of(network: VirtualNetwork) -> IPv4Network | None:
    """The subnet that hosts route for a nat network; None for the others."""
    gateway, mask = network.template.get("GATEWAY"), network.template.get("NETWORK_MASK")
    if network.vn_mad != "nat" or gateway is None or mask is None:
        return None
    return IPv4Network(f"{gateway}/{mask}", strict=False)


def link_of(template: Template) -> str:
    text = (template.get("VN_MAD") or "").lower()
    if text in ("fw", "ebtables"):
        return "bridge"
    if text not in LINKS:
        raise InvalidInput("VN_MAD", text, f"is not a network driver: {', '.join(LINKS)}")
    return text


def interface_of(template: Template, field: str) -> str | None:
    name = template.get(field) or None
    if name is not None and not INTERFACE.fullmatch(name):
        raise InvalidInput(field, name, "is no interface name: up to 15 letters, digits, . - _")
    return name


def vlan_of(template: Template) -> str | None:
    text = template.get("VLAN_ID") or None
    if text is not None and not whole(text, MAX_VLAN):
        raise InvalidInput("VLAN_ID", text, f"is no VLAN: use 1 to {MAX_VLAN}")
    return text


def groups_of(template: Template, view: View) -> tuple[int, ...]:
    groups = []
    for part in (template.get("SECURITY_GROUPS") or "0").split(","):
        group = known_id(part.strip(), view.security_groups)
        if group is None:
            raise NotFound(f"SECURITY_GROUPS: there is no security group [{part.strip()[:20]}]")
        groups.append(group)
    return tuple(dict.fromkeys(groups))


def updated(network: VirtualNetwork, fresh: Template, view: View) -> VirtualNetwork:
    """The network with other attributes; what is fixed when it is made is left out of them."""
    groups = groups_of(fresh, view) if fresh.has("SECURITY_GROUPS") else network.security_groups
    other = replace(network, template=fresh.without(CONSUMED), security_groups=groups)
    return with_gateway(checked(other))


def checked(network: VirtualNetwork) -> VirtualNetwork:
    """The network, if what it tells hosts and guests makes sense."""
    for name in ("GATEWAY", "NETWORK_ADDRESS"):
        value = network.template.get(name)
        if value is not None:
            address(name, value)
    mask = network.template.get("NETWORK_MASK")
    if mask is not None and mask not in MASKS:
        raise InvalidInput("NETWORK_MASK", mask, "is not a mask, like 255.255.255.0")
    for name in ("MTU", "GUEST_MTU"):
        value = network.template.get(name)
        if value is not None and (whole(value, MAX_MTU) or 0) < MIN_MTU:
            raise InvalidInput(name, value, f"is no MTU: use {MIN_MTU} to {MAX_MTU}")
    return network


def with_gateway(network: VirtualNetwork) -> VirtualNetwork:
    """A NATed network needs a gateway on its bridge: what is left out is derived from its first
    range, and all its ranges lie in the gateway's subnet.
    """
    if network.vn_mad != "nat":
        return network
    first = next((ar for ar in network.ranges if ar.ip), None)
    if first is None:
        raise InvalidInput("AR", "", "is missing: a nat network needs an address range of TYPE=IP4")
    template = network.template
    mask = template.get("NETWORK_MASK") or "255.255.255.0"
    subnet = IPv4Network(f"{template.get('GATEWAY') or first.ip}/{mask}", strict=False)
    if subnet.num_addresses < SMALLEST_SUBNET:
        raise InvalidInput("NETWORK_MASK", mask, "leaves no room for a gateway: use a shorter one")
    gateway = template.get("GATEWAY") or str(subnet[1])
    for name, value in (
        ("NETWORK_ADDRESS", str(subnet.network_address)),
        ("NETWORK_MASK", mask),
        ("GATEWAY", gateway),
    ):
        template = template if template.has(name) else template.replaced(name, value)
    refuse_outside(network, subnet, gateway)
    return replace(network, template=template)


def refuse_outside(network: VirtualNetwork, subnet: IPv4Network, gateway: str) -> None:
    given = network.template.get("NETWORK_ADDRESS")
    if given is not None and address("NETWORK_ADDRESS", given) != subnet.network_address:
        raise InvalidInput("NETWORK_ADDRESS", given, f"is not that of the gateway: {subnet}")
    for ar in network.ranges:
        last = ar.ip_at(ar.size - 1)
        if ar.index_of_ip(gateway) is not None:
            raise InvalidInput(
                "GATEWAY",
                gateway,
                f"lies in address range {ar.id}, so guests could be given it: give another GATEWAY "
                "or a range without it",
            )
        if last is not None and not (IPv4Address(ar.ip) in subnet and IPv4Address(last) in subnet):
            raise InvalidInput(
                "AR/IP", f"{ar.ip}-{last}", f"is not within {subnet}: give a wider NETWORK_MASK"
            )


def address(field: str, text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise InvalidInput(field, text, "is not an IPv4 address, like 10.0.0.1") from None


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
        raise InvalidInput("AR/SIZE", str(size), "goes past the last IPv4 address: give less")
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
    size = whole(text, MAX_RANGE)
    if not size:
        raise InvalidInput("AR/SIZE", text, f"is not a number of addresses: 1 to {MAX_RANGE}")
    return size


def first_mac(text: str | None, ip: str | None, network_id: int, ar_id: int) -> str:
    """As given, or 02:00 and the IPv4 address (OpenNebula's rule), or a block named after the
    range."""
    if text:
        if not MAC.fullmatch(text) or mac_number(text) & MULTICAST:
            raise InvalidInput("AR/MAC", text, "is not a MAC address, like 02:00:0a:00:00:01")
        return text.lower()
    tail = int(IPv4Address(ip)) if ip else (network_id & 0xFF) << 24 | (ar_id & 0x0F) << 20
    digits = f"{tail:08x}"
    return MAC_PREFIX + "".join(f":{digits[i : i + 2]}" for i in range(0, 8, 2))


def refuse_overlap(network: VirtualNetwork, ar: AddressRange) -> None:
    """An address, of either kind, belongs to one range only: else it could be given twice."""
    first_mac = mac_number(ar.mac)
    if (first_mac + ar.size - 1) // MULTICAST != first_mac // MULTICAST:
        raise InvalidInput("AR/MAC", ar.mac, "runs out of its first octet: give a lower address")
    for other in network.ranges:
        remedy = f"overlaps address range {other.id} of this network: give other addresses"
        if ar.ip is not None and other.ip is not None:
            first_ip = int(IPv4Address(ar.ip))
            if overlap(first_ip, ar.size, int(IPv4Address(other.ip)), other.size):
                raise InvalidInput("AR/IP", ar.ip, remedy)
        if overlap(first_mac, ar.size, mac_number(other.mac), other.size):
            raise InvalidInput("AR/MAC", ar.mac, remedy)


def overlap(start: int, size: int, other: int, other_size: int) -> bool:
    return start < other + other_size and other < start + size


def add_range(network: VirtualNetwork, m: AddAddressRange, view: View, now: float) -> Decision:
    return changed(with_gateway(with_range(network, m.template)), "range-added", m, now)


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
    raise InvalidInput(
        "LEASES/IP",
        m.address,
        f"is in no address range of virtual network {network.name}: see onevnet show {network.id}",
    )


def delete(network: VirtualNetwork, m: DeleteObject, view: View, now: float) -> Decision:
    users = view.network_vms(network.id)
    if users:
        raise InUse(
            f"Virtual network {network.name} [{network.id}] is in use by {len(users)} VMs, "
            f"among them VM [{min(users)}]. Terminate them first",
            object_kind="NET",
            object_id=network.id,
        )
    for group in view.security_groups.values():
        if names_network(group.template, network.id):
            raise InUse(
                f"Virtual network {network.name} [{network.id}] is named by a rule of security "
                f"group {group.name} [{group.id}]: change the rule first",
                object_kind="NET",
                object_id=network.id,
            )
    return Decision(
        delete=((Kind.NETWORK, network.id),),
        records=(record(network, "deleted", m, now),),
        result=network.id,
    )
