"""In which order leases wait, and in which order the rest of the queue is backfilled: keys by name,
smallest first."""

from collections.abc import Callable

from orrery.sched.leases.booking import Booking

Order = Callable[[Booking], tuple[float, int, int]]
"""(main key, time of request, id): ties are broken the same way everywhere."""


def fcfs(booking: Booking) -> tuple[float, int, int]:
    """First come, first served, within a priority."""
    return (-booking.terms.priority, booking.submitted, booking.id)


def shortest(booking: Booking) -> tuple[float, int, int]:
    """The shortest remaining time first (SJBF: Tsafrir, Etsion, Feitelson, "Backfilling Using
    System-Generated Predictions", TPDS 2007).

    Who is first in the queue keeps its reservation, so nobody waits for ever.
    """
    return (booking.remaining, booking.submitted, booking.id)


def smallest(booking: Booking) -> tuple[float, int, int]:
    """The smallest remaining node time first."""
    return (booking.remaining * booking.node_count, booking.submitted, booking.id)


ORDERS: dict[str, Order] = {"fcfs": fcfs, "shortest": shortest, "smallest": smallest}
