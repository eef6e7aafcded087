"""A probe of one's own for `orrery simulate --probes own_probe:widest`."""

from orrery.simulate.leases.probes import Reading
from orrery.simulate.leases.run import Result


def widest(result: Result) -> Reading:
    """The most nodes that a lease has asked for."""
    return Reading(per_run={"widest": max(b.node_count for b in result.bookings.values())})
