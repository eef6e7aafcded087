"""A VM's history: one record per stay on a host, from which accounting is computed."""

from typing import Any

from msgspec.structs import replace

from orrery.core.messages import (
    Command,
    DeployVm,
    Message,
    PoweroffVm,
    RecoverVm,
    SuspendVm,
    TerminateVm,
)
from orrery.core.model.host import Host
from orrery.core.model.vm import HistoryRecord, Vm
from orrery.core.status import HistoryAction, VmStatus

Stays = tuple[HistoryRecord, ...]


def opened(vm: Vm, host: Host, ds_id: int, message: Message, now: float) -> Stays:
    """A new stay begins with its prolog."""
    actor = message.actor if isinstance(message, DeployVm) else None
    return (
        *vm.history,
        HistoryRecord(
            seq=len(vm.history),
            host_id=host.id,
            hostname=host.name,
            cluster_id=host.cluster_id,
            vm_mad=host.vm_mad,
            tm_mad=host.vm_mad,
            ds_id=ds_id,
            stime=now,
            pstime=now,
            uid=None if actor is None else actor.uid,
            gid=None if actor is None else actor.gids[0],
            cause=message.cause,
        ),
    )


def continued(vm: Vm, message: Message, now: float) -> Stays:
    """A new stay on the same host, as after a suspension: its disks are there already."""
    last = vm.history[-1]
    again = HistoryRecord(
        seq=len(vm.history),
        host_id=last.host_id,
        hostname=last.hostname,
        cluster_id=last.cluster_id,
        vm_mad=last.vm_mad,
        tm_mad=last.tm_mad,
        ds_id=last.ds_id,
        stime=now,
        rstime=now,
        cause=message.cause,
    )
    return (*closed(vm, message, now), again)


def marked(vm: Vm, **times: Any) -> Stays:
    """The present stay with some of its times set."""
    return (*vm.history[:-1], replace(vm.history[-1], **times))


def closed(vm: Vm, message: Message, now: float, **times: Any) -> Stays:
    """The present stay ends, unless it has ended before; says by which action."""
    if not vm.history or vm.history[-1].etime is not None:
        return vm.history
    last = vm.history[-1]
    if last.rstime is not None and last.retime is None:
        times.setdefault("retime", now)
    return marked(vm, etime=now, action=ending(vm, message), **times)


def ending(vm: Vm, message: Message) -> HistoryAction:
    """Which action ends the stay: told by the status the VM leaves."""
    if isinstance(message, Command):
        return COMMANDS.get(type(message), HistoryAction.NONE)
    hard = vm.hard
    match vm.status:
        case VmStatus.SAVE_SUSPEND | VmStatus.BOOT_SUSPENDED:
            return HistoryAction.SUSPEND
        case VmStatus.SHUTDOWN_POWEROFF:
            return HistoryAction.POWEROFF_HARD if hard else HistoryAction.POWEROFF
        case VmStatus.SHUTDOWN | VmStatus.EPILOG:
            return HistoryAction.TERMINATE_HARD if hard else HistoryAction.TERMINATE
        case VmStatus.CLEANUP_DELETE:
            return HistoryAction.DELETE
        case VmStatus.CLEANUP_RESUBMIT:
            return HistoryAction.DELETE_RECREATE
        case VmStatus.RUNNING | VmStatus.UNKNOWN:
            return HistoryAction.MONITOR
        case _:
            return HistoryAction.NONE


COMMANDS: dict[type[Command], HistoryAction] = {
    RecoverVm: HistoryAction.RECOVER,
    SuspendVm: HistoryAction.SUSPEND,
    PoweroffVm: HistoryAction.POWEROFF,
    TerminateVm: HistoryAction.TERMINATE,
}
