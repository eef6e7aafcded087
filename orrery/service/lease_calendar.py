"""The slot table for charts, and what users have had of it: read from the leases, planned and
actual.
"""

from collections.abc import Iterator
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.access import visible
from orrery.core.capacity import NOTHING, Capacity
from orrery.core.messages import Actor
from orrery.core.model.host import Host
from orrery.core.model.lease import Lease, LeaseKind, LeaseStatus, Run
from orrery.core.model.view import View
from orrery.service.listing import ALL, chosen, select


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
    """The slot table of the interval: for each host what is held, by which lease, for what.

    Everybody may see what is taken; by whom, those who may see the lease.
    """
    leases = [lease for lease in view.leases.values() if reaches(lease, since, until)]
    seen = [lease for lease in leases if visible(actor, lease)]
    known = {lease.id for lease in seen}
    slots = [
        slot if lease.id in known else replace(slot, lease_id=None)
        for lease in leases
        for slot in slots_of(lease)
        if slot.start < until and slot.end > since
    ]
    return Calendar(
        now=now,
        since=since,
        until=until,
        hosts=tuple(map(partial(row, view), select(view.hosts, actor))),
        leases=tuple(map(legend, seen)),
        slots=tuple(sorted(slots, key=lambda slot: (slot.host_id, slot.start, slot.end))),
    )


def reaches(lease: Lease, since: float, until: float) -> bool:
    return any(run.start < until and run.end > since for run in lease.runs)


def row(view: View, host: Host) -> CalendarHost:
    return CalendarHost(
        id=host.id,
        name=host.name,
        offered=host.offered,
        ordinary=view.host_usage(host.id) - view.leased_usage(host.id),
    )


def legend(lease: Lease) -> CalendarLease:
    return CalendarLease(
        id=lease.id,
        name=lease.name,
        kind=lease.terms.kind.value,
        status=lease.status,
        uid=lease.uid,
    )


def slots_of(lease: Lease) -> Iterator[Slot]:
    """Each operation and each stretch of running, host by host; as it went where that is known."""
    capacities = [nodes.capacity for nodes in lease.terms.capacities()]
    for run in lease.runs:
        pieces = [*operations_of(run), running(run)]
        for host_id in sorted(set(run.hosts)):
            nodes = [node for node, host in enumerate(run.hosts) if host == host_id]
            held = sum((capacities[node] for node in nodes), NOTHING)
            for kind, start, end, actual in pieces:
                if end > start:
                    yield Slot(
                        host_id=host_id,
                        lease_id=lease.id,
                        kind=kind,
                        start=start,
                        end=end,
                        nodes=len(nodes),
                        capacity=held,
                        actual=actual,
                    )


Piece = tuple[str, float, float, bool]
"""(kind, start, end, whether it was so)"""


def operations_of(run: Run) -> Iterator[Piece]:
    for op in run.operations:
        if op.began is None:
            yield op.kind.value, op.start, op.end, False
        else:
            yield op.kind.value, op.began, max(op.began, op.ended or op.end), op.ended is not None


def running(run: Run) -> Piece:
    if run.began is None:
        return "vm", run.vm_start, run.vm_end, False
    return "vm", run.began, max(run.began, run.ended or run.vm_end), run.ended is not None


# --- accounting -----------------------------------------------------------------------------------


def usage(
    view: View, actor: Actor, now: float, since: float, until: float, flag: int = ALL
) -> list[LeaseUsage]:
    """Accounting of leases by user, of those that the caller may see; by user id."""
    by_user: dict[int, list[Lease]] = {}
    for lease in chosen(view.leases.values(), actor, flag):
        by_user.setdefault(lease.uid, []).append(lease)
    return [of_user(uid, by_user[uid], now, since, until) for uid in sorted(by_user)]


def of_user(uid: int, leases: list[Lease], now: float, since: float, until: float) -> LeaseUsage:
    asked = [lease for lease in leases if since <= lease.submitted < until]
    waits = [
        lease.first_start - lease.submitted
        for lease in asked
        if lease.first_start is not None and lease.terms.kind is LeaseKind.BEST_EFFORT
    ]
    used = [(lease, ran(lease, now, since, until)) for lease in leases]
    whole = [(sum((n.capacity for n in lease.terms.capacities()), NOTHING), s) for lease, s in used]
    return LeaseUsage(
        uid=uid,
        leases=len(asked),
        accepted=sum(lease.is_accepted for lease in asked),
        rejected=sum(lease.status in REFUSED for lease in asked),
        done=sum(lease.status is LeaseStatus.DONE for lease in asked),
        node_s=sum(lease.terms.node_count * seconds for lease, seconds in used),
        cpu_s=sum(size.cpu_pct / 100 * seconds for size, seconds in whole),
        memory_gib_s=sum(size.memory_mib / 1024 * seconds for size, seconds in whole),
        suspensions=sum(lease.suspensions for lease in asked),
        wait_s=sum(waits) / len(waits) if waits else 0.0,
    )


REFUSED = (LeaseStatus.REJECTED, LeaseStatus.REJECTED_BY_USER)


def ran(lease: Lease, now: float, since: float, until: float) -> float:
    """Seconds of an interval in which its VMs ran."""
    return sum(
        max(0.0, min(now if run.ended is None else run.ended, until) - max(run.began, since))
        for run in lease.runs
        if run.began is not None
    )
