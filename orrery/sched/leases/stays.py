"""What each host is taken for: stretches of time with an amount, a short list for every host."""

from collections.abc import Sequence

from orrery.sched.leases.shapes import covers, unpack

Stay = tuple[int, int, int]
"""(start, end, packed amount)"""

Piece = tuple[int, int, int]
"""(start, end, packed amount taken all through it)"""


def taken_at(stays: Sequence[Stay], time: int) -> int:
    """The packed amount that is taken at a time."""
    return sum(amount for start, end, amount in stays if start <= time < end)


def pieces(stays: Sequence[Stay], start: int, end: int) -> list[Piece]:
    """[start, end) cut where what is taken changes."""
    steps: list[tuple[int, int]] = []
    taken = 0
    for begin, until, amount in stays:
        if begin < end and until > start:
            if begin <= start:
                taken += amount
            else:
                steps.append((begin, amount))
            if until < end:
                steps.append((until, -amount))
    if not steps:
        return [(start, end, taken)]
    steps.sort()
    found = []
    at = start
    for time, amount in steps:
        if time > at:
            found.append((at, time, taken))
            at = time
        taken += amount
    found.append((at, end, taken))
    return found


def free_until(stays: Sequence[Stay], capacity: int, amount: int, time: int, never: int) -> int:
    """Until when so much stays free from a time on; the time itself when it is not, `never` when
    it always is."""
    if not stays:
        return never if covers(capacity, amount) else time
    for at in sorted({time, *(start for start, _, _ in stays if start > time)}):
        if not covers(capacity - taken_at(stays, at), amount):
            return at
    return never


def least_free(
    stays: Sequence[Stay], capacity: int, start: int, end: int, fields: int
) -> tuple[int, ...]:
    """The smallest free amount of each resource at any time in [start, end)."""
    free = [unpack(capacity - taken, fields) for _, _, taken in pieces(stays, start, end)]
    return tuple(min(amounts) for amounts in zip(*free, strict=True))
