"""What it means for a VM to enter a status: the action that the status demands, its record, and the
words in which a command is refused.
"""

from typing import Any

from msgspec.structs import replace

from orrery.core.errors import WrongState
from orrery.core.messages import (
    Decision,
    DeployVm,
    HoldVm,
    Message,
    PoweroffVm,
    RebootVm,
    Record,
    RecoverVm,
    ReleaseVm,
    ResumeVm,
    SuspendVm,
    TerminateVm,
)
from orrery.core.model.action import Action, ActionKind
from orrery.core.model.kinds import Kind
from orrery.core.model.vm import Vm
from orrery.core.status import VmStatus

S = VmStatus

DEMANDS: dict[VmStatus, ActionKind] = {
    S.PROLOG: ActionKind.VM_PROLOG,
    S.BOOT: ActionKind.VM_BOOT,
    S.BOOT_POWEROFF: ActionKind.VM_BOOT,
    S.BOOT_UNKNOWN: ActionKind.VM_BOOT,
    S.BOOT_SUSPENDED: ActionKind.VM_RESTORE,
    S.SAVE_SUSPEND: ActionKind.VM_SAVE,
    S.SHUTDOWN: ActionKind.VM_SHUTDOWN,
    S.SHUTDOWN_POWEROFF: ActionKind.VM_SHUTDOWN,
    S.EPILOG: ActionKind.VM_EPILOG,
    S.CLEANUP_DELETE: ActionKind.VM_CLEANUP,
    S.CLEANUP_RESUBMIT: ActionKind.VM_CLEANUP,
}
"""What a VM in that status waits for; statuses that are not here wait for nobody."""

FAILURES = (S.PROLOG_FAILURE, S.BOOT_FAILURE, S.EPILOG_FAILURE)
SHUTDOWNS = (S.SHUTDOWN, S.SHUTDOWN_POWEROFF)
STARTS = (S.BOOT, S.BOOT_POWEROFF, S.BOOT_SUSPENDED, S.BOOT_UNKNOWN)

LATE_EFFECT_S = 900.0
"""How long a call that was given up may still take effect: as long as the longest driver call."""

FAILED_STEP: dict[VmStatus, VmStatus] = {
    S.PROLOG_FAILURE: S.PROLOG,
    S.BOOT_FAILURE: S.BOOT,
    S.EPILOG_FAILURE: S.EPILOG,
}
"""The status whose action failed: where recover retry goes back to."""


def demand(vm: Vm) -> ActionKind | None:
    """The action that the VM's status asks for."""
    if vm.status in SHUTDOWNS and vm.hard:
        return ActionKind.VM_DESTROY
    return DEMANDS.get(vm.status)


def demanded_action(vm: Vm, now: float, cause: str) -> Action | None:
    """The outbox entry that belongs to the VM as it is; also used to re-derive a lost outbox."""
    kind = demand(vm)
    return None if kind is None else one_shot(vm, kind, now, cause)


def one_shot(vm: Vm, kind: ActionKind, now: float, cause: str) -> Action:
    return Action(
        kind=kind,
        subject_kind=Kind.VM,
        subject_id=vm.id,
        gen=vm.gen,
        due_at=now,
        cause=cause,
        host_id=vm.host_id,
    )


def enter(vm: Vm, status: VmStatus, message: Message, now: float, **changes: Any) -> Decision:
    """The VM in its new status, with the action it demands and the record of it."""
    changes.setdefault("hard", False)
    changes.setdefault("unsettled_until", None)
    changes.setdefault("cause", message.cause)
    fresh = replace(vm, status=status, prev_status=vm.status, gen=vm.gen + 1, **changes)
    action = demanded_action(fresh, now, message.cause)
    return Decision(
        put=(fresh,),
        actions=() if action is None else (action,),
        settled=((Kind.VM, vm.id),) if action is None else (),
        records=(record(fresh, status.name.lower(), message, now),),
        result=vm.id,
    )


def record(vm: Vm, what: str, message: Message, now: float, **body: Any) -> Record:
    if vm.error is not None:
        body.setdefault("error", vm.error)
    return Record(
        kind=f"vm.{what}",
        subject_kind=Kind.VM,
        subject_id=vm.id,
        at=now,
        cause=message.cause,
        body=body,
    )


COMMAND_NAMES: dict[type[Message], str] = {
    DeployVm: "deploy",
    HoldVm: "hold",
    ReleaseVm: "release",
    SuspendVm: "suspend",
    ResumeVm: "resume",
    PoweroffVm: "poweroff",
    RebootVm: "reboot",
    TerminateVm: "terminate",
    RecoverVm: "recover",
}


def command_name(message: Message) -> str:
    """The name OpenNebula's API has for it, `-hard` included."""
    name = COMMAND_NAMES[type(message)]
    return f"{name}-hard" if getattr(message, "hard", False) else name


def unavailable(vm: Vm, message: Message) -> WrongState:
    """OpenNebula's text: clients match on its words."""
    state = vm.status.name
    if isinstance(message, DeployVm):
        text = f"Deploy action is not available for state {state}"
    else:
        text = (
            f'Error performing action "{command_name(message)}": '
            f"This action is not available for state {state}"
        )
    return WrongState(text, object_kind="VM", object_id=vm.id)
