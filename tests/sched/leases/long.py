"""A long workload that is the same for the same seed, in every process."""

import random

from orrery.core.model.lease import Terms
from orrery.sched.leases.settings import Settings
from tests.sched.leases.world import World, nodes, site

HOSTS = 12


def told(seed: int, leases: int = 400, settings: Settings | None = None) -> World:
    """A world in which so many leases came, and all of them are over."""
    world = World(site(HOSTS, cpu=200, memory=2048), settings)
    dice = random.Random(seed)
    for lease_id in range(1, leases + 1):
        world.run(world.now + int(dice.expovariate(1 / 60)))
        terms = asked(dice, world.now)
        real = dice.randint(1, int(terms.duration)) if dice.random() < 0.5 else None
        world.submit(lease_id, terms, real=real)
        if dice.random() < 0.02:
            world.calendar.cancel(dice.randint(1, lease_id), world.now)
            world.go_on()
    return world.run()


def asked(dice: random.Random, now: int) -> Terms:
    duration = int(dice.lognormvariate(5, 1)) + 1
    start = now + dice.randint(0, 4000)
    kind = dice.choices(["best effort", "exact", "now", "deadline"], [80, 8, 4, 8])[0]
    return Terms(
        nodes=(nodes(dice.randint(1, HOSTS), 100, dice.choice([256, 512, 1024])),),
        duration=duration,
        start=start if kind in ("exact", "deadline") else None,
        immediate=kind == "now",
        deadline=start + 3 * duration if kind == "deadline" else None,
    )


def main() -> None:
    print(told(4711).schedule())
