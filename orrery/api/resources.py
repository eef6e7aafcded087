"""Objects as the JSON API shows them: our own words, plain units, names beside ids. Decides
nothing.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from orrery.core.capacity import Capacity
from orrery.core.model import kinds as model
from orrery.core.model.host import Cluster, Host, Measured
from orrery.core.model.kinds import Entity
from orrery.core.model.network import AddressRange, SecurityGroup, VirtualNetwork
from orrery.core.model.storage import Datastore, Image
from orrery.core.model.users import Group, User, VmTemplate
from orrery.core.model.view import View
from orrery.core.model.vm import Disk, HistoryRecord, Nic, Vm
from orrery.core.status import ImageStatus
from orrery.core.template import Template
from orrery.service.engine import Monitoring

Attributes = dict[str, Any]
"""A template: text, an object for a vector, a list where an attribute is repeated."""


class Ref(Struct, frozen=True):
    """Another object, by id and name; the name is null when it is gone."""

    id: int
    name: str | None


class AmountsOut(Struct, frozen=True, kw_only=True):
    cpu: float
    """In cores."""
    memory_mib: int
    disk_mib: int


class DiskOut(Struct, frozen=True, kw_only=True):
    id: int
    image: Ref | None
    target: str
    size_mib: int
    format: str
    persistent: bool
    readonly: bool


class NicOut(Struct, frozen=True, kw_only=True):
    id: int
    network: Ref
    ip: str | None
    mac: str
    security_groups: tuple[int, ...]


class StayOut(Struct, frozen=True, kw_only=True):
    """One stay of a VM on a host."""

    host: Ref
    start_at: float
    end_at: float | None
    ended_by: str | None


class Owned(Struct, frozen=True, kw_only=True):
    """What every object with an owner shows."""

    id: int
    name: str
    owner: Ref
    group: Ref
    permissions: str


class VmOut(Owned, frozen=True, kw_only=True):
    status: str
    """OpenNebula's name of the state; of the life-cycle state while ACTIVE."""
    state: int
    lcm_state: int
    cpu: float
    vcpu: int
    memory_mib: int
    disk_mib: int
    created_at: float
    ended_at: float | None
    host: Ref | None
    ips: tuple[str, ...]
    error: str | None
    waiting_because: str | None
    usage: dict[str, float]
    """The newest monitoring numbers, by OpenNebula's names."""


class VmDetail(VmOut, frozen=True, kw_only=True):
    disks: tuple[DiskOut, ...]
    nics: tuple[NicOut, ...]
    history: tuple[StayOut, ...]
    template: Attributes
    user_template: Attributes
    template_id: int | None


class MeasuredOut(Struct, frozen=True, kw_only=True):
    """How long one kind of operation of leases takes: plans go by mean + 2 deviation."""

    kind: str
    mean: float
    deviation: float
    unit: str
    """s, or s/MiB of memory (or of disk images)."""
    count: int


class HostOut(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    status: str
    cluster: Ref
    driver: str
    total: AmountsOut
    offered: AmountsOut
    reserved_by_vms: AmountsOut
    """What the VMs on it were promised."""
    vms: tuple[int, ...]
    capabilities: tuple[str, ...]
    error: str | None
    usage: dict[str, float]
    lease_operations: tuple[MeasuredOut, ...]
    """Measured on this host; recent measurements weigh more."""
    facts: Attributes
    template: Attributes


class ClusterOut(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    hosts: tuple[int, ...]
    datastores: tuple[int, ...]
    networks: tuple[int, ...]
    template: Attributes


class ImageOut(Owned, frozen=True, kw_only=True):
    type: str
    status: str
    datastore: Ref
    size_mib: int
    format: str
    persistent: bool
    registered_at: float
    used_by: tuple[int, ...]
    checksum: str | None
    error: str | None
    template: Attributes
    progress: float | None = None
    """How far its data is in the datastore, 0 to 1, while it is LOCKED."""


class TextOut(Struct, frozen=True):
    """A text that grows: a log, a console."""

    text: str


class DatastoreOut(Owned, frozen=True, kw_only=True):
    type: str
    status: str
    driver: str
    clusters: tuple[int, ...]
    images: tuple[int, ...]
    usage: dict[str, float]
    template: Attributes


class RangeOut(Struct, frozen=True, kw_only=True):
    id: int
    type: str
    first_ip: str | None
    first_mac: str
    size: int
    used: int


class NetworkOut(Owned, frozen=True, kw_only=True):
    status: str
    driver: str
    bridge: str
    clusters: tuple[int, ...]
    ranges: tuple[RangeOut, ...]
    vms: tuple[int, ...]
    template: Attributes


class OwnedOut(Owned, frozen=True, kw_only=True):
    """A VM template or a security group."""

    template: Attributes


class UserOut(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    group: Ref
    groups: tuple[int, ...]
    auth_driver: str
    enabled: bool
    template: Attributes


class GroupOut(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    template: Attributes


# --- from objects ---------------------------------------------------------------------------------


def ref(pool: Any, object_id: int) -> Ref:
    found: Entity | None = pool.get(object_id)
    return Ref(object_id, None if found is None else found.name)


def octal(permissions: int) -> str:
    """As chmod writes it: 640 is um- u-- ---."""
    return f"{permissions:03o}"


def ownership(obj: model.Owned, view: View) -> dict[str, Any]:
    """The fields of `Owned`."""
    return {
        "id": obj.id,
        "name": obj.name,
        "owner": ref(view.users, obj.uid),
        "group": ref(view.groups, obj.gid),
        "permissions": octal(obj.permissions),
    }


def amounts(capacity: Capacity) -> AmountsOut:
    return AmountsOut(
        cpu=capacity.cpu_pct / 100, memory_mib=capacity.memory_mib, disk_mib=capacity.disk_mib
    )


def attributes(template: Template) -> Attributes:
    result: Attributes = {}
    for name, value in template.attributes:
        shown: Any = value if isinstance(value, str) else dict(value)
        if name not in result:
            result[name] = shown
        elif isinstance(result[name], list):
            result[name].append(shown)
        else:
            result[name] = [result[name], shown]
    return result


def vm_summary(vm: Vm, view: View, monitoring: Monitoring) -> dict[str, Any]:
    host_id = vm.host_id
    return {
        **ownership(vm, view),
        "status": vm.status.name,
        "state": vm.status.state,
        "lcm_state": vm.status.lcm_state,
        "cpu": vm.capacity.cpu_pct / 100,
        "vcpu": vm.vcpu,
        "memory_mib": vm.capacity.memory_mib,
        "disk_mib": vm.capacity.disk_mib,
        "created_at": vm.stime,
        "ended_at": vm.etime,
        "host": None if host_id is None else ref(view.hosts, host_id),
        "ips": tuple(nic.ip for nic in vm.nics if nic.ip is not None),
        "error": vm.error,
        "waiting_because": vm.sched_message,
        "usage": dict(monitoring.last_vm(vm.id) or {}),
    }


def vm_out(vm: Vm, view: View, monitoring: Monitoring) -> VmOut:
    return VmOut(**vm_summary(vm, view, monitoring))


def vm_detail(vm: Vm, view: View, monitoring: Monitoring) -> VmDetail:
    return VmDetail(
        **vm_summary(vm, view, monitoring),
        disks=tuple(disk_out(disk, view) for disk in vm.disks),
        nics=tuple(nic_out(nic, view) for nic in vm.nics),
        history=tuple(stay_out(stay) for stay in vm.history),
        template=attributes(vm.template),
        user_template=attributes(vm.user_template),
        template_id=vm.template_id,
    )


def disk_out(disk: Disk, view: View) -> DiskOut:
    return DiskOut(
        id=disk.id,
        image=None if disk.image_id is None else ref(view.images, disk.image_id),
        target=disk.target,
        size_mib=disk.size_mib,
        format=disk.format,
        persistent=disk.persistent,
        readonly=disk.readonly,
    )


def nic_out(nic: Nic, view: View) -> NicOut:
    return NicOut(
        id=nic.id,
        network=ref(view.networks, nic.network_id),
        ip=nic.ip,
        mac=nic.mac,
        security_groups=nic.security_groups,
    )


def stay_out(stay: HistoryRecord) -> StayOut:
    return StayOut(
        host=Ref(stay.host_id, stay.hostname),
        start_at=stay.stime,
        end_at=stay.etime,
        ended_by=None if stay.etime is None else stay.action.name.lower().replace("_", "-"),
    )


def host_out(host: Host, view: View, monitoring: Monitoring) -> HostOut:
    return HostOut(
        id=host.id,
        name=host.name,
        status=host.status.name,
        cluster=ref(view.clusters, host.cluster_id),
        driver=host.vm_mad,
        total=amounts(host.total),
        offered=amounts(host.offered),
        reserved_by_vms=amounts(view.host_usage(host.id)),
        vms=tuple(sorted(view.vms_on(host.id))),
        capabilities=tuple(sorted(host.capabilities)),
        error=host.error,
        usage=dict(monitoring.last_host(host.id) or {}),
        lease_operations=tuple(map(measured_out, host.measured)),
        facts=attributes(host.facts),
        template=attributes(host.template),
    )


def measured_out(one: Measured) -> MeasuredOut:
    return MeasuredOut(
        kind=one.kind, mean=one.mean, deviation=one.deviation, unit=one.unit, count=one.count
    )


def cluster_out(cluster: Cluster, view: View) -> ClusterOut:
    return ClusterOut(
        id=cluster.id,
        name=cluster.name,
        hosts=tuple(h.id for h in view.hosts.values() if h.cluster_id == cluster.id),
        datastores=ids_in(cluster.id, view.datastores.values()),
        networks=ids_in(cluster.id, view.networks.values()),
        template=attributes(cluster.template),
    )


def ids_in(cluster_id: int, objects: Iterable[Datastore | VirtualNetwork]) -> tuple[int, ...]:
    return tuple(obj.id for obj in objects if cluster_id in obj.clusters)


def image_out(image: Image, view: View) -> ImageOut:
    users = tuple(sorted(view.image_users(image.id)))
    status = image.status
    if users and status is ImageStatus.READY:
        status = ImageStatus.USED_PERS if image.persistent else ImageStatus.USED
    return ImageOut(
        **ownership(image, view),
        type=image.type.name,
        status=status.name,
        datastore=ref(view.datastores, image.datastore_id),
        size_mib=image.size_mib,
        format=image.format,
        persistent=image.persistent,
        registered_at=image.regtime,
        used_by=users,
        checksum=image.checksum,
        error=image.error,
        template=attributes(image.template),
    )


def datastore_out(store: Datastore, view: View, monitoring: Monitoring) -> DatastoreOut:
    return DatastoreOut(
        **ownership(store, view),
        type=store.type.name,
        status=store.status.name,
        driver=store.tm_mad,
        clusters=store.clusters,
        images=tuple(sorted(view.datastore_images(store.id))),
        usage=dict(monitoring.last_datastore(store.id) or {}),
        template=attributes(store.template),
    )


def network_out(network: VirtualNetwork, view: View) -> NetworkOut:
    return NetworkOut(
        **ownership(network, view),
        status=network.status.name,
        driver=network.vn_mad,
        bridge=network.bridge,
        clusters=network.clusters,
        ranges=tuple(range_out(network, ar, view) for ar in network.ranges),
        vms=tuple(sorted(view.network_vms(network.id))),
        template=attributes(network.template),
    )


def range_out(network: VirtualNetwork, ar: AddressRange, view: View) -> RangeOut:
    taken = view.addresses_taken(network.id, ar.id)
    for index in ar.held:
        taken |= 1 << index
    return RangeOut(
        id=ar.id,
        type=ar.type,
        first_ip=ar.ip,
        first_mac=ar.mac,
        size=ar.size,
        used=taken.bit_count(),
    )


def owned_out(obj: VmTemplate | SecurityGroup, view: View) -> OwnedOut:
    return OwnedOut(
        **ownership(obj, view),
        template=attributes(obj.template),
    )


def user_out(user: User, view: View) -> UserOut:
    return UserOut(
        id=user.id,
        name=user.name,
        group=ref(view.groups, user.gid),
        groups=user.groups,
        auth_driver=user.auth_driver,
        enabled=user.enabled,
        template=attributes(user.template),
    )


def group_out(group: Group) -> GroupOut:
    return GroupOut(id=group.id, name=group.name, template=attributes(group.template))
