"""Deadline leases that give way to a reservation: those that have not begun and can all be planned
again in time. Either all of it is done, or nothing is changed.
"""

from orrery.core.model.lease import LeaseKind
from orrery.sched.leases.booking import Booking, Ending, RunPlan
from orrery.sched.leases.deadline import movable, place_in_time, put_back, slack
from orrery.sched.leases.exact import Opening, agree, booting_s, find_exactly
from orrery.sched.leases.placing import length
from orrery.sched.leases.policies.preemption import DEADLINE, PREEMPTION
from orrery.sched.leases.preempt import Room, all_give_way
from orrery.sched.leases.soon import accept
from orrery.sched.leases.timeline import Timeline

Before = list[tuple[Booking, list[RunPlan]]]
"""Leases with the runs that they had."""


def reserve(line: Timeline, booking: Booking, now: int) -> bool:
    """Plan a reservation at its start where other leases by deadline make room."""
    found = _find(line, booking, now)
    if found is None:
        return False
    opening, moved = found
    room = _replanned(line, opening, booking, moved, now)
    if room is None or agree(line, booking, opening.giving_way) is not None:
        _restore(line, room, booking, opening, moved)
        return False
    line.table.remove(line.held_by(booking, opening.hosts), opening.at, opening.end)
    all_give_way(line, room.commit(), opening.at, now)
    accept(line, booking, _run(line, booking, opening))
    return True


def could_reserve(line: Timeline, booking: Booking, now: int) -> bool:
    """Whether `reserve` would succeed; the plan stays as it is."""
    found = _find(line, booking, now)
    if found is None:
        return False
    opening, moved = found
    room = _replanned(line, opening, booking, moved, now)
    _restore(line, room, booking, opening, moved)
    return room is not None


def _find(line: Timeline, booking: Booking, now: int) -> tuple[Opening, Before] | None:
    """Hosts for it when so many have made room, the most slack first; their runs are dropped then.
    None, and nothing is changed, when all of them are not enough."""
    assert booking.start is not None
    if line.settings.preemption != DEADLINE or line.preparation.managed:
        return None
    moved: Before = []
    for other in _willing(line, booking):
        moved.append((other, list(other.runs)))
        for run in reversed(other.runs):
            line.drop(run)
        opening = find_exactly(line, booking, booking.start, now)
        if not isinstance(opening, str):
            return opening, moved
    put_back(line, [], moved)
    return None


def _willing(line: Timeline, booking: Booking) -> list[Booking]:
    """Leases in its way that have time, the most preemptable first."""
    assert booking.start is not None
    at = booking.start - booting_s(line, booking)
    end = at + length(line, booking)
    score = PREEMPTION[DEADLINE]
    found = [
        (worth, other)
        for other in movable(line)
        if any(run.start < end and run.end > at for run in other.runs)
        and (worth := score(booking, other, at)) is not None
    ]
    found.sort(key=lambda entry: (-entry[0], -entry[1].submitted, -entry[1].id))
    return [other for _, other in found]


def _replanned(
    line: Timeline, opening: Opening, booking: Booking, moved: Before, now: int
) -> Room | None:
    """Plan those again that made room, as if the reservation were there and best effort had given
    way to it; None when one of them would be late."""
    room = Room(line, opening.at, opening.end)
    for run in opening.giving_way:
        room.take(run)
    line.table.add(line.held_by(booking, opening.hosts), opening.at, opening.end)
    line.version += 1
    tightest = sorted((other for other, _ in moved), key=lambda b: (slack(b, now), b.id))
    if all(place_in_time(line, other, now) for other in tightest):
        return room
    _undo(line, room, booking, opening, moved)
    put_back(line, [], moved)
    return None


def _restore(
    line: Timeline, room: Room | None, booking: Booking, opening: Opening, moved: Before
) -> None:
    """Everything as it was, if it is not already."""
    if room is not None:
        _undo(line, room, booking, opening, moved)
        put_back(line, [], moved)


def _undo(line: Timeline, room: Room, booking: Booking, opening: Opening, moved: Before) -> None:
    put_back(line, [other for other, _ in moved], [])
    line.table.remove(line.held_by(booking, opening.hosts), opening.at, opening.end)
    line.version += 1
    room.close()


def _run(line: Timeline, booking: Booking, opening: Opening) -> RunPlan:
    assert booking.start is not None and booking.kind is LeaseKind.RESERVATION
    end = booking.start + booking.remaining
    held = line.held_by(booking, opening.hosts)
    times = (opening.at, booking.start, end, opening.end)
    return RunPlan(booking, opening.hosts, held, *times, Ending.COMPLETE, resumes=False)
