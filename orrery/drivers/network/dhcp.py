"""dnsmasq for one bridge as text: configuration, hosts, leases. Pure: it starts nothing."""

import re
from ipaddress import IPv4Interface
from pathlib import PurePath

from msgspec import Struct

from orrery.core.errors import InvalidInput
from orrery.drivers.network.names import interface_name, mac_address
from orrery.drivers.network.ranges import single_ipv4
from orrery.ports.driver import Bridge, DhcpHost

LEASE_S = 3600
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class DhcpFiles(Struct, frozen=True):
    """Where the server of one bridge keeps its things. `conf` also names its process."""

    conf: PurePath
    hosts: PurePath
    leases: PurePath
    pid: PurePath
    index: PurePath
    """Notes the index of the interface that the server bound."""

    @property
    def argument(self) -> str:
        return f"--conf-file={self.conf}"


def dhcp_files(directory: PurePath, bridge: str) -> DhcpFiles:
    kinds = ("conf", "hosts", "leases", "pid", "index")
    return DhcpFiles(*(directory / f"{bridge}.{kind}" for kind in kinds))


def configuration(bridge: Bridge, files: DhcpFiles, user: str | None = None) -> str:
    """A server for the known guests of one bridge; `user` None is dnsmasq's own choice."""
    gateway = _gateway(bridge)
    name = interface_name("bridge", bridge.name)
    return "\n".join(
        [
            f"interface={name}",
            "except-interface=lo",
            "bind-interfaces",
            f"pid-file={files.pid}",
            f"dhcp-leasefile={files.leases}",
            f"dhcp-hostsfile={files.hosts}",
            f"dhcp-range={gateway.network.network_address},static,{gateway.netmask},{LEASE_S}",
            "dhcp-ignore=tag:!known",
            "dhcp-authoritative",
            "dhcp-no-override",
            "no-hosts",
            *_name_service(bridge, gateway),
            *_options(bridge, gateway),
            *([] if user is None else [f"user={user}"]),
            "",
        ]
    )


def hosts_file(bridge: Bridge) -> str:
    """One line for each guest; a name that DNS would not take is left out."""
    lines = sorted(_host_line(host) for host in bridge.hosts)
    return "".join(line + "\n" for line in lines)


def valid_leases(text: str, bridge: Bridge) -> str:
    """Leases of present guests: others would keep an address from its next holder."""
    known = {(host.mac.lower(), host.ip) for host in bridge.hosts}
    kept = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 3 and (fields[1].lower(), fields[2]) in known:
            kept.append(line + "\n")
    return "".join(kept)


def _name_service(bridge: Bridge, gateway: IPv4Interface) -> list[str]:
    """Guests ask the resolvers given; without any, dnsmasq opens port 53 and forwards for them."""
    if bridge.dns:
        servers = ",".join(single_ipv4("dns", server) for server in bridge.dns)
        return ["port=0", f"dhcp-option=option:dns-server,{servers}"]
    return ["bogus-priv", "domain-needed", f"dhcp-option=option:dns-server,{gateway.ip}"]


def _options(bridge: Bridge, gateway: IPv4Interface) -> list[str]:
    router = (
        f"dhcp-option=option:router,{gateway.ip}" if bridge.nat else "dhcp-option=option:router"
    )
    return [router] if bridge.mtu is None else [router, f"dhcp-option=option:mtu,{bridge.mtu}"]


def _host_line(host: DhcpHost) -> str:
    parts = [mac_address("mac", host.mac), single_ipv4("ip", host.ip)]
    if _HOST_NAME.fullmatch(host.name):
        parts.append(host.name)
    return ",".join(parts)


def _gateway(bridge: Bridge) -> IPv4Interface:
    try:
        return IPv4Interface(bridge.address or "")
    except ValueError:
        raise InvalidInput(
            "address",
            bridge.address or "",
            f"of bridge {bridge.name} must be IPv4 with prefix for DHCP",
        ) from None
