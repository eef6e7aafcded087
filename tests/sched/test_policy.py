"""Policies compare rooms: higher is better."""

import pytest

from orrery.core.capacity import Capacity
from orrery.sched.policy import POLICIES, Room


def room(cpu: int = 400, running: int = 0, offered: int = 400) -> Room:
    return Room(cpu, 4096, running, Capacity(offered, 4096))


@pytest.mark.parametrize(
    ("policy", "better", "worse"),
    [
        ("striping", room(running=1), room(running=2)),
        ("packing", room(running=2), room(running=1)),
        ("load-aware", room(cpu=200, offered=400), room(cpu=300, offered=800)),
        ("load-aware", room(cpu=1, offered=400), room(cpu=-50, offered=400)),
        ("load-aware", room(cpu=1, offered=1), room(cpu=0, offered=0)),
    ],
)
def test_a_policy_prefers(policy: str, better: Room, worse: Room) -> None:
    assert POLICIES[policy](better) > POLICIES[policy](worse)


def test_a_room_takes_what_fits_and_is_smaller_then() -> None:
    one = room(cpu=100)
    assert one.takes(Capacity(100, 4096))
    assert not one.takes(Capacity(101, 1))
    assert not one.takes(Capacity(1, 4097))
    one.book(Capacity(60, 96))
    assert (one.cpu_pct, one.memory_mib, one.running) == (40, 4000, 1)
