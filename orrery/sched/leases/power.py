"""Hosts that are powered down while nothing runs on them, and up again in time for what is planned.

A host that is off is taken in the slot table until it could be up, from now for `wake_s`: so every
plan, whatever its kind, counts with the time that waking takes, and nothing else has to know.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

from msgspec import Struct

from orrery.sched.leases.masks import mask_of
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.shapes import ShapeView
from orrery.sched.leases.site import SiteHost
from orrery.sched.leases.slottable import Held, SlotTable

Ready = tuple[int, int | None]
"""(time, mask of hosts or None for all)"""


class HostStepKind(Enum):
    """What whoever carries out the plan has to do with a host."""

    SLEEP = "sleep"
    WAKE = "wake"


class HostStep(Struct, frozen=True):
    """One step, at its time."""

    at: int
    kind: HostStepKind
    host: int
    """Its id."""


class Power:
    """Which hosts are off, which are waking, and since when each of the others has been empty."""

    def __init__(
        self, table: SlotTable, hosts: Sequence[SiteHost], settings: Settings, now: int
    ) -> None:
        assert settings.power_down_after_s is not None
        self._table = table
        self._hosts = hosts
        self._after = settings.power_down_after_s
        self._wake_s = settings.wake_s
        self._keep = settings.keep_awake
        self.steps: list[HostStep] = []
        self._since = [now] * len(hosts)
        """When each host was first told of."""
        self._off: dict[int, int] = {}
        """Hosts that are off, and since when."""
        self._held = Held(())
        self._from = self._until = now
        """All of them are held in [from, until)."""
        self._waking: dict[int, tuple[int, int]] = {}
        """Each is held in [from, until) by itself."""
        self._empty = dict.fromkeys(range(len(hosts)), now)
        """Hosts that are on and empty, and since when."""
        self._off_s = 0
        self._at = now - 1

    # --- questions --------------------------------------------------------------------------------

    def on_s(self, now: int) -> int:
        """Seconds in which hosts were on, or waking, all together."""
        known = sum(now - since for since in self._since)
        return known - self._off_s - sum(now - since for since in self._off.values())

    @property
    def awake(self) -> int:
        """How many hosts are on or waking."""
        return len(self._since) - len(self._off)

    def ready(self, times: Iterable[Ready]) -> Iterator[Ready]:
        """When hosts are ready for what is to start as soon as possible: with those that are on,
        and then with all."""
        for time, hosts in times:
            yield time, hosts
            if self._off and time < self._until:
                yield self._until, hosts

    def next_time(self, *, naps: bool) -> int | None:
        """When `pass_to` has something to do again; `naps`: hosts are to be powered down then too
        (in a simulation that may be noticed later)."""
        times = [until for _, until in self._waking.values()]
        times += [
            start - self._wake_s
            for host in self._off
            if (start := self._next_start(host, self._until)) is not None
        ]
        if naps and self.awake > self._keep:
            due = (since + self._after for since in self._empty.values())
            times += [time for time in due if time > self._at]
        return min(times, default=None)

    # --- time -------------------------------------------------------------------------------------

    def pass_to(self, now: int, *, calm: bool, again: bool = False) -> bool:
        """What is due by now; whether hosts have come up.

        Args:
            calm: nobody waits in the queue; while somebody does, no host is powered down.
            again: plans may have changed since it was asked at the same time, and what is not used
                by now is not needed now.
        """
        if now == self._at and not again:
            return False
        self._at = now
        self._wake_for_plans(now)
        up = [host for host, (_, until) in self._waking.items() if until <= now]
        for host in up:
            self._empty[host] = self._waking.pop(host)[1]
        self._hold(now)
        self._look(now)
        if calm:
            self._power_down(now, now if again else now - 1)
        return bool(up)

    def _wake_for_plans(self, now: int) -> None:
        due = {}
        for host in self._off:
            start = self._next_start(host, self._until)
            if start is not None and start - self._wake_s <= now:
                due[host] = start
        for host, start in sorted(due.items()):
            begins = max(start - self._wake_s, self._off[host])
            self._wake(host, begins, start)
        if due:
            self._regroup(now)

    def _wake(self, host: int, at: int, ready: int) -> None:
        """It is up, and free for leases, at `ready`; the caller regroups."""
        self._off_s += at - self._off.pop(host)
        self._waking[host] = (self._from, ready)
        self.steps.append(HostStep(at, HostStepKind.WAKE, self._hosts[host].id))

    def _look(self, now: int) -> None:
        """Which hosts that are on are empty."""
        for host in range(len(self._since)):
            if host not in self._off and host not in self._waking:
                if self._is_busy(host, now):
                    self._empty.pop(host, None)
                else:
                    self._empty.setdefault(host, now)

    def _is_busy(self, host: int, now: int) -> bool:
        stays = self._table.stays_on(host)
        return any(amount and start <= now < end for start, end, amount in stays)

    def _next_start(self, host: int, after: int) -> int | None:
        """When it is planned to be used next."""
        stays = self._table.stays_on(host)
        return min((s for s, _, amount in stays if amount and s >= after), default=None)

    # --- down and up ------------------------------------------------------------------------------

    def _power_down(self, now: int, last: int) -> None:
        """Hosts that were empty for long enough by `last` and are not needed soon: the dearest
        first, of equals the last."""
        due = sorted(
            (since + self._after, -self._hosts[host].cost, -host)
            for host, since in self._empty.items()
            if since + self._after <= last
        )
        before = len(self._off)
        for at, _, number in due:
            host = -number
            start = self._next_start(host, now)
            if self.awake <= self._keep:
                break
            if start is None or start - max(at, now) >= self._wake_s + self._after:
                self._off[host] = at
                del self._empty[host]
                self.steps.append(HostStep(at, HostStepKind.SLEEP, self._hosts[host].id))
        if len(self._off) > before:
            self._regroup(now)

    def useful(
        self, view: ShapeView, count: int, need: int, most: int, after: int
    ) -> Iterable[int]:
        """Hosts that are off, for up to `most` nodes of a shape, if `count` of them could run for
        so long as soon as these hosts are up, and not sooner."""
        found = self._table.earliest(view, count, need, after)
        if found is None or found[0] != self._until:
            return ()
        bits = found[1] & view.of_hosts(mask_of(self._off))
        return view.take(bits, min(most, bits.bit_count()))

    @property
    def off(self) -> Iterable[int]:
        return self._off.keys()

    def wake(self, hosts: Iterable[int], now: int) -> None:
        """Those of them that are off come up as soon as they can."""
        chosen = self._off.keys() & set(hosts)
        for host in sorted(chosen):
            self._wake(host, now, max(now + self._wake_s, self._until))
        if chosen:
            self._regroup(now)

    # --- the slot table ---------------------------------------------------------------------------

    def _hold(self, now: int) -> None:
        """Until when hosts that are off cannot be had moves on with the time."""
        until = now + self._wake_s
        if not self._off or until == self._until:
            return
        if self._until > now and self._until > self._from:
            self._table.move_end(self._held, self._from, self._until, until)
        else:
            self._table.add(self._held, now, until)
            self._from = now
        self._until = until

    def _regroup(self, now: int) -> None:
        """Hold those that are off together, for all change alike; each that wakes by itself."""
        table = self._table
        held = {host for host, _ in self._held}
        if self._until > now:
            table.remove(self._held, self._from, self._until)
        for host in sorted(held - self._off.keys()):
            since, until = self._waking[host]
            table.add([(host, table.capacities[host])], max(since, now), until)
            self._waking[host] = (max(since, now), until)
        self._from, self._until = now, now + self._wake_s
        self._held = Held([(host, table.capacities[host]) for host in sorted(self._off)])
        table.add(self._held, self._from, self._until)

    # --- hosts ------------------------------------------------------------------------------------

    def add_host(self, now: int) -> None:
        self._since.append(now)

    def forget(self, host: int, now: int) -> None:
        """A host is lost, or offers another amount. It is not held any more, and counts as on: one
        that is told of answers."""
        self._empty.pop(host, None)
        if host in self._off:
            self._wake(host, now, now)
            self._regroup(now)
        if host in self._waking:
            since, until = self._waking.pop(host)
            if until > now:
                self._table.remove([(host, self._table.capacities[host])], since, until)
