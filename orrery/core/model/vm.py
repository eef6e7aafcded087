"""The VM and its parts."""

from msgspec import Struct

from orrery.core.capacity import Capacity
from orrery.core.model.kinds import Owned
from orrery.core.status import HistoryAction, VmStatus
from orrery.core.template import Pairs, Template


class Disk(Struct, frozen=True, kw_only=True):
    """A VM's use of an image, or a volatile disk (`image_id` None)."""

    id: int
    image_id: int | None
    datastore_id: int | None
    kind: str
    """FILE, CDROM, or for volatile disks fs or swap: OpenNebula's TYPE."""
    source: str
    """Where the image lies: a path in its datastore; empty for a volatile disk."""
    format: str
    """raw or qcow2: the format of the disk the VM sees."""
    size_mib: int
    original_size_mib: int
    target: str
    """Device name in the guest: vda, sda, hda."""
    dev_prefix: str
    persistent: bool = False
    readonly: bool = False
    clone: bool = True
    extra: Pairs = ()
    """Other attributes of the DISK as the user gave them (IMAGE, CACHE, IO ...)."""


class Nic(Struct, frozen=True, kw_only=True):
    """A VM's address on a virtual network."""

    id: int
    network_id: int
    ar_id: int
    index: int
    """Position in the address range; (network, range, index) is held by one VM at most."""
    mac: str
    ip: str | None
    bridge: str
    target: str
    """Name of the tap device on the host."""
    vn_mad: str
    model: str | None = None
    security_groups: tuple[int, ...] = (0,)
    extra: Pairs = ()


class HistoryRecord(Struct, frozen=True, kw_only=True):
    """One stay of a VM on a host. Times are seconds since the epoch, None while still open.

    p = prolog, r = running (handed to the hypervisor), e = epilog, as in OpenNebula.
    """

    seq: int
    host_id: int
    hostname: str
    cluster_id: int
    vm_mad: str
    tm_mad: str
    ds_id: int
    stime: float
    etime: float | None = None
    pstime: float | None = None
    petime: float | None = None
    rstime: float | None = None
    retime: float | None = None
    estime: float | None = None
    eetime: float | None = None
    action: HistoryAction = HistoryAction.NONE
    uid: int | None = None
    gid: int | None = None
    cause: str | None = None


class Vm(Owned, frozen=True, kw_only=True):
    """A virtual machine: outlives any one start of its domain."""

    status: VmStatus
    prev_status: VmStatus
    capacity: Capacity
    vcpu: int
    stime: float
    etime: float | None = None
    template: Template
    """What the core knows (CPU, OS, GRAPHICS, CONTEXT ...) except DISK and NIC, which are below."""
    user_template: Template
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    history: tuple[HistoryRecord, ...] = ()
    deployment: int = 0
    """How often a domain was demanded for it; names the domain together with the id."""
    deploy_id: str | None = None
    hard: bool = False
    """The shutdown in flight is a hard one (destroy)."""
    checkpoint: int | None = None
    """The stay (its seq) whose memory is on disk: what a resume goes on from."""
    unsettled_until: float | None = None
    """Until then a start whose outcome nobody knows may still happen: it keeps its room."""
    cause: str = ""
    """What brought it into its status: a placement carries it on."""
    error: str | None = None
    sched_message: str | None = None
    template_id: int | None = None
    lease_id: int | None = None
    """The lease that it is a node of: the lease's plan starts and stops it."""

    @property
    def last_stay(self) -> HistoryRecord | None:
        """The present stay on a host, or the last one."""
        return self.history[-1] if self.history else None

    @property
    def host_id(self) -> int | None:
        """The host its disks are on; None before it is placed and when it is done."""
        if self.status in OFF_HOST or not self.history:
            return None
        return self.history[-1].host_id

    @property
    def holds_capacity(self) -> bool:
        """Whether its CPU and memory count against its host."""
        return self.status not in OFF_HOST and self.status not in AT_REST


OFF_HOST = frozenset({VmStatus.PENDING, VmStatus.HOLD, VmStatus.DONE})
"""Statuses in which a VM is on no host."""

AT_REST = frozenset(
    {VmStatus.SUSPENDED, VmStatus.POWEROFF, VmStatus.EPILOG, VmStatus.EPILOG_FAILURE}
)
"""Statuses in which only its disks are on the host: CPU and memory are free for others."""
