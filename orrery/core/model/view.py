"""The picture of the state that core, scheduler and services read: objects by kind and id, and what
follows from them.

Derived answers (usage of a host, users of an image, addresses taken) are computed from the objects,
never counted up and down by hand, so they cannot drift.
"""

from collections.abc import Mapping, Set
from typing import Protocol

from orrery.core.capacity import Capacity
from orrery.core.model.action import Action
from orrery.core.model.host import Cluster, Host
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import Lease
from orrery.core.model.network import SecurityGroup, VirtualNetwork
from orrery.core.model.storage import Datastore, Image, StagedImage
from orrery.core.model.users import Group, User, VmTemplate
from orrery.core.model.vm import Vm

Object = (
    Vm
    | Host
    | Image
    | Datastore
    | VirtualNetwork
    | VmTemplate
    | SecurityGroup
    | User
    | Group
    | Cluster
    | Lease
    | StagedImage
)

CLASS_OF: dict[Kind, type[Object]] = {
    Kind.VM: Vm,
    Kind.HOST: Host,
    Kind.IMAGE: Image,
    Kind.DATASTORE: Datastore,
    Kind.NETWORK: VirtualNetwork,
    Kind.TEMPLATE: VmTemplate,
    Kind.SECURITY_GROUP: SecurityGroup,
    Kind.USER: User,
    Kind.GROUP: Group,
    Kind.CLUSTER: Cluster,
    Kind.LEASE: Lease,
    Kind.STAGED_IMAGE: StagedImage,
}
KIND_OF: dict[type, Kind] = {cls: kind for kind, cls in CLASS_OF.items()}


class View(Protocol):
    """Read-only. Mappings are ordered by id."""

    @property
    def engine_id(self) -> str: ...
    @property
    def name_prefix(self) -> str:
        """What the names of domains and taps begin with: engines that share a host differ in it."""
        ...

    @property
    def revision(self) -> int:
        """Grows with every change of anything: what was made of the view since is still whole."""
        ...

    @property
    def names_revision(self) -> int:
        """Grows when an object other than a VM is renamed or removed."""
        ...

    @property
    def vms(self) -> Mapping[int, Vm]: ...
    @property
    def hosts(self) -> Mapping[int, Host]: ...
    @property
    def images(self) -> Mapping[int, Image]: ...
    @property
    def datastores(self) -> Mapping[int, Datastore]: ...
    @property
    def networks(self) -> Mapping[int, VirtualNetwork]: ...
    @property
    def templates(self) -> Mapping[int, VmTemplate]: ...
    @property
    def security_groups(self) -> Mapping[int, SecurityGroup]: ...
    @property
    def users(self) -> Mapping[int, User]: ...
    @property
    def groups(self) -> Mapping[int, Group]: ...
    @property
    def clusters(self) -> Mapping[int, Cluster]: ...
    @property
    def leases(self) -> Mapping[int, Lease]: ...
    @property
    def staged_images(self) -> Mapping[int, StagedImage]: ...

    def unfinished(self, kind: Kind, object_id: int) -> Action | None:
        """The action in the outbox for that object."""
        ...

    def next_id(self, kind: Kind) -> int:
        """The id the next new object of that kind will have."""
        ...

    def by_name(self, kind: Kind, name: str, uid: int | None = None) -> int | None:
        """The id of the object of that name (and owner, where names are per owner)."""
        ...

    def host_usage(self, host_id: int) -> Capacity:
        """What the VMs on that host hold."""
        ...

    def host_revision(self, host_id: int) -> int:
        """Grows with every change of a VM on that host."""
        ...

    def vms_on(self, host_id: int) -> Set[int]:
        """VMs whose present stay is on that host."""
        ...

    def vms_pending(self) -> Set[int]:
        """VMs waiting for a host; those of leases are not: their lease says when and where."""
        ...

    def leases_live(self) -> Set[int]:
        """Leases that are not over."""
        ...

    def lease_vms(self, lease_id: int) -> Set[int]:
        """VMs of a lease that are not done, those it has replaced among them."""
        ...

    def leased_usage(self, host_id: int) -> Capacity:
        """What the VMs of leases hold on that host: part of its usage."""
        ...

    def promised(self, host_id: int, now: float) -> Capacity:
        """The most that planned runs of leases hold on that host at any time from now on."""
        ...

    def image_users(self, image_id: int) -> Set[int]:
        """VMs that hold a disk of that image."""
        ...

    def staged_image(self, image_id: int, host_id: int) -> StagedImage | None:
        """The copy of the image as it is now in the cache of a host, whatever its status."""
        ...

    def datastore_images(self, datastore_id: int) -> Set[int]:
        """Images registered in that datastore."""
        ...

    def network_vms(self, network_id: int) -> Set[int]:
        """VMs with a NIC on that network."""
        ...

    def addresses_taken(self, network_id: int, ar_id: int) -> int:
        """A bit set: bit i is 1 when the i-th address of the range is held by a VM."""
        ...

    def address_holder(self, network_id: int, ar_id: int, index: int) -> int | None:
        """The VM that holds an address."""
        ...

    def system_datastore(self, cluster_id: int) -> Datastore | None:
        """Where disks of VMs in that cluster go."""
        ...
