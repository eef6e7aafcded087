"""The capacity vector: what a VM asks for and what a host has. CPU in hundredths of a core, sizes
in MiB."""

from typing import Self

from msgspec import Struct


class Capacity(Struct, frozen=True):
    """Amounts of each resource; `a.fits(b)` is true when every amount of `a` is at most that of
    `b`."""

    cpu_pct: int = 0
    memory_mib: int = 0
    disk_mib: int = 0

    def __add__(self, other: Self) -> "Capacity":
        return Capacity(
            self.cpu_pct + other.cpu_pct,
            self.memory_mib + other.memory_mib,
            self.disk_mib + other.disk_mib,
        )

    def __sub__(self, other: Self) -> "Capacity":
        return Capacity(
            self.cpu_pct - other.cpu_pct,
            self.memory_mib - other.memory_mib,
            self.disk_mib - other.disk_mib,
        )

    def fits(self, room: Self) -> bool:
        """True when a VM of this size has room in `room` (disk is checked by datastore, not
        here)."""
        return self.cpu_pct <= room.cpu_pct and self.memory_mib <= room.memory_mib


NOTHING = Capacity()
