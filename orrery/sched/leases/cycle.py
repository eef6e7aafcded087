"""One pass over the queue: who starts now, and who gets a reservation ahead of time.

Backfilling by the number of leases that may hold a reservation: none (and stop at the first that
does not fit), one (EASY; Lifka 1995), some, or all (conservative; Mu'alem and Feitelson 2001).
"""

import heapq
from collections.abc import Iterator

from orrery.sched.leases.booking import Booking, RunPlan, Stage
from orrery.sched.leases.masks import mask_of
from orrery.sched.leases.ordering import key_anew
from orrery.sched.leases.power import Power
from orrery.sched.leases.queue import Bucket, Key
from orrery.sched.leases.settings import Backfilling, Migration
from orrery.sched.leases.slottable import FOREVER
from orrery.sched.leases.soon import reserve, start_soon
from orrery.sched.leases.timeline import Timeline


def run_cycle(line: Timeline, now: int) -> None:
    """Plan again what may start earlier, then look at the queue, at most `depth` leases of it."""
    if line.gain:
        line.gain = False
        _advance_futures(line, now)
    if not line.queue:
        return
    key_anew(line, now)
    budget = line.settings.depth
    if line.settings.backfilling is Backfilling.OFF:
        _in_order(line, now, budget)
        return
    budget = _reserving(line, now, budget)
    if budget > 0:
        _backfilling(line, now, budget)


def wake_for_queue(line: Timeline, now: int) -> None:
    """Hosts that are off come up for what waits, where that helps; then for what is planned."""
    power = line.power
    assert power is not None
    if line.queue and power.off:
        power.wake(list(_useful_hosts(line, power, now + line.settings.lead_s)), now)
    line.pass_power_to(now, again=True)


def _useful_hosts(line: Timeline, power: Power, after: int) -> Iterator[int]:
    """Hosts that are off and would help what waits: of leases whose nodes differ it is not known
    which, so all would."""
    for (shape, count), bucket in line.queue.buckets.items():
        if not shape:
            yield from power.off
            continue
        first = bucket.members[0]
        most = count * len(bucket.members)
        yield from power.useful(line.table.view(shape), count, first.need, most, after)
        if line.settings.migration is Migration.NO:
            for booking in bucket.members:
                yield from booking.hosts or ()


def _in_order(line: Timeline, now: int, budget: int) -> None:
    """Strictly first come, first served."""
    for _ in range(budget):
        booking = line.queue.head()
        if booking is None or not start_soon(line, booking, now):
            return
        line.queue.remove(booking)


def _reserving(line: Timeline, now: int, budget: int) -> int:
    """From the head on, while reservations may be given; what is left of the budget."""
    stuck: set[int] = set()
    while budget > 0 and len(line.futures) < line.futures_allowed:
        booking = _first(line, stuck)
        if booking is None:
            return 0
        budget -= 1
        now_free = may_start(line, booking, now)
        if (now_free and start_soon(line, booking, now)) or reserve(line, booking, now):
            line.queue.remove(booking)
        else:
            stuck.add(booking.id)
    return budget


def _first(line: Timeline, without: set[int]) -> Booking | None:
    if not without:
        return line.queue.head()
    return next((b for b in line.queue.in_order() if b.id not in without), None)


def may_start(line: Timeline, booking: Booking, now: int) -> bool:
    """A cheap look: are enough hosts free now for long enough?"""
    key = booking.queue_key
    if key is None:
        return False
    if line.preparation.managed:
        return _may_start_prepared(line, key, booking, now)
    room = _room(line, key, line.earliest(booking, now))
    return room is not None and room >= booking.need


def _may_start_prepared(line: Timeline, key: Key, booking: Booking, now: int) -> bool:
    """The same at the times at which its image can be on hosts."""
    for at, hosts in line.preparation.ready(booking, line.earliest(booking, now)):
        room = _room(line, key, at, hosts)
        if room is not None and room >= booking.need:
            return True
    return False


def _room(line: Timeline, key: Key, at: int, hosts: int | None = None) -> int | None:
    """For how long enough nodes of a bucket's shape are free from a time on; None: not even
    then. With a mask of hosts: free on these."""
    shape, count = key
    if not shape:
        return FOREVER
    room = None
    view = line.table.view(shape)
    allowed = view.full if hosts is None else view.of_hosts(hosts)
    for until, mask in line.window(view, at):
        if (mask & allowed).bit_count() < count:
            break
        room = until - at
    return room


def _backfilling(line: Timeline, now: int, budget: int) -> None:
    """The rest of the queue by the order of backfilling, without looking where nothing can fit."""
    free = _free_now(line, now)
    heads = [
        (bucket.backfill[0][0], key)
        for key, bucket in line.queue.buckets.items()
        if key[1] <= free[key[0]]
    ]
    heapq.heapify(heads)
    positions: dict[Key, int] = {}
    while heads and budget > 0:
        _, key = heapq.heappop(heads)
        bucket = line.queue.buckets.get(key)
        if bucket is None:
            continue
        position, looked = _next_fitting(line, key, bucket, positions.get(key, 0), now)
        budget -= looked
        if position is None:
            continue
        place, booking = bucket.backfill[position]
        if heads and place > heads[0][0]:
            positions[key] = position
            heapq.heappush(heads, (place, key))
            continue
        if start_soon(line, booking, now):
            line.queue.remove(booking)
        else:
            position += 1
        if position < len(bucket.backfill):
            positions[key] = position
            heapq.heappush(heads, (bucket.backfill[position][0], key))


def _free_now(line: Timeline, now: int) -> dict[int, int]:
    """How many nodes of each shape that is waited for are free now."""
    at = now + line.settings.lead_s
    return {
        shape: line.table.free_nodes(line.table.view(shape), at)
        if shape and not line.preparation.managed and not line.waits_to_resume
        else FOREVER
        for shape in {key[0] for key in line.queue.buckets}
    }


def _next_fitting(
    line: Timeline, key: Key, bucket: Bucket, position: int, now: int
) -> tuple[int | None, int]:
    """The next lease of a bucket for which what is free lasts long enough; how many were looked
    at."""
    waiting = bucket.backfill
    if line.preparation.managed or line.waits_to_resume:
        for index in range(position, len(waiting)):
            if may_start(line, waiting[index][1], now):
                return index, index - position + 1
        return None, len(waiting) - position + 1
    room = _room(line, key, now + line.settings.lead_s)
    if room is None:
        return None, 1
    for index in range(position, len(waiting)):
        if waiting[index][1].need <= room:
            return index, index - position + 1
    return None, len(waiting) - position + 1


def _advance_futures(line: Timeline, now: int) -> None:
    """Capacity became free unexpectedly: may reservations of the queue begin earlier?"""
    for booking in _futures_in_order(line):
        run = booking.run
        if run is None or run.start <= now or not _could_be_earlier(line, booking, run, now):
            continue
        line.drop(run)
        line.preparation.set_aside(booking, now)
        if start_soon(line, booking, now) or reserve(line, booking, now, run.start):
            continue
        if line.preparation.book(booking, run.hosts, run.start, now):
            run.stage = Stage.PLANNED  # no earlier: it stays where it was
            line.book(run)
            line.future(booking)
        elif not reserve(line, booking, now):
            line.enqueue(booking)


def _could_be_earlier(line: Timeline, booking: Booking, run: RunPlan, now: int) -> bool:
    """A cheap look: is there a time before its start at which enough would be free for long
    enough, its own hosts counted as free?"""
    if len(booking.groups) != 1:
        return True
    group = booking.groups[0]
    view = line.table.view(group.shape)
    own = view.of_hosts(mask_of(run.hosts))
    at = now + line.settings.lead_s
    return line.table.chance_before(view, group.count, line.need(booking), at, run.start, own)


def _futures_in_order(line: Timeline) -> Iterator[Booking]:
    return iter(sorted(line.futures.values(), key=lambda booking: booking.order))
