"""The order of the queue as it changes: with time, with use, and when a priority is changed."""

from collections.abc import Iterator

from orrery.sched.leases.booking import Booking, Stage
from orrery.sched.leases.policies.order import ORDERS
from orrery.sched.leases.settings import Backfilling
from orrery.sched.leases.soon import back_to_queue
from orrery.sched.leases.timeline import Timeline


def key_anew(line: Timeline, now: int) -> None:
    """Every `rekey_s` seconds at the most: the keys of all that waits, and of what holds a
    reservation of the queue. Costs n log n for n leases, and nothing with a steady order."""
    if line.usage.ages and line.queue and now >= line.standing.now + line.settings.rekey_s:
        look(line, now)


def look(line: Timeline, now: int) -> None:
    """Compute all keys for this moment."""
    line.standing.look(line.usage.counts(_running(line), now), now)
    order = ORDERS[line.settings.order]
    waiting = list(line.queue.in_order())
    for booking in waiting:
        line.queue.remove(booking)
    for booking in (*waiting, *line.futures.values()):
        booking.order = order(booking, line.standing)
    for booking in waiting:
        line.queue.add(booking)
    first_goes_first(line, now)


def _running(line: Timeline) -> Iterator[tuple[int, int, int]]:
    """(user, CPU, since when) of what runs and is not in the accounts yet."""
    for booking in line.live.values():
        run = booking.run
        if run is not None and run.stage is Stage.RUNNING:
            yield booking.user, booking.cpu_pct, run.vm_start


def first_goes_first(line: Timeline, now: int) -> None:
    """Reservations of the queue are given up by leases that come after its head by now."""
    head = line.queue.head()
    for other in list(line.futures.values()):
        run = other.run
        if head is not None and other.order > head.order and run is not None:
            line.drop(run)
            back_to_queue(line, other, now)


def overtakes(line: Timeline, booking: Booking, now: int) -> bool:
    """A lease comes before one that holds a reservation of the queue: that one gives it up. Where
    all that waits has a reservation, reservations are kept."""
    if line.settings.backfilling is Backfilling.CONSERVATIVE:
        return False
    if all(other.order <= booking.order for other in line.futures.values()):
        return False
    first_goes_first(line, now)
    return True


def place_of(line: Timeline, booking: Booking) -> None:
    """Give a lease its place by the site's order; one that is over has none."""
    if booking.status.final:
        return
    booking.order = ORDERS[line.settings.order](booking, line.standing)
