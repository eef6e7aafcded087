"""What is compared with: OpenNebula's own daemon, and the budget. Constants only.

The peer's figures were measured on a busy 2-core machine of the kind this is developed on:
OpenNebula 7.4, its C++ daemon with SQLite, 1 000 hosts, 1 000 VMs (or 10 000), a raw HTTP client
on kept connections. They are a yardstick for ratios, not a claim about any other machine.
"""

from msgspec import Struct

SOURCE = (
    "OpenNebula 7.4 (C++ daemon, SQLite), measured on a busy 2-core machine, 1 000 hosts, "
    "1 000 or 10 000 VMs, raw keep-alive client, 1 / 8 clients"
)


class Peer(Struct, frozen=True):
    """Calls per second of the peer with 1 and with 8 clients, and by which factor to beat it."""

    one: float
    eight: float
    goal: float

    def rate(self, clients: int) -> float | None:
        return {1: self.one, 8: self.eight}.get(clients)


SINGLE, POOL, CHANGE = 10.0, 25.0, 50.0
"""How many times the peer's rate is asked: of single objects, of pools, of durable changes."""

PEER: dict[tuple[str, int], Peer] = {
    ("vm.info", 1_000): Peer(600, 810, SINGLE),
    ("vmpool.info", 1_000): Peer(15, 83, POOL),
    ("vmpool.info page", 1_000): Peer(266, 277, POOL),
    ("vmpool.infoextended", 1_000): Peer(12, 17, POOL),
    ("hostpool.info", 1_000): Peer(57, 34, POOL),
    ("vm.allocate", 1_000): Peer(22, 24, CHANGE),
    ("vm.action hold/release", 1_000): Peer(36, 71, CHANGE),
    ("vm.action terminate", 1_000): Peer(10, 13, CHANGE),
    ("vm.info", 10_000): Peer(560, 630, SINGLE),
    ("vmpool.info", 10_000): Peer(6, 6, POOL),
    ("vmpool.info page", 10_000): Peer(54, 43, POOL),
    ("vmpool.infoextended", 10_000): Peer(1.3, 1.4, POOL),
    ("vm.allocate", 10_000): Peer(82, 137, CHANGE),
}

PEER_START_S = 4.5
START_GOAL_S = 2.0
"""With 10 000 VMs in the database."""

PLACEMENT_GOAL_S = {1_000: 1.0, 10_000: 10.0}
"""By number of waiting VMs."""

DEPLOY_GOAL_MS = 50.0
"""What the engine may add to the hypervisor's own time to create a guest."""


HAIZEA_BLUE = (146.0, 25.0)
"""Leases a CPU second of Haizea 1.1 ported to Python 3 on SDSC Blue Horizon (144 nodes, 30 days),
without reservations and with 20 % of them, suspension on; the same kind of machine."""

HAIZEA_SYNTHETIC = {(500, 32): 46.0, (5_000, 32): 15.0, (500, 128): 6.0}
"""The same on synthetic workloads, by (leases, nodes)."""

TIMES_HAIZEA = 100
SIMULATION_GOAL = (10_000, 5_000)
"""Leases a CPU second on SDSC Blue Horizon: without reservations, with 20 %."""

CYCLE_GOAL_MS = 50.0
