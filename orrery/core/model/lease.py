"""The lease: the contract by which capacity is promised, and what was planned and done for it.

The model is that of Haizea (Sotomayor, Keahey, Foster: "Combining Batch Execution and Leasing Using
Virtual Machines", HPDC 2008): the kind of a lease follows from when it is to start.
"""

from enum import Enum, IntEnum

from msgspec import Struct

from orrery.core.capacity import Capacity
from orrery.core.model.kinds import Owned
from orrery.core.template import Template


class LeaseKind(Enum):
    """What is promised about time."""

    BEST_EFFORT = "best-effort"
    """Some time: queued, backfilled, may be suspended for others."""
    RESERVATION = "reservation"
    """At exactly the requested start, for the whole duration, without a break."""
    IMMEDIATE = "immediate"
    """Now, or not at all."""
    DEADLINE = "deadline"
    """Not before the start, complete by the deadline."""


class LeaseStatus(IntEnum):
    """Haizea's states under its numbers; OFFERED is ours."""

    NEW = 0
    PENDING = 1
    REJECTED = 2
    SCHEDULED = 3
    QUEUED = 4
    CANCELLED = 5
    PREPARING = 6
    READY = 7
    ACTIVE = 8
    SUSPENDING = 9
    SUSPENDED_PENDING = 10
    SUSPENDED_QUEUED = 11
    SUSPENDED_SCHEDULED = 12
    MIGRATING = 13
    RESUMING = 14
    RESUMED_READY = 15
    DONE = 16
    FAILED = 17
    REJECTED_BY_USER = 18
    OFFERED = 19
    """A counter-offer whose capacity is held until it is accepted or expires."""

    @property
    def final(self) -> bool:
        return self in FINAL


FINAL = frozenset(
    {
        LeaseStatus.REJECTED,
        LeaseStatus.CANCELLED,
        LeaseStatus.DONE,
        LeaseStatus.FAILED,
        LeaseStatus.REJECTED_BY_USER,
    }
)


class NodeSet(Struct, frozen=True, kw_only=True):
    """`count` equal nodes of a lease: one VM each."""

    count: int
    capacity: Capacity
    other: tuple[tuple[str, int], ...] = ()
    """Further resources (devices, network) by name, for each node."""


class Terms(Struct, frozen=True, kw_only=True):
    """What is asked for. Times are seconds (since the epoch, or since the start of a workload)."""

    nodes: tuple[NodeSet, ...]
    duration: float
    start: float | None = None
    """Exact start of a reservation, earliest start of a deadline lease; None for the others."""
    immediate: bool = False
    deadline: float | None = None
    preemptible: bool | None = None
    """May it be suspended for others? None: as its kind is (best effort may)."""
    image: str | None = None
    image_mib: int = 0
    priority: int = 0
    """Higher goes first in the queue."""

    @property
    def kind(self) -> LeaseKind:
        if self.deadline is not None:
            return LeaseKind.DEADLINE
        if self.immediate:
            return LeaseKind.IMMEDIATE
        return LeaseKind.BEST_EFFORT if self.start is None else LeaseKind.RESERVATION

    @property
    def may_be_preempted(self) -> bool:
        if self.preemptible is not None:
            return self.preemptible
        return self.kind is LeaseKind.BEST_EFFORT

    @property
    def node_count(self) -> int:
        return sum(nodes.count for nodes in self.nodes)

    def capacities(self) -> tuple[NodeSet, ...]:
        """One entry for each node, in order."""
        return tuple(nodes for nodes in self.nodes for _ in range(nodes.count))


class OperationKind(Enum):
    """Work that a plan gives time of its own, so that no lessee pays for it."""

    TRANSFER = "transfer"
    BOOT = "boot"
    SUSPEND = "suspend"
    RESUME = "resume"
    MIGRATE = "migrate"
    SHUTDOWN = "shutdown"


class LeaseOrder(Enum):
    """What the VMs of a lease were last told to do together. It is stored before anything is done,
    and carried out until they are there."""

    RUN = "run"
    SUSPEND = "suspend"
    STOP = "stop"
    """Shut down: the lease is complete."""
    KILL = "kill"
    """Stop at once: what they did is lost; others take their place when the lease starts afresh."""


class ChangeKind(Enum):
    """What a user may want changed of a lease that stands."""

    ACCEPT = "accept"
    """Take the offer."""
    EXTEND = "extend"
    SHORTEN = "shorten"
    MOVE = "move"
    TOP = "top"


class Change(Struct, frozen=True, kw_only=True):
    """A wish of the user that the scheduler has not answered yet."""

    kind: ChangeKind
    cause: str
    seconds: float = 0.0
    """Of extend and shorten."""
    start: float | None = None
    """Of move."""
    priority: int = 0
    """Of top."""


class Operation(Struct, frozen=True, kw_only=True):
    """One operation on some nodes of a lease, as planned and, once it began, as it went."""

    kind: OperationKind
    start: float
    end: float
    nodes: tuple[int, ...]
    """Indexes into the nodes of the lease."""
    began: float | None = None
    ended: float | None = None


class Run(Struct, frozen=True, kw_only=True):
    """One stretch in which the VMs of a lease run together: resumed or booted, run, suspended or
    shut down on the same hosts. The hosts are held from `start` to `end`."""

    hosts: tuple[int, ...]
    """The host (its id) of each node."""
    start: float
    """The first operation begins."""
    vm_start: float
    vm_end: float
    end: float
    """The last operation has ended."""
    suspends: bool = False
    """It ends with the memory on disk, not with the lease."""
    resumes: bool = False
    """It begins with the memory that the run before it left on disk."""
    kills: bool = False
    """Its work is lost at its end: it makes room and cannot be suspended."""
    operations: tuple[Operation, ...] = ()
    began: float | None = None
    """When the VMs really ran; None while that is ahead."""
    ended: float | None = None


class Lease(Owned, frozen=True, kw_only=True):
    """A lease as it is stored: what was agreed, and the plan that the engine carries out."""

    status: LeaseStatus
    terms: Terms
    submitted: float
    template: Template
    """What each VM is made of: the text of a VM template, without CPU and MEMORY."""
    user_template: Template
    vms: tuple[int, ...] = ()
    """The VM of each node; empty until they are made."""
    runs: tuple[Run, ...] = ()
    """Stretches behind, the present one, and those planned, in order of time."""
    served: float = 0.0
    """Seconds of the duration that are behind."""
    reason: str | None = None
    """Why it was refused, waits, was moved or failed."""
    price: float | None = None
    series: int | None = None
    """The first lease of the recurring ones it belongs to."""
    expires: float | None = None
    """Until when an offer is held."""
    template_id: int | None = None
    asked: Terms | None = None
    """What was asked for, where the terms are those of an offer."""
    hold_offer_s: float | None = None
    """Where the request cannot be granted: hold the nearest offer for so long."""
    order: LeaseOrder | None = None
    change: Change | None = None
    refusal: str | None = None
    """Why the last change was refused; None when it was made."""
    suspensions: int = 0
    attempts: int = 0
    """Starts in a row that failed."""
    first_start: float | None = None
    ended: float | None = None
    group: str | None = None
    """VMs of its owner that come with the same word until `gathers_until` are its nodes too."""
    gathers_until: float | None = None
    transfers: tuple[Operation, ...] = ()
    """How its image came to its hosts: as planned and as it went."""

    @property
    def is_accepted(self) -> bool:
        """Whether it was promised (and may be over by now)."""
        return self.status not in NOT_PROMISED


NOT_PROMISED = frozenset(
    {
        LeaseStatus.NEW,
        LeaseStatus.PENDING,
        LeaseStatus.OFFERED,
        LeaseStatus.REJECTED,
        LeaseStatus.REJECTED_BY_USER,
    }
)
"""Statuses in which the user has no promise, and the lease no VMs."""
