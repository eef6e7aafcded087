"""Filter hosts by requirement, order them by rank: what REQUIREMENTS and RANK see of a host."""

from collections.abc import Callable, Mapping

from orrery.core import expr
from orrery.core.errors import InvalidInput
from orrery.core.model.host import Host
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.sched.policy import Room

Lookup = Callable[[str], str | float | None]

DYNAMIC: dict[str, Callable[[Host, Room], float]] = {
    "FREE_CPU": lambda host, room: room.cpu_pct,
    "FREECPU": lambda host, room: room.cpu_pct,
    "FREE_MEMORY": lambda host, room: room.memory_mib * 1024,
    "FREEMEMORY": lambda host, room: room.memory_mib * 1024,
    "FREE_MEM": lambda host, room: room.memory_mib * 1024,
    "USED_CPU": lambda host, room: room.offered.cpu_pct - room.cpu_pct,
    "CPU_USAGE": lambda host, room: room.offered.cpu_pct - room.cpu_pct,
    "USED_MEMORY": lambda host, room: (room.offered.memory_mib - room.memory_mib) * 1024,
    "MEM_USAGE": lambda host, room: (room.offered.memory_mib - room.memory_mib) * 1024,
    "RUNNING_VMS": lambda host, room: room.running,
}
"""Attributes that change while a plan is made; memory in KiB, as OpenNebula's."""

FIXED: dict[str, Callable[[Host], str | float]] = {
    "ID": lambda host: host.id,
    "NAME": lambda host: host.name,
    "HOSTNAME": lambda host: host.name,
    "CLUSTER_ID": lambda host: host.cluster_id,
    "IM_MAD": lambda host: host.im_mad,
    "VM_MAD": lambda host: host.vm_mad,
    "TOTALCPU": lambda host: host.total.cpu_pct,
    "TOTAL_CPU": lambda host: host.total.cpu_pct,
    "MAX_CPU": lambda host: host.offered.cpu_pct,
    "TOTALMEMORY": lambda host: host.total.memory_mib * 1024,
    "TOTAL_MEM": lambda host: host.total.memory_mib * 1024,
    "MAX_MEM": lambda host: host.offered.memory_mib * 1024,
}


def attributes(host: Host, room: Room, cluster_name: str) -> Lookup:
    """Answers for a name: computed ones first, then what the driver reported, then the operator's
    own."""

    known: dict[str, str | float | None] = {}

    def look(name: str) -> str | float | None:
        if name in known:
            return known[name]
        bare = name.rsplit("/", 1)[-1]
        dynamic = DYNAMIC.get(bare)
        if dynamic is not None:
            return dynamic(host, room)
        value = known[name] = fixed(host, name, bare, cluster_name)
        return value

    return look


def fixed(host: Host, name: str, bare: str, cluster_name: str) -> str | float | None:
    """What does not change while a plan is made."""
    found = FIXED.get(bare)
    if found is not None and not name.startswith("TEMPLATE/"):
        return found(host)
    if bare == "CLUSTER":
        return cluster_name
    return host.facts.get(bare) or host.template.get(bare)


def requirement_text(vm: Vm) -> str:
    return attribute(vm, "SCHED_REQUIREMENTS") or attribute(vm, "REQUIREMENTS") or ""


def rank_text(vm: Vm) -> str:
    return attribute(vm, "SCHED_RANK") or attribute(vm, "RANK") or ""


def attribute(vm: Vm, name: str) -> str | None:
    return vm.user_template.get(name)


def clusters_of(vm: Vm, view: View) -> frozenset[int] | None:
    """Clusters in which all its images and networks can be reached; None when it needs none."""
    allowed: frozenset[int] | None = None
    for disk in vm.disks:
        store = None if disk.datastore_id is None else view.datastores.get(disk.datastore_id)
        if store is not None:
            allowed = meet(allowed, store.clusters)
    for nic in vm.nics:
        network = view.networks.get(nic.network_id)
        if network is not None:
            allowed = meet(allowed, network.clusters)
    return allowed


def meet(allowed: frozenset[int] | None, clusters: tuple[int, ...]) -> frozenset[int]:
    return frozenset(clusters) if allowed is None else allowed & frozenset(clusters)


def meeting(text: str, lookups: Mapping[int, Lookup]) -> frozenset[int]:
    """The hosts that meet a requirement. One that no longer parses is met by none."""
    if not text:
        return frozenset(lookups)
    try:
        meets = expr.requirement(text)
    except InvalidInput:
        return frozenset()
    return frozenset(host_id for host_id, look in lookups.items() if meets(look))
