"""As soon as possible: a start now for what waits, or a reservation ahead of time."""

from collections.abc import Iterable

from orrery.core.model.lease import LeaseStatus
from orrery.sched.leases.booking import Booking, Ending, RunPlan
from orrery.sched.leases.placing import length, run_at
from orrery.sched.leases.settings import Migration
from orrery.sched.leases.slottable import FOREVER, Held, SlotTable
from orrery.sched.leases.timeline import Timeline

MOST_TRIES = 512
"""Change points at which one search for a future start tries to place a lease."""


SHORT_TRIES = 6
"""After so many a search looks no longer for a stretch that is of some use, only for a whole run:
where many VMs share a host, what they need there is known only when they are placed."""


def start_soon(line: Timeline, booking: Booking, now: int) -> bool:
    """Plan a run that begins now, or as soon as the images can be on the hosts."""
    at = line.earliest(booking, now)
    if not line.preparation.managed or booking.hosts is not None:
        run = run_at(line, booking, at)
        if run is None:
            return False
        accept(line, booking, run)
        return True
    for ready, hosts in line.preparation.ready(booking, at):
        run = run_at(line, booking, ready, hosts)
        if run is not None and line.preparation.book(booking, run.hosts, run.start, now):
            accept(line, booking, run)
            return True
    return False


def accept(line: Timeline, booking: Booking, run: RunPlan) -> None:
    line.scheduled(booking)
    line.book(run)


def reserve(line: Timeline, booking: Booking, now: int, before: int = FOREVER) -> bool:
    """Plan a run at the earliest time to come, if that is earlier than `before`."""
    run = earliest_run(line, booking, now, before)
    if run is None:
        return False
    accept(line, booking, run)
    line.future(booking)
    return True


def earliest_run(
    line: Timeline, booking: Booking, now: int, before: int = FOREVER, *, whole: bool = False
) -> RunPlan | None:
    """The run that can begin first after now; `whole`: only one that is not cut."""
    after, allowed = line.earliest(booking, now), None
    if line.preparation.managed and booking.hosts is None:
        after, allowed = line.preparation.ready(booking, after)[-1]
    need = length(line, booking) if whole else line.need(booking)
    for tried in range(MOST_TRIES):
        if tried == SHORT_TRIES:
            need = max(need, length(line, booking))
        at = next_chance(line, booking, need, after, allowed)
        if at is None or at >= before:
            return None
        run = run_at(line, booking, at, allowed)
        if run is not None and whole and run.ending is not Ending.COMPLETE:
            run = None
        if run is not None and line.preparation.book(booking, run.hosts, run.start, now):
            return run
        after = at
    return None


def next_chance(
    line: Timeline, booking: Booking, need: int, after: int, allowed: int | None
) -> int | None:
    """The next change point at which enough is free for every kind of its nodes.

    A necessary condition, cheap to find: `run_at` then tries for real.
    """
    table = line.table
    if booking.hosts is not None and line.settings.migration is Migration.NO:
        return _same_hosts_again(table, line.held_by(booking, booking.hosts), need, after)
    group = booking.groups[0]
    view = table.view(group.shape)
    bits = None if allowed is None else view.of_hosts(allowed)
    found = table.earliest(view, group.count, need, after, bits)
    return None if found is None else found[0]


def _same_hosts_again(table: SlotTable, held: Held, need: int, after: int) -> int | None:
    for at in table.times_after(after):
        if all(table.free_until(host, amount, at) >= at + need for host, amount in held):
            return at
    return None


def immediate(line: Timeline, booking: Booking, now: int) -> RunPlan | None:
    """A whole run that begins now (or when its images have come): never one that is cut."""
    times: Iterable[tuple[int, int | None]]
    times = line.preparation.ready(booking, now + line.settings.lead_s)
    if line.power is not None:
        times = line.power.ready(times)
    for ready, hosts in times:
        run = run_at(line, booking, ready, hosts)
        if run is not None and line.preparation.book(booking, run.hosts, run.start, now):
            return run
    return None


def back_to_queue(line: Timeline, booking: Booking, now: int) -> None:
    """Its plan was taken from it: it waits again, in its old place."""
    line.preparation.set_aside(booking, now)
    line.no_future(booking)
    if booking.hosts is None and booking.status is not LeaseStatus.QUEUED:
        booking.remaining, booking.served = booking.duration, 0
    line.enqueue(booking)
