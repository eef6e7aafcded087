"""Small sites with images: what the tests of transfers share."""

from orrery.core.capacity import Capacity
from orrery.core.model.lease import NodeSet, Terms
from orrery.sched.leases.booking import Booking
from orrery.sched.leases.calendar import Calendar
from orrery.sched.leases.settings import Backfilling, Preparation, Settings, TransferSettings
from orrery.sched.leases.site import Site, SiteHost
from orrery.sched.leases.timeline import Step
from orrery.sched.leases.transfer import Transfers

LENGTH_S = 100
"""A transfer to one host, and by multicast to any number."""


def transfer_settings(
    *,
    channels: int = 1,
    multicast: bool = True,
    piggyback: bool = True,
    cache_mib: int | None = 0,
    lead_s: int = 0,
    backfilling: Backfilling = Backfilling.AGGRESSIVE,
) -> Settings:
    transfer = TransferSettings(
        channels=channels,
        multicast=multicast,
        piggyback=piggyback,
        cache_mib=cache_mib,
        fixed_s=LENGTH_S,
    )
    return Settings(
        preparation=Preparation.TRANSFER,
        transfer=transfer,
        lead_s=lead_s,
        backfilling=backfilling,
        suspend_rate=1000.0,
        resume_rate=1000.0,
    )


def terms(
    image: str | None = "a",
    *,
    nodes: int = 1,
    duration: int = 1000,
    start: int | None = None,
    deadline: int | None = None,
    immediate: bool = False,
    mib: int = 1000,
) -> Terms:
    return Terms(
        nodes=(NodeSet(count=nodes, capacity=Capacity(100, 1000)),),
        duration=duration,
        start=start,
        deadline=deadline,
        immediate=immediate,
        image=image,
        image_mib=mib,
    )


class Imaging:
    """A calendar on a few hosts for one node each, with the repository and what happened."""

    def __init__(self, settings: Settings, hosts: int = 4, *, automatic: bool = True) -> None:
        each = Capacity(100, 1000)
        site = Site(hosts=tuple(SiteHost(id=i, name=f"h{i}", capacity=each) for i in range(hosts)))
        self.calendar = Calendar(site, settings, automatic=automatic)
        assert isinstance(self.calendar.line.preparation, Transfers)
        self.transfers = self.calendar.line.preparation
        self.steps: list[Step] = []
        self._last = 0
        self._now = 0

    def ask(self, wanted: Terms, now: int = 0) -> Booking:
        """Submit a lease and let the scheduler look at it."""
        self.run_to(now)
        self._last += 1
        self.calendar.submit(self._last, wanted, now)
        self.steps += self.calendar.advance(now)
        return self.calendar.bookings[self._last]

    def run_to(self, now: int) -> None:
        """Through everything that happens until then; what was put off to the past happens now."""
        while (at := self.calendar.next_time()) is not None and at <= now:
            self._now = max(self._now, at)
            self.steps += self.calendar.advance(self._now)
        self._now = now
        self.steps += self.calendar.advance(now)


def sent(booking: Booking) -> list[tuple[int, int]]:
    """When its transfers begin and end."""
    return [(start, end) for start, end, _ in booking.transfers]
