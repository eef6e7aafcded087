"""The queue of leases that wait: in order, and by how much each asks for."""

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator

from orrery.sched.leases.booking import Booking
from orrery.sched.leases.policies.order import Order, Standing

Key = tuple[int, int]
"""(shape, count); shape 0 for leases whose nodes differ."""


class Bucket:
    """Waiting bookings of equal demand, in the order of the queue and in that of backfilling."""

    __slots__ = ("backfill", "members")

    def __init__(self) -> None:
        self.members: list[Booking] = []
        self.backfill: list[tuple[tuple[float, int, int], Booking]] = []


class Queue:
    """A walk that knows that three nodes are free looks only into the buckets of up to three."""

    def __init__(self, backfill_order: Order, standing: Standing) -> None:
        self.buckets: dict[Key, Bucket] = {}
        self._backfill_order = backfill_order
        self._standing = standing
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, booking: Booking) -> None:
        groups = booking.groups
        key = (groups[0].shape if len(groups) == 1 else 0, booking.node_count)
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = Bucket()
        insort(bucket.members, booking, key=_order)
        place = booking.place = self._backfill_order(booking, self._standing)
        insort(bucket.backfill, (place, booking), key=_first)
        booking.queue_key = key
        self._size += 1

    def remove(self, booking: Booking) -> None:
        """Nothing happens when it is not in the queue."""
        key = booking.queue_key
        if key is None:
            return
        bucket = self.buckets[key]
        del bucket.members[bisect_left(bucket.members, booking.order, key=_order)]
        if not bucket.members:
            del self.buckets[key]
        else:
            del bucket.backfill[bisect_left(bucket.backfill, booking.place, key=_first)]
        booking.queue_key = None
        self._size -= 1

    def head(self) -> Booking | None:
        """The first of all."""
        firsts = (bucket.members[0] for bucket in self.buckets.values())
        return min(firsts, default=None, key=_order)

    def in_order(self) -> Iterator[Booking]:
        """All, first to last; the queue must not change meanwhile."""
        return heapq.merge(*(bucket.members for bucket in self.buckets.values()), key=_order)


def _order(booking: Booking) -> tuple[float, int, int]:
    return booking.order


def _first(entry: tuple[tuple[float, int, int], Booking]) -> tuple[float, int, int]:
    return entry[0]
