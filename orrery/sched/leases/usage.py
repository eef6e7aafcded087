"""What every user had of the site, for accounting and for fair share: both from the time for which
the VMs of each run ran. Recent use decays exponentially: what was used t seconds ago counts
2^(-t / half-life).
"""

from collections.abc import Iterable, Mapping
from math import exp, log

from msgspec import Struct

from orrery.sched.leases.booking import Booking
from orrery.sched.leases.settings import Settings


class Account:
    """Of one user."""

    __slots__ = ("recent", "until")

    def __init__(self) -> None:
        self.recent = 0.0
        """CPU seconds that count, as they counted at `until`."""
        self.until = 0


class Total(Struct, frozen=True):
    """What a user had in all. Work that was lost counts: it took the hosts all the same."""

    node_s: int = 0
    """Nodes times seconds in which VMs ran."""
    cpu_s: float = 0.0


def totals(bookings: Iterable[Booking]) -> dict[int, Total]:
    """By user, from the seconds in which the VMs of each lease ran."""
    found: dict[int, Total] = {}
    for booking in bookings:
        known = found.get(booking.user, Total())
        found[booking.user] = Total(
            known.node_s + booking.ran * booking.node_count,
            known.cpu_s + booking.ran * booking.cpu_pct / 100,
        )
    return found


class Usage:
    """What all users had of late, by their ids."""

    def __init__(self, settings: Settings, *, ages: bool = False) -> None:
        self.accounts: dict[int, Account] = {}
        self.settings = settings
        self.ages = ages
        """Whether somebody wants to know: only then is it to be told of (`add`)."""

    def add(self, user: int, cpu_pct: int, start: int, end: int) -> None:
        """VMs of a user, with so much CPU together, ran from start to end."""
        if end <= start:
            return
        account = self.accounts.get(user)
        if account is None:
            account = self.accounts[user] = Account()
        at = max(account.until, end)
        fresh = self._counts(cpu_pct, start, end, at)
        account.recent = account.recent * self._decay(at - account.until) + fresh
        account.until = at

    def recent(self, user: int, now: int) -> float:
        """CPU seconds of a user that still count."""
        account = self.accounts.get(user)
        if account is None:
            return 0.0
        return account.recent * self._decay(max(0, now - account.until))

    def _decay(self, seconds: float) -> float:
        return float(2.0 ** (-seconds / self.settings.half_life_s))

    def _counts(self, cpu_pct: int, start: int, end: int, at: int) -> float:
        """What use in [start, end) counts at `at`: the integral of its decay."""
        rate = log(2) / self.settings.half_life_s
        return cpu_pct / 100 / rate * (1 - exp(-rate * (end - start))) * self._decay(at - end)

    def counts(self, running: Iterable[tuple[int, int, int]], now: int) -> dict[int, float]:
        """What counts now of each user, with what runs: (user, CPU in hundredths, since when)."""
        found = {user: self.recent(user, now) for user in self.accounts}
        for user, cpu_pct, since in running:
            if since < now:
                found[user] = found.get(user, 0.0) + self._counts(cpu_pct, since, now, now)
        return found


class Standing:
    """How users stand to one another, when it was last looked at."""

    def __init__(self, settings: Settings, now: int) -> None:
        self.settings = settings
        self.now = now
        self._factors: dict[int, float] = {}

    def factor(self, user: int) -> float:
        """2^-(U / S); 1 for who had nothing."""
        return self._factors.get(user, 1.0)

    def look(self, counts: Mapping[int, float], now: int) -> None:
        """Take in what counts now of the use of each user."""
        self.now = now
        shares = dict(self.settings.shares)
        whole = sum(counts.values())
        promised = sum(shares.get(user, 1.0) for user in counts)
        self._factors = {
            user: _factor(used / whole, shares.get(user, 1.0) / promised)
            for user, used in counts.items()
            if used > 0
        }


def _factor(used: float, share: float) -> float:
    return float(2.0 ** -(used / share)) if share > 0 else 0.0
