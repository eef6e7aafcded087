"""What may be asked of leases, and what a plan makes of them.

Knows nothing of how plans are made. A command that the scheduler has to answer is stored with the
lease, and answered by the next plan.
"""

from collections.abc import Iterator
from functools import cache

from msgspec.structs import replace

from orrery.core import vm as machine
from orrery.core.access import initial_permissions
from orrery.core.errors import BrokenInvariant, InUse, Refused, WrongState
from orrery.core.lease import ALLOWED
from orrery.core.lease_checks import checked
from orrery.core.messages import (
    ENGINE,
    NOTHING_TO_DO,
    Actor,
    AllocateLeaseVm,
    AllocateVm,
    ApplyLeasePlan,
    CancelLease,
    ChangeLease,
    Decision,
    DeleteObject,
    Json,
    LearnRates,
    MakeLeaseVm,
    Message,
    PlanLease,
    Record,
    RequestLease,
    TerminateVm,
)
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import (
    NOT_PROMISED,
    ChangeKind,
    Lease,
    LeaseKind,
    LeaseStatus,
    NodeSet,
    Terms,
)
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.names import check_name
from orrery.core.objects import find
from orrery.core.status import VmStatus
from orrery.core.template import Template
from orrery.core.vm_template import KNOWN, made, own_part, refuse_restricted

S = LeaseStatus

SIZES = frozenset({"CPU", "MEMORY", "NAME", "LEASE", "HAIZEA"})
"""What the terms of the lease say instead of its template."""

BEFORE_IT_RUNS = frozenset({S.PENDING, S.OFFERED, S.QUEUED, S.SCHEDULED, S.PREPARING, S.READY})


def record(lease: Lease, what: str, message: Message, now: float) -> Record:
    body: dict[str, Json] = {"name": lease.name, "uid": lease.uid, "kind": lease.terms.kind.value}
    if lease.reason is not None:
        body["reason"] = lease.reason
    run = next((run for run in lease.runs if run.ended is None), None)
    if run is not None:
        body |= {"start": run.vm_start, "end": run.vm_end}
    return Record(
        kind=f"lease.{what}",
        subject_kind=Kind.LEASE,
        subject_id=lease.id,
        at=now,
        cause=message.cause,
        body=body,
    )


def changed(lease: Lease, what: str, message: Message, now: float) -> Decision:
    return Decision(put=(lease,), records=(record(lease, what, message, now),), result=lease.id)


def found(view: View, lease_id: int) -> Lease:
    lease = find(view, Kind.LEASE, lease_id)
    assert isinstance(lease, Lease)
    return lease


# --- ask ------------------------------------------------------------------------------------------


def request(m: RequestLease, view: View, now: float) -> Decision:
    """A new lease, PENDING; its VMs are tried here, so that a plan cannot meet a wrong template.

    Raises:
        InvalidInput, NotFound, NotAuthorized, NoCapacity: nothing was changed.
    """
    stored = view.templates.get(-1 if m.template_id is None else m.template_id)
    refuse_restricted(own_part(m, stored), m.actor)
    lease_id = view.next_id(Kind.LEASE)
    lease = Lease(
        id=lease_id,
        name=check_name("NAME", m.name or m.template.get("NAME") or f"lease-{lease_id}"),
        uid=m.actor.uid,
        gid=m.actor.gids[0],
        permissions=initial_permissions(view, m.actor),
        status=S.PENDING,
        terms=checked(m.terms, now),
        submitted=now,
        template=m.template.without(SIZES),
        user_template=Template(
            tuple(a for a in m.template.attributes if a[0] not in KNOWN | SIZES | {"DISK", "NIC"})
        ),
        template_id=m.template_id,
        hold_offer_s=m.hold_offer_s,
        series=m.series,
    )
    first = 0
    for nodes in lease.terms.nodes:
        try_node(lease, first, m.actor, view, now)
        first += nodes.count
    return changed(lease, "requested", m, now)


def allocate_vm(m: AllocateLeaseVm, view: View, now: float) -> Decision:
    """A VM that is the node of a lease: of a new one, or one more of its group's.

    Raises:
        InvalidInput, NotFound, NotAuthorized, NoCapacity: nothing was changed.
    """
    stored = view.templates.get(-1 if m.template_id is None else m.template_id)
    refuse_restricted(own_part(m, stored), m.actor)
    terms = checked(m.terms, now)
    open_lease = gathering(m, view, now)
    lease_id = view.next_id(Kind.LEASE) if open_lease is None else open_lease.id
    vm = made(replace(m, template=m.template.without({"LEASE", "HAIZEA"})), view, now, lease_id)
    if open_lease is None:
        lease = Lease(
            id=lease_id,
            name=f"{vm.name[:110]}-lease",
            uid=vm.uid,
            gid=vm.gid,
            permissions=vm.permissions,
            status=S.PENDING,
            terms=terms,
            submitted=now,
            template=m.template.without(SIZES),
            user_template=Template(),
            template_id=m.template_id,
            vms=(vm.id,),
            group=m.group,
            gathers_until=now + m.gather_s if m.group is not None else None,
        )
        decision = changed(lease, "requested", m, now)
    else:
        nodes = (*open_lease.terms.nodes, *terms.nodes)
        lease = replace(
            open_lease,
            terms=replace(open_lease.terms, nodes=nodes),
            vms=(*open_lease.vms, vm.id),
        )
        decision = changed(lease, "joined", m, now)
    created = vm_created(vm, lease, m, now)
    return replace(
        decision, put=(*decision.put, vm), records=(*decision.records, created), result=vm.id
    )


def gathering(m: AllocateLeaseVm, view: View, now: float) -> Lease | None:
    """The lease of that group and owner that still waits for more nodes."""
    if m.group is None:
        return None
    for lease_id in view.leases_live():
        lease = view.leases[lease_id]
        same = lease.group == m.group and lease.uid == m.actor.uid
        if same and lease.status is S.PENDING and now < (lease.gathers_until or 0.0):
            return lease
    return None


def try_node(lease: Lease, node: int, actor: Actor, view: View, now: float) -> None:
    made(node_request(lease, node, actor, "trial"), view, now)


def node_request(lease: Lease, node: int, actor: Actor, cause: str) -> AllocateVm:
    """What makes the VM of one node: the lease's template, with the size that the terms say."""
    nodes: NodeSet = lease.terms.capacities()[node]
    cpu, memory = nodes.capacity.cpu_pct, nodes.capacity.memory_mib
    whole, rest = divmod(cpu, 100)
    template = Template(
        (
            ("CPU", f"{whole}.{rest:02d}"),
            ("MEMORY", str(memory)),
            *lease.template.without(SIZES).attributes,
        )
    )
    name = lease.name if lease.terms.node_count == 1 else f"{lease.name[:110]}-{node}"
    return AllocateVm(
        cause=cause,
        actor=actor,
        template=template,
        hold=False,
        name=name,
        template_id=lease.template_id,
    )


def change(m: ChangeLease, view: View, now: float) -> Decision:
    """Stored until the scheduler has answered; one at a time.

    Raises:
        WrongState: the lease is over, or its status does not allow it.
    """
    lease = found(view, m.lease_id)
    what = m.change.kind.value
    if lease.status.final:
        raise refused(lease, what, f"it is {lease.status.name}")
    if lease.change is not None:
        raise refused(lease, what, f"its {lease.change.kind.value} is not answered yet")
    if m.change.kind is ChangeKind.ACCEPT:
        if lease.status is not S.OFFERED:
            raise refused(lease, what, f"it is {lease.status.name}: only offers can be accepted")
    elif lease.status is S.OFFERED:
        raise refused(lease, what, "it is an offer: accept it first")
    if m.change.kind is ChangeKind.MOVE:
        refuse_move(lease, now)
    return changed(replace(lease, gen=lease.gen + 1, change=m.change, refusal=None), what, m, now)


def refuse_move(lease: Lease, now: float) -> None:
    if lease.status not in BEFORE_IT_RUNS or lease.order is not None:
        raise refused(lease, "move", f"it is {lease.status.name}: it has begun")
    if lease.terms.kind not in (LeaseKind.RESERVATION, LeaseKind.DEADLINE):
        raise refused(lease, "move", f"a {lease.terms.kind.value} lease has no start to be moved")


def refused(lease: Lease, what: str, why: str) -> WrongState:
    return WrongState(
        f"Cannot {what} lease {lease.name} [{lease.id}]: {why}",
        object_kind="LEASE",
        object_id=lease.id,
    )


def cancel(m: CancelLease, view: View, now: float) -> Decision:
    """Over at once, whatever its status; VMs that cannot be stopped now are stopped later."""
    lease = found(view, m.lease_id)
    if lease.status.final:
        raise refused(lease, "cancel", f"it is {lease.status.name}")
    fresh = ended(lease, S.CANCELLED, m.reason or "cancelled by its owner", now)
    return with_stopped_vms(changed(fresh, "cancelled", m, now), fresh, m, view, now)


def ended(lease: Lease, status: LeaseStatus, reason: str | None, now: float) -> Lease:
    """The lease in a final status. The run that was under way ends now."""
    return replace(
        lease,
        status=status,
        gen=lease.gen + 1,
        reason=reason,
        ended=now,
        order=None,
        change=None,
        expires=None,
        runs=tuple(
            run if run.began is None or run.ended is not None else replace(run, ended=now)
            for run in lease.runs
            if run.began is not None or any(op.began is not None for op in run.operations)
        ),
    )


def with_stopped_vms(
    decision: Decision, lease: Lease, m: Message, view: View, now: float
) -> Decision:
    """The decision, with all VMs of the lease told to stop that can be."""
    parts = [decision, *stopped_vms(lease, m, view, now)]
    return Decision(
        put=tuple(o for d in parts for o in d.put),
        actions=tuple(a for d in parts for a in d.actions),
        settled=tuple(s for d in parts for s in d.settled),
        records=tuple(r for d in parts for r in d.records),
        result=decision.result,
    )


def stopped_vms(lease: Lease, m: Message, view: View, now: float) -> Iterator[Decision]:
    for vm_id in sorted(view.lease_vms(lease.id)):
        vm = view.vms[vm_id]
        message = TerminateVm(
            cause=m.cause, actor=ENGINE, vm_id=vm_id, hard=True, lease_id=lease.id
        )
        if can_stop(vm):
            yield machine.command(vm, message, view, now)


def can_stop(vm: Vm) -> bool:
    """Whether it can be terminated hard now; in other statuses it has to wait for a driver."""
    if vm.status is VmStatus.SHUTDOWN and vm.hard:
        return False
    return machine.MACHINE.handles(vm.status, TerminateVm)


# --- plans ----------------------------------------------------------------------------------------


def parts(m: ApplyLeasePlan) -> Iterator[Message]:
    """Each is decided on the state that those before it leave."""
    for planned in m.leases:
        yield planned
        for node in planned.new_vms:
            yield MakeLeaseVm(
                cause=planned.cause, lease_id=planned.lease_id, gen=planned.gen + 1, node=node
            )
    yield from m.rates
    yield from m.staging


def apply_plan(m: PlanLease, view: View, now: float) -> Decision:
    """The lease as planned, unless it is no longer what the plan was made for."""
    lease = view.leases.get(m.lease_id)
    if lease is None or lease.gen != m.gen or lease.status.final:
        return NOTHING_TO_DO
    taken_back = lease.is_accepted and m.status in NOT_PROMISED
    if taken_back or m.status not in reachable(lease.status) | {lease.status}:
        raise BrokenInvariant(f"A lease that is {lease.status.name} cannot become {m.status.name}")
    fresh = replace(
        lease,
        gen=lease.gen + 1,
        status=m.status,
        asked=lease.asked if m.terms == lease.terms else lease.asked or asked(lease, m.terms),
        terms=m.terms,
        runs=m.runs,
        order=m.order,
        served=m.served,
        suspensions=m.suspensions,
        attempts=m.attempts,
        first_start=m.first_start,
        reason=m.reason,
        price=m.price,
        transfers=m.transfers,
        expires=m.expires,
        change=m.change,
        refusal=m.refusal,
        ended=now if m.status.final else None,
    )
    what = fresh.status.name.lower() if fresh.status is not lease.status else "planned"
    decision = changed(fresh, what, m, now)
    return with_stopped_vms(decision, fresh, m, view, now) if fresh.status.final else decision


def asked(lease: Lease, terms: Terms) -> Terms | None:
    """An offer says other nodes or another time than were asked for; a change the user asked for
    is none."""
    return lease.terms if lease.status is S.PENDING and terms != lease.terms else None


@cache
def reachable(status: LeaseStatus) -> frozenset[LeaseStatus]:
    """What one plan may make of it: a plan tells where a lease has come to, not every step."""
    seen: set[LeaseStatus] = set()
    ahead = [status]
    while ahead:
        for following in ALLOWED[ahead.pop()] - seen:
            seen.add(following)
            ahead.append(following)
    return frozenset(seen)


def make_vm(m: MakeLeaseVm, view: View, now: float) -> Decision:
    """The VM of a node: PENDING until the lease's plan starts it. One that cannot be made fails
    the lease."""
    lease = view.leases.get(m.lease_id)
    if lease is None or lease.gen != m.gen or lease.status.final or m.node > len(lease.vms):
        return NOTHING_TO_DO
    user = view.users.get(lease.uid)
    actor = Actor(lease.uid, (lease.gid,) if user is None else user.groups)
    try:
        vm = made(node_request(lease, m.node, actor, m.cause), view, now, lease.id)
    except Refused as refusal:
        fresh = ended(lease, S.FAILED, f"VM of node {m.node}: {refusal.message}", now)
        return with_stopped_vms(changed(fresh, "failed", m, now), fresh, m, view, now)
    vm = replace(vm, gid=lease.gid)
    vms = (*lease.vms[: m.node], vm.id, *lease.vms[m.node + 1 :])
    created = vm_created(vm, lease, m, now)
    return Decision(put=(replace(lease, vms=vms), vm), records=(created,), result=vm.id)


def vm_created(vm: Vm, lease: Lease, m: Message, now: float) -> Record:
    return Record(
        kind="vm.created",
        subject_kind=Kind.VM,
        subject_id=vm.id,
        at=now,
        cause=m.cause,
        body={"name": vm.name, "uid": vm.uid, "lease": lease.id},
    )


def learn(m: LearnRates, view: View, now: float) -> Decision:
    host = view.hosts.get(m.host_id)
    if host is None or host.measured == m.measured:
        return NOTHING_TO_DO
    return Decision(put=(replace(host, measured=m.measured),))


def delete(lease: Lease, m: DeleteObject, view: View, now: float) -> Decision:
    """Only what is over: a lease that stands is cancelled."""
    if not lease.status.final:
        raise refused(lease, "delete", f"it is {lease.status.name}: cancel it first")
    vms = view.lease_vms(lease.id)
    if vms:
        raise InUse(f"Cannot delete lease {lease.name} [{lease.id}]: VM [{min(vms)}] is of it")
    return Decision(
        delete=((Kind.LEASE, lease.id),),
        records=(record(lease, "deleted", m, now),),
        result=lease.id,
    )
