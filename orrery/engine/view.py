"""The state in memory: immutable objects by kind and id, and what follows from them.

Loaded once, changed only by the writer. Every derived answer is kept or recomputed here and nowhere
else; `tests/engine/test_view.py` compares all of them with answers computed from nothing but the
objects.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from typing import Any

from orrery.core.bootstrap import FIRST_IDS
from orrery.core.capacity import NOTHING, Capacity
from orrery.core.messages import Decision
from orrery.core.model.action import Action
from orrery.core.model.host import Cluster, Host
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import Lease
from orrery.core.model.network import SecurityGroup, VirtualNetwork
from orrery.core.model.storage import Datastore, Image, StagedImage
from orrery.core.model.users import Group, User, VmTemplate
from orrery.core.model.view import KIND_OF, Object
from orrery.core.model.vm import Nic, Vm
from orrery.core.promises import Promises, is_over
from orrery.core.status import DatastoreType, VmStatus

NOBODY: frozenset[int] = frozenset()


class State:
    """All objects; implements `core.model.view.View`."""

    def __init__(self, engine_id: str, name_prefix: str = "one") -> None:
        self.engine_id = engine_id
        self.name_prefix = name_prefix
        self.vms: dict[int, Vm] = {}
        self.hosts: dict[int, Host] = {}
        self.images: dict[int, Image] = {}
        self.datastores: dict[int, Datastore] = {}
        self.networks: dict[int, VirtualNetwork] = {}
        self.templates: dict[int, VmTemplate] = {}
        self.security_groups: dict[int, SecurityGroup] = {}
        self.users: dict[int, User] = {}
        self.groups: dict[int, Group] = {}
        self.clusters: dict[int, Cluster] = {}
        self.leases: dict[int, Lease] = {}
        self.staged_images: dict[int, StagedImage] = {}
        self.pools: dict[Kind, dict[int, Any]] = {
            Kind.VM: self.vms,
            Kind.HOST: self.hosts,
            Kind.IMAGE: self.images,
            Kind.DATASTORE: self.datastores,
            Kind.NETWORK: self.networks,
            Kind.TEMPLATE: self.templates,
            Kind.SECURITY_GROUP: self.security_groups,
            Kind.USER: self.users,
            Kind.GROUP: self.groups,
            Kind.CLUSTER: self.clusters,
            Kind.LEASE: self.leases,
            Kind.STAGED_IMAGE: self.staged_images,
        }
        self.actions: dict[tuple[Kind, int], Action] = {}
        self.next_ids: dict[Kind, int] = {kind: FIRST_IDS.get(kind, 0) for kind in Kind}
        self.revision = 0
        """Grows with every change of anything: tells whether a picture made earlier is still
        whole."""
        self.names_revision = 0
        self._host_revisions: dict[int, int] = defaultdict(int)
        self._names: dict[Kind, dict[str, set[int]]] = {kind: {} for kind in Kind}
        self._on_host: dict[int, set[int]] = defaultdict(set)
        self._usage: dict[int, tuple[Capacity, Capacity]] = {}
        self._leases = LeaseIndex(self.leases)
        self._pending: dict[int, None] = {}
        self._image_users: dict[int, set[int]] = defaultdict(set)
        self._datastore_images: dict[int, set[int]] = defaultdict(set)
        self._staged: dict[tuple[int, int, int], int] = {}
        self._network_vms: dict[int, set[int]] = defaultdict(set)
        self._taken: dict[tuple[int, int], int] = defaultdict(int)
        self._holders: dict[tuple[int, int, int], int] = {}

    # --- changes: for the writer alone ------------------------------------------------------------

    def load(
        self, objects: Iterable[Object], actions: Iterable[Action], next_ids: Mapping[Kind, int]
    ) -> None:
        for obj in objects:
            self._put(obj)
        for action in actions:
            self.actions[action.key] = action
        for kind, number in next_ids.items():
            self.next_ids[kind] = max(self.next_ids[kind], number)

    def apply(self, decision: Decision) -> None:
        """Make the decision's changes."""
        if not (decision.put or decision.delete or decision.actions or decision.settled):
            return
        self.revision += 1
        for obj in decision.put:
            self._put(obj)
        for kind, object_id in decision.delete:
            self._delete(kind, object_id)
        for key in decision.settled:
            self.actions.pop(key, None)
        for action in decision.actions:
            self.actions[action.key] = action

    def _put(self, obj: Object) -> None:
        kind = KIND_OF[type(obj)]
        pool = self.pools[kind]
        old = pool.get(obj.id)
        pool[obj.id] = obj
        if old is None:
            self.next_ids[kind] = max(self.next_ids[kind], obj.id + 1)
        if kind is Kind.VM:
            self._index_vm(old, obj)  # type: ignore[arg-type] # by kind
            return
        if old is None or old.name != obj.name:
            if old is not None:
                self._forget_name(kind, old)
                self.names_revision += 1
            self._names[kind].setdefault(obj.name, set()).add(obj.id)
        if isinstance(obj, Image):
            self._datastore_images[obj.datastore_id].add(obj.id)
        elif isinstance(obj, Lease):
            self._leases.change(old, obj)
        elif isinstance(obj, StagedImage):
            self._staged[_copy_of(obj)] = obj.id

    def _delete(self, kind: Kind, object_id: int) -> None:
        old = self.pools[kind].pop(object_id, None)
        if old is None:
            return
        if kind is Kind.VM:
            self._index_vm(old, None)
            return
        self._forget_name(kind, old)
        self.names_revision += 1
        if isinstance(old, Image):
            self._datastore_images[old.datastore_id].discard(object_id)
        elif isinstance(old, Lease):
            self._leases.change(old, None)
        elif isinstance(old, StagedImage):
            self._staged.pop(_copy_of(old), None)

    def _forget_name(self, kind: Kind, obj: Object) -> None:
        ids = self._names[kind].get(obj.name, set())
        ids.discard(obj.id)
        if not ids:
            self._names[kind].pop(obj.name, None)

    def _index_vm(self, old: Vm | None, new: Vm | None) -> None:
        self._index_host(old, new)
        if new is not None and new.status is VmStatus.PENDING and new.lease_id is None:
            self._pending[new.id] = None
        elif old is not None:
            self._pending.pop(old.id, None)
        held_before = old is not None and old.status is not VmStatus.DONE
        held_after = new is not None and new.status is not VmStatus.DONE
        if held_before and held_after and _same_parts(old, new):
            return
        if new is not None and new.lease_id is not None:
            self._leases.keep_vm(new.lease_id, new.id, held=held_after)
        if old is not None and held_before:
            self._release(old)
        if new is not None and held_after:
            self._hold(new)

    def _index_host(self, old: Vm | None, new: Vm | None) -> None:
        before = None if old is None else old.host_id
        after = None if new is None else new.host_id
        if before is not None:
            self._usage.pop(before, None)
            self._host_revisions[before] += 1
            if old is not None and before != after:
                self._on_host[before].discard(old.id)
        if after is not None and new is not None:
            self._usage.pop(after, None)
            self._host_revisions[after] += 1
            self._on_host[after].add(new.id)

    def _hold(self, vm: Vm) -> None:
        for disk in vm.disks:
            if disk.image_id is not None:
                self._image_users[disk.image_id].add(vm.id)
        for nic in vm.nics:
            self._network_vms[nic.network_id].add(vm.id)
            self._taken[nic.network_id, nic.ar_id] |= 1 << nic.index
            self._holders[_place(nic)] = vm.id

    def _release(self, vm: Vm) -> None:
        for disk in vm.disks:
            if disk.image_id is not None:
                self._image_users[disk.image_id].discard(vm.id)
        for nic in vm.nics:
            self._network_vms[nic.network_id].discard(vm.id)
            self._taken[nic.network_id, nic.ar_id] &= ~(1 << nic.index)
            self._holders.pop(_place(nic), None)

    # --- answers ----------------------------------------------------------------------------------

    def unfinished(self, kind: Kind, object_id: int) -> Action | None:
        return self.actions.get((kind, object_id))

    def next_id(self, kind: Kind) -> int:
        return self.next_ids[kind]

    def by_name(self, kind: Kind, name: str, uid: int | None = None) -> int | None:
        if kind is Kind.VM:
            named = [vm.id for vm in self.vms.values() if vm.name == name and vm.etime is None]
            return min((i for i in named if uid is None or self.vms[i].uid == uid), default=None)
        pool = self.pools[kind]
        ids = self._names[kind].get(name, NOBODY)
        return min((i for i in ids if uid is None or pool[i].uid == uid), default=None)

    def host_usage(self, host_id: int) -> Capacity:
        return self._usages(host_id)[0]

    def leased_usage(self, host_id: int) -> Capacity:
        return self._usages(host_id)[1]

    def _usages(self, host_id: int) -> tuple[Capacity, Capacity]:
        """(of all VMs, of those of leases) on a host."""
        usages = self._usage.get(host_id)
        if usages is None:
            here = [self.vms[vm_id] for vm_id in self._on_host.get(host_id, NOBODY)]
            leased = [vm for vm in here if vm.lease_id is not None]
            usages = self._usage[host_id] = (_sum_usage(here), _sum_usage(leased))
        return usages

    def host_revision(self, host_id: int) -> int:
        return self._host_revisions.get(host_id, 0)

    def vms_on(self, host_id: int) -> Set[int]:
        return self._on_host.get(host_id, NOBODY)

    def vms_pending(self) -> Set[int]:
        return self._pending.keys()

    def leases_live(self) -> Set[int]:
        return self._leases.live.keys()

    def lease_vms(self, lease_id: int) -> Set[int]:
        return self._leases.vms.get(lease_id, NOBODY)

    def promised(self, host_id: int, now: float) -> Capacity:
        return self._leases.promised(host_id, now)

    def image_users(self, image_id: int) -> Set[int]:
        return self._image_users.get(image_id, NOBODY)

    def staged_image(self, image_id: int, host_id: int) -> StagedImage | None:
        image = self.images.get(image_id)
        if image is None:
            return None
        found = self._staged.get((image_id, host_id, image.gen))
        return None if found is None else self.staged_images[found]

    def datastore_images(self, datastore_id: int) -> Set[int]:
        return self._datastore_images.get(datastore_id, NOBODY)

    def network_vms(self, network_id: int) -> Set[int]:
        return self._network_vms.get(network_id, NOBODY)

    def addresses_taken(self, network_id: int, ar_id: int) -> int:
        return self._taken.get((network_id, ar_id), 0)

    def address_holder(self, network_id: int, ar_id: int, index: int) -> int | None:
        return self._holders.get((network_id, ar_id, index))

    def system_datastore(self, cluster_id: int) -> Datastore | None:
        for datastore in self.datastores.values():
            if datastore.type is DatastoreType.SYSTEM and cluster_id in datastore.clusters:
                return datastore
        return None


class LeaseIndex:
    """What follows from the leases: which are not over, and what is promised on each host."""

    def __init__(self, leases: Mapping[int, Lease]) -> None:
        self._all = leases
        self.live: dict[int, None] = {}
        self.vms: dict[int, set[int]] = {}
        self._on_host: dict[int, set[int]] = defaultdict(set)
        self._promises: dict[int, Promises] = {}

    def change(self, old: Lease | None, new: Lease | None) -> None:
        if new is None or new.status.final:
            self.live.pop((new or old).id, None)  # type: ignore[union-attr] # one of them is there
        else:
            self.live[new.id] = None
        if old is not None and new is not None and _same_plan(old, new):
            return
        for lease, keep in ((old, False), (new, True)):
            for host_id in _hosts_of(lease):
                self._promises.pop(host_id, None)
                on_host = self._on_host[host_id]
                on_host.add(lease.id) if keep else on_host.discard(lease.id)  # type: ignore[union-attr] # it has hosts

    def keep_vm(self, lease_id: int, vm_id: int, *, held: bool) -> None:
        vms = self.vms.setdefault(lease_id, set())
        vms.add(vm_id) if held else vms.discard(vm_id)
        if not vms:
            del self.vms[lease_id]

    def promised(self, host_id: int, now: float) -> Capacity:
        promises = self._promises.get(host_id)
        if promises is None:
            leases = [self._all[i] for i in sorted(self._on_host.get(host_id, NOBODY))]
            promises = self._promises[host_id] = Promises(host_id, leases)
        return promises.most_from(now)


def _same_plan(old: Lease, new: Lease) -> bool:
    same_status = old.status.final == new.status.final
    return same_status and old.runs == new.runs and old.terms.nodes == new.terms.nodes


def _hosts_of(lease: Lease | None) -> set[int]:
    """Where it still holds something, now or later."""
    if lease is None or lease.status.final:
        return set()
    return {host for run in lease.runs if not is_over(run) for host in run.hosts}


def _sum_usage(vms: Iterable[Vm]) -> Capacity:
    cpu = memory = disk = 0
    for vm in vms:
        disk += vm.capacity.disk_mib
        if vm.holds_capacity:
            cpu += vm.capacity.cpu_pct
            memory += vm.capacity.memory_mib
    return Capacity(cpu, memory, disk) if cpu or memory or disk else NOTHING


def _copy_of(copy: StagedImage) -> tuple[int, int, int]:
    """Of what it is a copy, and where: there is one at most."""
    return (copy.image_id, copy.host_id, copy.image_gen)


def _place(nic: Nic) -> tuple[int, int, int]:
    return (nic.network_id, nic.ar_id, nic.index)


def _same_parts(old: Vm | None, new: Vm | None) -> bool:
    """Most changes leave disks and NICs the very same tuples: then there is nothing to index
    again."""
    return old is not None and new is not None and old.disks is new.disks and old.nics is new.nics
