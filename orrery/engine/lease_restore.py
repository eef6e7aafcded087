"""At start-up: the scheduler of leases as it was, from what is stored of every lease.

Nothing is given up: what ran goes on, what was under way is told again, what should have begun
while the engine was down begins now.
"""

from collections.abc import Iterable

from orrery.core.model.lease import Lease, LeaseKind, LeaseOrder, LeaseStatus, Run
from orrery.core.promises import is_over
from orrery.engine.lease_answers import Note, note_of
from orrery.engine.lease_plan import ending_of, has_begun, stage_of
from orrery.sched.leases.booking import Booking, RunPlan, Stage
from orrery.sched.leases.calendar import Calendar
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.site import Site

S = LeaseStatus

SUSPENDED = frozenset(
    {
        S.SUSPENDED_PENDING,
        S.SUSPENDED_QUEUED,
        S.SUSPENDED_SCHEDULED,
        S.MIGRATING,
        S.RESUMING,
        S.RESUMED_READY,
    }
)
"""Statuses in which the memory of the VMs lies on the disks of their hosts."""

IN_QUEUE = {True: S.SUSPENDED_QUEUED, False: S.QUEUED}


def restore(
    site: Site, settings: Settings, leases: Iterable[Lease], notes: dict[int, Note], now: int
) -> Calendar:
    """A scheduler that knows all leases that were answered and are not over; `notes` is filled
    in."""
    known = [lease for lease in leases if lease.status is not S.PENDING]
    began = [int(run.start) for lease in known for run in lease.runs if not is_over(run)]
    calendar = Calendar(site, settings, min([now, *began]), automatic=False)
    index_of = {host.id: index for index, host in enumerate(site.hosts)}
    for lease in sorted(known, key=lambda lease: (not_begun(lease), lease.id)):
        note = notes[lease.id] = note_of(lease)
        adopt(calendar, lease, note, index_of, now)
    return calendar


def not_begun(lease: Lease) -> bool:
    return not any(has_begun(run) and not is_over(run) for run in lease.runs)


def adopt(calendar: Calendar, lease: Lease, note: Note, index_of: dict[int, int], now: int) -> None:
    """Take over one lease with its plan."""
    line = calendar.line
    booking = booking_of(calendar, lease)
    line.bookings[lease.id] = booking
    if lease.status in SUSPENDED:
        last = [run for run in lease.runs if run.ended is not None]
        if last and all(host in index_of for host in last[-1].hosts):
            booking.hosts = tuple(index_of[host] for host in last[-1].hosts)
    for run in lease.runs:
        if is_over(run) or any(host not in index_of for host in run.hosts):
            continue
        plan = plan_of(calendar, booking, run, index_of, now)
        if plan.stage is Stage.PLANNED and plan.start < now and not keeps_its_time(booking):
            break  # its time is past: it is planned again from the queue
        line.book(plan)
        if plan.stage is not Stage.PLANNED:
            note.current = plan
            note.is_reset = lease.order is LeaseOrder.KILL and plan.stage is Stage.PREPARING
    if booking.run is None:
        booking.status = IN_QUEUE[booking.hosts is not None]
        line.enqueue(booking)


def keeps_its_time(booking: Booking) -> bool:
    """A promise that is late is kept late; what was promised no time waits for another one."""
    return booking.kind in (LeaseKind.RESERVATION, LeaseKind.DEADLINE, LeaseKind.IMMEDIATE)


def booking_of(calendar: Calendar, lease: Lease) -> Booking:
    groups = calendar.line.groups(lease.terms)
    booking = Booking(lease.id, lease.terms, groups, int(lease.submitted), lease.uid)
    booking.order = (-lease.terms.priority, booking.submitted, lease.id)
    booking.status = S.SCHEDULED if lease.status is S.OFFERED else lease.status
    booking.served = int(lease.served)
    booking.remaining = max(0, booking.duration - booking.served)
    booking.suspensions = lease.suspensions
    booking.first_start = None if lease.first_start is None else int(lease.first_start)
    booking.reason = lease.reason
    booking.price = lease.price
    return booking


def plan_of(
    calendar: Calendar, booking: Booking, run: Run, index_of: dict[int, int], now: int
) -> RunPlan:
    """The run with its stage; one that is late holds its hosts until it is over."""
    hosts = tuple(index_of[host] for host in run.hosts)
    stage = stage_of(run)
    first = run.operations[0]
    moved = int(first.end - first.start) if len(run.operations) > 2 else 0
    end = int(run.end) if stage is Stage.PLANNED else max(int(run.end), now + 1)
    plan = RunPlan(
        booking,
        hosts,
        calendar.line.held_by(booking, hosts),
        int(run.start),
        int(run.vm_start),
        int(run.vm_end),
        end,
        ending_of(run),
        resumes=run.resumes,
        migration_s=moved,
    )
    plan.stage = stage
    return plan
