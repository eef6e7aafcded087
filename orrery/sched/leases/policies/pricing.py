"""What a node costs for an hour: rates by name. How rates become prices is in `market`.

Haizea 1.1's pricing (B. Sotomayor, "Provisioning Computational Resources Using Virtual Machines and
Leases", PhD thesis, University of Chicago, 2010).
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from orrery.sched.leases.booking import Booking
from orrery.sched.leases.settings import Settings


class Bids:
    """The rates that one user was asked for."""

    __slots__ = ("highest_accepted", "lowest_refused")

    def __init__(self) -> None:
        self.highest_accepted: float | None = None
        self.lowest_refused: float | None = None

    def answered(self, rate: float, *, accepted: bool) -> None:
        if accepted:
            known = self.highest_accepted
            self.highest_accepted = rate if known is None else max(known, rate)
        else:
            known = self.lowest_refused
            self.lowest_refused = rate if known is None else min(known, rate)


class Rates(Protocol):
    """What a policy may look at."""

    @property
    def settings(self) -> Settings: ...

    @property
    def bids(self) -> Mapping[int, Bids]:
        """Of each user who has answered a price."""
        ...


Pricing = Callable[[Booking, Rates], float]
"""(the lease, what is known) -> rate of a node hour"""

FREE = "free"


def free(booking: Booking, rates: Rates) -> float:
    """0: nothing has a price."""
    del booking, rates
    return 0.0


def constant(booking: Booking, rates: Rates) -> float:
    """rate, for everybody."""
    del booking
    return rates.settings.rate


def random(booking: Booking, rates: Rates) -> float:
    """Uniform in [min-rate, max-rate): a hash of the seed and of the id of the lease, so that the
    same lease has the same rate in every run."""
    settings = rates.settings
    part = mixed((settings.rate_seed << 32) + booking.id) / (1 << 64)
    return settings.min_rate + part * (settings.max_rate - settings.min_rate)


def mixed(number: int) -> int:
    """64 bits in which each bit of the number has its say: the output function of SplitMix64
    (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014)."""
    whole = (1 << 64) - 1
    z = (number + 1) * 0x9E3779B97F4A7C15 & whole
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & whole
    z = (z ^ z >> 27) * 0x94D049BB133111EB & whole
    return z ^ z >> 31


def maximum(booking: Booking, rates: Rates) -> float:
    """The rate that the user would just pay, where it is known: the upper bound of what can be
    earned. Others pay `rate`."""
    return rates.settings.rate if booking.user_rate is None else booking.user_rate


def adaptive(booking: Booking, rates: Rates) -> float:
    """The median of the estimates of all users: 1.5 x the highest rate accepted if none was
    refused, 0.5 x the lowest refused if none was accepted, otherwise the middle of these two.
    `rate` until somebody has answered."""
    del booking
    estimates = sorted(estimate for bids in rates.bids.values() for estimate in _estimate(bids))
    if not estimates:
        return rates.settings.rate
    middle = len(estimates) // 2
    if len(estimates) % 2:
        return estimates[middle]
    return (estimates[middle - 1] + estimates[middle]) / 2


def _estimate(bids: Bids) -> list[float]:
    high, low = bids.highest_accepted, bids.lowest_refused
    if low is None:
        return [] if high is None else [1.5 * high]
    return [0.5 * low] if high is None else [(high + low) / 2]


PRICING: dict[str, Pricing] = {
    FREE: free,
    "constant": constant,
    "random": random,
    "maximum": maximum,
    "adaptive": adaptive,
}
