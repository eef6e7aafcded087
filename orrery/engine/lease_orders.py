"""What the VMs of a lease are to be told so that they come to where its plan wants them, and
whether they are there. Pure: reads the view, does nothing.

Told again after a crash, or while something is under way, it says only what is still missing.
"""

from collections.abc import Iterator
from enum import Enum

from orrery.core.lease_commands import can_stop
from orrery.core.messages import (
    ENGINE,
    DeployVm,
    RecoverVm,
    ResumeVm,
    SuspendVm,
    TerminateVm,
    VmCommand,
)
from orrery.core.model.lease import Lease, LeaseOrder, LeaseStatus, Run
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.promises import is_over
from orrery.core.status import HostStatus, RecoverOperation, VmStatus
from orrery.core.vm_entry import FAILURES

S = VmStatus

ENDED = frozenset({S.DONE, S.POWEROFF})
"""A node whose guest has shut down, or that its user terminated, has had its part."""

AFRESH = frozenset(
    {LeaseStatus.QUEUED, LeaseStatus.SCHEDULED, LeaseStatus.PREPARING, LeaseStatus.READY}
)
"""Statuses of a lease whose VMs have not been started, or will be started anew."""


STOPS = frozenset({LeaseOrder.STOP, LeaseOrder.KILL})


class Fact(Enum):
    """How far the VMs are with what they were told."""

    UNDER_WAY = "under way"
    REACHED = "reached"
    ENDED = "ended"
    """All nodes have ended by themselves."""
    FAILED = "failed"
    """It cannot be reached this time."""


def vms_of(lease: Lease, view: View) -> list[Vm]:
    return [view.vms[vm_id] for vm_id in lease.vms]


def present_run(lease: Lease) -> Run | None:
    """The run under way, or the next one."""
    return next((run for run in lease.runs if not is_over(run)), None)


def fact(lease: Lease, vms: list[Vm]) -> Fact:
    """How far they are. A run that has begun is not failed by one node: that is for its user."""
    if all(vm.status is S.DONE for vm in vms):
        return Fact.REACHED if lease.order in STOPS else Fact.ENDED
    match lease.order:
        case LeaseOrder.RUN:
            return run_fact(lease, vms)
        case LeaseOrder.SUSPEND:
            return suspend_fact(vms)
    return Fact.UNDER_WAY


def run_fact(lease: Lease, vms: list[Vm]) -> Fact:
    if all(vm.status in ENDED for vm in vms):
        return Fact.ENDED
    run = present_run(lease)
    if run is not None and run.began is not None:
        return Fact.UNDER_WAY
    if any(vm.status in FAILURES or has_not_resumed(vm) for vm in vms):
        return Fact.FAILED
    there = all(vm.status is S.RUNNING or vm.status in ENDED for vm in vms)
    return Fact.REACHED if there else Fact.UNDER_WAY


def suspend_fact(vms: list[Vm]) -> Fact:
    if all(vm.status in ENDED for vm in vms):
        return Fact.ENDED
    if any(vm.status is S.RUNNING and vm.prev_status is S.SAVE_SUSPEND for vm in vms):
        return Fact.FAILED
    there = all(vm.status is S.SUSPENDED or vm.status in ENDED for vm in vms)
    return Fact.REACHED if there else Fact.UNDER_WAY


def has_not_resumed(vm: Vm) -> bool:
    return vm.status is S.SUSPENDED and vm.prev_status is S.BOOT_SUSPENDED and bool(vm.error)


def failure_of(vms: list[Vm]) -> str:
    """What the first VM that has an error says."""
    for vm in vms:
        if vm.error:
            return f"VM [{vm.id}] {vm.name}: {vm.error}"
    return "a VM could not be started"


# --- commands -------------------------------------------------------------------------------------


def commands(lease: Lease, view: View) -> Iterator[VmCommand]:
    """What to tell the VMs now."""
    if lease.status.final:
        for vm_id in sorted(view.lease_vms(lease.id)):
            yield from ending(lease, view.vms[vm_id], view)
        return
    current = set(lease.vms)
    for vm_id in sorted(view.lease_vms(lease.id) - current):
        yield from removing(lease, view.vms[vm_id])
    run = present_run(lease)
    if lease.order is None or run is None:
        return
    for node, vm in enumerate(vms_of(lease, view)):
        if vm.status is not S.DONE:
            yield from ORDERS[lease.order](lease, vm, run.hosts[node])


def running(lease: Lease, vm: Vm, host_id: int) -> Iterator[VmCommand]:
    if vm.status is S.PENDING:
        yield DeployVm(
            cause=cause(lease),
            actor=ENGINE,
            vm_id=vm.id,
            lease_id=lease.id,
            host_id=host_id,
            enforce=True,
        )
    elif vm.status is S.SUSPENDED:
        yield ResumeVm(cause=cause(lease), actor=ENGINE, vm_id=vm.id, lease_id=lease.id)


def suspending(lease: Lease, vm: Vm, host_id: int) -> Iterator[VmCommand]:
    if vm.status is S.RUNNING:
        yield SuspendVm(cause=cause(lease), actor=ENGINE, vm_id=vm.id, lease_id=lease.id)


def stopping(lease: Lease, vm: Vm, host_id: int) -> Iterator[VmCommand]:
    """Softly first; one that did not shut down in its time is destroyed."""
    if vm.status is S.PENDING or vm.status in FAILURES or vm.status in (S.SUSPENDED, S.POWEROFF):
        yield terminate(lease, vm, hard=False)
    elif vm.status is S.RUNNING:
        yield terminate(lease, vm, hard=vm.prev_status is S.SHUTDOWN)
    elif vm.status is S.UNKNOWN:
        yield terminate(lease, vm, hard=True)


def killing(lease: Lease, vm: Vm, host_id: int) -> Iterator[VmCommand]:
    """Stopped at once; what cannot be stopped now is when its driver has answered."""
    if can_stop(vm):
        yield terminate(lease, vm, hard=True)


ORDERS = {
    LeaseOrder.RUN: running,
    LeaseOrder.SUSPEND: suspending,
    LeaseOrder.STOP: stopping,
    LeaseOrder.KILL: killing,
}


def ending(lease: Lease, vm: Vm, view: View) -> Iterator[VmCommand]:
    """A VM whose lease is over; one on a host that is lost waits for no answer from there."""
    host = None if vm.host_id is None else view.hosts.get(vm.host_id)
    if host is not None and host.status is HostStatus.ERROR:
        yield from removing(lease, vm)
    elif can_stop(vm):
        yield terminate(lease, vm, hard=True)


def removing(lease: Lease, vm: Vm) -> Iterator[VmCommand]:
    """A VM that another one has taken the place of."""
    if vm.status is not S.CLEANUP_DELETE:
        yield RecoverVm(
            cause=cause(lease),
            actor=ENGINE,
            vm_id=vm.id,
            lease_id=lease.id,
            operation=RecoverOperation.DELETE,
        )


def terminate(lease: Lease, vm: Vm, *, hard: bool) -> TerminateVm:
    return TerminateVm(cause=cause(lease), actor=ENGINE, vm_id=vm.id, lease_id=lease.id, hard=hard)


def cause(lease: Lease) -> str:
    return f"lease-{lease.id}"


def to_be_made_anew(lease: Lease, vms: list[Vm], *, begins: bool) -> tuple[int, ...]:
    """Nodes that get another VM before the lease starts afresh: those whose VM its plan has
    stopped, and those whose VM is still somewhere because its host was lost. A node that its user
    has ended stays ended.

    Args:
        begins: a run begins now, from nothing.
    """
    if lease.status not in AFRESH or lease.order not in (None, LeaseOrder.RUN):
        return ()
    return tuple(
        node
        for node, vm in enumerate(vms)
        if (vm.status is S.DONE and vm.cause == cause(lease))
        or (vm.status not in (S.DONE, S.PENDING) and (begins or lease.order is None))
    )
