"""Sets of hosts as integers: bit h is set for the host with index h."""

from collections.abc import Iterable, Iterator

EVERYWHERE = -1
"""All hosts, however many there are."""


def mask_of(hosts: Iterable[int]) -> int:
    mask = 0
    for host in hosts:
        mask |= 1 << host
    return mask


def hosts_in(mask: int) -> Iterator[int]:
    """The hosts of a mask, in order."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
