"""The queue of leases that wait: in order, and by how much each asks for."""

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator

from orrery.sched.leases.booking import Booking

Key = tuple[int, int]
"""(shape, count); shape 0 for leases whose nodes differ."""


def _order(booking: Booking) -> tuple[float, int, int]:
    return booking.order


class Queue:
    """Waiting bookings in buckets of equal demand, each bucket in order.

    A walk that knows that three nodes are free looks only into the buckets of up to three nodes.
    """

    def __init__(self) -> None:
        self.buckets: dict[Key, list[Booking]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, booking: Booking) -> None:
        groups = booking.groups
        key = (groups[0].shape if len(groups) == 1 else 0, booking.node_count)
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = []
        insort(bucket, booking, key=_order)
        booking.queue_key = key
        self._size += 1

    def remove(self, booking: Booking) -> None:
        """Nothing happens when it is not in the queue."""
        key = booking.queue_key
        if key is None:
            return
        bucket = self.buckets[key]
        del bucket[bisect_left(bucket, booking.order, key=_order)]
        if not bucket:
            del self.buckets[key]
        booking.queue_key = None
        self._size -= 1

    def head(self) -> Booking | None:
        """The first of all."""
        return min((bucket[0] for bucket in self.buckets.values()), key=_order, default=None)

    def in_order(self) -> Iterator[Booking]:
        """All, first to last; the queue must not change meanwhile."""
        return heapq.merge(*self.buckets.values(), key=_order)
