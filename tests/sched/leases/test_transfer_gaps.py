"""The repository's time line: gaps are found at both ends, and channels send side by side."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.sched.leases.repository import Repository, Transfer


def line_with(*spans: tuple[int, int], channels: int = 1) -> Repository:
    repository = Repository(channels)
    for number, (start, end) in enumerate(spans):
        repository.add(Transfer(number, "a", 1, start, end, 0))
    return repository


def test_an_empty_line_sends_at_once() -> None:
    assert line_with().first_gap(10, 5) == (5, 0)


def test_the_gap_before_the_first_planned_transfer_is_used() -> None:
    """Haizea's defect 5: there a reservation was refused though the repository was idle."""
    repository = line_with((818, 900))
    assert repository.first_gap(82, 0) == (0, 0)
    assert repository.last_gap(82, 0, 900) == (736, 0)
    assert repository.last_gap(737, 0, 900) == (81, 0)
    assert repository.last_gap(818, 0, 900) == (0, 0)


def test_a_gap_is_used_when_it_is_just_long_enough() -> None:
    repository = line_with((0, 10), (20, 30))
    assert repository.first_gap(10, 0) == (10, 0)
    assert repository.first_gap(11, 0) == (30, 0)


def test_the_last_gap_is_as_late_as_possible_and_not_before_the_first_time() -> None:
    repository = line_with((0, 10), (20, 30), (40, 50))
    assert repository.last_gap(10, 0, 100) == (90, 0)
    assert repository.last_gap(10, 0, 45) == (30, 0)
    assert repository.last_gap(10, 0, 39) == (10, 0)
    assert repository.last_gap(10, 15, 39) is None


def test_a_second_channel_is_used_when_the_first_is_busy() -> None:
    repository = line_with((0, 50), channels=2)
    assert repository.first_gap(10, 0) == (0, 1)
    assert repository.last_gap(10, 0, 50) == (40, 1)


def test_a_repository_needs_a_channel() -> None:
    with pytest.raises(ValueError, match="channels is 0"):
        Repository(0)


def test_a_late_transfer_pushes_those_behind_it_only_as_far_as_needed() -> None:
    repository = line_with((0, 10), (10, 20), (40, 50))
    first, second, third = repository.channels[0]
    assert repository.delay(first, 15) == [second]
    assert (second.start, second.end, third.start) == (15, 25, 40)


LENGTHS = st.integers(1, 30)


@given(
    wishes=st.lists(st.tuples(LENGTHS, st.integers(0, 300), st.booleans()), max_size=30),
    channels=st.integers(1, 3),
)
def test_gaps_never_overlap_what_is_planned(
    wishes: list[tuple[int, int, bool]], channels: int
) -> None:
    repository = Repository(channels)
    for number, (length, time, late) in enumerate(wishes):
        found = repository.last_gap(length, 0, time) if late else repository.first_gap(length, time)
        if found is None:
            continue
        start, channel = found
        assert (start >= 0 and start + length <= time) if late else start >= time
        repository.add(Transfer(number, "a", 1, start, start + length, channel))
    for line in repository.channels:
        for before, after in pairwise(line):
            assert before.end <= after.start


@given(
    spans=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=12),
    length=LENGTHS,
    after=st.integers(0, 40),
    window=st.integers(0, 60),
)
def test_gaps_are_the_first_and_the_last_that_there_are(
    spans: list[tuple[int, int]], length: int, after: int, window: int
) -> None:
    """Compared with a search second by second."""
    repository, busy = Repository(1), set[int]()
    for number, (start, size) in enumerate(spans):
        if busy.isdisjoint(range(start, start + size)):
            busy.update(range(start, start + size))
            repository.add(Transfer(number, "a", 1, start, start + size, 0))
    free = [t for t in range(after, after + 150) if busy.isdisjoint(range(t, t + length))]
    assert repository.first_gap(length, after)[0] == free[0]
    before = after + window
    in_time = [t for t in free if t + length <= before]
    last = repository.last_gap(length, after, before)
    assert (None if last is None else last[0]) == (in_time[-1] if in_time else None)
