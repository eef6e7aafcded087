"""The time line of the repository that images come from: which transfer is sent when.

It has some channels, each of which sends one transfer at a time with the full bandwidth. It knows
nothing of leases beyond their ids.
"""

from bisect import bisect_left
from operator import attrgetter

Image = str | int
"""Name of an image; the id of the lease for an image that nobody else uses."""

Gap = tuple[int, int]
"""(start, channel)"""


class Transfer:
    """One image on its way to some hosts."""

    __slots__ = ("channel", "end", "has_begun", "id", "image", "mib", "shares", "start")

    def __init__(
        self, transfer_id: int, image: Image, mib: int, start: int, end: int, channel: int
    ) -> None:
        self.id = transfer_id
        self.image = image
        self.mib = mib
        self.start = start
        self.end = end
        self.channel = channel
        self.has_begun = False
        self.shares: dict[int, int] = {}
        """For each lease that waits for it the mask of the hosts to which it has it sent."""

    @property
    def hosts(self) -> int:
        mask = 0
        for share in self.shares.values():
            mask |= share
        return mask

    @property
    def next_time(self) -> int:
        """When it begins, or has arrived."""
        return self.end if self.has_begun else self.start

    def __repr__(self) -> str:
        return f"<transfer {self.id} of {self.image}: {self.start} to {self.end}>"


_start = attrgetter("start")
_end = attrgetter("end")


class Repository:
    """Planned transfers and those under way."""

    def __init__(self, channels: int) -> None:
        if channels < 1:
            raise ValueError(f"channels is {channels}: a repository needs at least 1")
        self.channels: list[list[Transfer]] = [[] for _ in range(channels)]
        """Of each channel the transfers in order of time; no two overlap."""
        self._by_image: dict[Image, list[Transfer]] = {}
        self.version = 0
        """Grows with each change."""

    def of(self, image: Image) -> list[Transfer]:
        """The transfers of an image, by their ends."""
        return self._by_image.get(image, [])

    def next(self) -> Transfer | None:
        """The transfer that begins or arrives first; at one moment arrivals come first."""
        firsts = [channel[0] for channel in self.channels if channel]
        return min(firsts, key=_moment, default=None)

    # --- gaps -------------------------------------------------------------------------------------

    def first_gap(self, length: int, after: int) -> Gap:
        """The earliest start, at or after `after`, of a transfer that takes so long."""
        return min(
            (_first_start(line, length, after), channel)
            for channel, line in enumerate(self.channels)
        )

    def last_gap(self, length: int, after: int, before: int) -> Gap | None:
        """The latest start of a transfer in [after, before]; None when there is no room."""
        found = [
            (start, channel)
            for channel, line in enumerate(self.channels)
            if (start := _last_start(line, length, after, before)) is not None
        ]
        return max(found, key=lambda gap: (gap[0], -gap[1]), default=None)

    # --- changes ----------------------------------------------------------------------------------

    def add(self, transfer: Transfer) -> None:
        line = self.channels[transfer.channel]
        line.insert(bisect_left(line, transfer.start, key=_start), transfer)
        same = self._by_image.setdefault(transfer.image, [])
        same.append(transfer)
        same.sort(key=_end)
        self.version += 1

    def remove(self, transfer: Transfer) -> None:
        """It is over, or nobody needs it."""
        self.channels[transfer.channel].remove(transfer)
        same = self._by_image[transfer.image]
        same.remove(transfer)
        if not same:
            del self._by_image[transfer.image]
        self.version += 1

    def delay(self, transfer: Transfer, end: int) -> list[Transfer]:
        """It lasts until `end`: those behind it on its channel are put off as far as needed, and
        returned."""
        line = self.channels[transfer.channel]
        transfer.end = end
        pushed = []
        for later in line[line.index(transfer) + 1 :]:
            if later.start >= end:
                break
            later.start, later.end = end, end + later.end - later.start
            end = later.end
            pushed.append(later)
        for same in self._by_image.values():
            same.sort(key=_end)
        self.version += 1
        return pushed


def _moment(transfer: Transfer) -> tuple[int, bool, int]:
    return transfer.next_time, not transfer.has_begun, transfer.channel


def _first_start(line: list[Transfer], length: int, after: int) -> int:
    cursor = after
    for transfer in line:
        if transfer.start - cursor >= length:
            break
        cursor = max(cursor, transfer.end)
    return cursor


def _last_start(line: list[Transfer], length: int, after: int, before: int) -> int | None:
    cursor = before
    for transfer in reversed(line):
        if cursor - length < after:
            break
        if cursor - length >= transfer.end:
            break
        cursor = min(cursor, transfer.start)
    return cursor - length if cursor - length >= after else None
