"""Bridges: from what a host has and should have to iproute2 commands. Pure: it runs nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256
from ipaddress import ip_interface

import msgspec
from msgspec import Struct

from orrery.core.errors import InvalidInput
from orrery.drivers.network.names import Mark, interface_name
from orrery.ports.driver import Bridge

Command = tuple[str, ...]
FACTS: Command = ("ip", "-json", "-details", "address", "show")


class Address(Struct, frozen=True):
    """An address as `ip -json` tells it."""

    family: str
    local: str = ""
    prefixlen: int = 0
    scope: str = ""

    @property
    def text(self) -> str:
        return f"{self.local}/{self.prefixlen}"


class LinkInfo(Struct, frozen=True):
    info_kind: str | None = None


class Link(Struct, frozen=True):
    """A network interface as `ip -json -details address` tells it, as far as it matters here."""

    ifindex: int = 0
    ifname: str = ""
    flags: tuple[str, ...] = ()
    mtu: int = 0
    address: str | None = None
    master: str | None = None
    ifalias: str | None = None
    linkinfo: LinkInfo = LinkInfo()
    addr_info: tuple[Address, ...] = ()

    @property
    def is_bridge(self) -> bool:
        return self.linkinfo.info_kind == "bridge"


Links = Mapping[str, Link]


def parse_links(text: str) -> dict[str, Link]:
    return {link.ifname: link for link in msgspec.json.decode(text, type=list[Link]) if link.ifname}


def bridge_commands(links: Links, bridges: tuple[Bridge, ...], mark: Mark) -> tuple[Command, ...]:
    """Commands that make the bridges as intended. Raises where one belongs to somebody else."""
    kept = frozenset(interface_name("bridge", bridge.name) for bridge in bridges)
    _check_apart(bridges)
    commands = list(removal_commands(links, mark, keep=kept))
    for bridge in bridges:
        commands += _adoption(links, bridge) if bridge.adopt else _ownership(links, bridge, mark)
    return tuple(commands)


def removal_commands(
    links: Links, mark: Mark, *, keep: frozenset[str] = frozenset()
) -> Iterator[Command]:
    """Commands that remove the bridges that bear the mark, except those to keep."""
    for name in sorted(links):
        ours = links[name].is_bridge and links[name].ifalias == mark.alias
        if name == mark.nascent or (ours and name not in keep):
            yield ("ip", "link", "delete", "dev", name)


def bridge_mac(name: str, mark: Mark) -> str:
    """A fixed address: without one it follows the ports, and guests lose their gateway."""
    digest = sha256(f"{mark.engine_id}/{name}".encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x06, *digest[:5]))


def _check_apart(bridges: tuple[Bridge, ...]) -> None:
    """Networks may share a bridge that is only adopted; one we own has one intention."""
    named = Counter(bridge.name for bridge in bridges)
    for bridge in bridges:
        if named[bridge.name] > 1 and not bridge.adopt:
            raise InvalidInput("bridge", bridge.name, "serves two networks: give each its own")


def _adoption(links: Links, bridge: Bridge) -> list[Command]:
    if bridge.name not in links:
        raise InvalidInput(
            "bridge",
            bridge.name,
            "does not exist on this host: create it, or let the engine own it",
        )
    if not links[bridge.name].is_bridge:
        raise InvalidInput("bridge", bridge.name, "is an interface of another kind: name a bridge")
    return []


def _ownership(links: Links, bridge: Bridge, mark: Mark) -> list[Command]:
    found = links.get(bridge.name)
    if found is None:
        commands = _creation(bridge, mark)
        found = Link(ifname=bridge.name, address=bridge_mac(bridge.name, mark), ifalias=mark.alias)
    else:
        _check_owner(found, mark)
        commands = []
    commands += _repair(found, bridge, mark)
    if bridge.phydev is not None:
        commands += _uplink(links, bridge.name, interface_name("phydev", bridge.phydev))
    return commands


def _check_owner(found: Link, mark: Mark) -> None:
    if found.ifalias == mark.alias and found.is_bridge:
        return
    owner = f"belongs to {found.ifalias!r}" if found.ifalias else "exists and is not this engine's"
    raise InvalidInput("bridge", found.ifname, f"{owner}: use another name, or adopt it as it is")


def _creation(bridge: Bridge, mark: Mark) -> list[Command]:
    new = mark.nascent
    return [
        ("ip", "link", "add", "name", new, "address", bridge_mac(bridge.name, mark),
         "type", "bridge", "stp_state", "0", "forward_delay", "0"),
        ("ip", "link", "set", "dev", new, "alias", mark.alias),
        ("ip", "link", "set", "dev", new, "name", bridge.name),
    ]  # fmt: skip


def _repair(found: Link, bridge: Bridge, mark: Mark) -> list[Command]:
    name, change = bridge.name, ("ip", "link", "set", "dev", bridge.name)
    commands: list[Command] = []
    if found.address != bridge_mac(name, mark):
        commands.append((*change, "address", bridge_mac(name, mark)))
    if bridge.mtu is not None and found.mtu != bridge.mtu:
        commands.append((*change, "mtu", str(bridge.mtu)))
    wanted = _address(bridge)
    present = {a.text for a in found.addr_info if a.family == "inet"}
    commands += [("ip", "address", "delete", a, "dev", name) for a in sorted(present - wanted)]
    commands += [
        ("ip", "address", "add", a, "brd", "+", "dev", name) for a in sorted(wanted - present)
    ]
    if "UP" not in found.flags:
        commands.append((*change, "up"))
    return commands


def _address(bridge: Bridge) -> set[str]:
    if bridge.address is None:
        return set()
    try:
        return {str(ip_interface(bridge.address))}
    except ValueError:
        raise InvalidInput(
            "address", bridge.address, "is not an address with prefix length: write 10.0.0.1/24"
        ) from None


def _uplink(links: Links, bridge: str, phydev: str) -> list[Command]:
    device = links.get(phydev)
    if device is None:
        raise InvalidInput("phydev", phydev, "does not exist on this host")
    if device.master not in (None, bridge):
        raise InvalidInput("phydev", phydev, f"is a port of {device.master}: release it first")
    commands: list[Command] = []
    if device.master is None:
        _check_unused(device)
        commands.append(("ip", "link", "set", "dev", phydev, "master", bridge))
    if "UP" not in device.flags:
        commands.append(("ip", "link", "set", "dev", phydev, "up"))
    return commands


def _check_unused(device: Link) -> None:
    """A port of a bridge loses its addresses' use: the host would cut itself off."""
    for address in device.addr_info:
        if address.scope == "global":
            remedy = (
                f"carries the host's address {address.text}: move it to a bridge and adopt that"
            )
            raise InvalidInput("phydev", device.ifname, remedy)
