"""The filters of one host as nftables text: spoofing, security groups, masquerading. Pure.

The rules are stateful and name the port of the bridge, which no single hook of every kernel can do;
the two ways to get there are told in docs/decisions/010-security-groups.md.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from ipaddress import IPv4Interface

from orrery.core.errors import InvalidInput
from orrery.drivers.network.names import Mark, interface_name, mac_address
from orrery.drivers.network.ranges import address_set, number_set, single_ipv4
from orrery.ports.driver import Bridge, FilterRule, HostNetwork, Port

ESTABLISHED_BIT = 0x00200000
"""Packet mark: belongs to a connection that was let through. The same for every engine."""

MULTICAST = "224.0.0.0/4, 255.255.255.255"
_ND = "{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }"
_ARP = "ether type { arp, 0x8035 }"
"""ARP, and the reverse ARP by which QEMU announces a migrated guest."""


class Tracking(Enum):
    """Where the state of a connection comes from when a bridge forwards a frame."""

    BRIDGE = "bridge"
    """The kernel tracks connections in the bridge itself."""
    MARK = "mark"
    """br_netfilter shows frames to the IP hooks, which pass the state on in the packet's mark."""


_ESTABLISHED = {
    Tracking.BRIDGE: "ct state established,related return",
    Tracking.MARK: f"meta mark and 0x{ESTABLISHED_BIT:08x} != 0 return",
}


def ruleset(intended: HostNetwork, tracking: Tracking) -> dict[str, str]:
    """Text of each table by family (`inet`, `bridge`); a family that needs none is absent."""
    table = Mark(intended.engine_id).table
    parts = {"inet": _inet(intended, tracking), "bridge": _bridge(intended.ports, tracking)}
    return {
        family: f"table {family} {table} {{\n" + "\n".join(_indent(chains)) + "\n}\n"
        for family, chains in parts.items()
        if chains
    }


def replacement(intended: dict[str, str], present: Iterable[str], mark: Mark) -> str:
    """One transaction that puts the intended tables in the place of those present."""
    lines = []
    for family in sorted({*intended, *present}):
        lines += [f"add table {family} {mark.table}", f"delete table {family} {mark.table}"]
    return "\n".join(lines) + "\n" + "".join(intended[family] for family in sorted(intended))


def needs_tracking(intended: HostNetwork) -> bool:
    """True when some port's rules ask for the state of connections."""
    return any(not _is_open(port, inbound) for port in intended.ports for inbound in (True, False))


# --- routing: what passes between a bridge and the rest of the world ------------------------------


def _inet(intended: HostNetwork, tracking: Tracking) -> list[list[str]]:
    natted = [bridge for bridge in intended.bridges if bridge.nat and bridge.address]
    served = [bridge for bridge in intended.bridges if bridge.dhcp and bridge.address]
    chains = []
    if tracking is Tracking.MARK and needs_tracking(intended):
        chains += [_marking("arriving", "prerouting"), _marking("sent", "output")]
    if served:
        chains.append(_hook("services", "filter", "input", "filter", map(_local_only, served)))
    if natted:
        isolation = ["ct state established,related accept", "ct status dnat accept"]
        isolation += [f'iifname != "{_name(b)}" oifname "{_name(b)}" drop' for b in natted]
        chains.append(_hook("routed", "filter", "forward", "filter", isolation))
        chains.append(
            _hook("masquerading", "nat", "postrouting", "srcnat", map(_masquerade, natted))
        )
    return chains


def _marking(chain: str, hook: str) -> list[str]:
    bit = f"0x{ESTABLISHED_BIT:08x}"
    clear = f"meta mark set meta mark and 0x{0xFFFFFFFF ^ ESTABLISHED_BIT:08x}"
    keep = f"ct state established,related meta mark set meta mark or {bit}"
    return _hook(chain, "filter", hook, "mangle", [clear, keep])


def _masquerade(bridge: Bridge) -> str:
    network = _gateway(bridge).network
    outside = f"ip daddr != {{ {network}, {MULTICAST} }}"
    return f'ip saddr {network} oifname != "{_name(bridge)}" {outside} masquerade'


def _local_only(bridge: Bridge) -> str:
    """DHCP and name service answer nobody but the bridge's own guests."""
    near = f'iifname != {{ "lo", "{_name(bridge)}" }} ip daddr {_gateway(bridge).ip}'
    return f"{near} meta l4proto {{ tcp, udp }} th dport {{ 53, 67 }} drop"


def _gateway(bridge: Bridge) -> IPv4Interface:
    try:
        return IPv4Interface(bridge.address or "")
    except ValueError:
        raise InvalidInput(
            "address",
            bridge.address or "",
            "is not an address with prefix length: write 10.0.0.1/24",
        ) from None


def _name(bridge: Bridge) -> str:
    return interface_name("bridge", bridge.name)


# --- bridging: what passes through each port ------------------------------------------------------


def _bridge(ports: tuple[Port, ...], tracking: Tracking) -> list[list[str]]:
    ordered = sorted(ports, key=lambda port: interface_name("target", port.target))
    spoof = {port.target: _spoofing(port) for port in ordered}
    out = {port.target: _rules(port, tracking, inbound=False) for port in ordered}
    inward = {port.target: _rules(port, tracking, inbound=True) for port in ordered}
    chains = [
        _chain(prefix + target, lines)
        for prefix, by_target in (("spoof_", spoof), ("out_", out), ("in_", inward))
        for target, lines in by_target.items()
        if lines
    ]
    from_guest, to_guest = _jumps("iifname", "out_", out), _jumps("oifname", "in_", inward)
    hooks = {
        ("arriving", "prerouting", "dstnat"): _jumps("iifname", "spoof_", spoof),
        ("bridged", "forward", "filter"): from_guest + to_guest,
        ("received", "input", "filter"): from_guest,
        ("sent", "output", "filter"): to_guest,
    }
    return chains + [
        _hook(chain, "filter", hook, priority, jumps)
        for (chain, hook, priority), jumps in hooks.items()
        if jumps
    ]


def _jumps(selector: str, prefix: str, chains: dict[str, list[str]]) -> list[str]:
    entries = [f'"{target}" : jump {prefix}{target}' for target, lines in chains.items() if lines]
    return [f"{selector} vmap {{ {', '.join(entries)} }}"] if entries else []


def _spoofing(port: Port) -> list[str]:
    """A guest speaks with its own addresses only, and is neither DHCP server nor router."""
    mac = mac_address("mac", port.mac)
    lines = []
    if port.filter_mac:
        lines += [f"ether saddr != {mac} drop", f"arp saddr ether != {mac} drop"]
    if not port.filter_ip:
        return lines
    lines += [
        "ether type != { arp, ip, ip6, 0x8035 } drop",
        "udp sport { 67, 547 } drop",
        "icmpv6 type { nd-router-advert, nd-redirect } drop",
    ]
    if port.ip is not None:
        ip = single_ipv4("ip", port.ip)
        lines += [
            f"arp saddr ip != {{ 0.0.0.0, {ip} }} drop",
            "ip saddr 0.0.0.0 udp sport 68 udp dport 67 return",
            f"ip saddr != {ip} drop",
            f"ip6 saddr != {{ ::, {_link_local(mac)} }} drop",
        ]
    return lines


def _link_local(mac: str) -> str:
    """The IPv6 address that a guest derives from its MAC (EUI-64)."""
    octets = [int(part, 16) for part in mac.split(":")]
    octets[0] ^= 2
    eui = [*octets[:3], 0xFF, 0xFE, *octets[3:]]
    return "fe80::" + ":".join(f"{eui[i] << 8 | eui[i + 1]:x}" for i in range(0, 8, 2))


def _rules(port: Port, tracking: Tracking, *, inbound: bool) -> list[str]:
    """Admit what the rules of one direction name, drop the rest; empty when all may pass."""
    if _is_open(port, inbound):
        return []
    dhcp = "udp sport 67 udp dport 68" if inbound else "udp sport 68 udp dport 67"
    lines = [
        _ESTABLISHED[tracking],
        f"{_ARP} return",
        f"icmpv6 type {_ND} return",
        f"{dhcp} return",
    ]
    for rule in port.rules:
        if rule.inbound == inbound:
            lines += [
                f"{match} return" for match in _matches(rule) if f"{match} return" not in lines
            ]
    return [*lines, "drop"]


def _is_open(port: Port, inbound: bool) -> bool:  # noqa: FBT001 - the direction, as in FilterRule
    return any(
        rule.inbound == inbound and rule.protocol == "all" and not rule.networks and not rule.ports
        for rule in port.rules
    )


def _matches(rule: FilterRule) -> Iterator[str]:
    protocol = _protocol(rule)
    far = "saddr" if rule.inbound else "daddr"
    if not rule.networks:
        yield protocol or "meta protocol { ip, ip6 }"
        return
    for family, addresses in address_set("networks", rule.networks):
        yield f"{family} {far} {addresses} {protocol}".rstrip()


def _protocol(rule: FilterRule) -> str:
    known: dict[str, Callable[[FilterRule], str]] = {
        "all": lambda r: _transport("{ tcp, udp }", r) if r.ports else "",
        "tcp": lambda r: _transport("tcp", r),
        "udp": lambda r: _transport("udp", r),
        "icmp": lambda r: _icmp("icmp", r),
        "icmpv6": lambda r: _icmp("icmpv6", r),
        "ipsec": lambda _: "meta l4proto { esp, ah }",
    }
    if rule.protocol not in known:
        raise InvalidInput("protocol", rule.protocol, f"is unknown: use one of {', '.join(known)}")
    return known[rule.protocol](rule)


def _transport(protocol: str, rule: FilterRule) -> str:
    if not rule.ports:
        return f"meta l4proto {protocol}"
    ports = number_set("ports", rule.ports, highest=65535)
    return f"meta l4proto {protocol} th dport {ports}"


def _icmp(protocol: str, rule: FilterRule) -> str:
    if rule.icmp_type is None:
        return f"meta l4proto {protocol if protocol == 'icmp' else 'ipv6-icmp'}"
    types = ((rule.icmp_type, rule.icmp_type),)
    return f"{protocol} type {number_set('icmp_type', types, highest=255)}"


# --- text -----------------------------------------------------------------------------------------


def _hook(name: str, kind: str, hook: str, priority: str, rules: Iterable[str]) -> list[str]:
    return _chain(name, [f"type {kind} hook {hook} priority {priority}; policy accept;", *rules])


def _chain(name: str, lines: list[str]) -> list[str]:
    return [f"chain {name} {{", *(f"\t{line}" for line in lines), "}"]


def _indent(chains: list[list[str]]) -> Iterator[str]:
    return (f"\t{line}" for chain in chains for line in chain)
