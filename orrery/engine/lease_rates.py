"""What the operations of a lease took, host by host, once they are over. Pure."""

from collections.abc import Iterable, Iterator

from orrery.core.messages import LearnRates
from orrery.core.model.host import Measured
from orrery.core.model.lease import Lease, Operation, OperationKind, Run
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.sched.leases import learning

Sample = tuple[int, str, float]
"""(host id, kind, seconds or seconds per MiB)"""


def rates_from(
    plans: Iterable[tuple[Lease, Lease]], view: View, cause: str
) -> tuple[LearnRates, ...]:
    """What is known of hosts when operations have ended between two plans of leases. Operations of
    several leases may have ended together: each of them counts."""
    fresh: dict[int, tuple[Measured, ...]] = {}
    for before, after in plans:
        for run, operation in ended_between(before, after):
            for host_id, kind, value in samples(run, operation, after, view):
                host = view.hosts.get(host_id)
                if host is not None:
                    known = fresh.get(host_id, host.measured)
                    fresh[host_id] = learning.observed(known, kind, value)
    return tuple(
        LearnRates(cause=cause, host_id=host_id, measured=measured)
        for host_id, measured in sorted(fresh.items())
    )


def ended_between(before: Lease, after: Lease) -> Iterator[tuple[Run, Operation]]:
    known = {
        (run.began, op.kind, op.began) for run in before.runs for op in run.operations if op.ended
    }
    for run in after.runs:
        for operation in run.operations:
            if operation.ended is None or operation.began is None:
                continue
            if (run.began, operation.kind, operation.began) not in known:
                yield run, operation


def samples(run: Run, operation: Operation, lease: Lease, view: View) -> Iterator[Sample]:
    """One for each host: all nodes there share its disk, so their memory counts together."""
    assert operation.began is not None and operation.ended is not None
    vms = [view.vms.get(vm_id) for vm_id in lease.vms]
    for host_id in sorted(set(run.hosts)):
        here = [
            vm
            for vm, host in zip(vms, run.hosts, strict=False)
            if vm is not None and host == host_id
        ]
        seconds = operation.ended - operation.began
        memory = sum(vm.capacity.memory_mib for vm in here)
        match operation.kind:
            case OperationKind.SUSPEND if memory:
                seconds = suspended_after(here, operation.began, seconds)
                yield host_id, learning.SUSPEND, seconds / memory
            case OperationKind.RESUME if memory:
                yield host_id, learning.RESUME, seconds / memory
            case OperationKind.BOOT:
                yield host_id, learning.BOOT, seconds / max(1, len(here))
            case OperationKind.SHUTDOWN:
                yield host_id, learning.SHUTDOWN, seconds


def suspended_after(vms: Iterable[Vm], began: float, otherwise: float) -> float:
    """The last VM of a host may be down long before the last one of the lease."""
    times = [vm.last_stay.etime for vm in vms if vm.last_stay is not None]
    known = [time for time in times if time is not None and time >= began]
    return max(known) - began if known else otherwise
