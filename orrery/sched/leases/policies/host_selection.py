"""Which of the hosts that would do are taken: functions by name that give masks in order.

The hosts of the first mask are taken first, those of the second next. Bits are those of the view of
the node's shape (`shapes.ShapeView`): a host into which k more nodes fit has k bits.
"""

from collections.abc import Callable, Iterable, Sequence

from orrery.sched.leases.booking import Booking
from orrery.sched.leases.shapes import ShapeView
from orrery.sched.leases.site import SiteHost
from orrery.sched.leases.slottable import SlotTable


class Choice:
    """What is to be chosen from."""

    __slots__ = ("at", "booking", "hosts", "table", "target", "usable", "view")

    def __init__(
        self,
        usable: list[int],
        at: int,
        target: int,
        view: ShapeView,
        table: SlotTable,
        hosts: Sequence[SiteHost],
        booking: Booking,
    ) -> None:
        self.usable = usable
        """Masks, each a part of the one before it: `usable[0]` is all that is free for as long as
        is needed, `usable[-1]` what is free for longest."""
        self.at = at
        """When the run would begin."""
        self.target = target
        """Until when the hosts are needed."""
        self.view = view
        self.table = table
        self.hosts = hosts
        self.booking = booking

    def bits_of(self, host: int) -> int:
        """The bits of one host that are free for as long as is needed."""
        view = self.view
        return self.usable[0] & (((1 << view.widths[host]) - 1) << view.offsets[host])


HostSelection = Callable[[Choice], Iterable[int]]


def first(choice: Choice) -> Iterable[int]:
    """By number: the first hosts of the site."""
    return choice.usable[:1]


def longest(choice: Choice) -> Iterable[int]:
    """Those that stay free for longest first: what the third term of Haizea's greedy policy
    prefers."""
    return choice.usable[::-1]


def tightest(choice: Choice) -> Iterable[int]:
    """Those that are free for the shortest time that suffices: long gaps stay whole (best fit)."""
    usable = choice.usable
    return [mask & ~later for mask, later in zip(usable, [*usable[1:], 0], strict=True)]


def by_score(choice: Choice, score: Callable[[Choice, int], float]) -> Iterable[int]:
    """A mask for each score, the highest first; the score is asked for each host that is free."""
    masks: dict[float, int] = {}
    for host in range(len(choice.view.widths)):
        bits = choice.bits_of(host)
        if bits:
            value = score(choice, host)
            masks[value] = masks.get(value, 0) | bits
    return [masks[value] for value in sorted(masks, reverse=True)]


MANY = 4
"""More leases on a host are as bad as so many."""


def greedy_score(choice: Choice, host: int) -> float:
    """0.5 (4 - min(leases on the host, 4)) / 4 + 0.25 + 0.25 min(1, time for which what the host
    has free stays as it is / duration)."""
    stays = [stay for stay in choice.table.stays_on(host) if stay[1] > choice.at]
    leases = sum(stay[0] <= choice.at for stay in stays)
    changes = (time for start, end, _ in stays for time in (start, end) if time > choice.at)
    unchanged = min(changes, default=None)
    lasts = 1.0 if unchanged is None else min(1.0, (unchanged - choice.at) / _needed(choice))
    return 0.5 * (MANY - min(leases, MANY)) / MANY + 0.25 + 0.25 * lasts


def _needed(choice: Choice) -> int:
    return max(1, choice.booking.remaining)


def greedy(choice: Choice) -> Iterable[int]:
    """Haizea's `greedy`: 0.5 (4 - min(n, 4)) / 4 + 0.25 + 0.25 min(1, u / d), with n leases on the
    host, what is free there unchanged for u, and a lease of duration d. Empty hosts come first."""
    return by_score(choice, greedy_score)


def cheapest(choice: Choice) -> Iterable[int]:
    """By what an hour of the host costs (its property `cost`, in any unit), the lowest first."""
    return by_score(choice, lambda choice, host: -choice.hosts[host].cost)


def packed(choice: Choice) -> Iterable[int]:
    """Hosts in use first, of these the ones with least left, the cheapest of equals: others stay
    empty and can be powered down (first-fit decreasing of Beloglazov, Abawajy, Buyya, FGCS 28,
    2012, without its power model)."""
    return by_score(choice, _packing)


def _packing(choice: Choice, host: int) -> float:
    """Above 0 for hosts in use: 1 / (1 + nodes that fit); below for empty ones: -(1 + cost)."""
    if choice.table.free(host, choice.at) == choice.table.capacities[host]:
        return -(1.0 + choice.hosts[host].cost)
    return 1 / (1 + choice.bits_of(host).bit_count())


HOST_SELECTION: dict[str, HostSelection] = {
    "longest": longest,
    "tightest": tightest,
    "first": first,
    "greedy": greedy,
    "cheapest": cheapest,
    "packed": packed,
}
