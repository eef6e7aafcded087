"""Leases in the core: what may be asked, what a plan may make of them, what their VMs bear."""

import pytest
from msgspec.structs import replace

from orrery.core import messages as m
from orrery.core.capacity import Capacity
from orrery.core.errors import BrokenInvariant, InvalidInput, NotAuthorized, NotFound, WrongState
from orrery.core.lease_commands import reachable
from orrery.core.messages import ENGINE, Actor
from orrery.core.model.host import Measured
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import (
    Change,
    ChangeKind,
    Lease,
    LeaseOrder,
    LeaseStatus,
    NodeSet,
    Run,
    Terms,
)
from orrery.core.model.vm import Vm
from orrery.core.status import HostStatus, VmStatus
from orrery.core.template import parse
from orrery.sched.planner import plan
from tests.core.refusals import refused
from tests.site import NOW, Site

S = LeaseStatus
NODE = Capacity(100, 512)
TWO = Terms(nodes=(NodeSet(count=2, capacity=NODE),), duration=3600.0)
USER = Actor(2, (1,))


def lease_of(site: Site, lease_id: int = 0) -> Lease:
    return site.state.leases[lease_id]


def run(host: int = 1, start: float = NOW + 100, end: float = NOW + 3700, nodes: int = 2) -> Run:
    return Run(hosts=(host,) * nodes, start=start, vm_start=start, vm_end=end, end=end)


def planned(site: Site, status: LeaseStatus = S.SCHEDULED, **changes: object) -> m.PlanLease:
    lease = lease_of(site)
    plan = m.PlanLease(
        cause="plan",
        lease_id=lease.id,
        gen=lease.gen,
        status=status,
        terms=lease.terms,
        runs=(run(),),
        order=None,
        new_vms=tuple(range(len(lease.vms), lease.terms.node_count)),
    )
    return replace(plan, **changes)


def apply(site: Site, *plans: m.PlanLease) -> None:
    site.do(m.ApplyLeasePlan(cause="plan", leases=plans))


def accepted(site: Site | None = None) -> Site:
    """A lease of two nodes whose VMs are made."""
    site = site or Site()
    if not site.state.hosts:
        site.host()
    site.lease(TWO)
    apply(site, planned(site))
    return site


def vms(site: Site) -> list[Vm]:
    return [site.state.vms[i] for i in lease_of(site).vms]


# --- ask ------------------------------------------------------------------------------------------


def test_a_request_waits_for_a_plan_and_has_no_vms_yet() -> None:
    site = Site()
    lease_id = site.lease(TWO, 'NAME="class" DISK=[SIZE="10", TYPE="fs", FORMAT="raw"]')
    lease = lease_of(site, lease_id)
    assert (lease.status, lease.name, lease.vms) == (S.PENDING, "class", ())
    assert site.state.leases_live() == {lease_id}
    assert not site.state.vms


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (Terms(nodes=(), duration=60.0), "nodes"),
        (Terms(nodes=(NodeSet(count=0, capacity=NODE),), duration=60.0), "nodes"),
        (Terms(nodes=(NodeSet(count=1, capacity=Capacity(0, 5)),), duration=60.0), "cpu"),
        (Terms(nodes=(NodeSet(count=1, capacity=Capacity(5, 0)),), duration=60.0), "memory"),
        (replace(TWO, duration=0.0), "duration"),
        (replace(TWO, duration=float("nan")), "duration"),
        (replace(TWO, start=NOW - 3600), "start"),
        (replace(TWO, immediate=True, start=NOW + 60), "start"),
        (replace(TWO, deadline=NOW + 3000), "deadline"),
    ],
)
def test_terms_that_make_no_sense_are_refused_by_name(terms: Terms, field: str) -> None:
    message = m.RequestLease(cause="t", actor=ENGINE, terms=terms, template=parse(""))
    refused(Site(), message, InvalidInput, f"{field}:")


def test_a_template_that_no_vm_can_be_made_of_is_refused_at_once() -> None:
    message = m.RequestLease(
        cause="t", actor=ENGINE, terms=TWO, template=parse('DISK=[IMAGE="nothing"]')
    )
    refused(Site(), message, NotFound, "nothing")


def test_restricted_attributes_are_as_restricted_as_in_vms() -> None:
    site = Site()
    site.user("u")
    template = parse('RAW=[TYPE="kvm", DATA="x"]')
    message = m.RequestLease(cause="t", actor=USER, terms=TWO, template=template)
    refused(site, message, NotAuthorized, "restricted attribute RAW")


def test_fractions_of_seconds_are_rounded_so_that_no_less_is_promised() -> None:
    site = Site()
    site.lease(replace(TWO, duration=10.2, start=NOW + 5.5))
    terms = lease_of(site).terms
    assert (terms.duration, terms.start) == (11.0, NOW + 6)


# --- plans ----------------------------------------------------------------------------------------


def test_a_plan_that_accepts_makes_a_vm_for_each_node() -> None:
    site = accepted()
    assert [vm.status for vm in vms(site)] == [VmStatus.PENDING, VmStatus.PENDING]
    assert {vm.lease_id for vm in vms(site)} == {0}
    assert [vm.name for vm in vms(site)] == ["lease-0-0", "lease-0-1"]
    assert {vm.capacity for vm in vms(site)} == {NODE}


def test_the_planner_never_looks_at_the_vms_of_leases() -> None:
    site = accepted()
    assert not site.state.vms_pending()
    assert plan(site.state, site.now).placements == ()


def test_a_stale_plan_changes_nothing() -> None:
    site = accepted()
    before = lease_of(site)
    apply(site, planned(site, S.READY, gen=before.gen - 1))
    assert lease_of(site) is before


def test_no_plan_takes_back_a_promise() -> None:
    site = accepted()
    with pytest.raises(BrokenInvariant):
        apply(site, planned(site, S.REJECTED))


def test_statuses_that_are_reached_over_others_are_reachable() -> None:
    assert S.SUSPENDED_SCHEDULED in reachable(S.SUSPENDING)
    assert S.PENDING not in reachable(S.DONE)


def test_a_vm_that_cannot_be_made_fails_the_lease_and_not_the_plan() -> None:
    site = Site()
    site.host()
    site.network(size=1)
    terms = replace(TWO, nodes=(NodeSet(count=1, capacity=NODE),))
    site.lease(terms, 'NIC=[NETWORK="net"]')
    site.vm('CPU="1" MEMORY="64" NIC=[NETWORK="net"]')
    apply(site, planned(site, runs=(run(nodes=1),)))
    assert lease_of(site).status is S.FAILED
    assert "VM of node 0" in (lease_of(site).reason or "")


def test_an_ordinary_vm_takes_nothing_that_is_promised() -> None:
    site = Site()
    site.host(size=Capacity(400, 1500))
    accepted(site)
    big = site.vm('CPU="1" MEMORY="600"')
    assert plan(site.state, site.now).placements == ()
    site.place(big)
    assert site.state.vms[big].status is VmStatus.PENDING
    small = site.vm('CPU="1" MEMORY="400"')
    site.place(small)
    assert site.state.vms[small].status is VmStatus.PROLOG


def test_what_was_promised_is_free_again_when_the_lease_is_over() -> None:
    site = accepted()
    assert site.state.promised(1, site.now) == Capacity(200, 1024)
    assert site.state.promised(1, NOW + 5000) == Capacity()
    site.do(m.CancelLease(cause="t", actor=ENGINE, lease_id=0))
    assert site.state.promised(1, site.now) == Capacity()


# --- cancel, change, delete -----------------------------------------------------------------------


def test_cancelling_ends_the_lease_and_its_vms_at_once() -> None:
    site = accepted()
    site.do(m.CancelLease(cause="t", actor=ENGINE, lease_id=0))
    assert lease_of(site).status is S.CANCELLED
    assert [vm.status for vm in vms(site)] == [VmStatus.DONE] * 2
    assert not site.state.leases_live()
    refused(site, m.CancelLease(cause="t", actor=ENGINE, lease_id=0), WrongState, "CANCELLED")


def change(kind: ChangeKind) -> m.ChangeLease:
    wanted = Change(kind=kind, cause="t", seconds=60.0, start=NOW + 900)
    return m.ChangeLease(cause="t", actor=ENGINE, lease_id=0, change=wanted)


def test_a_change_waits_for_its_answer_and_there_is_one_at_a_time() -> None:
    site = accepted()
    site.do(change(ChangeKind.EXTEND))
    wanted = lease_of(site).change
    assert wanted is not None and wanted.kind is ChangeKind.EXTEND
    refused(site, change(ChangeKind.SHORTEN), WrongState, "extend is not answered")
    apply(site, planned(site, change=None, refusal="no room"))
    assert (lease_of(site).change, lease_of(site).refusal) == (None, "no room")


def test_only_an_offer_can_be_accepted_and_nothing_else_be_done_with_it() -> None:
    site = Site()
    site.host()
    site.lease(TWO)
    apply(site, planned(site, S.OFFERED, expires=NOW + 60, new_vms=()))
    refused(site, change(ChangeKind.EXTEND), WrongState, "accept it first")
    site.do(change(ChangeKind.ACCEPT))
    apply(site, planned(site, S.SCHEDULED, change=None))
    refused(site, change(ChangeKind.ACCEPT), WrongState, "only offers")


def test_a_lease_without_a_start_has_none_to_be_moved() -> None:
    refused(accepted(), change(ChangeKind.MOVE), WrongState, "no start")


def test_a_lease_is_deleted_only_when_it_is_over() -> None:
    site = accepted()
    delete = m.DeleteObject(cause="t", actor=ENGINE, kind=Kind.LEASE, id=0)
    refused(site, delete, WrongState, "cancel it first")
    site.do(m.CancelLease(cause="t", actor=ENGINE, lease_id=0))
    site.do(delete)
    assert not site.state.leases


# --- VMs of leases --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [m.SuspendVm, m.ResumeVm, m.HoldVm, m.ReleaseVm, m.PoweroffVm])
def test_what_the_lease_decides_is_refused_to_users(command: type[m.VmCommand]) -> None:
    site = accepted()
    vm_id = lease_of(site).vms[0]
    message = command(cause="t", actor=ENGINE, vm_id=vm_id)
    refused(site, message, WrongState, "is a node of lease [0]")


def test_deploying_a_node_by_hand_is_refused_but_not_to_its_lease() -> None:
    site = accepted()
    vm_id = lease_of(site).vms[0]
    deploy = m.DeployVm(cause="t", actor=ENGINE, vm_id=vm_id, host_id=1, enforce=True)
    refused(site, deploy, WrongState, "is a node of lease [0]")
    site.do(replace(deploy, lease_id=0))
    assert site.state.vms[vm_id].status is VmStatus.PROLOG


def test_a_user_may_end_a_node() -> None:
    site = accepted()
    vm_id = lease_of(site).vms[0]
    site.do(m.TerminateVm(cause="t", actor=ENGINE, vm_id=vm_id))
    assert site.state.vms[vm_id].status is VmStatus.DONE
    assert site.state.lease_vms(0) == {lease_of(site).vms[1]}


# --- VMs that ask for a lease ---------------------------------------------------------------------


def ask_vm(group: str | None = None) -> m.AllocateLeaseVm:
    return m.AllocateLeaseVm(
        cause="t",
        actor=ENGINE,
        template=parse('CPU="1" MEMORY="512" LEASE=[START="now"]'),
        hold=False,
        terms=Terms(nodes=(NodeSet(count=1, capacity=NODE),), duration=60.0, immediate=True),
        group=group,
        gather_s=5.0,
    )


def test_a_vm_that_asks_for_a_lease_is_its_node() -> None:
    site = Site()
    vm_id = site.do(ask_vm())
    assert vm_id is not None
    assert site.state.vms[vm_id].lease_id == 0
    assert lease_of(site).vms == (vm_id,)
    assert not site.state.vms[vm_id].user_template.has("LEASE")


def test_vms_of_one_group_that_come_together_are_nodes_of_one_lease() -> None:
    site = Site()
    first, second = site.do(ask_vm("g")), site.do(ask_vm("g"))
    assert lease_of(site).vms == (first, second)
    assert lease_of(site).terms.node_count == 2
    site.now += 10
    third = site.do(ask_vm("g"))
    assert lease_of(site, 1).vms == (third,)


def test_a_rate_that_was_learned_is_kept_with_its_host() -> None:
    site = Site()
    site.host()
    measured = (Measured(kind="boot", mean=3.0, variance=0.0, count=1),)
    site.do(
        m.ApplyLeasePlan(cause="t", rates=(m.LearnRates(cause="t", host_id=1, measured=measured),))
    )
    site.seen(1, Capacity(800, 8000))
    assert site.state.hosts[1].measured == measured
    assert site.state.hosts[1].status is HostStatus.MONITORED


def test_a_lost_vm_gives_its_place_to_another_one() -> None:
    site = accepted()
    lost, kept = lease_of(site).vms
    apply(site, planned(site, S.SCHEDULED, new_vms=(0,)))
    fresh = lease_of(site).vms
    assert fresh[1] == kept and fresh[0] not in (lost, kept)
    assert site.state.lease_vms(0) == {lost, *fresh}
    assert lease_of(site).order is not LeaseOrder.RUN
