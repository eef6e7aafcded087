"""Filters as text: golden files, and the properties a golden file does not show."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.errors import InvalidInput
from orrery.drivers.network.firewall import Tracking, needs_tracking, replacement, ruleset
from orrery.drivers.network.names import Mark
from orrery.drivers.network.ranges import address_set, merged, number_set
from orrery.ports.driver import Bridge, FilterRule, HostNetwork, Port

ALL = (FilterRule(inbound=True, protocol="all"), FilterRule(inbound=False, protocol="all"))
NAT = Bridge(name="brn", network_id=1, address="10.9.0.1/24", nat=True, dhcp=True)
RULES = (
    FilterRule(
        inbound=True,
        protocol="tcp",
        ports=((443, 443), (80, 90), (85, 95)),
        networks=("10.0.0.0/8", "192.0.2.5-192.0.2.9", "2001:db8::/32"),
    ),
    FilterRule(inbound=True, protocol="icmp", icmp_type=8),
    FilterRule(inbound=True, protocol="icmpv6"),
    FilterRule(inbound=True, protocol="ipsec", networks=("192.0.2.1",)),
    FilterRule(inbound=False, protocol="udp", ports=((53, 53),)),
    FilterRule(inbound=False, protocol="all", networks=("10.9.0.0/24",)),
)


def port(**changes: object) -> Port:
    base = {
        "target": "one-1-0",
        "vm_id": 1,
        "bridge": "brn",
        "mac": "02:00:0A:09:00:05",
        "ip": "10.9.0.5",
    }
    return Port(**{**base, **changes})  # type: ignore[arg-type]


def network(*ports: Port, bridges: tuple[Bridge, ...] = ()) -> HostNetwork:
    return HostNetwork(engine_id="engine-a", bridges=bridges, ports=ports)


def bridge_table(*ports: Port) -> str:
    return ruleset(network(*ports), Tracking.MARK)["bridge"]


CASES = {
    "empty": (network(), Tracking.MARK),
    "nat": (network(bridges=(NAT,)), Tracking.MARK),
    "open-port": (network(port(rules=ALL)), Tracking.MARK),
    "rules-by-mark": (network(port(rules=RULES), bridges=(NAT,)), Tracking.MARK),
    "rules-by-bridge": (network(port(rules=RULES), bridges=(NAT,)), Tracking.BRIDGE),
    "router-vm": (network(port(filter_mac=False, filter_ip=False, rules=ALL[1:])), Tracking.MARK),
    "no-address": (network(port(ip=None, rules=ALL)), Tracking.MARK),
}


@pytest.mark.parametrize("case", CASES)
def test_tables_are_as_reviewed(case: str, golden: Callable[[str, str], None]) -> None:
    intended, tracking = CASES[case]
    golden(f"nft/{case}.nft", "".join(ruleset(intended, tracking).values()))


def test_nothing_to_filter_needs_no_table() -> None:
    assert ruleset(network(), Tracking.MARK) == {}
    assert ruleset(network(port(filter_mac=False, filter_ip=False, rules=ALL)), Tracking.MARK) == {}


def test_port_without_rules_admits_nothing() -> None:
    assert bridge_table(port()).count("\t\tdrop\n") == 2


def test_state_is_asked_for_only_where_a_rule_needs_it() -> None:
    assert not needs_tracking(network(port(rules=ALL)))
    assert needs_tracking(network(port(rules=ALL[:1])))
    assert "established" not in str(ruleset(network(port(rules=ALL)), Tracking.MARK))


def test_order_of_ports_does_not_change_the_text() -> None:
    one, two = port(rules=RULES), port(target="one-2-0", mac="02:00:0a:09:00:06", ip="10.9.0.6")
    assert bridge_table(one, two) == bridge_table(two, one)


def test_tables_are_replaced_in_one_transaction_and_unwanted_ones_deleted() -> None:
    mark = Mark("engine-a")
    text = replacement({"bridge": "BRIDGE\n"}, ["inet"], mark)
    assert text.splitlines() == [
        f"add table bridge {mark.table}",
        f"delete table bridge {mark.table}",
        f"add table inet {mark.table}",
        f"delete table inet {mark.table}",
        "BRIDGE",
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"target": "x; drop"}, "target"),
        ({"mac": "02:00"}, "mac"),
        ({"ip": "10.0.0.0/8"}, "ip"),
        ({"rules": (FilterRule(inbound=True, protocol="gre"),)}, "protocol"),
        ({"rules": (FilterRule(inbound=True, protocol="tcp", ports=((9, 70000),)),)}, "ports"),
        ({"rules": (FilterRule(inbound=True, protocol="tcp", ports=((9, 8),)),)}, "ports"),
        ({"rules": (FilterRule(inbound=True, protocol="all", networks=("a",)),)}, "networks"),
        ({"rules": (FilterRule(inbound=True, protocol="icmp", icmp_type=256),)}, "icmp_type"),
    ],
)
def test_value_that_is_no_address_port_or_protocol_is_refused(
    changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        bridge_table(port(**changes))
    assert refused.value.field == field


ranges = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)).map(sorted).map(tuple))


@given(ranges)
def test_merged_ranges_hold_the_same_numbers_and_never_touch(wanted: list[tuple[int, int]]) -> None:
    out = merged(wanted)
    assert _numbers(out) == _numbers(wanted)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(out))


def _numbers(wanted: list[tuple[int, int]]) -> set[int]:
    return {n for first, last in wanted for n in range(first, last + 1)}


def test_sets_are_written_as_short_as_possible() -> None:
    assert number_set("ports", [(80, 80), (22, 22), (81, 90)], highest=65535) == "{ 22, 80-90 }"
    assert dict(address_set("networks", ["10.0.0.0-10.0.0.255", "10.0.0.7", "::1"])) == {
        "ip": "{ 10.0.0.0/24 }",
        "ip6": "{ ::1 }",
    }
