"""Whole numbers as people write them: bounded, plain digits, never an exception."""

from collections.abc import Container

MAX_ID = 1 << 53
"""Ids above it would not survive a client whose numbers are floats."""


def whole(text: str, most: int) -> int | None:
    """The number if the text is ASCII digits and nothing else, and it is at most `most`."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(most)):
        return None
    number = int(digits)
    return number if number <= most else None


def known_id(text: str, pool: Container[int]) -> int | None:
    """The id if the text is one and the pool has it."""
    number = whole(text, MAX_ID)
    return number if number in pool else None
