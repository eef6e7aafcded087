"""How the image of a lease could come to hosts, and when: questions to the repository's time line
and to the copies on hosts, which change neither.
"""

from math import ceil

from orrery.core.model.lease import LeaseKind
from orrery.sched.leases.booking import Booking, Stage
from orrery.sched.leases.copies import Copies
from orrery.sched.leases.durations import MIB_PER_MBIT
from orrery.sched.leases.masks import EVERYWHERE
from orrery.sched.leases.preparation import Ready
from orrery.sched.leases.repository import Image, Repository, Transfer
from orrery.sched.leases.settings import TransferSettings

JUST_IN_TIME = frozenset({LeaseKind.RESERVATION, LeaseKind.DEADLINE})
"""Kinds whose images come as late as their start allows; those of the others come at once."""


class Route:
    """How an image could come to all hosts of a lease."""

    __slots__ = ("cached", "joined", "new")

    def __init__(self, cached: int) -> None:
        self.cached = cached
        """The hosts on which a cached copy is used."""
        self.joined: list[tuple[Transfer, int]] = []
        """(a transfer, the hosts to which it has to bring it)"""
        self.new: tuple[int, int, int, int] | None = None
        """A transfer to be planned: (start, end, channel, hosts)."""


class Routes:
    """Finds routes on the present plan."""

    def __init__(self, repository: Repository, copies: Copies, settings: TransferSettings) -> None:
        self.settings = settings
        self._repository = repository
        self._copies = copies

    def needs_nothing(self, booking: Booking) -> bool:
        """Nothing is to be sent, or its disks exist already."""
        return has_disks(booking) or self.length(booking, 1) == 0

    def length(self, booking: Booking, copies: int) -> int:
        """Seconds that a transfer to so many hosts takes."""
        terms = booking.terms
        if terms.image is None and terms.image_mib == 0:
            return 0
        seconds = self.settings.fixed_s
        if seconds is None:
            seconds = ceil(terms.image_mib / (self.settings.bandwidth_mbit * MIB_PER_MBIT))
        return seconds if self.settings.multicast else seconds * copies

    def ready(self, booking: Booking, length: int, now: int) -> Ready:
        """Where the image is; where it will be; everywhere, by a transfer that can be joined or
        by a new one in the first gap."""
        everywhere = self._repository.first_gap(length, now)[0] + length
        found: Ready = []
        mask = self._there(booking)
        if mask:
            found.append((now, mask))
        for transfer in self._repository.of(image_of(booking)):
            if transfer.end >= everywhere:
                break
            offered = self._offered(transfer, booking)
            if offered == EVERYWHERE:
                everywhere = transfer.end
                break
            if offered & ~mask:
                mask |= offered
                found.append((max(now, transfer.end), mask))
        found.append((max(now, everywhere), None))
        return found

    def _there(self, booking: Booking) -> int:
        return self._copies.cached(image_of(booking)) | self._copies.own(booking.id)

    def _offered(self, transfer: Transfer, booking: Booking) -> int:
        """The hosts on which a lease can have the image by joining a transfer."""
        if not transfer.has_begun and self.settings.multicast and self.settings.piggyback:
            return EVERYWHERE
        return self._coming(transfer, booking)

    def _coming(self, transfer: Transfer, booking: Booking) -> int:
        """The hosts to which it brings the image anyway, so that the lease can use it."""
        return transfer.hosts if self._copies.keeps else transfer.shares.get(booking.id, 0)

    def find(self, booking: Booking, hosts: int, at: int, after: int) -> Route | None:
        """How the image can be on these hosts by `at`; no new transfer begins before `after`."""
        route = Route(hosts & self._copies.cached(image_of(booking)))
        missing = hosts & ~self._there(booking)
        if not missing:
            return route
        search = self._just_in_time if booking.kind in JUST_IN_TIME else self._at_once
        return route if search(route, booking, missing, at, after) else None

    def _at_once(self, route: Route, booking: Booking, missing: int, at: int, after: int) -> bool:
        """The first transfers that can be joined; for the rest the first gap."""
        for transfer in self._repository.of(image_of(booking)):
            if not missing or transfer.end > at:
                break
            missing = _join(route, transfer, missing & self._offered(transfer, booking), missing)
        if not missing:
            return True
        length = self.length(booking, missing.bit_count())
        start, channel = self._repository.first_gap(length, after)
        if start + length > at:
            return False
        route.new = (start, start + length, channel, missing)
        return True

    def _just_in_time(
        self, route: Route, booking: Booking, missing: int, at: int, after: int
    ) -> bool:
        """What comes to these hosts anyway; for the rest a transfer as late as possible: in the
        last gap, or one that is planned for later still."""
        last: Transfer | None = None
        for transfer in self._repository.of(image_of(booking)):
            if transfer.end > at:
                break
            missing = _join(route, transfer, missing & self._coming(transfer, booking), missing)
            if self._offered(transfer, booking) == EVERYWHERE:
                last = transfer
        if not missing:
            return True
        length = self.length(booking, missing.bit_count())
        gap = self._repository.last_gap(length, after, at)
        if last is not None and (gap is None or last.start >= gap[0]):
            _join(route, last, missing, missing)
        elif gap is not None:
            route.new = (gap[0], gap[0] + length, gap[1], missing)
        else:
            return False
        return True


def _join(route: Route, transfer: Transfer, part: int, missing: int) -> int:
    """Have a part of what is missing brought by a transfer; what is still missing."""
    if part:
        route.joined.append((transfer, part))
    return missing & ~part


def has_disks(booking: Booking) -> bool:
    """Whether its VMs run or are suspended: their disks go with their memory."""
    run = booking.run
    return booking.hosts is not None or (run is not None and run.stage is not Stage.PLANNED)


def image_of(booking: Booking) -> Image:
    """What other leases can share with it: only what has a name."""
    return booking.id if booking.terms.image is None else booking.terms.image
