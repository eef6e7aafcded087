"""When hosts are ready for a lease: at once, or when its image has arrived."""

from collections.abc import Sequence
from typing import Protocol

from orrery.sched.leases.booking import Booking

Ready = list[tuple[int, int | None]]
"""(time, mask of the hosts that are ready by then, None for all), ascending and cumulative."""


class Preparation(Protocol):
    """What has to be on a host before a lease can start there."""

    managed: bool
    """False: everything is always ready, and nothing below does anything."""

    def ready(self, booking: Booking, now: int) -> Ready:
        """When which hosts could be ready for a new lease."""
        ...

    def book(self, booking: Booking, hosts: Sequence[int], at: int, now: int) -> bool:
        """Plan what brings its image to these hosts by `at`; False when that is impossible."""
        ...

    def release(self, booking: Booking, now: int) -> None:
        """Its plan is given up or it is over: what nobody else needs is given up as well."""
        ...


class Unmanaged:
    """Images are where they are needed, or are nobody's concern."""

    managed = False

    def ready(self, booking: Booking, now: int) -> Ready:
        return [(now, None)]

    def book(self, booking: Booking, hosts: Sequence[int], at: int, now: int) -> bool:
        return True

    def release(self, booking: Booking, now: int) -> None:
        return None
