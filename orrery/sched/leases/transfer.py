"""Images for leases: sent from one repository in time for their start, shared and kept on hosts.

Best-effort leases are served first come, first served; promises just in time: as late as their
start allows, so that images take room on hosts for as short as possible (Sotomayor, Keahey and
Foster: "Combining Batch Execution and Leasing Using Virtual Machines", HPDC 2008). It knows
nothing of capacity.
"""

from collections.abc import Mapping, Sequence

from orrery.core.model.lease import LeaseStatus
from orrery.sched.leases.booking import Booking
from orrery.sched.leases.copies import Copies
from orrery.sched.leases.masks import EVERYWHERE, hosts_in, mask_of
from orrery.sched.leases.preparation import News, Ready
from orrery.sched.leases.repository import Image, Repository, Transfer
from orrery.sched.leases.routes import Route, Routes, has_disks, image_of
from orrery.sched.leases.settings import Settings

GRACE_S = 5
"""By how much a transfer that is late is given longer at a time, at the least."""

NOBODY = -(1 << 60)
"""Stands for leases that were given up while their image was on its way."""


class Stock:
    """What one lease has on hosts, and what it waits for."""

    __slots__ = ("behind", "booking", "image", "pinned", "waits_for", "was_sent")

    def __init__(self, booking: Booking) -> None:
        self.booking = booking
        self.image = image_of(booking)
        self.pinned = 0
        """The hosts whose cached copy it uses."""
        self.waits_for: list[Transfer] = []
        self.behind: list[tuple[int, int, tuple[int, ...]]] = []
        """Transfers that are over: (start, end, hosts)."""
        self.was_sent = False
        """Something that its plan needs has been sent, or is being sent."""

    def only_for_it(self) -> list[Transfer]:
        """Transfers that have not begun and that nobody else waits for."""
        return [t for t in self.waits_for if not t.has_begun and len(t.shares) == 1]

    def finished(self, transfer: Transfer, end: int) -> None:
        hosts = tuple(hosts_in(transfer.shares[self.booking.id]))
        self.behind.append((transfer.start, end, hosts))

    def show(self) -> None:
        """Put its transfers into the record of the lease."""
        ahead = [
            (transfer.start, transfer.end, tuple(hosts_in(transfer.shares[self.booking.id])))
            for transfer in self.waits_for
        ]
        self.booking.transfers = [*self.behind, *ahead]

    def news(self, at: int, transfer: Transfer | None = None) -> News:
        status = LeaseStatus.SCHEDULED
        if self.was_sent:
            status = LeaseStatus.PREPARING if self.waits_for else LeaseStatus.READY
        return News(at, self.booking, status, transfer)


class Transfers:
    """Preparation by image transfers."""

    managed = True

    def __init__(self, settings: Settings) -> None:
        self.repository = Repository(settings.transfer.channels)
        self.copies = Copies(settings.transfer.cache_mib)
        self._routes = Routes(self.repository, self.copies, settings.transfer)
        self._lead_s = settings.lead_s
        self._stocks: dict[int, Stock] = {}
        self._under_way: dict[int, Transfer] = {}
        self._last_id = 0
        self._news: list[News] = []
        self._known: dict[tuple[Image, int], Ready] = {}
        self._known_for = (-1, -1, -1)

    def use(self, settings: Settings) -> None:
        """Bandwidth and such may change; channels and caches stay what they were made as."""
        self._routes.settings = settings.transfer
        self._lead_s = settings.lead_s
        self._known_for = (-1, -1, -1)

    # --- questions --------------------------------------------------------------------------------

    def ready(self, booking: Booking, now: int) -> Ready:
        if self._routes.needs_nothing(booking):
            return [(now, None)]
        length = self._routes.length(booking, booking.node_count)
        if booking.id in self._stocks:
            return self._routes.ready(booking, length, now)
        stamp = (now, self.repository.version, self.copies.version)
        if stamp != self._known_for:
            self._known, self._known_for = {}, stamp
        key = (image_of(booking), length)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._routes.ready(booking, length, now)
        return found

    def possible(self, booking: Booking, hosts: Sequence[int], at: int, now: int) -> bool:
        if self._routes.needs_nothing(booking):
            return True
        given_up = self._give_up_plan(booking)
        route = self._routes.find(booking, mask_of(hosts), at, now + self._lead_s)
        for transfer in given_up:
            self.repository.add(transfer)
        return route is not None

    def _give_up_plan(self, booking: Booking) -> list[Transfer]:
        """Take what is planned for nobody else off the time line."""
        stock = self._stocks.get(booking.id)
        given_up = [] if stock is None else stock.only_for_it()
        for transfer in given_up:
            self.repository.remove(transfer)
        return given_up

    def is_there(self, booking: Booking) -> bool:
        stock = self._stocks.get(booking.id)
        return stock is None or not stock.waits_for

    def disk_mib(self) -> Mapping[int, int]:
        return self.copies.disk

    # --- plans ------------------------------------------------------------------------------------

    def book(self, booking: Booking, hosts: Sequence[int], at: int, now: int) -> bool:
        if self._routes.needs_nothing(booking):
            return True
        given_up = self._give_up_plan(booking)
        wanted = mask_of(hosts)
        route = self._routes.find(booking, wanted, at, now + self._lead_s)
        if route is None:
            for transfer in given_up:
                self.repository.add(transfer)
            return False
        stock = self._stocks.get(booking.id)
        if stock is None:
            stock = self._stocks[booking.id] = Stock(booking)
        self._forsake(stock, [t for t in stock.waits_for if t not in given_up])
        self._keep_only(stock, wanted, route.cached)
        self._take(stock, route)
        if stock.was_sent:
            self._news.append(stock.news(now))
        return True

    def _keep_only(self, stock: Stock, hosts: int, cached: int) -> None:
        """Of what it has on hosts, that on `hosts`; and use the `cached` copies."""
        lease = stock.booking.id
        self.copies.take(lease, ~hosts)
        self._unpin(stock, stock.pinned & ~cached)
        self.copies.pin(lease, stock.image, cached & ~stock.pinned)
        stock.pinned = cached

    def _unpin(self, stock: Stock, hosts: int, used: int | None = None) -> None:
        self.copies.unpin(stock.booking.id, stock.image, hosts, used)
        stock.pinned &= ~hosts

    def _take(self, stock: Stock, route: Route) -> None:
        lease = stock.booking.id
        joined = list(route.joined)
        if route.new is not None:
            start, end, channel, hosts = route.new
            self._last_id += 1
            mib = stock.booking.terms.image_mib
            new = Transfer(self._last_id, stock.image, mib, start, end, channel)
            self.repository.add(new)
            joined.append((new, hosts))
        for transfer, part in joined:
            transfer.shares[lease] = transfer.shares.get(lease, 0) | part
        stock.waits_for = list(dict.fromkeys(transfer for transfer, _ in joined))
        under_way = any(transfer.has_begun for transfer in stock.waits_for)
        stock.was_sent = under_way or self.copies.own(lease) != 0
        stock.show()

    def set_aside(self, booking: Booking, now: int) -> None:
        stock = self._stocks.get(booking.id)
        if stock is None or has_disks(booking):
            return
        self._unpin(stock, stock.pinned)
        self._forsake(stock, [t for t in stock.waits_for if not t.has_begun])
        stock.show()

    def release(self, booking: Booking, now: int) -> None:
        stock = self._stocks.pop(booking.id, None)
        if stock is None:
            return
        self._unpin(stock, stock.pinned, None if booking.first_start is None else now)
        self.copies.take(booking.id, EVERYWHERE)
        for transfer in stock.waits_for:
            if transfer.has_begun:
                stock.finished(transfer, transfer.end)
        self._forsake(stock, stock.waits_for)
        stock.show()

    def _forsake(self, stock: Stock, transfers: list[Transfer]) -> None:
        """Wait for these no more: what nobody waits for is not sent, unless it is on its way."""
        for transfer in transfers:
            hosts = transfer.shares.pop(stock.booking.id)
            if transfer.has_begun:
                transfer.shares[NOBODY] = transfer.shares.get(NOBODY, 0) | hosts
            elif not transfer.shares:
                self.repository.remove(transfer)
        stock.waits_for = [t for t in stock.waits_for if t not in transfers]

    # --- time -------------------------------------------------------------------------------------

    def next_time(self) -> int | None:
        first = self.repository.next()
        return None if first is None else first.next_time

    def due(self, now: int, *, automatic: bool) -> Sequence[News]:
        while True:
            transfer = self.repository.next()
            if transfer is None or transfer.next_time > now:
                break
            if not transfer.has_begun:
                self._begin(transfer)
            elif automatic:
                self._arrive(transfer, transfer.end)
            else:
                self._be_late(transfer, now)
        if not self._news:
            return ()
        news, self._news = self._news, []
        return news

    def _begin(self, transfer: Transfer) -> None:
        transfer.has_begun = True
        self.repository.version += 1
        self._under_way[transfer.id] = transfer
        told: Transfer | None = transfer
        for lease in transfer.shares:
            stock = self._stocks[lease]
            stock.was_sent = True
            self._news.append(stock.news(transfer.start, told))
            told = None

    def _arrive(self, transfer: Transfer, now: int) -> None:
        """It is over: caches and leases have the image."""
        del self._under_way[transfer.id]
        self.repository.remove(transfer)
        shares = [(lease, mask) for lease, mask in transfer.shares.items() if lease != NOBODY]
        for host in hosts_in(transfer.hosts):
            users = [lease for lease, mask in shares if mask >> host & 1]
            if self.copies.arrive(transfer.image, transfer.mib, host, users, now):
                for lease in users:
                    self._stocks[lease].pinned |= 1 << host
        for lease, _ in shares:
            stock = self._stocks[lease]
            stock.waits_for.remove(transfer)
            stock.finished(transfer, now)
            stock.show()
            self._news.append(stock.news(now))

    def _be_late(self, transfer: Transfer, now: int) -> None:
        """It has not arrived when it should have: it, and what comes after it, takes longer."""
        longer = max(GRACE_S, (transfer.end - transfer.start) // 10)
        for changed in (transfer, *self.repository.delay(transfer, now + longer)):
            for lease in changed.shares:
                if lease != NOBODY:
                    self._stocks[lease].show()
                    self._news.append(self._stocks[lease].news(now))

    # --- what happened ----------------------------------------------------------------------------

    def arrived(self, transfer_id: int, now: int) -> None:
        transfer = self._under_way.get(transfer_id)
        if transfer is not None:
            self._arrive(transfer, now)

    def moved(self, booking: Booking, hosts: Sequence[int], now: int) -> None:
        if booking.terms.image_mib == 0:
            return
        stock = self._stocks.get(booking.id)
        if stock is None:
            stock = self._stocks[booking.id] = Stock(booking)
        wanted = mask_of(hosts)
        self._keep_only(stock, wanted, wanted & stock.pinned)
        self.copies.give(booking.id, booking.terms.image_mib, wanted & ~stock.pinned)

    def lose(self, host: int) -> None:
        keep = ~(1 << host)
        for stock in self._stocks.values():
            stock.pinned &= keep
            for transfer in stock.waits_for:
                transfer.shares[stock.booking.id] &= keep
            stock.show()
        for transfer in self._under_way.values():
            if NOBODY in transfer.shares:
                transfer.shares[NOBODY] &= keep
        self.copies.lose(host)

    # --- where transfers are carried out for real -------------------------------------------------

    def under_way(self) -> list[Transfer]:
        """What should be on its way now, in the order in which it began."""
        return list(self._under_way.values())

    def needed(self) -> dict[Image, int]:
        """The hosts on which each image lies in a cache or for a lease, or to which it comes; a
        copy anywhere else is of no use to anybody."""
        found = self.copies.everywhere()
        for stock in self._stocks.values():
            own = self.copies.own(stock.booking.id)
            if own:
                found[stock.image] = found.get(stock.image, 0) | own
        for channel in self.repository.channels:
            for transfer in channel:
                found[transfer.image] = found.get(transfer.image, 0) | transfer.hosts
        return found

    def fail(self, transfer: Transfer, there: int, now: int) -> list[Booking]:
        """It came to the hosts `there` only: the leases that still miss something, which wait for
        it no more."""
        missing = {
            lease: mask & ~there
            for lease, mask in transfer.shares.items()
            if lease != NOBODY and mask & ~there
        }
        for lease in transfer.shares:
            transfer.shares[lease] &= there
        self._arrive(transfer, now)
        return [self._stocks[lease].booking for lease in missing]

    def go_without(self, booking: Booking) -> None:
        """It waits for nothing any more; what is on its way comes all the same."""
        stock = self._stocks.get(booking.id)
        if stock is not None:
            self._forsake(stock, stock.waits_for)
            stock.show()

    # --- after a restart --------------------------------------------------------------------------

    def found(self, image: Image, mib: int, host: int, used: int) -> None:
        """A copy is in the cache of a host, if there is room for it beside those told before."""
        self.copies.arrive(image, mib, host, (), used)

    def goes_on(
        self, image: Image, mib: int, planned: tuple[int, int], hosts: int, now: int
    ) -> None:
        """A transfer was under way and still is; who needs it is told by `book`."""
        free = [i for i, channel in enumerate(self.repository.channels) if not channel]
        if not free:
            return
        start, end = planned
        self._last_id += 1
        transfer = Transfer(self._last_id, image, mib, start, max(end, now + 1), free[0])
        transfer.has_begun = True
        transfer.shares[NOBODY] = hosts
        self.repository.add(transfer)
        self._under_way[transfer.id] = transfer

    def uses(self, booking: Booking, hosts: int) -> None:
        """Copies on these hosts are there for this lease: the disks of its VMs lie on them, or
        will."""
        if not hosts or self._routes.length(booking, 1) == 0:
            return
        stock = self._stocks.setdefault(booking.id, Stock(booking))
        cached = hosts & self.copies.cached(stock.image)
        self.copies.pin(booking.id, stock.image, cached & ~stock.pinned)
        stock.pinned |= cached
        self.copies.give(booking.id, booking.terms.image_mib, hosts & ~cached)

    def forget(self, image: Image, host: int) -> None:
        """The image was changed or removed: a copy that nobody uses is none any more."""
        self.copies.forget(image, host)
