"""Leases as the JSON API shows them: plain words and seconds since the epoch. Decides nothing."""

from typing import Any

from msgspec import Struct

from orrery.api.resources import (
    AmountsOut,
    Attributes,
    Owned,
    Ref,
    amounts,
    attributes,
    ownership,
    ref,
)
from orrery.core.model.lease import Lease, NodeSet, Operation, Run, Terms
from orrery.core.model.view import View
from orrery.service.lease_calendar import Calendar, LeaseUsage, Slot
from orrery.service.leases import Alternative, Verdict


class NodeSetOut(Struct, frozen=True, kw_only=True):
    count: int
    each: AmountsOut
    other: dict[str, int]


class TermsOut(Struct, frozen=True, kw_only=True):
    """What was agreed (or asked for)."""

    kind: str
    node_count: int
    nodes: tuple[NodeSetOut, ...]
    duration_s: float
    start_at: float | None
    """Of a reservation; the earliest start where there is a deadline."""
    deadline_at: float | None
    preemptible: bool
    image: str | None
    priority: int


class OperationOut(Struct, frozen=True, kw_only=True):
    """One operation on some nodes of a lease: planned, and as it went."""

    kind: str
    nodes: tuple[int, ...]
    start_at: float
    end_at: float
    began_at: float | None
    ended_at: float | None


class RunOut(Struct, frozen=True, kw_only=True):
    """A stretch in which the VMs run together."""

    hosts: tuple[Ref, ...]
    """The host of each node."""
    start_at: float
    """The first operation begins; the VMs run from vm_start_at to vm_end_at."""
    vm_start_at: float
    vm_end_at: float
    end_at: float
    resumes: bool
    suspends: bool
    began_at: float | None
    """When the VMs really ran."""
    ended_at: float | None
    operations: tuple[OperationOut, ...]


class LeaseOut(Owned, frozen=True, kw_only=True):
    kind: str
    status: str
    state: int
    """Haizea's number of the status."""
    terms: TermsOut
    submitted_at: float
    start_at: float | None
    """When the VMs run first, planned or real."""
    end_at: float | None
    served_s: float
    """Seconds of the duration that are behind."""
    reason: str | None
    price: float | None
    series: int | None
    """The first lease of the recurring ones that it belongs to."""
    offer_expires_at: float | None
    suspensions: int
    vms: tuple[int, ...]


class LeaseDetail(LeaseOut, frozen=True, kw_only=True):
    asked: TermsOut | None
    """What was asked for, where the terms are those of an offer."""
    runs: tuple[RunOut, ...]
    transfers: tuple[OperationOut, ...]
    """How its image came to its hosts ahead of its start."""
    template: Attributes
    user_template: Attributes
    template_id: int | None


class AlternativeOut(Struct, frozen=True, kw_only=True):
    """What could be had instead: `what` is later, fewer nodes or shorter."""

    what: str
    terms: TermsOut
    start_at: float
    end_at: float


class VerdictOut(Struct, frozen=True, kw_only=True):
    """The answer to a request, a change or a question (`id` is null then)."""

    id: int | None
    accepted: bool
    status: str
    reason: str | None
    start_at: float | None
    end_at: float | None
    price: float | None
    terms: TermsOut | None
    """Those that the lease has now: of the offer, where one is held."""
    alternatives: tuple[AlternativeOut, ...]
    offer_expires_at: float | None
    series: tuple[int, ...]


class CalendarHostOut(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    offered: AmountsOut
    ordinary: AmountsOut
    """What VMs without a lease hold now."""


class CalendarLeaseOut(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    kind: str
    status: str
    owner: Ref


class SlotOut(Struct, frozen=True, kw_only=True):
    """An interval in which a lease holds a part of a host; `lease_id` is null where the caller may
    not see whose it is.
    """

    host_id: int
    lease_id: int | None
    kind: str
    start_at: float
    end_at: float
    nodes: int
    amounts: AmountsOut
    actual: bool
    """As it went; else as it is planned."""


class CalendarOut(Struct, frozen=True, kw_only=True):
    now: float
    since: float
    until: float
    hosts: tuple[CalendarHostOut, ...]
    leases: tuple[CalendarLeaseOut, ...]
    slots: tuple[SlotOut, ...]


class LeaseUsageOut(Struct, frozen=True, kw_only=True):
    """What one user asked for and had."""

    user: Ref
    leases: int
    accepted: int
    rejected: int
    done: int
    node_s: float
    cpu_s: float
    memory_gib_s: float
    suspensions: int
    wait_s: float
    """Mean time from submission to the first start, of best effort."""


# --- from objects ---------------------------------------------------------------------------------


def lease_out(lease: Lease, view: View) -> LeaseOut:
    return LeaseOut(**summary(lease, view))


def lease_detail(lease: Lease, view: View) -> LeaseDetail:
    return LeaseDetail(
        **summary(lease, view),
        asked=None if lease.asked is None else terms_out(lease.asked),
        runs=tuple(run_out(run, view) for run in lease.runs),
        transfers=tuple(map(operation_out, lease.transfers)),
        template=attributes(lease.template),
        user_template=attributes(lease.user_template),
        template_id=lease.template_id,
    )


def summary(lease: Lease, view: View) -> dict[str, Any]:
    first = lease.runs[0] if lease.runs else None
    last = lease.runs[-1] if lease.runs else None
    return {
        **ownership(lease, view),
        "kind": lease.terms.kind.value,
        "status": lease.status.name,
        "state": lease.status.value,
        "terms": terms_out(lease.terms),
        "submitted_at": lease.submitted,
        "start_at": lease.first_start or (None if first is None else first.vm_start),
        "end_at": lease.ended if last is None else last.ended or last.vm_end,
        "served_s": lease.served,
        "reason": lease.refusal or lease.reason,
        "price": lease.price,
        "series": lease.series,
        "offer_expires_at": lease.expires,
        "suspensions": lease.suspensions,
        "vms": lease.vms,
    }


def terms_out(terms: Terms) -> TermsOut:
    return TermsOut(
        kind=terms.kind.value,
        node_count=terms.node_count,
        nodes=tuple(map(node_set_out, terms.nodes)),
        duration_s=terms.duration,
        start_at=terms.start,
        deadline_at=terms.deadline,
        preemptible=terms.may_be_preempted,
        image=terms.image,
        priority=terms.priority,
    )


def node_set_out(nodes: NodeSet) -> NodeSetOut:
    return NodeSetOut(count=nodes.count, each=amounts(nodes.capacity), other=dict(nodes.other))


def run_out(run: Run, view: View) -> RunOut:
    return RunOut(
        hosts=tuple(ref(view.hosts, host_id) for host_id in run.hosts),
        start_at=run.start,
        vm_start_at=run.vm_start,
        vm_end_at=run.vm_end,
        end_at=run.end,
        resumes=run.resumes,
        suspends=run.suspends,
        began_at=run.began,
        ended_at=run.ended,
        operations=tuple(map(operation_out, run.operations)),
    )


def operation_out(one: Operation) -> OperationOut:
    return OperationOut(
        kind=one.kind.value,
        nodes=one.nodes,
        start_at=one.start,
        end_at=one.end,
        began_at=one.began,
        ended_at=one.ended,
    )


def verdict_out(verdict: Verdict, view: View) -> VerdictOut:
    lease = None if verdict.lease_id is None else view.leases.get(verdict.lease_id)
    return VerdictOut(
        id=verdict.lease_id,
        accepted=verdict.accepted,
        status=verdict.status.name,
        reason=verdict.reason,
        start_at=verdict.start,
        end_at=verdict.end,
        price=verdict.price,
        terms=None if lease is None else terms_out(lease.terms),
        alternatives=tuple(map(alternative_out, verdict.alternatives)),
        offer_expires_at=verdict.offer_expires,
        series=verdict.series,
    )


def alternative_out(one: Alternative) -> AlternativeOut:
    return AlternativeOut(
        what=one.what, terms=terms_out(one.terms), start_at=one.start, end_at=one.end
    )


def calendar_out(found: Calendar, view: View) -> CalendarOut:
    return CalendarOut(
        now=found.now,
        since=found.since,
        until=found.until,
        hosts=tuple(
            CalendarHostOut(
                id=host.id,
                name=host.name,
                offered=amounts(host.offered),
                ordinary=amounts(host.ordinary),
            )
            for host in found.hosts
        ),
        leases=tuple(
            CalendarLeaseOut(
                id=lease.id,
                name=lease.name,
                kind=lease.kind,
                status=lease.status.name,
                owner=ref(view.users, lease.uid),
            )
            for lease in found.leases
        ),
        slots=tuple(map(slot_out, found.slots)),
    )


def slot_out(slot: Slot) -> SlotOut:
    return SlotOut(
        host_id=slot.host_id,
        lease_id=slot.lease_id,
        kind=slot.kind,
        start_at=slot.start,
        end_at=slot.end,
        nodes=slot.nodes,
        amounts=amounts(slot.capacity),
        actual=slot.actual,
    )


def usage_out(one: LeaseUsage, view: View) -> LeaseUsageOut:
    return LeaseUsageOut(
        user=ref(view.users, one.uid),
        leases=one.leases,
        accepted=one.accepted,
        rejected=one.rejected,
        done=one.done,
        node_s=one.node_s,
        cpu_s=one.cpu_s,
        memory_gib_s=one.memory_gib_s,
        suspensions=one.suspensions,
        wait_s=one.wait_s,
    )
