"""The slot table: what is free on every host at every time, and who asks first when it will be.

Two structures are kept in step and changed in place, never rebuilt:

* a list of *stays* for each host: what it is taken for, from when until when. Capacity is one
  integer with a field for each resource, so that taking and giving back are one addition;
* a *view* for each shape of node that leases ask for: one bit mask for each stretch between two
  change points of the whole table. A host into which k more nodes of the shape fit has the lowest
  k of its bits set. Such codes make the minimum over a window a bitwise AND and the number of
  nodes that fit a population count, which is what makes an earliest fit a matter of microseconds
  on hundreds of hosts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

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
        self._vacant: list[int] = [(1 << len(capacities)) - 1]
        """For each stretch of the table, the hosts that nobody is on (bit h for host h)."""
        self._single: list[int] = [0]
        """The same for those with one stay."""
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
        for host, stays in enumerate(self._stays):
            before, offset, capacity = 0, view.offsets[host], self.capacities[host]
            for time, _, taken, _ in pieces(stays, self.times[0], FOREVER):
                bits = ((1 << view.count(capacity - taken)) - 1) << offset
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
        return self.capacities[host] - taken_at(self._stays[host], time)

    def free_until(self, host: int, amount: int, start: int) -> int:
        """Until when so much stays free on a host from `start` on; `start` when it is not free."""
        return free_until(self._stays[host], self.capacities[host], amount, start, FOREVER)

    def least_free(self, host: int, start: int, end: int, fields: int) -> tuple[int, ...]:
        """The smallest free amount of each resource on a host at any time in [start, end)."""
        return least_free(self._stays[host], self.capacities[host], start, end, fields)

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

    def add(self, held: "Allocation | Held", start: int, end: int) -> None:
        """Take capacity from `start` to `end`."""
        if start >= end:
            return
        held = held if isinstance(held, Held) else Held(held)
        self._edge(start)
        self._edge(end)
        self._flip(held, start, end, self._vacant)
        for host, amount in held.pairs:
            stays = self._stays[host]
            if len(stays) > MANY_STAYS:
                stays = self._others(host)
            stays.append((start, end, amount))

    def remove(self, held: "Allocation | Held", start: int, end: int) -> None:
        """Give back what was added with the same arguments."""
        if start >= end:
            return
        held = held if isinstance(held, Held) else Held(held)
        for host, amount in held.pairs:
            self._stays[host].remove((start, end, amount))
        self._flip(held, start, end, self._single)
        self._forget_edge(start)
        self._forget_edge(end)

    def move_end(self, held: "Allocation | Held", start: int, old: int, new: int) -> None:
        """What is held from `start` until `old` is held until `new`."""
        if old == new:
            return
        held = held if isinstance(held, Held) else Held(held)
        self._edge(new)
        if new > old:
            self._flip(held, old, new, self._vacant)
        for host, amount in held.pairs:
            stays = self._stays[host]
            try:
                stays[stays.index((start, old, amount))] = (start, new, amount)
            except ValueError:  # it ended, and was forgotten as the past
                stays.append((start, new, amount))
        if new < old:
            self._flip(held, new, old, self._single)
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
        del self._vacant[:gone], self._single[:gone]
        for view in self._views.values():
            del view.masks[:gone]

    def add_host(self, capacity: int) -> int:
        """A new host, free from now on; gives its index."""
        self.capacities.append(capacity)
        self._stays.append([])
        new = 1 << (len(self._stays) - 1)
        self._vacant = [mask | new for mask in self._vacant]
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
        self._vacant.insert(index, self._vacant[index - 1])
        self._single.insert(index, self._single[index - 1])
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
            del self.times[index], self._vacant[index], self._single[index]
            for view in self._views.values():
                del view.masks[index]

    def _flip(self, held: "Held", start: int, end: int, alone_in: list[int]) -> None:
        """Flip the bits that change when the held amounts are taken, or are given back, while the
        hosts' stays are those of all others.

        Hosts with nothing else in [start, end) (they are in `alone_in` throughout) change all
        through it: a lease on a hundred such hosts costs one operation for each stretch of the
        table, not a hundred.
        """
        first = self.index(start)
        last = bisect_left(self.times, end, first)
        alone = held.mask
        for index in range(first, last):
            alone &= alone_in[index]
        vacant, single = self._vacant, self._single
        for index in range(first, last):
            vacant[index] ^= alone
            single[index] ^= alone
        for view in self._views.values():
            bits = held.bits(view, alone)
            masks = view.masks
            for index in range(first, last):
                masks[index] ^= bits
        if alone != held.mask:
            self._flip_shared(held, alone, start, end)

    def _flip_shared(self, held: "Held", alone: int, start: int, end: int) -> None:
        """The hosts that others are on as well, each by itself."""
        for host, amount in held.pairs:
            if alone >> host & 1:
                continue
            for begin, until, taken, count in pieces(self._others(host), start, end):
                first = self.index(begin)
                last = bisect_left(self.times, until, first)
                self._count_stays(host, count, first, last)
                free = self.capacities[host] - taken
                for view in self._views.values():
                    before, after = view.count(free), view.count(free - amount)
                    if before != after:
                        bits = between(before, after) << view.offsets[host]
                        for index in range(first, last):
                            view.masks[index] ^= bits

    def _count_stays(self, host: int, others: int, first: int, last: int) -> None:
        """One stay more or less on a host beside so many others."""
        if others > 1:
            return
        bit = 1 << host
        for index in range(first, last):
            self._single[index] ^= bit
            if not others:
                self._vacant[index] ^= bit

    def _others(self, host: int) -> list[Stay]:
        """The stays on a host, those of the past forgotten."""
        stays = self._stays[host]
        now = self.times[0]
        if stays and stays[0][1] <= now:
            stays[:] = [stay for stay in stays if stay[1] > now]
        return stays


class Held:
    """An allocation with what is derived from it once: the mask of its hosts, its bits in each
    view."""

    __slots__ = ("_bits", "mask", "pairs")

    def __init__(self, pairs: Allocation) -> None:
        self.pairs = pairs
        self.mask = 0
        for host, _ in pairs:
            self.mask |= 1 << host
        self._bits: dict[ShapeView, int] = {}

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.pairs)

    def bits(self, view: ShapeView, alone: int) -> int:
        """The bits that go in a view when the hosts in `alone` are taken while empty."""
        if alone == self.mask:
            known = self._bits.get(view)
            if known is None:
                known = self._bits[view] = self._computed(view, alone)
            return known
        return self._computed(view, alone) if alone else 0

    def _computed(self, view: ShapeView, alone: int) -> int:
        bits = 0
        for host, amount in self.pairs:
            if alone >> host & 1:
                bits |= view.taken(host, amount)
        return bits
