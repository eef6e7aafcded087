"""The slot table for charts, and what users have had of it: read from the leases, planned and
actual.
"""

from msgspec import Struct

from orrery.core.capacity import Capacity
from orrery.core.errors import Unavailable
from orrery.core.messages import Actor
from orrery.core.model.lease import LeaseStatus
from orrery.core.model.view import View
from orrery.service.listing import ALL


class Slot(Struct, frozen=True, kw_only=True):
    """An interval in which a lease holds a part of a host."""

    host_id: int
    lease_id: int | None
    """None where the caller may not see whose it is."""
    kind: str
    """vm, boot, suspend, resume, migrate, shutdown or transfer."""
    start: float
    end: float
    nodes: int
    """VMs of the lease there."""
    capacity: Capacity
    """What they hold together."""
    actual: bool = False
    """As it went; False: as it is planned."""


class CalendarHost(Struct, frozen=True, kw_only=True):
    """One row of the chart."""

    id: int
    name: str
    offered: Capacity
    ordinary: Capacity
    """What VMs without a lease hold now."""


class CalendarLease(Struct, frozen=True, kw_only=True):
    """The legend."""

    id: int
    name: str
    kind: str
    """best-effort, reservation, immediate or deadline."""
    status: LeaseStatus
    uid: int


class Calendar(Struct, frozen=True, kw_only=True):
    """What the hosts are promised to, from `since` to `until`."""

    now: float
    since: float
    until: float
    hosts: tuple[CalendarHost, ...]
    leases: tuple[CalendarLease, ...]
    slots: tuple[Slot, ...]


class LeaseUsage(Struct, frozen=True, kw_only=True):
    """What one user asked for and had, in an interval of time."""

    uid: int
    leases: int
    """Leases submitted in it."""
    accepted: int
    rejected: int
    done: int
    node_s: float
    """Nodes times the seconds in which they ran."""
    cpu_s: float
    memory_gib_s: float
    suspensions: int
    wait_s: float
    """Mean time from submission to the first start (best effort), of those that started."""


def calendar(view: View, actor: Actor, now: float, since: float, until: float) -> Calendar:
    """The slot table of the interval: for each host what is held, by which lease, for what."""
    raise Unavailable("leases are not served yet")


def usage(
    view: View, actor: Actor, since: float, until: float, flag: int = ALL
) -> list[LeaseUsage]:
    """Accounting of leases by user, of those that the caller may see; by user id."""
    raise Unavailable("leases are not served yet")
