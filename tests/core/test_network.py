"""Virtual networks: ranges that do not overlap, a gateway that is worked out, addresses held."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrery.core.errors import Exists, InUse, InvalidInput, NotFound, Refused
from orrery.core.messages import (
    ENGINE,
    AddAddressRange,
    AllocateNetwork,
    AllocateSecurityGroup,
    DeleteObject,
    HoldAddress,
    RemoveAddressRange,
    TerminateVm,
    UpdateTemplate,
)
from orrery.core.model.kinds import Kind
from orrery.core.model.network import VirtualNetwork
from orrery.core.template import parse
from tests.core.refusals import refused
from tests.site import Site

BRIDGED = 'NAME="n" VN_MAD="bridge" '
NAT = 'NAME="n" VN_MAD="nat" '
RANGE = 'AR=[TYPE="IP4", IP="10.0.0.10", SIZE="10"] '


def allocation(text: str) -> AllocateNetwork:
    return AllocateNetwork(cause="t", actor=ENGINE, template=parse(text))


def made(text: str) -> VirtualNetwork:
    site = Site()
    site.do(allocation(text))
    return site.state.networks[0]


def add(text: str) -> AddAddressRange:
    return AddAddressRange(cause="t", actor=ENGINE, network_id=0, template=parse(text))


def remove(ar_id: int) -> RemoveAddressRange:
    return RemoveAddressRange(cause="t", actor=ENGINE, network_id=0, ar_id=ar_id)


def hold(address: str, *, held: bool = True) -> HoldAddress:
    return HoldAddress(cause="t", actor=ENGINE, network_id=0, address=address, held=held)


def update(text: str, *, append: bool = True) -> UpdateTemplate:
    return UpdateTemplate(
        cause="t", actor=ENGINE, kind=Kind.NETWORK, id=0, template=parse(text), append=append
    )


def site_of(text: str) -> Site:
    site = Site()
    site.do(allocation(text))
    return site


def ar(fields: str) -> str:
    return f"AR=[{fields}]"


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ('VN_MAD="bridge"', InvalidInput, ("NAME",)),
        ('NAME="n"', InvalidInput, ("VN_MAD", "bridge, nat")),
        ('NAME="n" VN_MAD="vxlan"', InvalidInput, ("VN_MAD", "vxlan", "bridge, nat")),
        (BRIDGED + 'BRIDGE="a b"', InvalidInput, ("BRIDGE", "a b", "15 letters")),
        (BRIDGED + 'BRIDGE="-br"', InvalidInput, ("BRIDGE", "-br")),
        (BRIDGED + 'BRIDGE=".."', InvalidInput, ("BRIDGE", "..")),
        (BRIDGED + 'BRIDGE="bré"', InvalidInput, ("BRIDGE",)),
        (BRIDGED + 'BRIDGE="abcdefghijklmnop"', InvalidInput, ("BRIDGE", "15 letters")),
        (BRIDGED + 'PHYDEV="eth0;id"', InvalidInput, ("PHYDEV", "eth0;id")),
        (BRIDGED + 'VLAN_ID="0"', InvalidInput, ("VLAN_ID", "'0'", "1 to 4094")),
        (BRIDGED + 'VLAN_ID="4095"', InvalidInput, ("VLAN_ID", "'4095'")),
        (BRIDGED + 'VLAN_ID="ten"', InvalidInput, ("VLAN_ID", "ten")),
        (BRIDGED + 'SECURITY_GROUPS="9"', NotFound, ("SECURITY_GROUPS", "[9]")),
        (BRIDGED + 'SECURITY_GROUPS="²"', NotFound, ("SECURITY_GROUPS",)),
        (BRIDGED + 'SECURITY_GROUPS="0,,"', NotFound, ("SECURITY_GROUPS", "[]")),
        (BRIDGED + 'GATEWAY="x"', InvalidInput, ("GATEWAY", "'x'", "IPv4")),
        (BRIDGED + 'NETWORK_ADDRESS="10.0.0"', InvalidInput, ("NETWORK_ADDRESS", "10.0.0")),
        (BRIDGED + 'NETWORK_MASK="24"', InvalidInput, ("NETWORK_MASK", "'24'", "255.255.255.0")),
        (BRIDGED + 'NETWORK_MASK="0.0.0.255"', InvalidInput, ("NETWORK_MASK", "0.0.0.255")),
        (BRIDGED + 'NETWORK_MASK="255.0.255.0"', InvalidInput, ("NETWORK_MASK", "255.0.255.0")),
        (BRIDGED + 'GUEST_MTU="²"', InvalidInput, ("GUEST_MTU", "68 to 65535")),
        (BRIDGED + 'MTU="9"', InvalidInput, ("MTU", "'9'", "68 to 65535")),
        (BRIDGED + ar('TYPE="IP6", SIZE="1"'), InvalidInput, ("AR/TYPE", "IP6", "ETHER")),
        (BRIDGED + ar('SIZE="1"'), InvalidInput, ("AR/IP", "IPv4")),
        (BRIDGED + ar('IP="10.0.0.300", SIZE="1"'), InvalidInput, ("AR/IP", "10.0.0.300")),
        (BRIDGED + ar('IP="10.0.0.1"'), InvalidInput, ("AR/SIZE", "1 to")),
        (BRIDGED + ar('IP="10.0.0.1", SIZE="0"'), InvalidInput, ("AR/SIZE", "'0'")),
        (BRIDGED + ar('IP="10.0.0.1", SIZE="-3"'), InvalidInput, ("AR/SIZE", "'-3'")),
        (BRIDGED + ar('IP="10.0.0.1", SIZE="1048577"'), InvalidInput, ("AR/SIZE", "1048576")),
        (BRIDGED + ar('IP="1.0.0.1", SIZE="0000000019999999"'), InvalidInput, ("AR/SIZE",)),
        (BRIDGED + ar(f'IP="1.0.0.1", SIZE="{"9" * 5000}"'), InvalidInput, ("AR/SIZE",)),
        (BRIDGED + ar('IP="255.255.255.250", SIZE="9"'), InvalidInput, ("AR/SIZE", "past the")),
        (BRIDGED + ar('TYPE="ETHER", SIZE="1", MAC="x"'), InvalidInput, ("AR/MAC", "'x'")),
        (
            BRIDGED + ar('TYPE="ETHER", SIZE="1", MAC="01:00:5e:00:00:01"'),
            InvalidInput,
            ("AR/MAC", "01:00:5e:00:00:01"),
        ),
        (
            BRIDGED + ar('TYPE="ETHER", SIZE="2", MAC="fe:ff:ff:ff:ff:ff"'),
            InvalidInput,
            ("AR/MAC", "fe:ff:ff:ff:ff:ff", "give a lower"),
        ),
        (NAT, InvalidInput, ("AR", "is missing", "TYPE=IP4")),
        (NAT + ar('TYPE="ETHER", SIZE="5"'), InvalidInput, ("AR", "TYPE=IP4")),
        (NAT + RANGE + 'GATEWAY="10.0.0.12"', InvalidInput, ("GATEWAY", "10.0.0.12", "range 0")),
        (NAT + RANGE + 'GATEWAY="10.1.0.1"', InvalidInput, ("AR/IP", "10.0.0.10", "NETWORK_MASK")),
        (NAT + RANGE + 'NETWORK_MASK="255.255.255.252"', InvalidInput, ("AR/IP", "10.0.0.8/30")),
        (NAT + RANGE + 'NETWORK_MASK="255.255.255.255"', InvalidInput, ("NETWORK_MASK", "no room")),
        (NAT + RANGE + 'NETWORK_MASK="255.255.255.254"', InvalidInput, ("NETWORK_MASK", "no room")),
        (NAT + RANGE + 'NETWORK_ADDRESS="10.0.1.0"', InvalidInput, ("NETWORK_ADDRESS", "10.0.1.0")),
        (NAT + ar('IP="10.0.0.200", SIZE="100"'), InvalidInput, ("AR/IP", "10.0.0.200-10.0.1.43")),
        (NAT + ar('IP="10.0.0.1", SIZE="5"'), InvalidInput, ("GATEWAY", "10.0.0.1", "range")),
        (BRIDGED + RANGE + RANGE, InvalidInput, ("AR/IP", "10.0.0.10", "range 0")),
    ],
)
def test_a_network_that_makes_no_sense_is_refused(
    text: str, error: type[Refused], words: tuple[str, ...]
) -> None:
    refused(Site(), allocation(text), error, *words)


@pytest.mark.parametrize(
    ("text", "gateway", "address", "mask"),
    [
        (NAT + RANGE, "10.0.0.1", "10.0.0.0", "255.255.255.0"),
        (NAT + RANGE + 'GATEWAY="10.0.0.254"', "10.0.0.254", "10.0.0.0", "255.255.255.0"),
        (NAT + RANGE + 'NETWORK_MASK="255.255.0.0"', "10.0.0.1", "10.0.0.0", "255.255.0.0"),
        (NAT + RANGE + 'NETWORK_MASK="255.0.0.0"', "10.0.0.1", "10.0.0.0", "255.0.0.0"),
        (
            NAT + ar('IP="192.168.7.130", SIZE="5"') + 'NETWORK_MASK="255.255.255.128"',
            "192.168.7.129",
            "192.168.7.128",
            "255.255.255.128",
        ),
    ],
)
def test_what_a_nat_network_leaves_out_is_derived(
    text: str, gateway: str, address: str, mask: str
) -> None:
    template = made(text).template
    names = ("GATEWAY", "NETWORK_ADDRESS", "NETWORK_MASK")
    assert tuple(template.get(name) for name in names) == (gateway, address, mask)


def test_a_bridged_network_is_left_as_it_is() -> None:
    network = made('NAME="n" VN_MAD="fw" BRIDGE="br0" PHYDEV="eth0" VLAN_ID="12" DNS="1.1.1.1"')
    assert (network.vn_mad, network.bridge, network.phydev) == ("bridge", "br0", "eth0")
    assert network.vlan_id == "12"
    assert network.template == parse('DNS="1.1.1.1"')


def test_a_bridge_is_named_after_its_network() -> None:
    assert made(BRIDGED).bridge == "onebr.0"


def test_names_are_taken_once_per_owner() -> None:
    refused(site_of(BRIDGED), allocation(BRIDGED), Exists, "NAME is already taken by NET 0")


def test_a_cluster_must_exist() -> None:
    message = AllocateNetwork(cause="t", actor=ENGINE, template=parse(BRIDGED), cluster_id=5)
    refused(Site(), message, NotFound, "cluster [5]")


# --- ranges ---------------------------------------------------------------------------------------


def test_addresses_of_a_range_follow_each_other() -> None:
    network = made(BRIDGED + ar('IP="10.0.0.254", SIZE="4"'))
    assert [network.ranges[0].ip_at(i) for i in (0, 1, 2)] == [
        "10.0.0.254",
        "10.0.0.255",
        "10.0.1.0",
    ]
    assert network.ranges[0].mac_at(2) == "02:00:0a:00:01:00"


def test_a_range_without_addresses_has_macs_of_its_own() -> None:
    network = made(BRIDGED + ar('TYPE="ETHER", SIZE="1048576"') + ar('TYPE="ETHER", SIZE="3"'))
    assert [one.mac for one in network.ranges] == ["02:00:00:00:00:00", "02:00:00:10:00:00"]
    assert network.ranges[0].ip_at(0) is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ('IP="10.0.0.19", SIZE="1"', "AR/IP"),
        ('IP="10.0.0.1", SIZE="10"', "AR/IP"),
        ('IP="10.0.0.1", SIZE="200"', "AR/IP"),
        ('IP="10.0.0.12", SIZE="2"', "AR/IP"),
        ('IP="10.0.0.30", SIZE="1", MAC="02:00:0a:00:00:0a"', "AR/MAC"),
        ('TYPE="ETHER", SIZE="100", MAC="02:00:0a:00:00:00"', "AR/MAC"),
    ],
)
def test_ranges_of_a_network_do_not_overlap(fields: str, field: str) -> None:
    error = refused(site_of(BRIDGED + RANGE), add(ar(fields)), InvalidInput, "overlaps", "range 0")
    assert isinstance(error, InvalidInput)
    assert error.field == field


@pytest.mark.parametrize("fields", ['IP="10.0.0.20", SIZE="1"', 'IP="10.0.0.9", SIZE="1"'])
def test_ranges_may_touch(fields: str) -> None:
    site = site_of(BRIDGED + RANGE)
    site.do(add(ar(fields)))
    assert [one.id for one in site.state.networks[0].ranges] == [0, 1]


def test_an_added_range_may_not_hold_the_gateway() -> None:
    refused(site_of(NAT + RANGE), add(ar('IP="10.0.0.1", SIZE="2"')), InvalidInput, "GATEWAY")


@pytest.mark.parametrize("text", ["", 'AR="10.0.0.0/24"', 'NAME="x"'])
def test_a_range_must_be_given(text: str) -> None:
    refused(site_of(BRIDGED), add(text), InvalidInput, "AR", "is missing")


def test_a_range_in_use_stays() -> None:
    site = site_of(BRIDGED + RANGE)
    vm_id = site.vm('CPU="1" MEMORY="64" NIC=[NETWORK="n"]')
    refused(site, remove(0), InUse, "range [0]", "in use")
    refused(site, remove(7), NotFound, "no address range [7]")
    site.do(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id))
    site.do(remove(0))
    assert site.state.networks[0].ranges == ()


SPAN = st.tuples(st.integers(0, 60), st.integers(1, 20))


@settings(max_examples=100, deadline=None)
@given(st.lists(SPAN, max_size=8))
def test_no_two_ranges_that_are_made_overlap(
    spans: list[tuple[int, int]],
) -> None:
    site = site_of(BRIDGED)
    taken: set[int] = set()
    for start, size in spans:
        wanted = set(range(start, start + size))
        message = add(ar(f'IP="10.0.0.{start}", SIZE="{size}"'))
        if wanted & taken:
            refused(site, message, InvalidInput, "AR/IP", "overlaps")
            continue
        site.do(message)
        taken |= wanted
    ranges = site.state.networks[0].ranges
    assert sum(one.size for one in ranges) == len(taken)


# --- held -----------------------------------------------------------------------------------------


def held(site: Site) -> list[int]:
    return list(site.state.networks[0].ranges[0].held)


@pytest.mark.parametrize("address", ["10.0.0.11", "02:00:0a:00:00:0b", "02:00:0A:00:00:0B"])
def test_an_address_is_held_by_ip_or_mac_and_given_free(address: str) -> None:
    site = site_of(BRIDGED + RANGE)
    site.do(hold(address))
    assert held(site) == [1]
    refused(site, hold(address), InUse, "held already")
    site.do(hold(address, held=False))
    assert held(site) == []
    refused(site, hold(address, held=False), InUse, "free already")


@pytest.mark.parametrize(
    "address", ["", "10.0.0.9", "10.0.0.20", "0x20000a00000a", "x", "1" * 5000]
)
def test_an_address_outside_cannot_be_held(address: str) -> None:
    refused(site_of(BRIDGED + RANGE), hold(address), InvalidInput, "LEASES/IP", address[:70])


def test_an_address_in_use_cannot_be_held() -> None:
    site = site_of(BRIDGED + RANGE)
    site.vm('CPU="1" MEMORY="64" NIC=[NETWORK="n"]')
    refused(site, hold("10.0.0.10"), InUse, "10.0.0.10", "VM [0]")


# --- changed and removed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ('GATEWAY="10.0.0.15"', InvalidInput, ("GATEWAY", "10.0.0.15")),
        ('GATEWAY="none"', InvalidInput, ("GATEWAY", "none")),
        ('NETWORK_MASK="255.255.255.255"', InvalidInput, ("NETWORK_MASK",)),
        ('GUEST_MTU="1"', InvalidInput, ("GUEST_MTU", "'1'")),
        ('SECURITY_GROUPS="5"', NotFound, ("SECURITY_GROUPS", "[5]")),
    ],
)
@pytest.mark.parametrize("append", [True, False], ids=["merge", "replace"])
def test_an_update_is_checked_as_the_first_template_was(
    append: bool, text: str, error: type[Refused], words: tuple[str, ...]
) -> None:
    refused(site_of(NAT + RANGE), update(text, append=append), error, *words)


def test_an_update_leaves_what_is_fixed_and_derives_what_it_drops() -> None:
    site = site_of(NAT + RANGE + 'DNS="1.1.1.1"')
    site.do(update('BRIDGE="other" VN_MAD="dummy" DNS="9.9.9.9"', append=False))
    network = site.state.networks[0]
    assert (network.bridge, network.vn_mad) == ("onebr.0", "nat")
    assert (network.template.get("DNS"), network.template.get("GATEWAY")) == ("9.9.9.9", "10.0.0.1")
    assert not network.template.has("BRIDGE")


def test_an_update_changes_the_security_groups() -> None:
    site = site_of(BRIDGED)
    group = site.do(AllocateSecurityGroup(cause="t", actor=ENGINE, template=parse('NAME="strict"')))
    site.do(update(f'SECURITY_GROUPS="0, {group}, 0"'))
    assert site.state.networks[0].security_groups == (0, group)
    site.do(update('NOTE="x"'))
    assert site.state.networks[0].security_groups == (0, group)


def delete(network_id: int = 0) -> DeleteObject:
    return DeleteObject(cause="t", actor=ENGINE, kind=Kind.NETWORK, id=network_id)


def test_a_network_in_use_stays() -> None:
    site = site_of(BRIDGED + RANGE)
    vm_id = site.vm('CPU="1" MEMORY="64" NIC=[NETWORK="n"]')
    refused(site, delete(), InUse, "n [0]", f"VM [{vm_id}]", "Terminate")
    site.do(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id))
    site.do(delete())
    refused(site, delete(), NotFound, "[0]")


def test_a_network_that_a_rule_names_stays_lest_the_rule_admits_everybody() -> None:
    site = site_of(BRIDGED + RANGE)
    template = parse('NAME="g" RULE=[PROTOCOL="TCP", RULE_TYPE="inbound", NETWORK_ID="0"]')
    group = site.do(AllocateSecurityGroup(cause="t", actor=ENGINE, template=template))
    refused(site, delete(), InUse, "security group g", f"[{group}]", "change the rule")
