"""At exactly the time that was asked for: reservations, by preemption where that is needed."""

from orrery.sched.leases.booking import Booking, Ending, RunPlan
from orrery.sched.leases.placing import Place, length, place
from orrery.sched.leases.preempt import Room, candidates, give_way
from orrery.sched.leases.soon import accept
from orrery.sched.leases.timeline import Timeline


def reserve_exactly(line: Timeline, booking: Booking, start: int, now: int) -> str | None:
    """Plan its whole run with the VMs up at `start`; why not, when it cannot be."""
    settings = line.settings
    at = start - settings.boot_s
    if at < now + settings.lead_s:
        earliest = now + settings.lead_s + settings.boot_s
        return f"it cannot begin before {earliest}: VMs need {settings.boot_s} s to start"
    if line.preparation.managed and not _reachable(line, booking, at, now):
        return "its image cannot be on enough hosts by then"
    end = at + length(line, booking)
    found = place(line, booking, at, None)
    if found is not None and found[1] >= end:
        return _planned(line, booking, found, at, start, end, now)
    return _by_preemption(line, booking, at, start, end, now)


def _reachable(line: Timeline, booking: Booking, at: int, now: int) -> bool:
    return line.preparation.ready(booking, now)[0][0] <= at


def _by_preemption(
    line: Timeline, booking: Booking, at: int, start: int, end: int, now: int
) -> str | None:
    room = Room(line, at, end)
    try:
        found = _make_room(line, booking, room, at, end, now)
        giving_way = room.taken
    finally:
        room.close()
    if found is None:
        return f"not enough is free from {start} to {end}, nor can enough leases give way"
    if not line.preparation.book(booking, found[0], at, now):
        return "its image cannot be on the hosts by then"
    for run in giving_way:
        give_way(line, run, at, now)
    return _planned(line, booking, found, at, start, end, now, prepared=True)


def _make_room(
    line: Timeline, booking: Booking, room: Room, at: int, end: int, now: int
) -> Place | None:
    """Take one lease after another until all nodes fit; then spare those not needed after all."""
    for _, run in candidates(line, booking, at, end, now):
        room.take(run)
        if _fits(line, booking, room, at, end):
            break
    else:
        return None
    for run in reversed(room.taken[:-1]):
        room.give_back(run)
        if not _fits(line, booking, room, at, end):
            room.take(run)
    return place(line, booking, at, None)


def _fits(line: Timeline, booking: Booking, room: Room, at: int, end: int) -> bool:
    if any(room.nodes(line.table.view(group.shape)) < group.count for group in booking.groups):
        return False
    if len(booking.groups) == 1:
        return True
    found = place(line, booking, at, None)
    return found is not None and found[1] >= end


def _planned(
    line: Timeline,
    booking: Booking,
    found: Place,
    at: int,
    start: int,
    end: int,
    now: int,
    *,
    prepared: bool = False,
) -> str | None:
    hosts = found[0]
    if not prepared and not line.preparation.book(booking, hosts, at, now):
        return "its image cannot be on the hosts by then"
    vm_end = start + booking.remaining
    held = line.held_by(booking, hosts)
    run = RunPlan(booking, hosts, held, at, start, vm_end, end, Ending.COMPLETE, resumes=False)
    accept(line, booking, run)
    return None
