"""Sets of addresses and ports, merged because nftables refuses overlapping ranges. Pure."""

from collections.abc import Iterable, Iterator
from ipaddress import (
    IPv4Address,
    IPv6Address,
    ip_address,
    ip_network,
    summarize_address_range,
)

from orrery.core.errors import InvalidInput

Address = IPv4Address | IPv6Address
Range = tuple[int, int]

_REMEDY = "is no address range: write 10.0.0.0/24, 10.0.0.7 or 10.0.0.5-10.0.0.9"


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same numbers in order, without overlaps and neighbours."""
    out: list[Range] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(last, out[-1][1]))
        else:
            out.append((first, last))
    return out


def number_set(field: str, ranges: Iterable[Range], *, highest: int) -> str:
    """`{ 22, 80-90 }`."""
    wanted = tuple(ranges)
    for first, last in wanted:
        if not 0 <= first <= last <= highest:
            raise InvalidInput(field, f"{first}:{last}", f"is no range within 0 to {highest}")
    return _braces(str(a) if a == b else f"{a}-{b}" for a, b in merged(wanted))


def address_set(field: str, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(`ip`, `{ ... }`) and (`ip6`, `{ ... }`), whichever the texts name."""
    bounds = [_bounds(field, text) for text in texts]
    for keyword, kind in (("ip", IPv4Address), ("ip6", IPv6Address)):
        ranges = merged((int(a), int(b)) for a, b in bounds if isinstance(a, kind))
        if ranges:
            yield keyword, _braces(_text(kind(a), kind(b)) for a, b in ranges)


def single_ipv4(field: str, text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise InvalidInput(field, text, "is not an IPv4 address: write 10.0.0.7") from None


def _bounds(field: str, text: str) -> tuple[Address, Address]:
    try:
        if "-" in text:
            low, high = (ip_address(part.strip()) for part in text.split("-", 1))
        else:
            network = ip_network(text, strict=False)
            low, high = network[0], network[-1]
    except ValueError:
        raise InvalidInput(field, text, _REMEDY) from None
    if low.version != high.version or int(low) > int(high):
        raise InvalidInput(field, text, _REMEDY)
    return low, high


def _text(low: Address, high: Address) -> str:
    if low == high:
        return str(low)
    blocks = list(summarize_address_range(low, high))
    return str(blocks[0]) if len(blocks) == 1 else f"{low}-{high}"


def _braces(items: Iterable[str]) -> str:
    return "{ " + ", ".join(items) + " }"
