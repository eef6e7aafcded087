"""Which host to prefer where a VM has no RANK of its own: small functions by name. Higher is
better."""

from collections.abc import Callable

from msgspec import Struct

from orrery.core.capacity import Capacity


class Room(Struct):
    """What is left on a host while a plan is being made. Mutable: the planner books on it."""

    cpu_pct: int
    memory_mib: int
    running: int
    offered: Capacity

    def takes(self, wanted: Capacity) -> bool:
        return wanted.cpu_pct <= self.cpu_pct and wanted.memory_mib <= self.memory_mib

    def book(self, wanted: Capacity) -> None:
        self.cpu_pct -= wanted.cpu_pct
        self.memory_mib -= wanted.memory_mib
        self.running += 1


Policy = Callable[[Room], float]


def striping(room: Room) -> float:
    """Spread: the host with the fewest VMs."""
    return -room.running


def packing(room: Room) -> float:
    """Fill one host before the next: the host with the most VMs."""
    return room.running


def load_aware(room: Room) -> float:
    """The host with the largest free share of its CPUs."""
    return room.cpu_pct / max(1, room.offered.cpu_pct)


POLICIES: dict[str, Policy] = {
    "striping": striping,
    "packing": packing,
    "load-aware": load_aware,
}
