"""Bridges: facts in, commands out."""

import json

import pytest

from orrery.core.errors import InvalidInput
from orrery.drivers.network.links import bridge_commands, bridge_mac, parse_links, removal_commands
from orrery.drivers.network.names import Mark
from orrery.ports.driver import Bridge

OURS, OTHER = Mark("engine-a"), Mark("engine-b")
PLAIN = Bridge(name="br7", network_id=7)
NAT = Bridge(name="brn", network_id=1, address="10.9.0.1/24", nat=True, mtu=1450)


def link(name: str, **facts: object) -> dict[str, object]:
    return {"ifname": name, "flags": ["UP"], "mtu": 1500, "addr_info": [], **facts}


def bridge(name: str, mark: Mark | None = OURS, **facts: object) -> dict[str, object]:
    alias = {} if mark is None else {"ifalias": mark.alias, "address": bridge_mac(name, mark)}
    return link(name, linkinfo={"info_kind": "bridge"}, **alias, **facts)


def inet(local: str, prefixlen: int, scope: str = "global") -> dict[str, object]:
    return {"family": "inet", "local": local, "prefixlen": prefixlen, "scope": scope}


def commands(*bridges: Bridge, facts: list[dict[str, object]]) -> list[str]:
    links = parse_links(json.dumps(facts))
    return [" ".join(command) for command in bridge_commands(links, bridges, OURS)]


def test_missing_bridge_is_made_under_a_passing_name_and_marked_before_it_is_named() -> None:
    made = commands(PLAIN, facts=[link("lo")])
    mac = bridge_mac("br7", OURS)
    assert made == [
        f"ip link add name {OURS.nascent} address {mac} type bridge stp_state 0 forward_delay 0",
        f"ip link set dev {OURS.nascent} alias orrery:engine-a",
        f"ip link set dev {OURS.nascent} name br7",
        "ip link set dev br7 up",
    ]


def test_bridge_as_intended_needs_no_command() -> None:
    facts = [bridge("brn", mtu=1450, addr_info=[inet("10.9.0.1", 24)])]
    assert commands(NAT, facts=facts) == []


def test_only_what_differs_is_changed() -> None:
    facts = [bridge("brn", flags=[], addr_info=[inet("10.8.0.1", 24)])]
    assert commands(NAT, facts=facts) == [
        "ip link set dev brn mtu 1450",
        "ip address delete 10.8.0.1/24 dev brn",
        "ip address add 10.9.0.1/24 brd + dev brn",
        "ip link set dev brn up",
    ]


def test_bridge_of_ours_that_is_not_intended_is_removed_and_others_stay() -> None:
    facts = [bridge("old"), bridge("theirs", OTHER), bridge("wild", None), bridge("br7")]
    assert commands(PLAIN, facts=facts) == ["ip link delete dev old"]


def test_leftover_of_an_interrupted_creation_is_removed() -> None:
    links = parse_links(json.dumps([bridge(OURS.nascent, None)]))
    assert list(removal_commands(links, OURS)) == [("ip", "link", "delete", "dev", OURS.nascent)]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (bridge("br7", OTHER), "belongs to 'orrery:engine-b'"),
        (bridge("br7", None), "is not this engine's"),
        (link("br7"), "is not this engine's"),
    ],
)
def test_bridge_of_somebody_else_is_refused(found: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        commands(PLAIN, facts=[found])


def test_adopted_bridge_is_left_as_it_is() -> None:
    adopted = Bridge(name="br0", network_id=0, adopt=True, address="10.0.0.1/24", mtu=9000)
    assert commands(adopted, facts=[bridge("br0", None, flags=[])]) == []


@pytest.mark.parametrize("facts", [[link("lo")], [link("br0")]])
def test_adopted_bridge_must_exist_and_be_one(facts: list[dict[str, object]]) -> None:
    with pytest.raises(InvalidInput, match="bridge: 'br0'"):
        commands(Bridge(name="br0", network_id=0, adopt=True), facts=facts)


def test_free_device_becomes_the_uplink() -> None:
    uplinked = Bridge(name="br7", network_id=7, phydev="eth1")
    made = commands(uplinked, facts=[bridge("br7"), link("eth1", flags=[])])
    assert made == ["ip link set dev eth1 master br7", "ip link set dev eth1 up"]
    assert commands(uplinked, facts=[bridge("br7"), link("eth1", master="br7")]) == []


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (
            link("eth1", addr_info=[inet("192.0.2.9", 24)]),
            "carries the host's address 192.0.2.9/24",
        ),
        (link("eth1", master="br9"), "is a port of br9"),
        (link("eth2"), "does not exist"),
    ],
)
def test_device_in_use_is_never_taken(device: dict[str, object], words: str) -> None:
    uplinked = Bridge(name="br7", network_id=7, phydev="eth1")
    with pytest.raises(InvalidInput, match=words):
        commands(uplinked, facts=[bridge("br7"), device])


@pytest.mark.parametrize("name", ["", "a b", "x" * 16, "-br", "br;id", 'b"r', "ü"])
def test_name_that_a_tool_could_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not an interface name"):
        commands(Bridge(name=name, network_id=1), facts=[])


def test_two_networks_share_a_bridge_only_if_it_is_adopted() -> None:
    with pytest.raises(InvalidInput, match="serves two networks"):
        commands(PLAIN, PLAIN, facts=[])
    adopted = Bridge(name="br7", network_id=8, adopt=True)
    assert commands(adopted, adopted, facts=[bridge("br7", None)]) == []


def test_bridge_address_is_fixed_local_and_differs_between_engines() -> None:
    assert bridge_mac("br7", OURS) == bridge_mac("br7", OURS)
    assert bridge_mac("br7", OURS) != bridge_mac("br7", OTHER)
    assert int(bridge_mac("br7", OURS)[:2], 16) & 0b11 == 0b10
