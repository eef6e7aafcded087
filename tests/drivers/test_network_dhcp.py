"""dnsmasq's texts."""

from collections.abc import Callable
from pathlib import PurePath

import pytest

from orrery.core.errors import InvalidInput
from orrery.drivers.network.dhcp import configuration, dhcp_files, hosts_file, valid_leases
from orrery.ports.driver import Bridge, DhcpHost

FILES = dhcp_files(PurePath("/run/orrery/1234abcd"), "brn")
HOSTS = (
    DhcpHost(mac="02:00:0A:09:00:06", ip="10.9.0.6", name="not a name"),
    DhcpHost(mac="02:00:0a:09:00:05", ip="10.9.0.5", name="web"),
)
NAT = Bridge(
    name="brn", network_id=1, address="10.9.0.1/24", nat=True, dhcp=True, hosts=HOSTS, mtu=1450
)
INNER = Bridge(
    name="bri", network_id=2, address="10.8.0.1/16", dhcp=True, dns=("192.0.2.53", "192.0.2.54")
)


@pytest.mark.parametrize(("case", "bridge"), [("nat", NAT), ("inner", INNER)])
def test_configuration_is_as_reviewed(
    case: str, bridge: Bridge, golden: Callable[[str, str], None]
) -> None:
    golden(f"dnsmasq/{case}.conf", configuration(bridge, FILES))


def test_hosts_are_as_reviewed(golden: Callable[[str, str], None]) -> None:
    golden("dnsmasq/nat.hosts", hosts_file(NAT))


def test_lease_of_a_guest_that_is_gone_is_forgotten() -> None:
    held = "1700000000 02:00:0a:09:00:05 10.9.0.5 web *\n"
    gone = "1700000000 02:00:0a:09:00:99 10.9.0.6 old *\n"
    assert valid_leases(held + gone, NAT) == held


def test_given_resolvers_close_the_name_service() -> None:
    assert "port=0\n" in configuration(INNER, FILES)
    assert "port=0\n" not in configuration(NAT, FILES)


@pytest.mark.parametrize(
    ("bridge", "field"),
    [
        (Bridge(name="b", network_id=1, dhcp=True), "address"),
        (Bridge(name="b", network_id=1, dhcp=True, address="10.0.0.1/24", dns=("x\ny",)), "dns"),
        (Bridge(name="b\nc", network_id=1, dhcp=True, address="10.0.0.1/24"), "bridge"),
    ],
)
def test_value_that_would_write_another_line_is_refused(bridge: Bridge, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        configuration(bridge, FILES)
    assert refused.value.field == field
