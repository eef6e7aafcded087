"""The NICs of a new VM: which networks it may have, and addresses that are never given twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrery.core.errors import InUse, InvalidInput, NoCapacity, NotAuthorized, NotFound, Refused
from orrery.core.messages import (
    ENGINE,
    Actor,
    AddAddressRange,
    AllocateNetwork,
    AllocateSecurityGroup,
    AllocateVm,
    HoldAddress,
    TerminateVm,
)
from orrery.core.model.vm import Nic
from orrery.core.template import parse
from tests.core.refusals import refused
from tests.site import Site


def allocation(nics: str, actor: Actor = ENGINE) -> AllocateVm:
    template = parse(f'CPU="1" MEMORY="64"\n{nics}')
    return AllocateVm(cause="t", actor=actor, template=template, hold=False)


def nics_of(site: Site, nics: str, actor: Actor = ENGINE) -> tuple[Nic, ...]:
    vm_id = site.do(allocation(nics, actor))
    assert vm_id is not None
    return site.state.vms[vm_id].nics


def hold(site: Site, address: str, *, held: bool = True) -> HoldAddress:
    return HoldAddress(cause="t", actor=ENGINE, network_id=0, address=address, held=held)


@pytest.fixture
def site() -> Site:
    made = Site()
    made.network("net", size=4)
    made.user("kim")
    return made


@pytest.mark.parametrize(
    ("nic", "error", "words"),
    [
        ('MODEL="virtio"', InvalidInput, ("NIC 0", "names no NETWORK")),
        ('NETWORK="none"', NotFound, ("NIC 0/NETWORK", "'none'", "NETWORK_UNAME")),
        ('NETWORK="net", NETWORK_UNAME="kim"', NotFound, ("NIC 0/NETWORK", "kim", "'net'")),
        ('NETWORK="net", NETWORK_UNAME="nobody"', NotFound, ("NIC 0/NETWORK", "nobody")),
        ('NETWORK_ID="77"', NotFound, ("NIC 0/NETWORK_ID", "[77]")),
        ('NETWORK_ID="-1"', NotFound, ("NIC 0/NETWORK_ID", "[-1]")),
        ('NETWORK_ID="²"', NotFound, ("NIC 0/NETWORK_ID",)),
        ('NETWORK_ID="0000000000000009"', NotFound, ("NIC 0/NETWORK_ID",)),
        ('NETWORK_ID="' + "0" * 5000 + '9"', NotFound, ("NIC 0/NETWORK_ID",)),
        ('NETWORK="net", IP="10.0.0.14"', InvalidInput, ("NIC 0/IP", "10.0.0.14", "no address")),
        ('NETWORK="net", IP="10.0.0.9"', InvalidInput, ("NIC 0/IP", "10.0.0.9", "no address")),
        ('NETWORK="net", IP="10.0.0.256"', InvalidInput, ("NIC 0/IP", "10.0.0.256")),
        ('NETWORK="net", IP="fe80::1"', InvalidInput, ("NIC 0/IP", "fe80::1")),
        ('NETWORK="net", IP="10.0.0.010"', InvalidInput, ("NIC 0/IP", "10.0.0.010")),
        ('NETWORK="net", IP=""', InvalidInput, ("NIC 0/IP",)),
        ('NETWORK="net", MAC="02:00:0a:00:00:0e"', InvalidInput, ("NIC 0/MAC", "0e")),
        ('NETWORK="net", MAC="0x20000a00000a"', InvalidInput, ("NIC 0/MAC", "0x20000a00000a")),
        ('NETWORK="net", MAC="02000a00000a"', InvalidInput, ("NIC 0/MAC", "02000a00000a")),
        ('NETWORK="net", MAC="zz"', InvalidInput, ("NIC 0/MAC", "zz")),
        (
            'NETWORK="net", IP="10.0.0.10", MAC="02:00:0a:00:00:0b"',
            InvalidInput,
            ("NIC 0/MAC", "02:00:0a:00:00:0b", "10.0.0.10", "leave it out"),
        ),
        ('NETWORK="net", SECURITY_GROUPS="9"', NotFound, ("NIC 0/SECURITY_GROUPS", "[9]")),
        ('NETWORK="net", SECURITY_GROUPS="0,x"', NotFound, ("NIC 0/SECURITY_GROUPS", "[x]")),
        ('NETWORK="net", SECURITY_GROUPS="0,"', NotFound, ("NIC 0/SECURITY_GROUPS", "[]")),
        ('NETWORK="net", SECURITY_GROUPS="²"', NotFound, ("NIC 0/SECURITY_GROUPS",)),
        ('NETWORK="net", SECURITY_GROUPS="00000000000000007"', NotFound, ("SECURITY_GROUPS",)),
    ],
)
def test_a_nic_that_makes_no_sense_is_refused(
    site: Site, nic: str, error: type[Refused], words: tuple[str, ...]
) -> None:
    refused(site, allocation(f"NIC=[{nic}]"), error, *words)


def test_an_exhausted_network_says_so_and_what_helps(site: Site) -> None:
    for _ in range(4):
        nics_of(site, 'NIC=[NETWORK="net"]')
    message = allocation('NIC=[NETWORK="net"]')
    refused(site, message, NoCapacity, "NIC 0", "net [0]", "add an address range")


def test_one_vm_cannot_take_more_than_there_is(site: Site) -> None:
    nics = 'NIC=[NETWORK="net"]\n'
    refused(site, allocation(nics * 5), NoCapacity, "NIC 4")
    assert [nic.index for nic in nics_of(site, nics * 4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("which", ['IP="10.0.0.11"', 'MAC="02:00:0A:00:00:0B"'])
def test_an_address_that_is_taken_or_held_is_refused(site: Site, which: str) -> None:
    message = allocation(f'NIC=[NETWORK="net", {which}]')
    value = which.split('"')[1].lower()
    site.do(hold(site, "10.0.0.11"))
    refused(site, message, NoCapacity, "NIC 0", value, "in use")
    site.do(hold(site, "10.0.0.11", held=False))
    site.do(message)
    refused(site, message, NoCapacity, "NIC 0", value, "in use")


def test_one_vm_cannot_ask_for_one_address_twice(site: Site) -> None:
    nic = 'NIC=[NETWORK="net", IP="10.0.0.12"]\n'
    refused(site, allocation(nic * 2), NoCapacity, "NIC 1/IP")


def test_a_requested_address_is_given(site: Site) -> None:
    by_ip, by_mac, both = nics_of(
        site,
        'NIC=[NETWORK="net", IP="10.0.0.13"] NIC=[NETWORK_ID="0", MAC="02:00:0a:00:00:0c"] '
        'NIC=[NETWORK="net", IP="10.0.0.10", MAC="02:00:0A:00:00:0A"]',
    )
    assert (by_ip.ip, by_ip.mac) == ("10.0.0.13", "02:00:0a:00:00:0d")
    assert (by_mac.ip, by_mac.index) == ("10.0.0.12", 2)
    assert both.ip == "10.0.0.10"


def test_nics_are_counted() -> None:
    site = Site()
    site.network(size=64)
    nics = 'NIC=[NETWORK="net"]\n'
    assert len(nics_of(site, nics * 32)) == 32
    refused(site, allocation(nics * 33), InvalidInput, "NIC", "'33'", "at most 32")


def test_a_security_group_of_somebody_else_is_refused(site: Site) -> None:
    template = parse('NAME="strict"')
    group = site.do(AllocateSecurityGroup(cause="t", actor=ENGINE, template=template))
    sam = site.user("sam")
    message = allocation(f'NIC=[NETWORK_ID="0", SECURITY_GROUPS="{group}"]', sam)
    refused(site, message, NotAuthorized, "USE SECGROUP", f"[{group}]")


def test_defaults_fill_what_a_nic_leaves_out(site: Site) -> None:
    first, second = nics_of(
        site,
        'NIC_DEFAULT=[MODEL="e1000", SECURITY_GROUPS="0", QUEUES="2"] '
        'NIC=[NETWORK="net"] NIC=[NETWORK="net", MODEL="virtio"]',
    )
    assert (first.model, second.model) == ("e1000", "virtio")
    assert dict(first.extra)["QUEUES"] == "2"


def test_defaults_never_say_which_network_or_address(site: Site) -> None:
    link = 'NAME="other" VN_MAD="bridge" AR=[TYPE="IP4", IP="10.9.0.1", SIZE="4"]'
    site.do(AllocateNetwork(cause="t", actor=ENGINE, template=parse(link)))
    first, second = nics_of(
        site,
        'NIC_DEFAULT=[NETWORK_ID="0", NETWORK_UNAME="nobody", IP="10.0.0.10"] '
        'NIC=[NETWORK="other"] NIC=[NETWORK="other"]',
    )
    assert (first.network_id, first.ip, second.ip) == (1, "10.9.0.1", "10.9.0.2")


def test_the_lowest_free_address_is_given_across_ranges(site: Site) -> None:
    text = 'AR=[TYPE="IP4", IP="10.0.0.100", SIZE="2"]'
    site.do(AddAddressRange(cause="t", actor=ENGINE, network_id=0, template=parse(text)))
    nics = nics_of(site, 'NIC=[NETWORK="net"]\n' * 6)
    assert [nic.ip for nic in nics][3:] == ["10.0.0.13", "10.0.0.100", "10.0.0.101"]
    site.do(TerminateVm(cause="t", actor=ENGINE, vm_id=0))
    assert nics_of(site, 'NIC=[NETWORK="net"]')[0].ip == "10.0.0.10"


# --- addresses against a simple model ------------------------------------------------------------

ADDRESSES = [f"10.0.0.{10 + i}" for i in range(4)]
STEP = st.one_of(
    st.tuples(st.just("allocate"), st.integers(1, 3)),
    st.tuples(st.just("ask"), st.sampled_from(ADDRESSES)),
    st.tuples(st.just("terminate"), st.integers(0, 5)),
    st.tuples(st.just("hold"), st.sampled_from(ADDRESSES)),
    st.tuples(st.just("release"), st.sampled_from(ADDRESSES)),
)


class Ledger:
    """Who has which address: one dictionary, and the messages that should change it."""

    def __init__(self) -> None:
        self.site = Site()
        self.site.network(size=len(ADDRESSES))
        self.owner: dict[str, int] = {}
        self.held: set[str] = set()

    @property
    def free(self) -> list[str]:
        return [a for a in ADDRESSES if a not in self.owner and a not in self.held]

    def take(self, nics: str, wanted: list[str], *, possible: bool) -> None:
        if not possible:
            refused(self.site, allocation(nics), NoCapacity)
            return
        vm_id = self.site.do(allocation(nics))
        assert vm_id is not None
        assert [nic.ip for nic in self.site.state.vms[vm_id].nics] == wanted
        self.owner |= dict.fromkeys(wanted, vm_id)

    def allocate(self, count: int) -> None:
        free = self.free
        self.take('NIC=[NETWORK="net"]\n' * count, free[:count], possible=len(free) >= count)

    def ask(self, address: str) -> None:
        nic = f'NIC=[NETWORK="net", IP="{address}"]'
        self.take(nic, [address], possible=address in self.free)

    def terminate(self, which: int) -> None:
        live = sorted(set(self.owner.values()))
        if live:
            vm_id = live[which % len(live)]
            self.site.do(TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id))
            self.owner = {a: vm for a, vm in self.owner.items() if vm != vm_id}

    def hold(self, address: str) -> None:
        if address in self.owner or address in self.held:
            refused(self.site, hold(self.site, address), InUse, address)
            return
        self.site.do(hold(self.site, address))
        self.held.add(address)

    def release(self, address: str) -> None:
        message = hold(self.site, address, held=False)
        if address not in self.held:
            refused(self.site, message, InUse, address)
            return
        self.site.do(message)
        self.held.discard(address)

    def agree(self) -> None:
        view = self.site.state
        for index, address in enumerate(ADDRESSES):
            assert view.address_holder(0, 0, index) == self.owner.get(address)
            assert bool(view.addresses_taken(0, 0) >> index & 1) is (address in self.owner)
        assert view.networks[0].ranges[0].held == tuple(
            i for i, address in enumerate(ADDRESSES) if address in self.held
        )


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_an_address_is_never_given_twice(steps: list[tuple[str, int | str]]) -> None:
    ledger = Ledger()
    for name, argument in steps:
        getattr(ledger, name)(argument)
        ledger.agree()
