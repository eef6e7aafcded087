"""What leases cost, whether their users pay it, and what came in.

price = hours x nodes x rate, and for each lease that gives way a surcharge of the hours of its
suspension and resumption x its nodes x its rate (Haizea 1.1). A simulated user has a hidden rate
and refuses what costs more than hours x nodes x that rate.
"""

from collections.abc import Iterable

from orrery.core.model.lease import LeaseStatus
from orrery.sched.leases.booking import Booking
from orrery.sched.leases.policies.pricing import FREE, PRICING, Bids
from orrery.sched.leases.settings import Settings

HOUR_S = 3600

Disturbed = Iterable[tuple[Booking, int]]
"""Leases that give way, each with the seconds of its suspension and resumption; 0 where it is not
suspended."""


class Market:
    """Prices and their sums since the beginning."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.bids: dict[int, Bids] = {}
        self.revenue = 0.0
        """Prices of all leases that were accepted, surcharges included."""
        self.surcharge = 0.0
        self.missed_undercharging = 0.0
        """What the users of accepted leases would have paid beyond their price."""
        self.missed_reject = 0.0
        """What leases for which there was no room were worth to their users."""
        self.missed_reject_by_user = 0.0
        self.asking: Booking | None = None
        """The request that is being decided on: its price is not agreed yet."""

    @property
    def is_open(self) -> bool:
        """Whether anything has a price."""
        return self.settings.pricing != FREE

    def rate(self, booking: Booking) -> float:
        return PRICING[self.settings.pricing](booking, self)

    def set_price(self, booking: Booking, disturbed: Disturbed = ()) -> None:
        """What a lease is to cost."""
        if not self.is_open:
            return
        booking.surcharge = sum(
            seconds / HOUR_S * other.node_count * self.rate(other) for other, seconds in disturbed
        )
        booking.price = base(booking, self.rate(booking)) + booking.surcharge

    def longer(self, booking: Booking, seconds: int) -> None:
        """A lease that has a price is made longer (or shorter, below 0) at the rate of the day."""
        if booking.price is not None and self.is_open:
            more = seconds / HOUR_S * booking.node_count * self.rate(booking)
            booking.price = max(0.0, booking.price + more)
            self.revenue += more

    def decided(self, booking: Booking) -> None:
        """Count what became of a request, and learn from its user's answer."""
        if booking.user_rate is None and not self.is_open:
            return
        value = worth(booking)
        if booking.status is LeaseStatus.REJECTED:
            self.missed_reject += value
            return
        accepted = booking.status is not LeaseStatus.REJECTED_BY_USER
        if accepted:
            price = booking.price or 0.0
            self.revenue += price
            self.surcharge += booking.surcharge
            self.missed_undercharging += max(0.0, value - price)
        else:
            self.missed_reject_by_user += value
        if booking.user_rate is not None and self.is_open:
            bids = self.bids.setdefault(booking.user, Bids())
            bids.answered(self.rate(booking), accepted=accepted)


def base(booking: Booking, rate: float) -> float:
    """hours x nodes x rate"""
    return booking.duration / HOUR_S * booking.node_count * rate


def worth(booking: Booking) -> float:
    """The most its user would pay; 0 where that is not known."""
    return 0.0 if booking.user_rate is None else base(booking, booking.user_rate)


def is_too_dear(booking: Booking) -> bool:
    """Whether its user refuses its price."""
    return (
        booking.price is not None
        and booking.user_rate is not None
        and booking.price > worth(booking)
    )


def too_dear(booking: Booking) -> str | None:
    """Why its user refuses it."""
    if not is_too_dear(booking):
        return None
    return f"it costs {booking.price:.2f}: its user pays {worth(booking):.2f} at the most"
