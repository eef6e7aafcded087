"""In which order leases wait, and in which order the rest of the queue is backfilled: keys by name,
smallest first.

A key is computed when a lease is queued. Those of `STEADY` orders stay right for ever; all others
are computed anew every `rekey_s` seconds (Slurm's PriorityCalcPeriod), when the queue is looked at.
"""

from collections.abc import Callable
from typing import Protocol

from orrery.sched.leases.booking import Booking
from orrery.sched.leases.settings import Settings, Suspension

Key = tuple[float, int, int]
"""(main key, time of request, id): ties are broken the same way everywhere."""


class Standing(Protocol):
    """What an order may look at."""

    @property
    def settings(self) -> Settings: ...

    @property
    def now(self) -> int:
        """When keys were computed last."""
        ...

    def factor(self, user: int) -> float:
        """The fair-share factor of a user then: 1 for one who had nothing, towards 0 with use."""
        ...


Order = Callable[[Booking, Standing], Key]


def fcfs(booking: Booking, standing: Standing) -> Key:
    """First come, first served, within a priority."""
    del standing
    return (-booking.terms.priority, booking.submitted, booking.id)


def shortest(booking: Booking, standing: Standing) -> Key:
    """The shortest remaining time first (SJBF: Tsafrir, Etsion, Feitelson, "Backfilling Using
    System-Generated Predictions", TPDS 2007).

    Who is first in the queue keeps its reservation, so nobody waits for ever.
    """
    del standing
    return (booking.remaining, booking.submitted, booking.id)


def smallest(booking: Booking, standing: Standing) -> Key:
    """The smallest remaining node time first."""
    del standing
    return (booking.remaining * booking.node_count, booking.submitted, booking.id)


def aging(booking: Booking, standing: Standing) -> Key:
    """priority + waiting / aging, highest first: a day of waiting (or what `aging` says) is worth
    one point, so that no priority holds others up for ever (Maui's QUEUETIMEWEIGHT).

    Of two leases the difference never changes, so the key is submitted / aging - priority.
    """
    main = booking.submitted / standing.settings.aging_s - booking.terms.priority
    return (main, booking.submitted, booking.id)


def fair_share(booking: Booking, standing: Standing) -> Key:
    """Within a priority by F = 2^-(U / S), highest first: U is the user's part of all recent use, S
    the part of all shares that is the user's, and use counts half as much after each half-life
    (classic fair share of Slurm's multifactor plugin; where users have no accounts above them, its
    Fair Tree, which sorts by S / U, gives the same order).

    Whoever waits uses nothing, so its F rises until it is first.
    """
    main = -(booking.terms.priority + BELOW_ONE * standing.factor(booking.user))
    return (main, booking.submitted, booking.id)


BELOW_ONE = 0.999
"""What is not priority stays less than one point of it."""


def expansion(booking: Booking, standing: Standing) -> Key:
    """Within a priority by (wait + duration) / duration, highest first (Maui's XFACTOR): the
    bounded slowdown it would have if it began now."""
    wait = max(0, standing.now - booking.submitted)
    factor = (wait + booking.duration) / booking.duration
    return (-(booking.terms.priority + BELOW_ONE * (1 - 1 / factor)), booking.submitted, booking.id)


def wfp(booking: Booking, standing: Standing) -> Key:
    """(wait / duration)^3 x nodes, highest first: old leases, and of these the large ones (WFP3:
    Tang, Lan, Desai, Buettner, "Fault-Aware, Utility-Based Job Scheduling on Blue Gene/P Systems",
    Cluster 2009)."""
    wait = max(0, standing.now - booking.submitted)
    worth = (wait / booking.duration) ** 3 * booking.node_count
    return (-worth, booking.submitted, booking.id)


def auto(booking: Booking, standing: Standing) -> Key:
    """For backfilling: the shortest first where leases may be suspended; first come, first served
    where they may not, since there a short lease that starts early delays a wide one for long."""
    if standing.settings.suspension is Suspension.NONE:
        return fcfs(booking, standing)
    return shortest(booking, standing)


ORDERS: dict[str, Order] = {
    "fcfs": fcfs,
    "auto": auto,
    "shortest": shortest,
    "smallest": smallest,
    "aging": aging,
    "fair-share": fair_share,
    "expansion-factor": expansion,
    "wfp": wfp,
}

STEADY = frozenset({"auto", "fcfs", "shortest", "smallest", "aging"})
"""Orders whose keys do not change while a lease waits."""
