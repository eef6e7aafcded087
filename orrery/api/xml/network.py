"""Virtual networks and security groups as XML. What OpenNebula's XML calls LEASE is an address
held.
"""

from collections.abc import Iterator

from orrery.api.xml.build import (
    attribute_list,
    attributes,
    free,
    ids,
    owned,
    permissions,
    text,
    wrapped,
)
from orrery.api.xml.storage import owner_names
from orrery.core.model.network import AddressRange, SecurityGroup, VirtualNetwork
from orrery.core.model.view import View

NetworkFacts = tuple[str, str, tuple[int, ...], tuple[int, ...]]
"""Names of owner and group, the bit set of addresses in use of each range, the VMs on it."""

GroupFacts = tuple[str, str, tuple[int, ...]]
"""Names of owner and group, the VMs whose NICs it guards."""

HELD = -1
"""In place of a VM's id: an operator holds the address."""


def network_facts(network: VirtualNetwork, view: View) -> NetworkFacts:
    used = tuple(used_bits(network, ar, view) for ar in network.ranges)
    vms = tuple(sorted(view.network_vms(network.id)))
    return (*owner_names(network.uid, network.gid, view), used, vms)


def used_bits(network: VirtualNetwork, ar: AddressRange, view: View) -> int:
    bits = view.addresses_taken(network.id, ar.id)
    for index in ar.held:
        bits |= 1 << index
    return bits


def network(obj: VirtualNetwork, facts: NetworkFacts) -> tuple[str]:
    """The form of the pool: ranges without their addresses."""
    ranges = "".join(f"<AR><ALLOCATED></ALLOCATED>{range_elements(ar)}</AR>" for ar in obj.ranges)
    return (f"<VNET>{network_head(obj, facts)}{wrapped('AR_POOL', ranges)}</VNET>",)


def network_info(obj: VirtualNetwork, facts: NetworkFacts, view: View) -> str:
    """The form of vn.info: with every address in use and who holds it."""
    ranges = []
    for ar, bits in zip(obj.ranges, facts[2], strict=True):
        ends = f"<MAC_END>{ar.mac_at(ar.size - 1)}</MAC_END>"
        last = ar.ip_at(ar.size - 1)
        if last is not None:
            ends += f"<IP_END>{last}</IP_END>"
        leases = "".join(lease(obj, ar, index, view) for index in set_bits(bits))
        ranges.append(
            f"<AR>{range_elements(ar)}{ends}<USED_LEASES>{bits.bit_count()}</USED_LEASES>"
            f"{wrapped('LEASES', leases)}</AR>"
        )
    return f"<VNET>{network_head(obj, facts)}{wrapped('AR_POOL', ''.join(ranges))}</VNET>"


def network_head(obj: VirtualNetwork, facts: NetworkFacts) -> str:
    uname, gname, used, vms = facts
    count = sum(bits.bit_count() for bits in used)
    return (
        f"{owned(obj.id, obj.uid, obj.gid, uname, gname, obj.name)}{permissions(obj.permissions)}"
        f"{ids('CLUSTERS', obj.clusters)}<BRIDGE>{text(obj.bridge)}</BRIDGE>"
        f"<BRIDGE_TYPE>linux</BRIDGE_TYPE><STATE>{obj.status.value}</STATE>"
        f"<PREV_STATE>{obj.status.value}</PREV_STATE><PARENT_NETWORK_ID></PARENT_NETWORK_ID>"
        f"<TEMPLATE_ID>-1</TEMPLATE_ID><VN_MAD>{text(obj.vn_mad)}</VN_MAD>"
        f"<PHYDEV>{text(obj.phydev or '')}</PHYDEV><VLAN_ID>{text(obj.vlan_id or '')}</VLAN_ID>"
        f"<OUTER_VLAN_ID></OUTER_VLAN_ID><VLAN_ID_AUTOMATIC>0</VLAN_ID_AUTOMATIC>"
        f"<OUTER_VLAN_ID_AUTOMATIC>0</OUTER_VLAN_ID_AUTOMATIC><USED_LEASES>{count}</USED_LEASES>"
        f"<VROUTERS/>{ids('UPDATED_VMS', vms)}<OUTDATED_VMS/><UPDATING_VMS/><ERROR_VMS/>"
        f"<TEMPLATE>{network_template(obj)}</TEMPLATE>"
    )


def network_template(obj: VirtualNetwork) -> str:
    items = [item for item in obj.template.attributes if item[0] not in ("AR", "SECURITY_GROUPS")]
    groups = ",".join(map(str, obj.security_groups))
    return "".join(attribute_list([*items, ("SECURITY_GROUPS", groups)]))


OWN_RANGE = frozenset({"AR_ID", "IP", "MAC", "SIZE", "TYPE"})


def range_elements(ar: AddressRange) -> str:
    address = "" if ar.ip is None else f"<IP>{ar.ip}</IP>"
    return (
        f"<AR_ID>{ar.id}</AR_ID>{address}<MAC>{ar.mac}</MAC><NEXT_INDEX>0</NEXT_INDEX>"
        f"<SIZE>{ar.size}</SIZE><TYPE>{text(ar.type)}</TYPE>"
        + "".join(free(name, value) for name, value in ar.extra if name not in OWN_RANGE)
    )


def lease(obj: VirtualNetwork, ar: AddressRange, index: int, view: View) -> str:
    holder = view.address_holder(obj.id, ar.id, index)
    address = ar.ip_at(index)
    shown = "" if address is None else f"<IP>{address}</IP>"
    vm = HELD if holder is None else holder
    return f"<LEASE>{shown}<MAC>{ar.mac_at(index)}</MAC><VM>{vm}</VM></LEASE>"


def set_bits(bits: int) -> Iterator[int]:
    """Indexes of the ones, lowest first, however wide the range is."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def security_group_facts(group: SecurityGroup, guarded: tuple[int, ...], view: View) -> GroupFacts:
    return (*owner_names(group.uid, group.gid, view), guarded)


def security_group(obj: SecurityGroup, facts: GroupFacts) -> tuple[str]:
    uname, gname, vms = facts
    return (
        f"<SECURITY_GROUP>{owned(obj.id, obj.uid, obj.gid, uname, gname, obj.name)}"
        f"{permissions(obj.permissions)}{ids('UPDATED_VMS', vms)}<OUTDATED_VMS/><UPDATING_VMS/>"
        f"<ERROR_VMS/>{wrapped('TEMPLATE', attributes(obj.template))}</SECURITY_GROUP>",
    )
