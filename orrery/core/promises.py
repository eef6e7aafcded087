"""What leases are promised on a host, from the runs that are planned there, and what is left for
VMs without a lease.
"""

from bisect import bisect_right
from collections.abc import Iterable

from orrery.core.capacity import NOTHING, Capacity
from orrery.core.model.host import Host
from orrery.core.model.lease import Lease, Run
from orrery.core.model.view import View
from orrery.core.model.vm import Vm


class Promises:
    """The most that the runs on one host hold at any time from t on, for every t."""

    def __init__(self, host_id: int, leases: Iterable[Lease]) -> None:
        changes: list[tuple[float, int, int]] = []
        for lease in leases:
            capacities = [nodes.capacity for nodes in lease.terms.capacities()]
            for run in lease.runs:
                if not is_over(run):
                    cpu, memory = held(run, host_id, capacities)
                    changes.append((run.start, cpu, memory))
                    changes.append((run.end, -cpu, -memory))
        changes.sort()
        self._times = [time for time, _, _ in changes]
        self._most = most_after(changes)

    def most_from(self, now: float) -> Capacity:
        return self._most[bisect_right(self._times, now)]


def most_after(changes: list[tuple[float, int, int]]) -> list[Capacity]:
    """Entry i: the most that is held from before change i on; the last entry is nothing."""
    cpu = memory = 0
    levels = [(0, 0)]
    for _, more_cpu, more_memory in changes:
        cpu += more_cpu
        memory += more_memory
        levels.append((cpu, memory))
    most = [NOTHING] * len(levels)
    top_cpu = top_memory = 0
    for index in range(len(levels) - 1, -1, -1):
        top_cpu = max(top_cpu, levels[index][0])
        top_memory = max(top_memory, levels[index][1])
        most[index] = Capacity(top_cpu, top_memory)
    return most


def held(run: Run, host_id: int, capacities: list[Capacity]) -> tuple[int, int]:
    """CPU and memory of the nodes of a run on one host."""
    cpu = memory = 0
    for node, host in enumerate(run.hosts):
        if host == host_id:
            cpu += capacities[node].cpu_pct
            memory += capacities[node].memory_mib
    return cpu, memory


def is_over(run: Run) -> bool:
    """Whether its last operation has ended (or it was broken off)."""
    return run.ended is not None and all(
        op.ended is not None for op in run.operations if op.began is not None
    )


def room_for(view: View, host: Host, vm: Vm, now: float) -> Capacity:
    """What a host has left for a VM: one without a lease takes nothing that leases are promised."""
    if vm.lease_id is not None:
        return host.offered - view.host_usage(host.id)
    return ordinary_room(view, host, now)


def ordinary_room(view: View, host: Host, now: float) -> Capacity:
    leased, promised = view.leased_usage(host.id), view.promised(host.id, now)
    ordinary = view.host_usage(host.id) - leased
    kept = Capacity(
        max(leased.cpu_pct, promised.cpu_pct), max(leased.memory_mib, promised.memory_mib)
    )
    return host.offered - ordinary - kept
