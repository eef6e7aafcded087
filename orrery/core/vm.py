"""The life cycle of a VM as a table (OpenNebula's, 2.9 and 2.10 of its API), and what each status
demands.

Entering a status is the demand for its action: `DEMANDS` says which. Handlers only say where a VM
goes; `enter` draws the consequences: generation, history, action, record.
"""

from msgspec.structs import replace

from orrery.core.errors import NoCapacity, WrongState
from orrery.core.machine import Machine, Row
from orrery.core.messages import (
    NOTHING_TO_DO,
    Decision,
    DeployVm,
    DomainSeen,
    Done,
    ExplainVm,
    Failed,
    HoldVm,
    Message,
    PlaceVm,
    PoweroffVm,
    RebootVm,
    RecoverVm,
    ReleaseVm,
    ResumeVm,
    Settled,
    SuspendVm,
    TerminateVm,
    Unknown,
    VmCommand,
)
from orrery.core.model.action import ActionKind
from orrery.core.model.host import Host
from orrery.core.model.kinds import Kind
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.promises import room_for
from orrery.core.status import DomainState, HostStatus, RecoverOperation, VmStatus
from orrery.core.vm_entry import (
    DEMANDS,
    FAILED_STEP,
    FAILURES,
    LATE_EFFECT_S,
    SHUTDOWNS,
    STARTS,
    demanded_action,
    enter,
    one_shot,
    record,
    unavailable,
)
from orrery.core.vm_history import closed, continued, marked, opened

S = VmStatus


# --- commands -------------------------------------------------------------------------------------


def hold(vm: Vm, m: HoldVm, view: View, now: float) -> Decision:
    return enter(vm, S.HOLD, m, now, sched_message=None)


def release(vm: Vm, m: ReleaseVm, view: View, now: float) -> Decision:
    return enter(vm, S.PENDING, m, now)


def deploy(vm: Vm, m: DeployVm, view: View, now: float) -> Decision:
    """Placement by hand: only `enforce` checks capacity, as in OpenNebula."""
    host = view.hosts.get(m.host_id)
    if host is None:
        raise WrongState(f"Host [{m.host_id}] does not exist", object_kind="HOST")
    check_host_accepts(host)
    if m.enforce and not vm.capacity.fits(room_for(view, host, vm, now)):
        raise NoCapacity(f"Not enough capacity on host {host.name} [{host.id}] for VM [{vm.id}]")
    datastore = view.system_datastore(host.cluster_id) if m.ds_id is None else None
    ds_id = m.ds_id if datastore is None else datastore.id
    if ds_id is None or ds_id not in view.datastores:
        raise WrongState(f"There is no system datastore for host {host.name} [{host.id}]")
    return placed(vm, host, ds_id, m, now)


def check_host_accepts(host: Host) -> None:
    if host.status is not HostStatus.MONITORED and host.status is not HostStatus.DISABLED:
        raise WrongState(
            f"Host {host.name} [{host.id}] is {host.status.name}: only MONITORED hosts take VMs"
        )


def place(vm: Vm, m: PlaceVm, view: View, now: float) -> Decision:
    """The planner's choice, checked on the newest state: what no longer holds is planned again."""
    host = view.hosts.get(m.host_id)
    if vm.gen != m.gen or host is None or host.status is not HostStatus.MONITORED:
        return NOTHING_TO_DO
    if vm.lease_id is not None:
        return NOTHING_TO_DO
    if not vm.capacity.fits(room_for(view, host, vm, now)) or m.ds_id not in view.datastores:
        return NOTHING_TO_DO
    return placed(vm, host, m.ds_id, m, now)


def placed(vm: Vm, host: Host, ds_id: int, m: Message, now: float) -> Decision:
    """On its way to a host: a new stay begins, and a new domain is named."""
    return enter(
        vm,
        S.PROLOG,
        m,
        now,
        history=opened(vm, host, ds_id, m, now),
        deployment=vm.deployment + 1,
        sched_message=None,
        error=None,
        deploy_id=None,
    )


def explain(vm: Vm, m: ExplainVm, view: View, now: float) -> Decision:
    """Why it waits; the generation stays, so a placement planned meanwhile is still good."""
    if vm.gen != m.gen or vm.sched_message == m.text:
        return NOTHING_TO_DO
    fresh = replace(vm, sched_message=m.text)
    return Decision(put=(fresh,), records=(record(fresh, "waiting", m, now, reason=m.text),))


def suspend(vm: Vm, m: SuspendVm, view: View, now: float) -> Decision:
    """Its memory goes to disk; CPU and memory of its host are free for others."""
    host = view.hosts[vm.host_id or 0]
    if "suspend" not in host.capabilities:
        raise WrongState(f"Host {host.name} [{host.id}] cannot suspend VMs: its driver lacks it")
    return enter(vm, S.SAVE_SUSPEND, m, now)


def resume(vm: Vm, m: ResumeVm, view: View, now: float) -> Decision:
    """Back to the hypervisor of the host its disks are on, if there is room again."""
    host = view.hosts[vm.host_id or 0]
    if host.status in (HostStatus.ERROR, HostStatus.OFFLINE):
        raise WrongState(f"Host {host.name} [{host.id}] of VM [{vm.id}] is {host.status.name}")
    if vm.status is S.UNKNOWN:
        return enter(vm, S.BOOT_UNKNOWN, m, now, history=marked(vm, rstime=now, retime=None))
    if not vm.capacity.fits(room_for(view, host, vm, now)):
        raise NoCapacity(
            f"Host {host.name} [{host.id}] has no room for VM [{vm.id}] now: "
            "stop another VM there and try again"
        )
    to = S.BOOT_SUSPENDED if vm.status is S.SUSPENDED else S.BOOT_POWEROFF
    return enter(vm, to, m, now, history=continued(vm, m, now))


def poweroff(vm: Vm, m: PoweroffVm, view: View, now: float) -> Decision:
    """Its domain ends; its disks stay on the host."""
    return enter(vm, S.SHUTDOWN_POWEROFF, m, now, hard=m.hard)


def terminate_running(vm: Vm, m: TerminateVm, view: View, now: float) -> Decision:
    """Its domain ends, then its disks are taken away."""
    return enter(vm, S.SHUTDOWN, m, now, hard=m.hard)


def harden_shutdown(vm: Vm, m: TerminateVm, view: View, now: float) -> Decision:
    """A shutdown under way can be made a hard one, not repeated."""
    if not m.hard or vm.hard:
        raise unavailable(vm, m)
    return enter(vm, S.SHUTDOWN, m, now, hard=True)


def terminate_at_rest(vm: Vm, m: TerminateVm, view: View, now: float) -> Decision:
    return enter(vm, S.EPILOG, m, now, history=marked(vm, estime=now))


def terminate_waiting(vm: Vm, m: TerminateVm, view: View, now: float) -> Decision:
    return enter(vm, S.DONE, m, now, etime=now, sched_message=None)


def terminate_failed(vm: Vm, m: TerminateVm, view: View, now: float) -> Decision:
    """What the failed step left is removed."""
    return enter(vm, S.CLEANUP_DELETE, m, now)


def reboot(vm: Vm, m: RebootVm, view: View, now: float) -> Decision:
    """The status stays; the reboot is an action of its own, refused while another is unfinished."""
    if view.unfinished(Kind.VM, vm.id) is not None:
        raise WrongState(f"VM [{vm.id}] is rebooting already", object_kind="VM", object_id=vm.id)
    fresh = replace(vm, gen=vm.gen + 1)
    kind = ActionKind.VM_RESET if m.hard else ActionKind.VM_REBOOT
    what = "reboot-hard" if m.hard else "reboot"
    return Decision(
        put=(fresh,),
        actions=(one_shot(fresh, kind, now, m.cause),),
        records=(record(fresh, what, m, now),),
        result=vm.id,
    )


# --- outcomes -------------------------------------------------------------------------------------


def prolog_done(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    return enter(vm, S.BOOT, m, now, history=marked(vm, petime=now, rstime=now))


def boot_done(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    result = m.outcome.result if isinstance(m.outcome, Done) else {}
    deploy_id = result.get("deploy_id") or vm.deploy_id or f"{view.name_prefix}-{vm.id}"
    return enter(vm, S.RUNNING, m, now, deploy_id=str(deploy_id), error=None, checkpoint=None)


def save_done(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    """The memory saved is that of the present stay; a resume begins another one."""
    history = closed(vm, m, now, retime=now)
    seq = vm.history[-1].seq
    return enter(vm, S.SUSPENDED, m, now, history=history, error=None, checkpoint=seq)


def poweroff_done(vm: Vm, m: Message, view: View, now: float) -> Decision:
    return enter(vm, S.POWEROFF, m, now, history=closed(vm, m, now, retime=now), error=None)


def shutdown_done(vm: Vm, m: Message, view: View, now: float) -> Decision:
    return enter(vm, S.EPILOG, m, now, history=marked(vm, retime=now, estime=now), error=None)


def epilog_done(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    return enter(vm, S.DONE, m, now, etime=now, history=closed(vm, m, now, eetime=now), error=None)


def delete_done(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    """Also when the clean-up failed: what it left is found and removed by reconciliation."""
    return enter(vm, S.DONE, m, now, etime=now, history=closed(vm, m, now))


def resubmit_done(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    return enter(vm, S.PENDING, m, now, history=closed(vm, m, now), deploy_id=None)


def back_to_running(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    """It could not be stopped or saved: it runs on, and the error is shown."""
    return enter(vm, S.RUNNING, m, now, error=failure_text(m))


def back_to_suspended(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    return enter(vm, S.SUSPENDED, m, now, error=failure_text(m), history=closed(vm, m, now))


def back_to_poweroff(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    return enter(vm, S.POWEROFF, m, now, error=failure_text(m), history=closed(vm, m, now))


def lost(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    """Nobody knows how it ended. A start may still take effect: until then it keeps its room."""
    until = now + LATE_EFFECT_S if vm.status in STARTS else None
    return enter(vm, S.UNKNOWN, m, now, error=failure_text(m), unsettled_until=until)


def prolog_failed(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    return enter(vm, S.PROLOG_FAILURE, m, now, error=failure_text(m))


def boot_failed(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    return enter(vm, S.BOOT_FAILURE, m, now, error=failure_text(m))


def epilog_failed(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    return enter(vm, S.EPILOG_FAILURE, m, now, error=failure_text(m))


def rebooted(vm: Vm, m: Settled, view: View, now: float) -> Decision:
    """A reboot's outcome changes nothing but the error shown."""
    fresh = replace(vm, gen=vm.gen + 1, error=failure_text(m))
    what = "rebooted" if fresh.error is None else "reboot-failed"
    return Decision(
        put=(fresh,), settled=((Kind.VM, vm.id),), records=(record(fresh, what, m, now),)
    )


def failure_text(m: Settled) -> str | None:
    if isinstance(m.outcome, Done):
        return None
    return m.outcome.message


# --- what monitoring saw --------------------------------------------------------------------------


def vanished(vm: Vm, m: DomainSeen, view: View, now: float) -> Decision:
    """Its domain is gone though nobody here stopped it: the guest shut down, or it was killed."""
    if vm.unsettled_until is not None and now < vm.unsettled_until:
        return NOTHING_TO_DO
    error = None if m.reason is None else f"The domain stopped by itself: {m.reason}"
    return enter(vm, S.POWEROFF, m, now, history=closed(vm, m, now, retime=now), error=error)


def found_saved(vm: Vm, m: DomainSeen, view: View, now: float) -> Decision:
    """A save whose answer was lost took effect after all: the memory is safe."""
    seq = vm.history[-1].seq
    history = closed(vm, m, now, retime=now)
    return enter(vm, S.SUSPENDED, m, now, history=history, error=None, checkpoint=seq)


def found_running(vm: Vm, m: DomainSeen, view: View, now: float) -> Decision:
    """Its domain runs, whatever was thought of it."""
    history = continued(vm, m, now) if not vm.holds_capacity else vm.history
    deploy_id = vm.deploy_id or f"{view.name_prefix}-{vm.id}"
    return enter(
        vm,
        S.RUNNING,
        m,
        now,
        history=history,
        deploy_id=deploy_id,
        error=None,
        checkpoint=None,
    )


def found_paused(vm: Vm, m: DomainSeen, view: View, now: float) -> Decision:
    """Paused by the hypervisor, as after an I/O error: still there, but somebody has to look."""
    error = f"The domain is paused on its host: {m.reason or 'no reason given'}"
    if vm.error == error:
        return NOTHING_TO_DO
    fresh = replace(vm, error=error)
    return Decision(put=(fresh,), records=(record(fresh, "paused", m, now),))


def host_lost(vm: Vm, message: Message, now: float, text: str) -> Decision:
    """The host of a running VM no longer answers."""
    if vm.status is not S.RUNNING:
        return NOTHING_TO_DO
    return enter(vm, S.UNKNOWN, message, now, error=text)


# --- recover --------------------------------------------------------------------------------------


def recover(vm: Vm, m: RecoverVm, view: View, now: float) -> Decision:
    """one.vm.recover: an operator says how an action ended, or ends it."""
    match m.operation:
        case RecoverOperation.SUCCESS:
            return as_settled(vm, m, Done(), view, now)
        case RecoverOperation.FAILURE:
            return as_settled(vm, m, Failed("failed by an operator (recover failure)"), view, now)
        case RecoverOperation.RETRY:
            return retry(vm, m, now)
        case RecoverOperation.DELETE:
            return recover_delete(vm, m, now)
        case RecoverOperation.DELETE_RECREATE:
            return recover_recreate(vm, m, now)
        case RecoverOperation.DELETE_DB:
            return forget(vm, m, now)


def as_settled(vm: Vm, m: RecoverVm, outcome: Done | Failed, view: View, now: float) -> Decision:
    """As if the driver had answered; on a failure status, as if its step had."""
    base = FAILED_STEP.get(vm.status, vm.status)
    if base not in DEMANDS:
        if vm.status is S.UNKNOWN and isinstance(outcome, Done):
            return enter(vm, S.RUNNING, m, now, error=None)
        if vm.status in (S.RUNNING, S.UNKNOWN):
            return Decision(result=vm.id)
        raise unavailable(vm, m)
    if base is not vm.status and isinstance(outcome, Failed):
        return Decision(result=vm.id)
    current = demanded_action(replace(vm, status=base), now, m.cause)
    assert current is not None  # base is in DEMANDS
    settled = Settled(cause=m.cause, action=current, outcome=outcome)
    row = MACHINE.edges()[base, type(outcome)]
    decision = row.handler(vm, settled, view, now)
    return replace(decision, result=vm.id)


def retry(vm: Vm, m: RecoverVm, now: float) -> Decision:
    base = FAILED_STEP.get(vm.status, vm.status)
    if base not in DEMANDS:
        raise unavailable(vm, m)
    return enter(vm, base, m, now, hard=vm.hard, error=None)


def recover_delete(vm: Vm, m: RecoverVm, now: float) -> Decision:
    if vm.status is S.DONE:
        return Decision(result=vm.id)
    if vm.host_id is None:
        return enter(vm, S.DONE, m, now, etime=now)
    return enter(vm, S.CLEANUP_DELETE, m, now)


def recover_recreate(vm: Vm, m: RecoverVm, now: float) -> Decision:
    if vm.status is S.DONE:
        raise unavailable(vm, m)
    if vm.host_id is None:
        return enter(vm, S.PENDING, m, now, error=None)
    return enter(vm, S.CLEANUP_RESUBMIT, m, now, error=None)


def forget(vm: Vm, m: RecoverVm, now: float) -> Decision:
    """delete-db: the row alone. What it leaves on its host is no longer known to anybody but
    reconciliation."""
    if vm.status is S.DONE:
        return Decision(result=vm.id)
    return enter(vm, S.DONE, m, now, etime=now, history=closed(vm, m, now))


ALL = tuple(VmStatus)
EVERYWHERE = ALL

MACHINE: Machine[VmStatus] = Machine(
    "VM",
    VmStatus,
    [
        Row((S.PENDING,), HoldVm, hold, (S.HOLD,)),
        Row((S.HOLD,), ReleaseVm, release, (S.PENDING,)),
        Row((S.PENDING, S.HOLD), DeployVm, deploy, (S.PROLOG,)),
        Row((S.PENDING,), PlaceVm, place, (S.PROLOG,)),
        Row((S.PENDING,), ExplainVm, explain, (S.PENDING,)),
        Row((S.RUNNING,), SuspendVm, suspend, (S.SAVE_SUSPEND,)),
        Row(
            (S.SUSPENDED, S.POWEROFF, S.UNKNOWN),
            ResumeVm,
            resume,
            (S.BOOT_SUSPENDED, S.BOOT_POWEROFF, S.BOOT_UNKNOWN),
        ),
        Row((S.RUNNING, S.UNKNOWN), PoweroffVm, poweroff, (S.SHUTDOWN_POWEROFF,)),
        Row((S.RUNNING,), RebootVm, reboot, (S.RUNNING,)),
        Row((S.RUNNING, S.UNKNOWN), TerminateVm, terminate_running, (S.SHUTDOWN,)),
        Row((S.SHUTDOWN,), TerminateVm, harden_shutdown, (S.SHUTDOWN,)),
        Row((S.SUSPENDED, S.POWEROFF), TerminateVm, terminate_at_rest, (S.EPILOG,)),
        Row((S.PENDING, S.HOLD), TerminateVm, terminate_waiting, (S.DONE,)),
        Row(FAILURES, TerminateVm, terminate_failed, (S.CLEANUP_DELETE,)),
        Row(EVERYWHERE, RecoverVm, recover, ALL),
        Row((S.PROLOG,), Done, prolog_done, (S.BOOT,)),
        Row((S.PROLOG,), Failed, prolog_failed, (S.PROLOG_FAILURE,)),
        Row((S.PROLOG,), Unknown, prolog_failed, (S.PROLOG_FAILURE,)),
        Row((S.BOOT,), Done, boot_done, (S.RUNNING,)),
        Row((S.BOOT,), Failed, boot_failed, (S.BOOT_FAILURE,)),
        Row((S.BOOT,), Unknown, lost, (S.UNKNOWN,)),
        Row((S.BOOT_POWEROFF, S.BOOT_SUSPENDED, S.BOOT_UNKNOWN), Done, boot_done, (S.RUNNING,)),
        Row((S.BOOT_POWEROFF,), Failed, back_to_poweroff, (S.POWEROFF,)),
        Row((S.BOOT_SUSPENDED,), Failed, back_to_suspended, (S.SUSPENDED,)),
        Row((S.BOOT_UNKNOWN,), Failed, lost, (S.UNKNOWN,)),
        Row((S.BOOT_POWEROFF, S.BOOT_SUSPENDED, S.BOOT_UNKNOWN), Unknown, lost, (S.UNKNOWN,)),
        Row((S.SAVE_SUSPEND,), Done, save_done, (S.SUSPENDED,)),
        Row((S.SAVE_SUSPEND,), Failed, back_to_running, (S.RUNNING,)),
        Row((S.SAVE_SUSPEND,), Unknown, lost, (S.UNKNOWN,)),
        Row((S.SHUTDOWN,), Done, shutdown_done, (S.EPILOG,)),
        Row((S.SHUTDOWN_POWEROFF,), Done, poweroff_done, (S.POWEROFF,)),
        Row(SHUTDOWNS, Failed, back_to_running, (S.RUNNING,)),
        Row(SHUTDOWNS, Unknown, lost, (S.UNKNOWN,)),
        Row((S.EPILOG,), Done, epilog_done, (S.DONE,)),
        Row((S.EPILOG,), Failed, epilog_failed, (S.EPILOG_FAILURE,)),
        Row((S.EPILOG,), Unknown, epilog_failed, (S.EPILOG_FAILURE,)),
        Row((S.CLEANUP_DELETE,), Done, delete_done, (S.DONE,)),
        Row((S.CLEANUP_DELETE,), Failed, delete_done, (S.DONE,)),
        Row((S.CLEANUP_DELETE,), Unknown, delete_done, (S.DONE,)),
        Row((S.CLEANUP_RESUBMIT,), Done, resubmit_done, (S.PENDING,)),
        Row((S.CLEANUP_RESUBMIT,), Failed, resubmit_done, (S.PENDING,)),
        Row((S.CLEANUP_RESUBMIT,), Unknown, resubmit_done, (S.PENDING,)),
        Row((S.RUNNING,), Done, rebooted, (S.RUNNING,)),
        Row((S.RUNNING,), Failed, rebooted, (S.RUNNING,)),
        Row((S.RUNNING,), Unknown, rebooted, (S.RUNNING,)),
        Row((S.RUNNING, S.UNKNOWN), DomainState.ABSENT, vanished, (S.POWEROFF,)),
        Row((S.SHUTDOWN,), DomainState.ABSENT, shutdown_done, (S.EPILOG,)),
        Row((S.SHUTDOWN_POWEROFF,), DomainState.ABSENT, poweroff_done, (S.POWEROFF,)),
        Row(
            (S.UNKNOWN, S.POWEROFF, S.SUSPENDED, S.BOOT_FAILURE),
            DomainState.RUNNING,
            found_running,
            (S.RUNNING,),
        ),
        Row((S.RUNNING, S.UNKNOWN), DomainState.SAVED, found_saved, (S.SUSPENDED,)),
        Row((S.RUNNING,), DomainState.PAUSED, found_paused, (S.RUNNING,)),
        Row((S.UNKNOWN,), DomainState.PAUSED, found_running, (S.RUNNING,)),
    ],
)


def command(vm: Vm, message: VmCommand, view: View, now: float) -> Decision:
    """Decide a command.

    Raises:
        WrongState: the VM's status does not allow it.
    """
    decision = MACHINE.run(vm, type(message), message, view, now)
    if decision is None:
        raise unavailable(vm, message)
    return decision


def event(vm: Vm, stimulus: object, message: Message, view: View, now: float) -> Decision:
    """Decide an event; what the table does not name is ignored on purpose."""
    return MACHINE.run(vm, stimulus, message, view, now) or NOTHING_TO_DO
