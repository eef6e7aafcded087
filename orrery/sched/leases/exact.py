"""At exactly the time that was asked for: reservations, by preemption where that is needed."""

from collections.abc import Iterable

from msgspec import Struct

from orrery.sched.leases.booking import Booking, Ending, RunPlan
from orrery.sched.leases.market import too_dear
from orrery.sched.leases.placing import length, place
from orrery.sched.leases.preempt import Room, all_give_way
from orrery.sched.leases.soon import accept
from orrery.sched.leases.timeline import Timeline
from orrery.sched.leases.victims import make_room


class Opening(Struct, frozen=True):
    """Hosts for a whole run from `at` on, and the runs that have to give way for it."""

    hosts: tuple[int, ...]
    at: int
    end: int
    giving_way: tuple[RunPlan, ...] = ()


def reserve_exactly(line: Timeline, booking: Booking, start: int, now: int) -> str | None:
    """Plan its whole run with the VMs up at `start`; why not, when it cannot be."""
    opening = find_exactly(line, booking, start, now)
    if isinstance(opening, str):
        return opening
    return take(line, booking, opening, now)


def find_exactly(line: Timeline, booking: Booking, start: int, now: int) -> Opening | str:
    """Where its whole run could be with the VMs up at `start`, or why nowhere; changes nothing."""
    at = start - booting_s(line, booking)
    earliest = now + line.settings.lead_s
    if at < earliest:
        return f"it would have to begin {earliest - at} s ago: its VMs need time to start"
    choices = _choices(line, booking, at, earliest)
    if not choices:
        return "its image cannot be on any host by then"
    end = at + length(line, booking)
    for allowed in choices:
        found = place(line, booking, at, allowed)
        if found is None or found[1] < end:
            continue
        if line.preparation.possible(booking, found[0], at, now):
            return Opening(found[0], at, end)
    return _by_preemption(line, booking, at, end, now)


def _choices(line: Timeline, booking: Booking, at: int, earliest: int) -> tuple[int | None, ...]:
    """Masks of hosts to look on in turn, those with its image first; None stands for all."""
    if not line.preparation.managed:
        return (None,)
    ready = line.preparation.ready(booking, earliest)
    masks = [hosts for time, hosts in ready if time <= at]
    return (*(mask for mask in masks if mask is not None), None) if masks else ()


def booting_s(line: Timeline, booking: Booking) -> int:
    """Seconds from the start of its run to that of its VMs."""
    if booking.hosts is None:
        return line.boot_s(booking)
    return line.resume_s(booking, booking.hosts)


def _by_preemption(line: Timeline, booking: Booking, at: int, end: int, now: int) -> Opening | str:
    room = Room(line, at, end)
    try:
        hosts = make_room(line, booking, room, at, end, now)
        giving_way = room.taken
    finally:
        room.close()
    if hosts is None:
        return "not enough is free at that time, nor can enough leases give way"
    if not line.preparation.possible(booking, hosts, at, now):
        return "its image cannot be on the hosts by then"
    return Opening(hosts, at, end, tuple(giving_way))


def agree(line: Timeline, booking: Booking, giving_way: Iterable[RunPlan]) -> str | None:
    """Settle the price of a request, those who give way included; why its user refuses it."""
    market = line.market
    if not market.is_open or market.asking is not booking:
        return None
    known = booking.price
    set_price(line, booking, giving_way)
    reason = too_dear(booking)
    if reason is not None and known is not None:
        market.set_price(booking)  # it may yet be had without anybody giving way
    return reason


def set_price(line: Timeline, booking: Booking, giving_way: Iterable[RunPlan]) -> None:
    """What it costs when these give way for it."""
    line.market.set_price(
        booking,
        [
            (run.booking, disturbance_s(line, run))
            for run in giving_way
            if line.may_suspend(run.booking)
        ],
    )


def disturbance_s(line: Timeline, run: RunPlan) -> int:
    """Seconds to suspend a lease and to resume it."""
    return line.suspend_s(run.booking, run.hosts) + line.resume_s(run.booking, run.hosts)


def take(line: Timeline, booking: Booking, opening: Opening, now: int) -> str | None:
    """Plan the run; who is in its way gives way."""
    reason = agree(line, booking, opening.giving_way)
    if reason is not None:
        return reason
    if not line.preparation.book(booking, opening.hosts, opening.at, now):
        return "its image cannot be on the hosts by then"
    all_give_way(line, opening.giving_way, opening.at, now)
    start = opening.at + booting_s(line, booking)
    run = RunPlan(
        booking,
        opening.hosts,
        line.held_by(booking, opening.hosts),
        opening.at,
        start,
        start + booking.remaining,
        opening.end,
        Ending.COMPLETE,
        resumes=booking.hosts is not None,
    )
    accept(line, booking, run)
    return None
