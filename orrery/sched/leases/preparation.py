"""When hosts are ready for a lease: at once, or when its image has arrived."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from orrery.core.model.lease import LeaseStatus
from orrery.sched.leases.booking import Booking
from orrery.sched.leases.repository import Transfer
from orrery.sched.leases.settings import Settings

Ready = list[tuple[int, int | None]]
"""(time, mask of the hosts that are ready by then, None for all), ascending and cumulative."""


class News(NamedTuple):
    """The preparation of a lease went on."""

    at: int
    booking: Booking
    status: LeaseStatus
    """SCHEDULED, PREPARING or READY, if it is to run on the hosts that it is prepared on."""
    transfer: Transfer | None = None
    """What has to be sent now; told of one lease only, whoever else waits for it."""


class Preparation(Protocol):
    """What has to be on a host before a lease can start there."""

    managed: bool
    """False: everything is always ready, and nothing below does anything."""

    # --- plans ------------------------------------------------------------------------------------

    def ready(self, booking: Booking, now: int) -> Ready:
        """When which hosts could be ready for a new lease; nothing begins before `now`."""
        ...

    def possible(self, booking: Booking, hosts: Sequence[int], at: int, now: int) -> bool:
        """Whether `book` would succeed."""
        ...

    def book(self, booking: Booking, hosts: Sequence[int], at: int, now: int) -> bool:
        """Plan what brings its image to these hosts by `at`, instead of what was planned for it
        before; False, and nothing is changed, when that is impossible."""
        ...

    def set_aside(self, booking: Booking, now: int) -> None:
        """Its plan is given up and it will be planned again: what nobody else needs is not sent,
        but what is on hosts stays there for it."""
        ...

    def release(self, booking: Booking, now: int) -> None:
        """It is over, or never was: nothing is kept for it any more."""
        ...

    # --- time -------------------------------------------------------------------------------------

    def due(self, now: int, *, automatic: bool) -> Sequence[News]:
        """What went on by now, in order of time. Automatic: transfers arrive when planned;
        otherwise when somebody says so (`arrived`)."""
        ...

    def next_time(self) -> int | None:
        """When `due` wants to be asked again."""
        ...

    # --- what happened ----------------------------------------------------------------------------

    def is_there(self, booking: Booking) -> bool:
        """Whether all that was planned to be sent for it has arrived."""
        ...

    def arrived(self, transfer_id: int, now: int) -> None:
        """Where transfers are carried out for real: one has ended. Told twice it is nothing new."""
        ...

    def moved(self, booking: Booking, hosts: Sequence[int], now: int) -> None:
        """Its disks are on these hosts now: brought along by a migration, or known from before."""
        ...

    def lose(self, host: int) -> None:
        """A host is gone, with the images on it."""
        ...

    def use(self, settings: Settings) -> None:
        """Go on with other settings: what is planned already stays."""
        ...

    def disk_mib(self) -> Mapping[int, int]:
        """MiB that images take on each host now; hosts that never had one may be missing."""
        ...


class Unmanaged:
    """Images are where they are needed, or are nobody's concern."""

    managed = False

    def ready(self, booking: Booking, now: int) -> Ready:
        return [(now, None)]

    def possible(self, booking: Booking, hosts: Sequence[int], at: int, now: int) -> bool:
        return True

    def book(self, booking: Booking, hosts: Sequence[int], at: int, now: int) -> bool:
        return True

    def set_aside(self, booking: Booking, now: int) -> None:
        return None

    def release(self, booking: Booking, now: int) -> None:
        return None

    def due(self, now: int, *, automatic: bool) -> Sequence[News]:
        return ()

    def next_time(self) -> int | None:
        return None

    def is_there(self, booking: Booking) -> bool:
        return True

    def arrived(self, transfer_id: int, now: int) -> None:
        return None

    def moved(self, booking: Booking, hosts: Sequence[int], now: int) -> None:
        return None

    def lose(self, host: int) -> None:
        return None

    def use(self, settings: Settings) -> None:
        return None

    def disk_mib(self) -> Mapping[int, int]:
        return {}
