"""What happened to the leases of a simulation, read off their runs: spans of time and what was
done in them. Knows no metric and no format.
"""

from collections.abc import Iterable, Iterator
from enum import Enum

from msgspec import Struct

from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.sched.leases.booking import Booking, Ending, RunPlan, Stage
from orrery.simulate.leases.run import Result


class Use(Enum):
    """What the CPU of a site does."""

    VM = "vm"
    SUSPEND = "suspend"
    RESUME = "resume"
    TRANSFER = "transfer"
    """Hosts are held while suspended memory comes to them."""
    BOOT = "boot"
    SHUTDOWN = "shutdown"


class Span(Struct, frozen=True):
    """One stretch of one lease on the hosts of a run."""

    use: Use
    start: int
    end: int


class Work(Struct, frozen=True):
    """What the runs of a lease came to."""

    first_start: int | None
    """When the VMs started whose work was not lost: an earlier start that was undone is none."""
    done_s: int
    """Seconds of VM time that count."""
    lost_s: int
    """Seconds of VM time that were lost with VMs that were stopped."""
    kills: int
    migrations: int


def runs_of(booking: Booking) -> list[RunPlan]:
    """The runs that began, in order of time."""
    return [run for run in booking.runs if run.stage is not Stage.PLANNED]


def spans_of(run: RunPlan) -> list[Span]:
    """What its hosts did from start to end; nothing of no length."""
    moved = run.start + run.migration_s
    begin = Use.RESUME if run.resumes else Use.BOOT
    finish = Use.SUSPEND if run.ending is Ending.SUSPEND else Use.SHUTDOWN
    every = (
        Span(Use.TRANSFER, run.start, moved),
        Span(begin, moved, run.vm_start),
        Span(Use.VM, run.vm_start, run.vm_end),
        Span(finish, max(run.vm_start, run.vm_end), run.end),
    )
    return [span for span in every if span.start < span.end]


def work_of(booking: Booking) -> Work:
    """Follow a lease through its runs."""
    first, done, lost, kills, migrations = None, 0, 0, 0, 0
    before: tuple[int, ...] | None = None
    for run in runs_of(booking):
        migrations += run.resumes and before is not None and before != run.hosts
        before = run.hosts
        if run.vm_end > run.vm_start:
            first = run.vm_start if first is None else first
            done += run.vm_end - run.vm_start
        if run.ending is Ending.KILL:
            first, done, lost, kills = None, 0, lost + done, kills + 1
    return Work(first, done, lost, kills, migrations)


def moved_nodes(run: RunPlan) -> int:
    """On how many hosts other than before a run resumes."""
    earlier = [other for other in run.booking.runs if other.start < run.start]
    if not run.resumes or not earlier:
        return 0
    pairs = zip(earlier[-1].hosts, run.hosts, strict=True)
    return sum(before != after for before, after in pairs)


def waits_of(booking: Booking, end: int) -> Iterator[tuple[int, int]]:
    """When a best-effort lease waited: after its request, its suspensions and its VMs' loss, until
    hosts are held for it again."""
    if booking.kind is not LeaseKind.BEST_EFFORT or booking.status is LeaseStatus.REJECTED:
        return
    since = booking.submitted
    for run in runs_of(booking):
        if run.start > since:
            yield since, run.start
        since = run.end
    last = end if booking.ended is None else booking.ended
    if not booking.status.final and last > since:
        yield since, last


def cpu_of(booking: Booking) -> int:
    """CPU of all its nodes, in hundredths of a core."""
    return sum(nodes.count * nodes.capacity.cpu_pct for nodes in booking.terms.nodes)


def site_cpu(result: Result) -> int:
    """CPU of all hosts, in hundredths of a core."""
    return sum(host.capacity.cpu_pct for host in result.site.hosts)


def in_order(result: Result) -> Iterable[Booking]:
    """All leases in the order of the workload."""
    bookings = result.bookings
    return (bookings[arrival.lease_id] for arrival in result.workload.arrivals)


def state_name(status: LeaseStatus) -> str:
    """`done`, `rejected`, `rejected-by-user`."""
    return status.name.lower().replace("_", "-")
