"""The slot table: what is free on every host at every time, and who asks first when it will be.

Two structures are kept in step and changed in place, never rebuilt:

* a *profile* for each host: the times at which its free capacity changes, and the free capacity
  from each time on. Capacity is one integer with a field for each resource, so that taking from it
  and giving back are one addition;
* a *view* for each shape of node that leases ask for: one bit mask for each stretch between two
  change points of the whole table. A host into which k more nodes of the shape fit has the lowest
  k of its bits set. Such codes make the minimum over a window a bitwise AND and the number of
  nodes that fit a population count, which is what makes an earliest fit a matter of microseconds
  on hundreds of hosts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache

FIELD_BITS = 40
FIELD = (1 << FIELD_BITS) - 1

LIMIT = 1 << (FIELD_BITS - 1)
"""Amounts are below it."""

FOREVER = 1 << 60
"""A time after all others."""

MOST_ON_A_HOST = 4096
"""Bits that one host may have in a view: bounds the masks where a shape asks for next to
nothing."""

Allocation = Sequence[tuple[int, int]]
"""What a run holds: (index of the host, packed capacity), each host once."""


def pack(amounts: Iterable[int]) -> int:
    """One integer of the amounts, the first in the lowest field (its top bit stays free)."""
    packed = 0
    for index, amount in enumerate(amounts):
        if not 0 <= amount < LIMIT:
            raise ValueError(f"amount {amount} is not in 0 to {LIMIT - 1}")
        packed |= amount << (index * FIELD_BITS)
    return packed


def unpack(packed: int, fields: int) -> tuple[int, ...]:
    return tuple((packed >> (index * FIELD_BITS)) & FIELD for index in range(fields))


class ShapeView:
    """How many nodes of one shape fit on each host at each time."""

    __slots__ = ("_counts", "_demand", "_expanded", "full", "masks", "offsets", "owners", "widths")

    def __init__(self, shape: int, capacities: Sequence[int]) -> None:
        self._demand = [
            (index * FIELD_BITS, amount)
            for index, amount in enumerate(unpack(shape, shape.bit_length() // FIELD_BITS + 1))
            if amount
        ]
        self._counts: dict[int, int] = {}
        self._expanded: dict[int, int] = {}
        self.offsets: list[int] = []
        self.widths: list[int] = []
        self.owners: list[int] = []
        """The host of each bit."""
        self.full = 0
        self.masks: list[int] = []
        """One for each stretch of the table: `masks[i]` holds from `times[i]` to `times[i + 1]`."""
        for capacity in capacities:
            self.add_host(capacity)

    def add_host(self, capacity: int) -> None:
        width = self.count(capacity)
        self.offsets.append(len(self.owners))
        self.widths.append(width)
        self.full |= ((1 << width) - 1) << len(self.owners)
        self.owners.extend([len(self.offsets) - 1] * width)
        self._expanded.clear()

    def count(self, free: int) -> int:
        """Nodes that fit into so much free capacity."""
        found = self._counts.get(free)
        if found is None:
            found = MOST_ON_A_HOST
            for shift, amount in self._demand:
                found = min(found, ((free >> shift) & FIELD) // amount)
            self._counts[free] = found
        return found

    def of_hosts(self, hosts: int) -> int:
        """The bits of all hosts in a mask of hosts (bit h for host h)."""
        found = self._expanded.get(hosts)
        if found is None:
            found, rest = 0, hosts
            while rest:
                host = (rest & -rest).bit_length() - 1
                rest &= rest - 1
                if host < len(self.offsets):
                    found |= ((1 << self.widths[host]) - 1) << self.offsets[host]
            if len(self._expanded) > 256:
                self._expanded.clear()
            self._expanded[hosts] = found
        return found

    def exactly(self, hosts: Iterable[int]) -> int | None:
        """The bits that must be set for one node on each of these hosts (repeats count); None
        when a host could never take so many."""
        wanted: dict[int, int] = {}
        for host in hosts:
            wanted[host] = wanted.get(host, 0) + 1
        bits = 0
        for host, count in wanted.items():
            if count > self.widths[host]:
                return None
            bits |= ((1 << count) - 1) << self.offsets[host]
        return bits

    def take(self, mask: int, count: int) -> list[int]:
        """The hosts of the lowest `count` bits of a mask."""
        hosts = []
        owners = self.owners
        for _ in range(count):
            low = mask & -mask
            hosts.append(owners[low.bit_length() - 1])
            mask ^= low
        return hosts


Window = list[tuple[int, int]]
"""(until, mask), ascending: the hosts in `mask` stay free until `until`."""


class SlotTable:
    """Reservations over the capacity of all hosts, from a first time on."""

    def __init__(self, capacities: Sequence[int], start: int = 0, views: int = 64) -> None:
        self.capacities = list(capacities)
        self.times: list[int] = [start]
        """Change points: all starts and ends; the first is at or before the present."""
        self._edges: dict[int, int] = {}
        self._profile_times: list[list[int]] = [[start] for _ in capacities]
        self._profile_free: list[list[int]] = [[c] for c in capacities]
        self._views: dict[int, ShapeView] = {}
        self._max_views = views

    # --- questions --------------------------------------------------------------------------------

    def view(self, shape: int) -> ShapeView:
        """The view of a shape, made when it is first asked for."""
        found = self._views.get(shape)
        if found is None:
            if len(self._views) >= self._max_views:
                del self._views[next(iter(self._views))]
            found = self._views[shape] = self._made(shape)
        return found

    def _made(self, shape: int) -> ShapeView:
        view = ShapeView(shape, self.capacities)
        view.masks = [0] * len(self.times)
        flips = [0] * len(self.times)
        for host, times in enumerate(self._profile_times):
            before = 0
            offset = view.offsets[host]
            for time, free in zip(times, self._profile_free[host], strict=True):
                bits = ((1 << view.count(free)) - 1) << offset
                flips[self.index(time)] ^= bits ^ before
                before = bits
        mask = 0
        for index, flip in enumerate(flips):
            mask ^= flip
            view.masks[index] = mask
        return view

    def index(self, time: int) -> int:
        """The stretch in which a time lies (the first one for the past)."""
        return max(0, bisect_right(self.times, time) - 1)

    def free(self, host: int, time: int) -> int:
        """Packed free capacity of a host at a time."""
        times = self._profile_times[host]
        return self._profile_free[host][max(0, bisect_right(times, time) - 1)]

    def free_until(self, host: int, amount: int, start: int) -> int:
        """Until when so much stays free on a host from `start` on; `start` when it is not free."""
        times, free = self._profile_times[host], self._profile_free[host]
        index = max(0, bisect_right(times, start) - 1)
        if not _covers(free[index], amount):
            return start
        for later in range(index + 1, len(times)):
            if not _covers(free[later], amount):
                return times[later]
        return FOREVER

    def least_free(self, host: int, start: int, end: int, fields: int) -> tuple[int, ...]:
        """The smallest free amount of each resource on a host at any time in [start, end)."""
        times = self._profile_times[host]
        first = max(0, bisect_right(times, start) - 1)
        last = max(first + 1, bisect_left(times, end))
        pieces = [unpack(free, fields) for free in self._profile_free[host][first:last]]
        return tuple(min(amounts) for amounts in zip(*pieces, strict=True))

    def throughout(self, view: ShapeView, start: int, end: int) -> int:
        """The mask of what is free at every moment of [start, end)."""
        first = self.index(start)
        masks = view.masks
        mask = masks[first]
        for index in range(first + 1, bisect_left(self.times, end)):
            mask &= masks[index]
        return mask

    def times_after(self, time: int) -> list[int]:
        """The change points after a time."""
        return [t for t in self.times[bisect_right(self.times, time) :] if t < FOREVER]

    def window(self, view: ShapeView, start: int, least: int = 1) -> Window:
        """What is free from `start` on, and for how long: until fewer than `least` nodes fit."""
        times, masks = self.times, view.masks
        first = self.index(start)
        mask = masks[first]
        found: Window = []
        for index in range(first + 1, len(times)):
            narrower = mask & masks[index]
            if narrower != mask:
                found.append((times[index], mask))
                mask = narrower
                if mask.bit_count() < least:
                    return found
        found.append((FOREVER, mask))
        return found

    def earliest(
        self, view: ShapeView, count: int, length: int, after: int, allowed: int | None = None
    ) -> tuple[int, int] | None:
        """The first change point after `after` from which `count` nodes fit for `length`, with
        the mask of where; only hosts whose bits are in `allowed` count."""
        times, masks = self.times, view.masks
        if allowed is None:
            allowed = view.full
        for first in range(bisect_right(times, after), len(times)):
            mask = masks[first] & allowed
            if mask.bit_count() < count or times[first] == FOREVER:
                continue
            end = times[first] + length
            index = first + 1
            while index < len(times) and times[index] < end:
                mask &= masks[index]
                if mask.bit_count() < count:
                    break
                index += 1
            else:
                return times[first], mask
        return None

    def chance_before(
        self, view: ShapeView, count: int, length: int, after: int, before: int, own: int
    ) -> bool:
        """Whether `count` nodes could fit for `length` from some time in [after, before), if the
        bits in `own` were free from `before` on: a necessary condition only."""
        times, masks = self.times, view.masks
        for first in range(self.index(after), bisect_left(times, before)):
            mask = masks[first]
            if mask.bit_count() < count:
                continue
            end = max(times[first], after) + length
            for index in range(first + 1, bisect_left(times, end)):
                mask &= masks[index] | own if times[index] >= before else masks[index]
                if mask.bit_count() < count:
                    break
            else:
                return True
        return False

    # --- changes ----------------------------------------------------------------------------------

    def add(self, held: Allocation, start: int, end: int) -> None:
        """Take capacity from `start` to `end`."""
        if start >= end:
            return
        self._edge(start)
        self._edge(end)
        self._change(held, start, end, -1)

    def remove(self, held: Allocation, start: int, end: int) -> None:
        """Give back what was added with the same arguments."""
        if start >= end:
            return
        self._change(held, start, end, 1)
        self._forget_edge(start)
        self._forget_edge(end)

    def move_end(self, held: Allocation, old: int, new: int) -> None:
        """What is held until `old` is held until `new`."""
        if old == new:
            return
        self._edge(new)
        if new < old:
            self._change(held, new, old, 1)
        else:
            self._change(held, old, new, -1)
        self._forget_edge(old)

    def trim(self, now: int) -> None:
        """Forget the past."""
        times = self.times
        if len(times) < 2 or times[1] > now:
            return
        gone = bisect_right(times, now) - 1
        for time in times[:gone]:
            self._edges.pop(time, None)
        del times[:gone]
        for view in self._views.values():
            del view.masks[:gone]

    def add_host(self, capacity: int) -> int:
        """A new host, free from now on; gives its index."""
        self.capacities.append(capacity)
        self._profile_times.append([self.times[0]])
        self._profile_free.append([capacity])
        for view in self._views.values():
            before = view.full
            view.add_host(capacity)
            added = view.full ^ before
            view.masks = [mask | added for mask in view.masks]
        return len(self.capacities) - 1

    def raise_capacity(self, host: int, capacity: int) -> None:
        """A host has at least so much of each resource from now on."""
        before = self.capacities[host]
        fields = max(before.bit_length(), capacity.bit_length()) // FIELD_BITS + 1
        both = zip(unpack(before, fields), unpack(capacity, fields), strict=True)
        whole = pack(max(amounts) for amounts in both)
        if whole == before:
            return
        self.capacities[host] = whole
        self._profile_free[host] = [free + whole - before for free in self._profile_free[host]]
        self._views.clear()  # their bits have other places now

    def _edge(self, time: int) -> None:
        edges = self._edges
        if time in edges:
            edges[time] += 1
            return
        edges[time] = 1
        times = self.times
        index = bisect_left(times, time)
        if index < len(times) and times[index] == time:
            return
        if not index:
            raise ValueError(f"{time} is before the table's first time {times[0]}")
        times.insert(index, time)
        for view in self._views.values():
            view.masks.insert(index, view.masks[index - 1])

    def _forget_edge(self, time: int) -> None:
        edges = self._edges
        count = edges.get(time)
        if count is None:
            return  # trimmed: it lies in the past
        if count > 1:
            edges[time] = count - 1
            return
        del edges[time]
        index = bisect_left(self.times, time)
        if index:
            del self.times[index]
            for view in self._views.values():
                del view.masks[index]

    def _change(self, held: Allocation, start: int, end: int, sign: int) -> None:
        """Add sign times the held capacity to what is free; flip the bits that change with it.

        Hosts that change over the same stretch from and to the same counts are flipped together:
        a lease on a hundred empty hosts costs one operation for each stretch, not a hundred.
        """
        views = list(self._views.values())
        flips: list[dict[tuple[int, int], int]] = [{} for _ in views]
        all_times, all_free, now = self._profile_times, self._profile_free, self.times[0]
        for host, amount in held:
            times, free = all_times[host], all_free[host]
            if len(times) > 8 and times[4] < now:
                _forget_past(times, free, now)
            first, last = _split(times, free, start, end)
            delta = sign * amount
            for piece in range(first, last):
                old = free[piece]
                new = free[piece] = old + delta
                for view, changed in zip(views, flips, strict=True):
                    before, after = view.count(old), view.count(new)
                    if before != after:
                        bits = _between(before, after) << view.offsets[host]
                        span = (times[piece], times[piece + 1])
                        changed[span] = changed.get(span, 0) ^ bits
            if free[last - 1] == free[last]:
                del times[last], free[last]
            if first and free[first - 1] == free[first]:
                del times[first], free[first]
        for view, changed in zip(views, flips, strict=True):
            self._flip(view.masks, changed)

    def _flip(self, masks: list[int], changed: dict[tuple[int, int], int]) -> None:
        times = self.times
        for (start, end), bits in changed.items():
            first = bisect_right(times, start) - 1 if start > times[0] else 0
            for index in range(first, bisect_left(times, end, first)):
                masks[index] ^= bits


def _covers(free: int, amount: int) -> bool:
    """Whether every field of `amount` is at most that of `free`."""
    guards = _guards(amount)
    return ((free | guards) - amount) & guards == guards


@lru_cache(maxsize=1024)
def _guards(amount: int) -> int:
    """The top bit of every field that an amount reaches into."""
    fields = amount.bit_length() // FIELD_BITS + 1
    return sum(1 << (index * FIELD_BITS + FIELD_BITS - 1) for index in range(fields))


def _between(before: int, after: int) -> int:
    """The bits in which the codes of two counts differ."""
    return ((1 << before) - 1) ^ ((1 << after) - 1)


def _split(times: list[int], free: list[int], start: int, end: int) -> tuple[int, int]:
    """Make `start` and `end` change points of a profile; the indexes of both."""
    first = bisect_right(times, start) - 1
    if times[first] != start:
        first += 1
        times.insert(first, start)
        free.insert(first, free[first - 1])
    last = bisect_left(times, end, first)
    if last == len(times) or times[last] != end:
        times.insert(last, end)
        free.insert(last, free[last - 1])
    return first, last


def _forget_past(times: list[int], free: list[int], now: int) -> None:
    gone = bisect_right(times, now) - 1
    if gone > 0:
        del times[:gone], free[:gone]
