"""The slot table: what is free on every host at every time, and who asks first when it will be.

Two structures are kept in step and changed in place, never rebuilt:

* a list of *stays* for each host: what it is taken for, from when until when. Capacity is one
  integer with a field for each resource, so that taking and giving back are one addition;
* a *view* for each shape of node that leases ask for: for each change point of the whole table,
  the bits that flip there. A host into which k more nodes of the shape fit has the lowest k of its
  bits set. Such codes make the minimum over a window a bitwise AND and the number of nodes that
  fit a population count; a change touches only the points where it begins and ends. So an earliest
  fit is a matter of microseconds on hundreds of hosts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import xor

from orrery.sched.leases.shapes import FIELD_BITS, ShapeView, between, pack, unpack
from orrery.sched.leases.stays import Stay, free_until, least_free, pieces, taken_at

FOREVER = 1 << 60
"""A time after all others."""

Allocation = Sequence[tuple[int, int]]
"""What a run holds: (index of the host, packed capacity), each host once."""

MANY_STAYS = 8
"""With more on a host, those of the past are looked for before another is added."""

Window = list[tuple[int, int]]
"""(until, mask), ascending: the hosts in `mask` stay free until `until`."""


class SlotTable:
    """Reservations over the capacity of all hosts, from a first time on."""

    def __init__(self, capacities: Sequence[int], start: int = 0, views: int = 64) -> None:
        self.capacities = list(capacities)
        self.times: list[int] = [start]
        """Change points: all starts and ends; the first is at or before the present."""
        self._edges: dict[int, int] = {}
        self._stays: list[list[Stay]] = [[] for _ in capacities]
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
        view.flips = [0] * len(self.times)
        index_of = {time: index for index, time in enumerate(self.times)}
        for host, stays in enumerate(self._stays):
            before, offset, capacity = 0, view.offsets[host], self.capacities[host]
            for time, _, taken in pieces(stays, self.times[0], FOREVER):
                bits = ((1 << view.count(capacity - taken)) - 1) << offset
                view.flips[index_of[time]] ^= bits ^ before
                before = bits
        return view

    def index(self, time: int) -> int:
        """The stretch in which a time lies (the first one for the past)."""
        return max(0, bisect_right(self.times, time) - 1)

    def free(self, host: int, time: int) -> int:
        """Packed free capacity of a host at a time."""
        return self.capacities[host] - taken_at(self._stays[host], time)

    def stays_on(self, host: int) -> Sequence[Stay]:
        """What a host is taken for: (start, end, packed capacity); some of it may be past."""
        return self._stays[host]

    def free_until(self, host: int, amount: int, start: int) -> int:
        """Until when so much stays free on a host from `start` on; `start` when it is not free."""
        return free_until(self._stays[host], self.capacities[host], amount, start, FOREVER)

    def least_free(self, host: int, start: int, end: int, fields: int) -> tuple[int, ...]:
        """The smallest free amount of each resource on a host at any time in [start, end)."""
        return least_free(self._stays[host], self.capacities[host], start, end, fields)

    def free_pieces(self, host: int, start: int) -> list[tuple[int, int, int]]:
        """(from, until, packed free capacity) of a host from `start` on, for ever."""
        capacity = self.capacities[host]
        found = pieces(self._stays[host], start, FOREVER)
        return [(piece[0], piece[1], capacity - piece[2]) for piece in found]

    def free_nodes(self, view: ShapeView, time: int) -> int:
        """How many nodes of a shape fit at a time."""
        return reduce(xor, view.flips[: self.index(time) + 1]).bit_count()

    def throughout(self, view: ShapeView, start: int, end: int) -> int:
        """The mask of what is free at every moment of [start, end)."""
        first, flips = self.index(start), view.flips
        free = reduce(xor, flips[: first + 1])
        for flip in flips[first + 1 : bisect_left(self.times, end)]:
            free &= ~flip  # what is free and flips is taken
        return free

    def times_after(self, time: int) -> list[int]:
        """The change points after a time."""
        return [t for t in self.times[bisect_right(self.times, time) :] if t < FOREVER]

    def window(self, view: ShapeView, start: int, least: int = 1) -> Window:
        """What is free from `start` on, and for how long: until fewer than `least` nodes fit."""
        times, flips = self.times, view.flips
        first = self.index(start)
        free = reduce(xor, flips[: first + 1])
        found: Window = []
        for index in range(first + 1, len(times)):
            taken = free & flips[index]
            if taken:
                found.append((times[index], free))
                free ^= taken
                if free.bit_count() < least:
                    return found
        found.append((FOREVER, free))
        return found

    def earliest(
        self, view: ShapeView, count: int, length: int, after: int, allowed: int | None = None
    ) -> tuple[int, int] | None:
        """The first change point after `after` from which `count` nodes fit for `length`, with
        the mask of where; only hosts whose bits are in `allowed` count."""
        times, flips = self.times, view.flips
        if allowed is None:
            allowed = view.full
        first = bisect_right(times, after)
        mask = reduce(xor, flips[:first], 0)
        for begin in range(first, len(times)):
            mask ^= flips[begin]
            free = mask & allowed
            if free.bit_count() < count or times[begin] == FOREVER:
                continue
            last = bisect_left(times, times[begin] + length, begin + 1)
            for flip in flips[begin + 1 : last]:
                if free & flip:
                    free &= ~flip
                    if free.bit_count() < count:
                        break
            else:
                return times[begin], free
        return None

    def chance_before(
        self, view: ShapeView, count: int, length: int, after: int, before: int, own: int
    ) -> bool:
        """Whether `count` nodes could fit for `length` from some time in [after, before), if the
        bits in `own` were free from `before` on: a necessary condition only."""
        times, flips = self.times, view.flips
        first, then = self.index(after), bisect_left(times, before)
        mask = reduce(xor, flips[:first], 0)
        for begin in range(first, then):
            mask ^= flips[begin]
            free = mask
            if free.bit_count() < count:
                continue
            last = bisect_left(times, max(times[begin], after) + length)
            for index in range(begin + 1, last):
                free &= ~(flips[index] if index < then else flips[index] & ~own)
                if free.bit_count() < count:
                    break
            else:
                return True
        return False

    # --- changes ----------------------------------------------------------------------------------

    def add(self, held: "Allocation | Held", start: int, end: int) -> None:
        """Take capacity from `start` to `end`."""
        if start >= end:
            return
        held = held if isinstance(held, Held) else Held(held)
        self._edge(start)
        self._edge(end)
        self._flip(held, start, end)
        for host, amount in held.pairs:
            stays = self._stays[host]
            if len(stays) > MANY_STAYS:
                stays = self._others(host)
            stays.append((start, end, amount))

    def remove(self, held: "Allocation | Held", start: int, end: int) -> None:
        """Give back what was added with the same arguments; nothing where it lies in the past."""
        if start >= end or end <= self.times[0]:
            return
        held = held if isinstance(held, Held) else Held(held)
        for host, amount in held.pairs:
            self._stays[host].remove((start, end, amount))
        self._flip(held, start, end)
        self._forget_edge(start)
        self._forget_edge(end)

    def move_end(self, held: "Allocation | Held", start: int, old: int, new: int) -> None:
        """What is held from `start` until `old` is held until `new`."""
        if old == new:
            return
        held = held if isinstance(held, Held) else Held(held)
        self._edge(new)
        if new > old:
            self._flip(held, old, new)
        for host, amount in held.pairs:
            stays = self._stays[host]
            try:
                stays[stays.index((start, old, amount))] = (start, new, amount)
            except ValueError:  # it ended, and was forgotten as the past
                stays.append((start, new, amount))
        if new < old:
            self._flip(held, new, old)
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
            view.flips[: gone + 1] = [reduce(xor, view.flips[: gone + 1])]

    def add_host(self, capacity: int) -> int:
        """A new host, free from now on; gives its index."""
        self.capacities.append(capacity)
        self._stays.append([])
        for view in self._views.values():
            before = view.full
            view.add_host(capacity)
            added = view.full ^ before
            view.flips[0] ^= added
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
            view.flips.insert(index, 0)

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
                del view.flips[index]

    def _flip(self, held: "Held", start: int, end: int) -> None:
        """Flip the bits that change when the held amounts are taken, or are given back, while the
        hosts' stays are those of all others.

        Hosts with nothing else in [start, end) change at its ends, all together: a lease on a
        hundred such hosts costs two operations, however long the table is.
        """
        alone, shared = held, self._shared(held, start, end)
        first = self.index(start)
        last = bisect_left(self.times, end, first)
        if shared:
            others = {host for host, _ in shared}
            alone = Held([pair for pair in held.pairs if pair[0] not in others])
        for view in self._views.values():
            bits = alone.bits(view)
            view.flips[first] ^= bits
            view.flips[last] ^= bits
        if shared:
            self._flip_shared(shared, start, end)

    def _shared(self, held: "Held", start: int, end: int) -> list[tuple[int, int]]:
        """Of an allocation, the hosts that others are on in [start, end)."""
        every, found = self._stays, []
        for pair in held.pairs:
            for begin, until, _ in every[pair[0]]:
                if begin < end and until > start:
                    found.append(pair)
                    break
        return found

    def _flip_shared(self, shared: Allocation, start: int, end: int) -> None:
        """The hosts that others are on as well, each by itself."""
        for host, amount in shared:
            capacity = self.capacities[host]
            for begin, until, taken in pieces(self._others(host), start, end):
                free, first = capacity - taken, self.index(begin)
                last = bisect_left(self.times, until, first)
                for view in self._views.values():
                    before, after = view.count(free), view.count(free - amount)
                    if before != after:
                        bits = between(before, after) << view.offsets[host]
                        view.flips[first] ^= bits
                        view.flips[last] ^= bits

    def _others(self, host: int) -> list[Stay]:
        """The stays on a host, those of the past forgotten."""
        stays = self._stays[host]
        now = self.times[0]
        if stays and stays[0][1] <= now:
            stays[:] = [stay for stay in stays if stay[1] > now]
        return stays


class Held:
    """An allocation, with the bits that go in each view when its hosts are taken while empty."""

    __slots__ = ("_bits", "pairs")

    def __init__(self, pairs: Allocation) -> None:
        self.pairs = pairs
        self._bits: dict[ShapeView, int] = {}

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.pairs)

    def bits(self, view: ShapeView) -> int:
        """Computed once for each view."""
        known = self._bits.get(view)
        if known is None:
            known = 0
            for host, amount in self.pairs:
                known |= view.taken(host, amount)
            self._bits[view] = known
        return known
