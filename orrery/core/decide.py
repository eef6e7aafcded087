"""Which handler takes which message: the one door into the core.

`decide` is a pure function of a message, the state and the time. What several objects have to say
to one message is split first (`expand`), so that each part is decided on the state that the parts
before it leave.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from orrery.core import (
    bootstrap,
    host,
    image,
    lease_commands,
    network,
    objects,
    pools,
    staging,
    vm,
    vm_entry,
    vm_template,
)
from orrery.core import messages as m
from orrery.core.errors import NotFound, WrongState
from orrery.core.model.action import Action, ActionKind
from orrery.core.model.host import Host
from orrery.core.model.kinds import Kind
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.status import HostStatus

Decide = Callable[[Any, View, float], m.Decision]

ATTEMPTS: dict[ActionKind, int] = {
    ActionKind.VM_PROLOG: 3,
    ActionKind.VM_BOOT: 3,
    ActionKind.VM_RESTORE: 3,
    ActionKind.VM_EPILOG: 5,
    ActionKind.VM_CLEANUP: 5,
    ActionKind.IMAGE_REGISTER: 3,
    ActionKind.IMAGE_DELETE: 3,
    ActionKind.IMAGE_STAGE: 3,
    ActionKind.IMAGE_UNSTAGE: 5,
}
"""How often an action is tried when its driver says that another try may help; once for those not
named."""

RETRY_DELAY_S = 5.0
RETRY_DELAY_MAX_S = 300.0


def decide(message: m.Message, view: View, now: float) -> m.Decision:
    """What the message leads to.

    Raises:
        Refused: a command that may not be; nothing is to be changed.
    """
    handler = HANDLERS.get(type(message))
    if handler is None:
        assert isinstance(message, m.VmCommand), f"no handler for {type(message).__name__}"
        return vm_command(message, view, now)
    return handler(message, view, now)


def expand(message: m.Message) -> Iterable[m.Message]:
    """The message, or the parts it consists of."""
    if isinstance(message, m.ApplyPlan):
        return (*message.placements, *message.explanations)
    if isinstance(message, m.HostSeen):
        return (message, *message.domains)
    if isinstance(message, m.ApplyLeasePlan):
        return lease_commands.parts(message)
    return (message,)


# --- VMs ------------------------------------------------------------------------------------------


def vm_command(message: m.VmCommand, view: View, now: float) -> m.Decision:
    found = view.vms.get(message.vm_id)
    if found is None:
        raise NotFound(
            f"Error getting virtual machine [{message.vm_id}].",
            object_kind="VM",
            object_id=message.vm_id,
        )
    refuse_for_lease(found, message)
    return vm.command(found, message, view, now)


LEASE_DECIDES = (
    m.DeployVm,
    m.HoldVm,
    m.ReleaseVm,
    m.SuspendVm,
    m.ResumeVm,
    m.PoweroffVm,
)
"""What is done to a node of a lease by its plan alone."""


def refuse_for_lease(found: Vm, message: m.VmCommand) -> None:
    """A user may use a node, and end it; when it runs is for the lease to say.

    Raises:
        WrongState: the action is for the lease's plan.
    """
    mine = found.lease_id is None or message.lease_id == found.lease_id
    if mine or not isinstance(message, LEASE_DECIDES):
        return
    name = vm_entry.command_name(message)
    raise WrongState(
        f'Error performing action "{name}": VM [{found.id}] is a node of lease '
        f"[{found.lease_id}], which says when and where it runs (cancel, extend or shorten the "
        "lease instead)",
        object_kind="VM",
        object_id=found.id,
    )


def vm_planned(message: m.PlaceVm | m.ExplainVm, view: View, now: float) -> m.Decision:
    found = view.vms.get(message.vm_id)
    return m.NOTHING_TO_DO if found is None else vm.event(found, type(message), message, view, now)


def domain_seen(message: m.DomainSeen, view: View, now: float) -> m.Decision:
    """Only news of the VM as it is now counts: what was seen before its last change is history."""
    found = view.vms.get(message.vm_id)
    if found is None or found.gen != message.gen or found.host_id != message.host_id:
        return m.NOTHING_TO_DO
    return vm.event(found, message.state, message, view, now)


# --- outcomes -------------------------------------------------------------------------------------


def settled(message: m.Settled, view: View, now: float) -> m.Decision:
    """An outcome counts only for the action that is unfinished now."""
    action = message.action
    current = view.unfinished(action.subject_kind, action.subject_id)
    if current is None or (current.gen, current.kind) != (action.gen, action.kind):
        return m.NOTHING_TO_DO
    if isinstance(message.outcome, m.Failed) and message.outcome.retryable:
        again = another_try(action, now)
        if again is not None:
            return m.Decision(actions=(again,), records=(retried(message, again, now),))
    if action.subject_kind is Kind.VM:
        found = view.vms[action.subject_id]
        return vm.event(found, type(message.outcome), message, view, now)
    if action.subject_kind is Kind.STAGED_IMAGE:
        return staging.event(view.staged_images[action.subject_id], message, view, now)
    return image.event(view.images[action.subject_id], message, view, now)


def another_try(action: Action, now: float) -> Action | None:
    """The action with a later due time, or None when it was tried often enough."""
    attempt = action.attempt + 1
    if attempt >= ATTEMPTS.get(action.kind, 1):
        return None
    delay = min(RETRY_DELAY_S * 2**action.attempt, RETRY_DELAY_MAX_S)
    return replace(action, attempt=attempt, due_at=now + delay)


def retried(message: m.Settled, again: Action, now: float) -> m.Record:
    assert isinstance(message.outcome, m.Failed)
    return m.Record(
        kind=f"{again.kind.value}.retry",
        subject_kind=again.subject_kind,
        subject_id=again.subject_id,
        at=now,
        cause=again.cause,
        body={"error": message.outcome.message, "attempt": again.attempt, "due_at": again.due_at},
    )


def outstanding(view: View, now: float) -> Iterable[Action]:
    """Actions that the state demands and the outbox lacks: none, unless a row was lost."""
    for found in view.vms.values():
        action = vm_entry.demanded_action(found, now, "recovery")
        if action is not None and view.unfinished(Kind.VM, found.id) is None:
            yield action
    for stored in view.images.values():
        action = image.demanded_action(stored, now, "recovery")
        if action is not None and view.unfinished(Kind.IMAGE, stored.id) is None:
            yield action
    for copy in view.staged_images.values():
        action = staging.demanded_action(copy, now, "recovery")
        if action is not None and view.unfinished(Kind.STAGED_IMAGE, copy.id) is None:
            yield action


# --- hosts, images, networks ----------------------------------------------------------------------


def host_event(message: m.HostSeen | m.HostSilent, view: View, now: float) -> m.Decision:
    found = view.hosts.get(message.host_id)
    if found is None:
        return m.NOTHING_TO_DO
    decision = host.MACHINE.run(found, type(message), message, view, now) or m.NOTHING_TO_DO
    if not isinstance(message, m.HostSilent):
        return decision
    return with_lost_vms(message, decision, view, now)


def with_lost_vms(
    message: m.HostSilent, decision: m.Decision, view: View, now: float
) -> m.Decision:
    """A host that goes into ERROR takes its running VMs out of sight."""
    fallen = [o for o in decision.put if isinstance(o, Host) and o.status is HostStatus.ERROR]
    if not fallen:
        return decision
    text = f"Host {fallen[0].name} does not answer: {message.message}"
    lost = [
        vm.host_lost(view.vms[vm_id], message, now, text) for vm_id in view.vms_on(message.host_id)
    ]
    return m.Decision(
        put=(*decision.put, *(o for d in lost for o in d.put)),
        settled=tuple(s for d in lost for s in d.settled),
        records=(*decision.records, *(r for d in lost for r in d.records)),
        result=decision.result,
    )


def host_command(message: m.SetHostStatus, view: View, now: float) -> m.Decision:
    found = objects.find(view, Kind.HOST, message.host_id)
    return host.set_status(found, message, view, now)  # type: ignore[arg-type] # found by kind


def image_command(
    message: m.EnableImage | m.SetImagePersistent, view: View, now: float
) -> m.Decision:
    found = objects.find(view, Kind.IMAGE, message.image_id)
    return image.command(found, message, view, now)  # type: ignore[arg-type] # found by kind


def network_command(handler: Callable[..., m.Decision]) -> Decide:
    def run(message: Any, view: View, now: float) -> m.Decision:
        return handler(objects.find(view, Kind.NETWORK, message.network_id), message, view, now)

    return run


DELETES: dict[Kind, Callable[..., m.Decision]] = {
    Kind.HOST: host.delete,
    Kind.IMAGE: image.command,
    Kind.NETWORK: network.delete,
    Kind.LEASE: lease_commands.delete,
}
"""Kinds whose removal is more than that of a row."""


def delete(message: m.DeleteObject, view: View, now: float) -> m.Decision:
    special = DELETES.get(message.kind)
    if special is None:
        return objects.delete(message, view, now)
    return special(objects.find(view, message.kind, message.id), message, view, now)


HANDLERS: dict[type[m.Message], Decide] = {
    m.AllocateVm: vm_template.allocate,
    m.PlaceVm: vm_planned,
    m.ExplainVm: vm_planned,
    m.DomainSeen: domain_seen,
    m.Settled: settled,
    m.RequestLease: lease_commands.request,
    m.AllocateLeaseVm: lease_commands.allocate_vm,
    m.ChangeLease: lease_commands.change,
    m.CancelLease: lease_commands.cancel,
    m.PlanLease: lease_commands.apply_plan,
    m.MakeLeaseVm: lease_commands.make_vm,
    m.LearnRates: lease_commands.learn,
    m.StageImage: staging.stage,
    m.UnstageImage: staging.unstage,
    m.AllocateHost: host.allocate,
    m.SetHostStatus: host_command,
    m.HostSeen: host_event,
    m.HostSilent: host_event,
    m.AllocateImage: image.allocate,
    m.EnableImage: image_command,
    m.SetImagePersistent: image_command,
    m.AllocateNetwork: network.allocate,
    m.AddAddressRange: network_command(network.add_range),
    m.RemoveAddressRange: network_command(network.remove_range),
    m.HoldAddress: network_command(network.hold_address),
    m.AllocateTemplate: pools.allocate_template,
    m.AllocateDatastore: pools.allocate_datastore,
    m.AllocateCluster: pools.allocate_cluster,
    m.AllocateSecurityGroup: pools.allocate_security_group,
    m.AllocateUser: pools.allocate_user,
    m.SetPassword: pools.set_password,
    m.AddToken: pools.add_token,
    m.RevokeToken: pools.revoke_token,
    m.Bootstrap: bootstrap.bootstrap,
    m.UpdateTemplate: objects.update,
    m.Rename: objects.rename,
    m.Chmod: objects.chmod,
    m.Chown: objects.chown,
    m.DeleteObject: delete,
}
