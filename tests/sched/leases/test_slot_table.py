"""The slot table answers like a list of all stays that is gone through second by second."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from orrery.sched.leases.shapes import pack, unpack
from orrery.sched.leases.slottable import FOREVER, Held, SlotTable
from tests.sched.leases.effort import examples

FIELDS = 3
HORIZON = 30
"""Nothing changes from this second on."""

Amounts = tuple[int, int, int]

SHAPES: list[Amounts] = [(1, 1, 0), (2, 1, 0), (1, 3, 1), (0, 2, 0), (2, 0, 0), (0, 0, 0)]


class Naive:
    """Every stay, looked at one second after another."""

    def __init__(self, capacities: Iterable[Amounts]) -> None:
        self.capacities = list(capacities)
        self.stays: list[tuple[dict[int, Amounts], int, int]] = []
        self.now = 0

    def free(self, host: int, second: int) -> Amounts:
        free = list(self.capacities[host])
        for held, start, end in self.stays:
            if start <= second < end:
                for field, amount in enumerate(held.get(host, (0, 0, 0))):
                    free[field] -= amount
        return (free[0], free[1], free[2])

    def fits(self, host: int, shape: Amounts, second: int) -> int:
        free = self.free(host, second)
        return min((f // s for f, s in zip(free, shape, strict=True) if s), default=4096)

    def can_hold(self, held: dict[int, Amounts], start: int, end: int) -> bool:
        return all(
            all(f >= a for f, a in zip(self.free(host, second), amounts, strict=True))
            for host, amounts in held.items()
            for second in range(start, end)
        )

    def throughout(self, shape: Amounts, start: int, end: int) -> list[int]:
        """Of each host how many nodes fit at every second."""
        return [
            min(self.fits(host, shape, second) for second in range(start, end))
            for host in range(len(self.capacities))
        ]


def packed(held: dict[int, Amounts]) -> Held:
    return Held([(host, pack(amounts)) for host, amounts in held.items()])


class Both:
    """The table and the naive model, changed together."""

    def __init__(self, draw: st.DataObject, views: int = 64) -> None:
        self.draw = draw
        amounts = st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 2))
        capacities = draw.draw(st.lists(amounts, min_size=1, max_size=4))
        self.naive = Naive(capacities)
        self.table = SlotTable([pack(c) for c in capacities], views=views)
        self.held: dict[int, Held] = {}
        """What was added, kept as a run keeps it."""
        self.changes = (self.add, self.add, self.remove, self.move_end, self.trim, self.grow)

    def change(self) -> None:
        self.draw.draw(st.sampled_from(self.changes))()

    def add(self) -> None:
        held = self.draw.draw(
            st.dictionaries(
                st.integers(0, len(self.naive.capacities) - 1),
                st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)),
                min_size=1,
            )
        )
        start = self.draw.draw(st.integers(self.naive.now, HORIZON - 1))
        end = self.draw.draw(st.integers(start, HORIZON))
        if self.naive.can_hold(held, start, end):
            self.table.add(kept := packed(held), start, end)
            if start < end:
                self.naive.stays.append((held, start, end))
                self.held[id(held)] = kept

    def remove(self) -> None:
        live = [stay for stay in self.naive.stays if stay[2] > self.naive.now]
        if live:
            held, start, end = live[self.draw.draw(st.integers(0, len(live) - 1))]
            self.naive.stays = [stay for stay in self.naive.stays if stay[0] is not held]
            self.table.remove(self.held[id(held)], start, end)

    def move_end(self) -> None:
        if not self.naive.stays:
            return
        place = self.draw.draw(st.integers(0, len(self.naive.stays) - 1))
        held, start, old = self.naive.stays[place]
        new = self.draw.draw(st.integers(max(start + 1, self.naive.now), HORIZON))
        if new < old or self.naive.can_hold(held, old, new):
            self.naive.stays[place] = (held, start, new)
            self.table.move_end(self.held[id(held)], start, old, new)

    def trim(self) -> None:
        self.naive.now = self.draw.draw(st.integers(self.naive.now, HORIZON - 1))
        self.table.trim(self.naive.now)

    def grow(self) -> None:
        amounts = self.draw.draw(st.tuples(st.integers(0, 4), st.integers(0, 5), st.just(2)))
        if self.draw.draw(st.booleans()) and len(self.naive.capacities) < 5:
            self.naive.capacities.append(amounts)
            self.table.add_host(pack(amounts))
        else:
            host = self.draw.draw(st.integers(0, len(self.naive.capacities) - 1))
            before = self.naive.capacities[host]
            self.naive.capacities[host] = (
                max(before[0], amounts[0]),
                max(before[1], amounts[1]),
                max(before[2], amounts[2]),
            )
            self.table.raise_capacity(host, pack(amounts))

    # --- comparisons ------------------------------------------------------------------------------

    def mask(self, shape: Amounts, counts: list[int]) -> int:
        view = self.table.view(pack(shape))
        pairs = zip(counts, view.offsets, strict=True)
        return sum(((1 << count) - 1) << offset for count, offset in pairs)

    def compare(self) -> None:
        for shape in SHAPES:
            self.compare_masks(shape)
            self.compare_earliest(shape)
        for host in range(len(self.naive.capacities)):
            self.compare_host(host)

    def compare_masks(self, shape: Amounts) -> None:
        now = self.naive.now
        view = self.table.view(pack(shape))
        start = self.draw.draw(st.integers(now, HORIZON))
        end = self.draw.draw(st.integers(start + 1, HORIZON + 2))
        expected = self.mask(shape, self.naive.throughout(shape, start, end))
        assert self.table.throughout(view, start, end) == expected
        window = self.table.window(view, start)
        for second in range(start, HORIZON + 1):
            free = next((mask for until, mask in window if until > second), 0)
            counts = self.naive.throughout(shape, start, second + 1)
            assert free == self.mask(shape, counts), (shape, start, second)

    def compare_earliest(self, shape: Amounts) -> None:
        now = self.naive.now
        view = self.table.view(pack(shape))
        count = self.draw.draw(st.integers(1, 4))
        length = self.draw.draw(st.integers(1, 8))
        found = self.table.earliest(view, count, length, now)
        expected = None
        for second in range(now + 1, HORIZON + 1):
            counts = self.naive.throughout(shape, second, second + length)
            if sum(counts) >= count and second in self.table.times:
                expected = (second, self.mask(shape, counts))
                break
        assert found == expected

    def compare_host(self, host: int) -> None:
        now = self.naive.now
        start = self.draw.draw(st.integers(now, HORIZON))
        amount = self.draw.draw(st.tuples(*[st.integers(0, 3)] * FIELDS))
        until = start
        while until <= HORIZON and self.naive.can_hold({host: amount}, until, until + 1):
            until += 1
        expected = FOREVER if until > HORIZON else until
        assert self.table.free_until(host, pack(amount), start) == expected
        end = self.draw.draw(st.integers(start + 1, HORIZON + 2))
        least = self.table.least_free(host, start, end, FIELDS)
        seconds = [self.naive.free(host, second) for second in range(start, end)]
        assert least == tuple(min(amounts) for amounts in zip(*seconds, strict=True))
        assert unpack(self.table.free(host, start), FIELDS) == self.naive.free(host, start)


@given(st.data())
@examples(100)
def test_all_questions_are_answered_as_second_by_second(data: st.DataObject) -> None:
    both = Both(data)
    for _ in range(data.draw(st.integers(1, 14))):
        both.change()
    both.compare()


@given(st.data())
@examples(60)
def test_views_kept_in_step_equal_those_made_late(data: st.DataObject) -> None:
    both = Both(data)
    kept = [pack(shape) for shape in SHAPES]
    for shape in kept:
        both.table.view(shape)
    for _ in range(data.draw(st.integers(1, 20))):
        both.change()
        for shape in kept:
            made = both.table._made(shape)
            view = both.table.view(shape)
            now = both.table.index(both.naive.now)
            assert view.masks[now:] == made.masks[now:]
            assert (view.full, view.offsets, view.owners) == (made.full, made.offsets, made.owners)


@given(st.data())
@examples(30)
def test_a_view_that_was_forgotten_comes_back_the_same(data: st.DataObject) -> None:
    both = Both(data, views=2)
    for _ in range(data.draw(st.integers(1, 12))):
        both.change()
        both.table.view(pack(data.draw(st.sampled_from(SHAPES))))
    both.compare()


def test_past_stays_are_forgotten() -> None:
    table = SlotTable([pack([4, 4, 0])])
    for start in range(1000):
        table.trim(start)
        table.add([(0, pack([1, 1, 0]))], start, start + 2)
    assert len(table.times) < 5
    assert len(table._stays[0]) < 5
    assert len(table._edges) < 5


def test_nothing_can_be_taken_before_the_first_time() -> None:
    table = SlotTable([pack([1, 1, 0])], start=100)
    try:
        table.add([(0, pack([1, 0, 0]))], 50, 150)
    except ValueError as error:
        assert "50 is before" in str(error)
    else:
        raise AssertionError("it was taken")
