"""Whole answers: one object, or a pool of them, as fragments that need no further escaping.

Reads the view and the monitoring numbers; decides nothing about who may see what.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from orrery.api.xml import host as host_xml
from orrery.api.xml import lease as lease_xml
from orrery.api.xml import monitoring as monitoring_xml
from orrery.api.xml import network as network_xml
from orrery.api.xml import storage as storage_xml
from orrery.api.xml import users as users_xml
from orrery.api.xml import vm as vm_xml
from orrery.api.xml.fragments import Fragments, Pieces, Shelf, escaped
from orrery.core.model.host import Cluster, Host
from orrery.core.model.lease import Lease
from orrery.core.model.network import SecurityGroup, VirtualNetwork
from orrery.core.model.storage import Datastore, Image
from orrery.core.model.users import Group, User, VmTemplate
from orrery.core.model.view import View
from orrery.core.model.vm import HistoryRecord, Vm
from orrery.core.status import VmStatus
from orrery.service.engine import Monitoring, Sample, Values

Answer = list[bytes]
"""Escaped fragments in order."""

NEVER_POLLED = b"0"
NO_NUMBERS = escaped("<MONITORING/>")
VM_POOL, VM_POOL_END = escaped("<VM_POOL>"), escaped("</VM_POOL>")


def whole(document: str) -> Answer:
    return [escaped(document)]


class KnownHost(Struct, frozen=True):
    """A host's pieces, and what they were made of: the host, its numbers, the revisions of names
    and of the VMs on it."""

    host: Host
    values: Values | None
    revisions: tuple[int, int]
    pieces: Pieces

    def is_good(self, host: Host, values: Values | None, revisions: tuple[int, int]) -> bool:
        return self.host is host and self.values is values and self.revisions == revisions


class Documents:
    """Objects as answers; one instance per daemon, since it remembers what it has made."""

    def __init__(self, view: View, monitoring: Monitoring) -> None:
        self._view = view
        self._monitoring = monitoring
        self._made = Fragments()
        self._short = Shelf(vm_xml.short, b"")
        self._full = Shelf(vm_xml.full, NO_NUMBERS)
        self._hosts: dict[int, KnownHost] = {}

    # --- VMs

    def vm(self, vm: Vm) -> Answer:
        return self._vms(self._full, (vm,))

    def vm_pool(self, vms: Iterable[Vm]) -> Answer:
        """The short form."""
        return [VM_POOL, *self._vms(self._short, vms), VM_POOL_END]

    def vm_pool_extended(self, vms: Iterable[Vm]) -> Answer:
        return [VM_POOL, *self._vms(self._full, vms), VM_POOL_END]

    def _vms(self, shelf: Shelf[Vm], vms: Iterable[Vm]) -> Answer:
        """The hottest loop of all: nothing is called for what is still good."""
        answer: Answer = []
        known, samples = shelf.entries, self._monitoring.vm_samples
        names_revision = self._view.names_revision
        for vm in vms:
            vm_id = vm.id
            entry = known.get(vm_id)
            if entry is None or entry.obj is not vm or entry.names_revision != names_revision:
                entry = shelf.cut(vm, vm_xml.names_of(vm, self._view))
                entry.names_revision = names_revision
            sample = samples.get(vm_id)
            if entry.sample is not sample or not entry.pieces:
                entry.sample = sample
                entry.pieces = self._with_numbers(shelf, vm_id, entry.cuts)
            answer += entry.pieces
        return answer

    def _with_numbers(self, shelf: Shelf[Vm], vm_id: int, cuts: Pieces) -> Pieces:
        head, middle, tail = cuts
        values = self._monitoring.last_vm(vm_id)
        if not values:
            return (head, NEVER_POLLED, middle, shelf.no_numbers, tail)
        numbers = self._made.numbers(vm_id, values, monitoring_xml.vm_values)
        return (head, numbers.polled, middle, numbers.element, tail)

    def accounting(self, stays: Sequence[tuple[Vm, HistoryRecord]]) -> Answer:
        """Every stay with its VM."""
        answer = [escaped("<HISTORY_RECORDS>")]
        for vm, stay in stays:
            answer.append(escaped(f"<HISTORY>{vm_xml.stay(vm, stay)}"))
            answer += self.vm(vm)
            answer.append(escaped("</HISTORY>"))
        answer.append(escaped("</HISTORY_RECORDS>"))
        return answer

    def series(self, samples: Iterable[Sample]) -> Answer:
        return whole(monitoring_xml.data(samples))

    # --- leases

    def lease(self, lease: Lease) -> Answer:
        return list(self._lease(lease))

    def lease_pool(self, leases: Iterable[Lease]) -> Answer:
        return pool("LEASE_POOL", map(self._lease, leases))

    def _lease(self, lease: Lease) -> Pieces:
        names = storage_xml.owner_names(lease.uid, lease.gid, self._view)
        return self._made.of("lease", lease, names, lease_xml.lease)

    # --- hosts and clusters

    def host(self, host: Host) -> Answer:
        return list(self._host(host))

    def host_pool(self, hosts: Iterable[Host]) -> Answer:
        return pool("HOST_POOL", map(self._host, hosts))

    def _host(self, host: Host) -> Pieces:
        """Usage and VMs are looked up again only when a VM on it changed."""
        values = self._monitoring.last_host(host.id)
        revisions = (self._view.names_revision, self._view.host_revision(host.id))
        known = self._hosts.get(host.id)
        if known is None or not known.is_good(host, values, revisions):
            facts = host_xml.host_facts(host, self._view, values)
            pieces = self._made.of("host", host, facts, host_xml.host)
            known = self._hosts[host.id] = KnownHost(host, values, revisions, pieces)
        return known.pieces

    def cluster(self, cluster: Cluster) -> Answer:
        return list(self._cluster(cluster))

    def cluster_pool(self, clusters: Iterable[Cluster]) -> Answer:
        return pool("CLUSTER_POOL", map(self._cluster, clusters))

    def _cluster(self, cluster: Cluster) -> Pieces:
        facts = host_xml.cluster_facts(cluster, self._view)
        return self._made.of("cluster", cluster, facts, host_xml.cluster)

    # --- images and datastores

    def image(self, image: Image) -> Answer:
        return list(self._image(image))

    def image_pool(self, images: Iterable[Image]) -> Answer:
        return pool("IMAGE_POOL", map(self._image, images))

    def _image(self, image: Image) -> Pieces:
        facts = storage_xml.image_facts(image, self._view)
        return self._made.of("image", image, facts, storage_xml.image)

    def datastore(self, datastore: Datastore) -> Answer:
        return list(self._datastore(datastore))

    def datastore_pool(self, datastores: Iterable[Datastore]) -> Answer:
        return pool("DATASTORE_POOL", map(self._datastore, datastores))

    def _datastore(self, datastore: Datastore) -> Pieces:
        values = self._monitoring.last_datastore(datastore.id)
        facts = storage_xml.datastore_facts(datastore, self._view, values)
        return self._made.of("datastore", datastore, facts, storage_xml.datastore)

    # --- networks and security groups

    def network(self, network: VirtualNetwork) -> Answer:
        facts = network_xml.network_facts(network, self._view)
        return whole(network_xml.network_info(network, facts, self._view))

    def network_pool(self, networks: Iterable[VirtualNetwork]) -> Answer:
        return pool("VNET_POOL", map(self._network, networks))

    def _network(self, network: VirtualNetwork) -> Pieces:
        facts = network_xml.network_facts(network, self._view)
        return self._made.of("network", network, facts, network_xml.network)

    def security_group(self, group: SecurityGroup) -> Answer:
        guarded = self._guarded_vms()
        return list(self._security_group(group, guarded))

    def security_group_pool(self, groups: Iterable[SecurityGroup]) -> Answer:
        guarded = self._guarded_vms()
        return pool(
            "SECURITY_GROUP_POOL", (self._security_group(group, guarded) for group in groups)
        )

    def _security_group(self, group: SecurityGroup, guarded: dict[int, list[int]]) -> Pieces:
        facts = network_xml.security_group_facts(
            group, tuple(guarded.get(group.id, ())), self._view
        )
        return self._made.of("security_group", group, facts, network_xml.security_group)

    def _guarded_vms(self) -> dict[int, list[int]]:
        """VMs by the security groups of their NICs."""
        guarded: dict[int, list[int]] = defaultdict(list)
        for vm in self._view.vms.values():
            if vm.nics and vm.status is not VmStatus.DONE:
                for group in {group for nic in vm.nics for group in nic.security_groups}:
                    guarded[group].append(vm.id)
        return guarded

    # --- users, groups, templates

    def user(self, user: User) -> Answer:
        return whole(users_xml.user_info(users_xml.user(user, self._gname(user))[0]))

    def user_pool(self, users: Sequence[User]) -> Answer:
        heads = [users_xml.user(user, self._gname(user))[0] + "</USER>" for user in users]
        quotas = [users_xml.quotas(user.id) for user in users]
        inside = "".join((*heads, *quotas))
        return whole(f"<USER_POOL>{inside}{users_xml.DEFAULT_USER_QUOTAS}</USER_POOL>")

    def group(self, group: Group) -> Answer:
        head = users_xml.group(group, self._members()[group.id])[0]
        return whole(users_xml.group_info(head, group.id))

    def group_pool(self, groups: Sequence[Group]) -> Answer:
        members = self._members()
        heads = [users_xml.group(group, members[group.id])[0] + "</GROUP>" for group in groups]
        quotas = [users_xml.quotas(group.id) for group in groups]
        rules = [users_xml.vlan_rules(group.id) for group in groups]
        inside = "".join((*heads, *quotas, *rules))
        return whole(f"<GROUP_POOL>{inside}{users_xml.DEFAULT_GROUP_QUOTAS}</GROUP_POOL>")

    def _gname(self, user: User) -> str:
        return storage_xml.owner_names(user.id, user.gid, self._view)[1]

    def _members(self) -> dict[int, tuple[int, ...]]:
        members: dict[int, list[int]] = {gid: [] for gid in self._view.groups}
        for user in self._view.users.values():
            for gid in {user.gid, *user.groups}:
                members.setdefault(gid, []).append(user.id)
        return {gid: tuple(uids) for gid, uids in members.items()}

    def template(self, template: VmTemplate) -> Answer:
        return list(self._template(template))

    def template_pool(self, templates: Iterable[VmTemplate]) -> Answer:
        return pool("VMTEMPLATE_POOL", map(self._template, templates))

    def _template(self, template: VmTemplate) -> Pieces:
        names = storage_xml.owner_names(template.uid, template.gid, self._view)
        return self._made.of("template", template, names, users_xml.vm_template)


def pool(root: str, members: Iterable[Pieces]) -> Answer:
    """Members between the root's tags."""
    answer = [escaped(f"<{root}>")]
    for pieces in members:
        answer += pieces
    answer.append(escaped(f"</{root}>"))
    return answer
