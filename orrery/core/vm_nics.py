"""The NICs of a new VM: networks found and checked, addresses taken. An address is never given
twice."""

from collections.abc import Iterator, Mapping

from orrery.core.access import require
from orrery.core.errors import InvalidInput, NoCapacity, NotFound
from orrery.core.messages import Actor
from orrery.core.model.kinds import Kind
from orrery.core.model.network import AddressRange, VirtualNetwork
from orrery.core.model.view import View
from orrery.core.model.vm import Nic
from orrery.core.numbers import known_id
from orrery.core.status import Right
from orrery.core.template import Template

MAX_NICS = 32
CONSUMED = frozenset({"IP", "MAC", "MODEL", "SECURITY_GROUPS", "NIC_ID"})

IDENTITY = frozenset(
    {"NETWORK", "NETWORK_ID", "NETWORK_UNAME", "NETWORK_UID", "IP", "MAC", "NIC_ID"}
)
"""What each NIC says of itself: a default would overrule the NIC or give an address twice."""

Taken = dict[tuple[int, int], int]
"""(network, range) -> bit set of the indexes this very VM has taken so far."""


def build_nics(template: Template, view: View, actor: Actor, vm_id: int) -> tuple[Nic, ...]:
    """One Nic per NIC of the template, ids in order; NIC_DEFAULT fills what a NIC leaves out.

    Raises:
        InvalidInput, NotFound, NotAuthorized, NoCapacity: which NIC, and why.
    """
    wanted = template.vectors("NIC")
    if len(wanted) > MAX_NICS:
        raise InvalidInput("NIC", str(len(wanted)), f"are too many: at most {MAX_NICS} NICs")
    given = template.vector("NIC_DEFAULT") or {}
    defaults = {key: value for key, value in given.items() if key not in IDENTITY}
    taken: Taken = {}
    nics = []
    for index, nic in enumerate(wanted):
        if "NETWORK" not in nic and "NETWORK_ID" not in nic:
            raise InvalidInput(f"NIC {index}", str(dict(nic)), "names no NETWORK or NETWORK_ID")
        nics.append(build_nic(index, {**defaults, **nic}, view, actor, vm_id, taken))
    return tuple(nics)


def build_nic(
    index: int, nic: Mapping[str, str], view: View, actor: Actor, vm_id: int, taken: Taken
) -> Nic:
    network = find_network(index, nic, view, actor)
    require(actor, Right.USE, network)
    ar, position = pick_address(index, nic, network, view, taken)
    key = (network.id, ar.id)
    taken[key] = taken.get(key, 0) | 1 << position
    return Nic(
        id=index,
        network_id=network.id,
        ar_id=ar.id,
        index=position,
        mac=ar.mac_at(position),
        ip=ar.ip_at(position),
        bridge=network.bridge,
        target=f"{view.name_prefix}-{vm_id}-{index}",
        vn_mad=network.vn_mad,
        model=nic.get("MODEL"),
        security_groups=groups_of(index, nic, network, view, actor),
        extra=tuple((k, v) for k, v in nic.items() if k not in CONSUMED),
    )


def find_network(index: int, nic: Mapping[str, str], view: View, actor: Actor) -> VirtualNetwork:
    by_id = nic.get("NETWORK_ID")
    if by_id is not None:
        network_id = known_id(by_id, view.networks)
        if network_id is None:
            raise NotFound(
                f"NIC {index}/NETWORK_ID: there is no virtual network [{by_id[:20]}]",
                object_kind="NET",
            )
        return view.networks[network_id]
    name, uname = nic["NETWORK"], nic.get("NETWORK_UNAME")
    owner = actor.uid if uname is None else view.by_name(Kind.USER, uname)
    found = None if owner is None else view.by_name(Kind.NETWORK, name, owner)
    if found is None:
        raise NotFound(
            f"NIC {index}/NETWORK: user {uname or f'[{actor.uid}]'} owns no virtual network named "
            f"{name!r}; name another owner with NETWORK_UNAME, or use NETWORK_ID",
            object_kind="NET",
        )
    return view.networks[found]


def pick_address(
    index: int, nic: Mapping[str, str], network: VirtualNetwork, view: View, taken: Taken
) -> tuple[AddressRange, int]:
    if "IP" in nic or "MAC" in nic:
        return requested_address(index, nic, network, view, taken)
    for ar in network.ranges:
        position = lowest_free(busy_bits(network, ar, view, taken), ar.size)
        if position is not None:
            return ar, position
    raise NoCapacity(
        f"NIC {index}: no free address in virtual network {network.name} [{network.id}]: "
        "add an address range or end VMs that hold addresses",
        object_kind="NET",
        object_id=network.id,
    )


def busy_bits(network: VirtualNetwork, ar: AddressRange, view: View, taken: Taken) -> int:
    held = 0
    for position in ar.held:
        held |= 1 << position
    return view.addresses_taken(network.id, ar.id) | held | taken.get((network.id, ar.id), 0)


def lowest_free(bits: int, size: int) -> int | None:
    position = (~bits & (bits + 1)).bit_length() - 1
    return position if position < size else None


def requested_address(
    index: int, nic: Mapping[str, str], network: VirtualNetwork, view: View, taken: Taken
) -> tuple[AddressRange, int]:
    field, value = ("IP", nic["IP"]) if "IP" in nic else ("MAC", nic["MAC"].lower())
    for ar, position in positions_of(network, field, value):
        refuse_other_mac(index, nic, ar.mac_at(position))
        if busy_bits(network, ar, view, taken) >> position & 1:
            raise NoCapacity(
                f"NIC {index}/{field}: {value} is in use in virtual network {network.name} "
                f"[{network.id}]",
                object_kind="NET",
                object_id=network.id,
            )
        return ar, position
    raise InvalidInput(
        f"NIC {index}/{field}", value, f"is in no address range of virtual network {network.name}"
    )


def refuse_other_mac(index: int, nic: Mapping[str, str], mac: str) -> None:
    """IP and MAC of one address go together."""
    given = nic.get("MAC", mac)
    if given.lower() != mac:
        raise InvalidInput(
            f"NIC {index}/MAC", given, f"does not belong to IP {nic['IP']}: leave it out, or {mac}"
        )


def positions_of(
    network: VirtualNetwork, field: str, value: str
) -> Iterator[tuple[AddressRange, int]]:
    """Where an address lies: at most one place, unless ranges overlap."""
    for ar in network.ranges:
        position = ar.index_of_ip(value) if field == "IP" else ar.index_of_mac(value)
        if position is not None:
            yield ar, position


def groups_of(
    index: int, nic: Mapping[str, str], network: VirtualNetwork, view: View, actor: Actor
) -> tuple[int, ...]:
    text = nic.get("SECURITY_GROUPS")
    if not text:
        return network.security_groups
    groups = []
    for part in text.split(","):
        part = part.strip()
        group = known_id(part, view.security_groups)
        if group is None:
            raise NotFound(f"NIC {index}/SECURITY_GROUPS: there is no security group [{part[:20]}]")
        require(actor, Right.USE, view.security_groups[group])
        groups.append(group)
    return tuple(groups)
