"""The scheduler's working record of a lease, and of the stretches in which it runs.

Mutable and small: a simulated year makes millions of changes to them. What is stored and shown is
made of them when it is asked for (`orrery.core.model.lease`).
"""

from enum import Enum, IntEnum

from orrery.core import lease as life
from orrery.core.model.lease import LeaseKind, LeaseStatus, OperationKind, Terms
from orrery.sched.leases.slottable import FOREVER, Held

Operation = tuple[OperationKind, int, int]
"""(kind, start, end)"""


class Stage(IntEnum):
    """How far a run is."""

    PLANNED = 0
    PREPARING = 1
    """Its hosts are held: VMs boot, or are migrated and resumed."""
    RUNNING = 2
    ENDING = 3
    """VMs are being suspended or shut down."""
    OVER = 4


class Ending(Enum):
    """How a run ends."""

    COMPLETE = 0
    SUSPEND = 1
    KILL = 2
    """Stopped at its end with its work lost: what had to give way could not be suspended."""


class RunPlan:
    """One stretch on fixed hosts: [start, end) is held; the VMs run in [vm_start, vm_end)."""

    __slots__ = (
        "booking",
        "end",
        "ending",
        "held",
        "hosts",
        "is_late",
        "migration_s",
        "resumes",
        "stage",
        "start",
        "vm_end",
        "vm_start",
    )

    def __init__(
        self,
        booking: "Booking",
        hosts: tuple[int, ...],
        held: Held,
        start: int,
        vm_start: int,
        vm_end: int,
        end: int,
        ending: Ending,
        resumes: bool,  # noqa: FBT001 # the whole record in order
        migration_s: int = 0,
    ) -> None:
        self.booking = booking
        self.hosts = hosts
        self.held = held
        self.start = start
        self.vm_start = vm_start
        self.vm_end = vm_end
        self.end = end
        self.ending = ending
        self.resumes = resumes
        self.migration_s = migration_s
        self.stage = Stage.PLANNED
        self.is_late = False
        """Its VMs should be up by now, and are not."""

    @property
    def next_time(self) -> int:
        """When the next stage of the run is due."""
        match self.stage:
            case Stage.PLANNED:
                return self.start
            case Stage.PREPARING:
                if self.ending is Ending.KILL and (self.is_late or self.vm_end <= self.vm_start):
                    return self.vm_end
                return self.end if self.is_late else self.vm_start
            case Stage.RUNNING:
                return self.vm_end
            case Stage.ENDING:
                return self.end
        return FOREVER

    def is_given_up(self, now: int) -> bool:
        """Whether its hosts are taken from it before its VMs are up."""
        return (
            self.ending is Ending.KILL
            and self.stage is Stage.PREPARING
            and (self.is_late or self.vm_end <= self.vm_start)
            and self.vm_end <= now
        )

    def operations(self) -> list[Operation]:
        """What happens around the VMs' time, each with its length (nil-length ones left out)."""
        migrated = self.start + self.migration_s
        before = OperationKind.RESUME if self.resumes else OperationKind.BOOT
        after = OperationKind.SUSPEND if self.ending is Ending.SUSPEND else OperationKind.SHUTDOWN
        every = (
            (OperationKind.MIGRATE, self.start, migrated),
            (before, migrated, self.vm_start),
            (after, self.vm_end, self.end),
        )
        return [operation for operation in every if operation[1] < operation[2]]


class Group:
    """Nodes of a lease with the same demand."""

    __slots__ = ("count", "memory_mib", "nodes", "shape")

    def __init__(self, shape: int, memory_mib: int, nodes: tuple[int, ...]) -> None:
        self.shape = shape
        self.memory_mib = memory_mib
        self.nodes = nodes
        self.count = len(nodes)


class Booking:
    """What the scheduler knows of one lease."""

    __slots__ = (
        "deadline",
        "divisible",
        "duration",
        "ended",
        "first_start",
        "future",
        "groups",
        "hosts",
        "id",
        "kind",
        "memory_of",
        "need",
        "node_count",
        "order",
        "place",
        "preemptible",
        "price",
        "queue_key",
        "ran",
        "reason",
        "remaining",
        "run",
        "runs",
        "served",
        "start",
        "status",
        "submitted",
        "surcharge",
        "suspensions",
        "terms",
        "transfers",
        "user",
        "user_rate",
    )

    def __init__(
        self, lease_id: int, terms: Terms, groups: list[Group], submitted: int, user: int
    ) -> None:
        self.id = lease_id
        self.terms = terms
        self.kind: LeaseKind = terms.kind
        self.groups = groups
        self.node_count = sum(group.count for group in groups)
        self.memory_of = _memory_of(groups)
        self.submitted = submitted
        self.user = user
        self.start = None if terms.start is None else int(terms.start)
        self.deadline = None if terms.deadline is None else int(terms.deadline)
        self.duration = int(terms.duration)
        self.remaining = self.duration
        self.preemptible = terms.may_be_preempted
        self.divisible = self.kind is LeaseKind.DEADLINE and terms.preemptible is not False
        """Its work may be done in several runs though nobody may take its hosts."""
        self.status = LeaseStatus.NEW
        self.run: RunPlan | None = None
        """The present run, or the next one."""
        self.runs: list[RunPlan] = []
        """All that began or are planned, in order of time."""
        self.hosts: tuple[int, ...] | None = None
        """Where its memory lies while it is suspended."""
        self.suspensions = 0
        self.served = 0
        self.first_start: int | None = None
        self.ended: int | None = None
        self.future = False
        """It holds one of the reservations that backfilling allows."""
        self.reason: str | None = None
        self.price: float | None = None  # or what it would have cost the user who refused it
        self.surcharge = 0.0  # the part of it that is for those who give way
        self.user_rate: float | None = None  # the most paid for a node hour, if that is known
        self.order: tuple[float, int, int] = (0.0, submitted, lease_id)
        self.place = self.order
        """Its order of backfilling while it is in the queue."""
        self.queue_key: tuple[int, int] | None = None
        self.need = 0
        self.ran = 0
        """Seconds in which VMs of this lease ran, work that was lost included."""
        self.transfers: list[tuple[int, int, tuple[int, ...]]] = []

    def become(self, status: LeaseStatus) -> None:
        """Enter a status; BrokenInvariant when it may not follow the present one."""
        if status not in life.ALLOWED[self.status]:
            life.check(self.status, status)
        self.status = status

    @property
    def cpu_pct(self) -> int:
        """Of all its nodes."""
        return sum(nodes.count * nodes.capacity.cpu_pct for nodes in self.terms.nodes)


def _memory_of(groups: list[Group]) -> tuple[int, ...]:
    """The memory of each node, by the index of the node."""
    if len(groups) == 1:
        return (groups[0].memory_mib,) * groups[0].count
    by_node = {node: group.memory_mib for group in groups for node in group.nodes}
    return tuple(by_node[node] for node in sorted(by_node))
