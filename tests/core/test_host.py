"""The life cycle of a host: one lost answer is no news, three are; what an operator keeps back."""

import pytest

from orrery.core.capacity import Capacity
from orrery.core.errors import Exists, InUse, InvalidInput, NotFound
from orrery.core.host import MACHINE, PATIENCE
from orrery.core.messages import (
    ENGINE,
    AllocateHost,
    DeleteObject,
    HostSeen,
    HostSilent,
    RebootVm,
    Rename,
    SetHostStatus,
    TerminateVm,
    UpdateTemplate,
)
from orrery.core.model.action import ActionKind
from orrery.core.model.host import Host
from orrery.core.model.kinds import Kind
from orrery.core.status import HostStatus, VmStatus
from orrery.core.template import Template, parse
from tests.core.refusals import refused, snapshot
from tests.site import Site

S = HostStatus
SIZE = Capacity(800, 8192)


def site_with(status: HostStatus) -> Site:
    """Host 1 in that status."""
    site = Site()
    site.do(new_host("h1"))
    if status is not S.INIT:
        site.seen(1, SIZE)
    if status is S.ERROR:
        silence(site, PATIENCE)
    if status in (S.DISABLED, S.OFFLINE):
        site.do(set_status(1 if status is S.DISABLED else 2))
    assert site.state.hosts[1].status is status
    return site


def new_host(name: str, cluster_id: int = 0) -> AllocateHost:
    return AllocateHost(
        cause="t", actor=ENGINE, name=name, im_mad="sim", vm_mad="sim", cluster_id=cluster_id
    )


def set_status(status: int) -> SetHostStatus:
    return SetHostStatus(cause="t", actor=ENGINE, host_id=1, status=status)


def silence(site: Site, times: int = 1, message: str = "no route") -> None:
    for _ in range(times):
        site.do(HostSilent(cause="m", host_id=1, message=message))


def update(text: str, *, append: bool = False) -> UpdateTemplate:
    return UpdateTemplate(
        cause="t", actor=ENGINE, kind=Kind.HOST, id=1, template=parse(text), append=append
    )


def host(site: Site) -> Host:
    return site.state.hosts[1]


# --- life cycle -------------------------------------------------------------------------------

PAIRS: dict[HostStatus, tuple[HostStatus, HostStatus]] = {
    S.INIT: (S.MONITORED, S.ERROR),
    S.MONITORED: (S.MONITORED, S.MONITORED),
    S.ERROR: (S.MONITORED, S.ERROR),
    S.DISABLED: (S.DISABLED, S.DISABLED),
    S.OFFLINE: (S.OFFLINE, S.OFFLINE),
}
"""Status -> after an answer, after a first silence."""


@pytest.mark.parametrize("status", PAIRS, ids=lambda s: s.name)
def test_monitoring_leads_where_the_table_says(status: HostStatus) -> None:
    site = site_with(status)
    site.seen(1, SIZE)
    assert host(site).status is PAIRS[status][0]
    site = site_with(status)
    silence(site)
    assert host(site).status is PAIRS[status][1]


@pytest.mark.parametrize("number", [0, 1, 2], ids=["enable", "disable", "offline"])
@pytest.mark.parametrize("status", PAIRS, ids=lambda s: s.name)
def test_an_operator_may_set_a_status_at_any_time(status: HostStatus, number: int) -> None:
    site = site_with(status)
    assert site.do(set_status(number)) == 1
    enabled = S.MONITORED if status is S.MONITORED else S.INIT
    assert host(site).status is (enabled, S.DISABLED, S.OFFLINE)[number]


def test_to_set_the_status_it_has_changes_nothing() -> None:
    site = site_with(S.DISABLED)
    before = snapshot(site)
    assert site.do(set_status(1)) == 1
    assert snapshot(site) == before


@pytest.mark.parametrize("number", [-1, 3, 4, 1 << 40])
def test_other_numbers_are_refused(number: int) -> None:
    refused(site_with(S.MONITORED), set_status(number), InvalidInput, "STATUS", str(number))


def test_every_status_has_its_rows() -> None:
    for status in S:
        assert MACHINE.handles(status, SetHostStatus)
        assert MACHINE.handles(status, DeleteObject)


def test_the_third_silence_is_an_error_and_hides_the_running_vms() -> None:
    site = Site().furnished()
    running, rebooting = site.running(), site.running()
    suspended = site.running()
    site.force(suspended, VmStatus.SUSPENDED)
    site.do(RebootVm(cause="t", actor=ENGINE, vm_id=rebooting))
    action = site.state.unfinished(Kind.VM, rebooting)
    assert action is not None
    assert action.kind is ActionKind.VM_REBOOT
    silence(site, PATIENCE - 1)
    assert host(site).status is S.MONITORED
    assert site.state.vms[running].status is VmStatus.RUNNING
    silence(site, message="no route to host")
    assert host(site).status is S.ERROR
    for vm_id in (running, rebooting):
        vm = site.state.vms[vm_id]
        assert vm.status is VmStatus.UNKNOWN
        assert "h1 does not answer: no route to host" in (vm.error or "")
        assert site.state.unfinished(Kind.VM, vm_id) is None
    assert site.state.vms[suspended].status is VmStatus.SUSPENDED


def test_an_answer_between_silences_starts_the_count_again() -> None:
    site = site_with(S.MONITORED)
    for _ in range(3):
        silence(site, PATIENCE - 1)
        site.seen(1, SIZE)
    assert (host(site).status, host(site).failures, host(site).error) == (S.MONITORED, 0, None)


def test_an_answer_that_says_nothing_new_writes_nothing() -> None:
    site = site_with(S.MONITORED)
    gen = host(site).gen
    site.seen(1, SIZE)
    assert host(site).gen == gen


def test_news_of_a_host_that_is_gone_is_ignored() -> None:
    site = Site()
    before = snapshot(site)
    silence(site)
    site.seen(1, SIZE)
    assert snapshot(site) == before


# --- made and removed -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "error", "words"),
    [
        (new_host("h1"), Exists, ("already taken by HOST 1",)),
        (new_host(""), InvalidInput, ("NAME",)),
        (new_host("a b;c"), InvalidInput, ("NAME", "a b;c")),
        (new_host("h2", cluster_id=9), NotFound, ("cluster [9]",)),
    ],
)
def test_a_host_that_makes_no_sense_is_refused(
    message: AllocateHost, error: type[InvalidInput], words: tuple[str, ...]
) -> None:
    refused(site_with(S.MONITORED), message, error, *words)


@pytest.mark.parametrize(
    "status", [VmStatus.PROLOG, VmStatus.RUNNING, VmStatus.UNKNOWN, VmStatus.POWEROFF]
)
def test_a_host_with_vms_stays(status: VmStatus) -> None:
    site = Site().furnished()
    site.force(site.running(), status)
    delete = DeleteObject(cause="t", actor=ENGINE, kind=Kind.HOST, id=1)
    refused(site, delete, InUse, "h1 [1]", "VM [0]", "Terminate")
    rename = Rename(cause="t", actor=ENGINE, kind=Kind.HOST, id=1, name="h2")
    refused(site, rename, InUse, "h1 [1]")


@pytest.mark.parametrize("status", list(S), ids=lambda s: s.name)
def test_a_host_without_vms_may_go(status: HostStatus) -> None:
    site = site_with(status)
    site.do(DeleteObject(cause="t", actor=ENGINE, kind=Kind.HOST, id=1))
    assert 1 not in site.state.hosts
    assert site.do(new_host("h1")) == 2


def test_a_vm_that_only_waits_holds_no_host() -> None:
    site = Site().furnished()
    site.do(TerminateVm(cause="t", actor=ENGINE, vm_id=site.vm()))
    site.vm()
    site.do(DeleteObject(cause="t", actor=ENGINE, kind=Kind.HOST, id=1))


# --- what is kept back --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ('RESERVED_CPU="100" RESERVED_MEM="1048576"', Capacity(700, 7168)),
        ('RESERVED_CPU="10%" RESERVED_MEM="25%"', Capacity(720, 6144)),
        ('RESERVED_CPU="12.5%"', Capacity(700, 8192)),
        ('RESERVED_CPU=" 8 " RESERVED_MEM=""', Capacity(792, 8192)),
        ('RESERVED_CPU="-100" RESERVED_MEM="-50%"', Capacity(900, 12288)),
        ('RESERVED_CPU="100%"', Capacity(0, 8192)),
        ('RESERVED_CPU="9999"', Capacity(800 - 9999, 8192)),
        ("", SIZE),
    ],
)
def test_an_amount_or_a_share_is_kept_back(text: str, offered: Capacity) -> None:
    site = site_with(S.MONITORED)
    site.do(update(text))
    assert host(site).offered == offered
    site.seen(1, Capacity(1600, 16384))
    site.seen(1, SIZE)
    assert host(site).offered == offered


@pytest.mark.parametrize(
    "value",
    [
        "half",
        "%",
        "10%%",
        "1e400%",
        "inf%",
        "nan%",
        "1_0",
        "٣",
        "5.5",
        "0x10",
        "99999%",
        "9" * 40,
        "1" * 5000,
        "--1",
        "10 %",
    ],
)
@pytest.mark.parametrize("name", ["RESERVED_CPU", "RESERVED_MEM"])
@pytest.mark.parametrize("status", [S.INIT, S.MONITORED], ids=lambda s: s.name)
def test_nonsense_is_refused_before_it_can_spoil_monitoring(
    status: HostStatus, name: str, value: str
) -> None:
    site = site_with(status)
    refused(site, update(f'{name}="{value}"'), InvalidInput, name, value[:70], "percentage")
    refused(site, update(f'{name}="{value}"', append=True), InvalidInput, name)
    site.do(
        HostSeen(
            cause="m",
            host_id=1,
            total=SIZE,
            facts=Template(),
            capabilities=frozenset(),
            domains=(),
        )
    )
    assert host(site).offered == SIZE
