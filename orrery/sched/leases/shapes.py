"""Shapes: packed capacities, and for each shape of node how many fit on every host, when."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from operator import xor

FIELD_BITS = 40
FIELD = (1 << FIELD_BITS) - 1

LIMIT = 1 << (FIELD_BITS - 1)
"""Amounts are below it."""

MOST_ON_A_HOST = 4096
"""Bits that one host may have in a view: bounds the masks where a shape asks for next to
nothing."""


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


def covers(free: int, amount: int) -> bool:
    """Whether every field of `amount` is at most that of `free`."""
    guards = _guards(amount)
    return ((free | guards) - amount) & guards == guards


@lru_cache(maxsize=1024)
def _guards(amount: int) -> int:
    """The top bit of every field that an amount reaches into."""
    fields = amount.bit_length() // FIELD_BITS + 1
    return sum(1 << (index * FIELD_BITS + FIELD_BITS - 1) for index in range(fields))


def between(before: int, after: int) -> int:
    """The bits in which the codes of two counts differ."""
    return ((1 << before) - 1) ^ ((1 << after) - 1)


class ShapeView:
    """How many nodes of one shape fit on each host at each time."""

    __slots__ = (
        "_capacities",
        "_counts",
        "_demand",
        "_expanded",
        "_taken",
        "flips",
        "full",
        "offsets",
        "owners",
        "widths",
    )

    def __init__(self, shape: int, capacities: Sequence[int]) -> None:
        self._demand = [
            (index * FIELD_BITS, amount)
            for index, amount in enumerate(unpack(shape, shape.bit_length() // FIELD_BITS + 1))
            if amount
        ]
        self._counts: dict[int, int] = {}
        self._capacities: list[int] = []
        self._taken: dict[tuple[int, int], int] = {}
        self._expanded: dict[int, int] = {}
        self.offsets: list[int] = []
        self.widths: list[int] = []
        self.owners: list[int] = []
        """The host of each bit."""
        self.full = 0
        self.flips: list[int] = []
        """For each change point of the table the bits that flip there; for the first one, the mask
        that holds from then on."""
        for capacity in capacities:
            self.add_host(capacity)

    @property
    def masks(self) -> list[int]:
        """What is free in each stretch of the table."""
        return list(accumulate(self.flips, xor))

    def add_host(self, capacity: int) -> None:
        width = self.count(capacity)
        self._capacities.append(capacity)
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

    def taken(self, host: int, amount: int) -> int:
        """The bits that go when so much is taken from an empty host."""
        key = (host, amount)
        found = self._taken.get(key)
        if found is None:
            left = self.count(self._capacities[host] - amount)
            found = between(self.widths[host], left) << self.offsets[host]
            self._taken[key] = found
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
