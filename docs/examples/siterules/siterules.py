"""Rules of our site for leases."""

from orrery.core.model.lease import LeaseKind
from orrery.sched.leases.booking import Booking
from orrery.sched.leases.policies.admission import Books

DAY = 86_400


def office_hours(booking: Booking, books: Books, now: int) -> str | None:
    """Reservations begin between 8 and 18 o'clock UTC."""
    if booking.kind is not LeaseKind.RESERVATION or booking.start is None:
        return None
    hour = booking.start % DAY // 3600
    return None if 8 <= hour < 18 else f"it would begin at {hour} o'clock: ask for 8 to 18"
