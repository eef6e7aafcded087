"""Which leases give way so that all nodes of another fit: as few as will do.

Where each node that gives way makes room for one node, leases are taken in the order of the policy
until there is enough. Where VMs of several sizes share hosts, that order would empty a hundred
hosts by halves: there whole hosts are cleared instead, those first that cost the fewest leases.
"""

import heapq
from itertools import islice

from orrery.sched.leases.booking import Booking, Group, RunPlan
from orrery.sched.leases.placing import place
from orrery.sched.leases.preempt import Room, candidates
from orrery.sched.leases.shapes import covers, pack
from orrery.sched.leases.timeline import FIXED_RESOURCES, Timeline

Able = list[tuple[float, RunPlan]]
"""(score, run): most preemptable first."""


def make_room(
    line: Timeline, booking: Booking, room: Room, at: int, end: int, now: int
) -> tuple[int, ...] | None:
    """Take leases out of the way until all nodes fit, and spare those not needed after all; the
    hosts of the nodes then."""
    able = candidates(line, booking, at, end, now)
    if _one_for_one(booking, able):
        enough = _by_policy(line, booking, room, able, at, end)
    else:
        enough = _by_host(line, booking, room, able, at, end)
    if not enough:
        return None
    _spare(line, booking, room, at, end)
    found = place(line, booking, at, None)
    return None if found is None else found[0]


def _one_for_one(booking: Booking, able: Able) -> bool:
    """Whether each node that gives way makes room for one node at the most."""
    if len(booking.groups) != 1:
        return False
    shape = booking.groups[0].shape
    return all(group.shape == shape for _, run in able for group in run.booking.groups)


def _by_policy(line: Timeline, booking: Booking, room: Room, able: Able, at: int, end: int) -> bool:
    """One after another; looks only when there could be enough."""
    could = _nodes(line, booking, room)
    if could + sum(len(run.hosts) for _, run in able) < booking.node_count:
        return False
    for _, run in able:
        room.take(run)
        could += len(run.hosts)
        if could >= booking.node_count:
            if _fits(line, booking, room, at, end):
                return True
            could = _nodes(line, booking, room)
    return False


def _by_host(line: Timeline, booking: Booking, room: Room, able: Able, at: int, end: int) -> bool:
    """For each kind of node: the host that costs the fewest leases more, until all fit."""
    on_host: dict[int, list[RunPlan]] = {}
    for _, run in able:
        for host in dict.fromkeys(run.hosts):
            on_host.setdefault(host, []).append(run)
    gone: set[int] = set()
    for group in booking.groups:
        ahead = iter(on_host)
        costs: list[tuple[int, int]] = []
        while _nodes(line, booking, room, group) < group.count:
            if not costs:
                some = {host: on_host[host] for host in islice(ahead, HOSTS_AT_A_TIME)}
                if not some:
                    break
                costs = _costs(line, group, some, gone, at, end)
                continue
            _, host = heapq.heappop(costs)
            victims = _cleared(line, group, host, on_host[host], gone, at, end)
            if victims is None:
                continue
            for run in victims:
                room.take(run)
                gone.add(id(run))
            again = _cleared(line, group, host, on_host[host], gone, at, end)
            if again:
                heapq.heappush(costs, (len(again), host))
    return _fits(line, booking, room, at, end)


HOSTS_AT_A_TIME = 200
"""Hosts that are compared, those of the most preemptable leases first: bounds the work."""


def _costs(
    line: Timeline,
    group: Group,
    on_host: dict[int, list[RunPlan]],
    gone: set[int],
    at: int,
    end: int,
) -> list[tuple[int, int]]:
    """A heap of (leases that have to go for one more node, host)."""
    costs = []
    for host, runs in on_host.items():
        victims = _cleared(line, group, host, runs, gone, at, end)
        if victims is not None:
            costs.append((len(victims), host))
    heapq.heapify(costs)
    return costs


def _cleared(
    line: Timeline,
    group: Group,
    host: int,
    runs: list[RunPlan],
    gone: set[int],
    at: int,
    end: int,
) -> list[RunPlan] | None:
    """Of the leases on a host those that go first, until one more node fits; None if never."""
    fields = len(line.resources) + FIXED_RESOURCES
    free = pack(line.table.least_free(host, at, end, fields))
    width = line.table.view(group.shape).count(free)
    victims = []
    for run in runs:
        if id(run) in gone:
            continue
        victims.append(run)
        free += sum(amount for where, amount in run.held if where == host)
        if covers(free, group.shape) and line.table.view(group.shape).count(free) > width:
            return victims
    return None


def _spare(line: Timeline, booking: Booking, room: Room, at: int, end: int) -> None:
    """Let those stay who are not in the way after all, the least preemptable first."""
    for run in reversed(room.taken[:-1]):
        if len(booking.groups) == 1 and _nodes(line, booking, room) == booking.node_count:
            return
        room.give_back(run)
        if not _fits(line, booking, room, at, end):
            room.take(run)


def _nodes(line: Timeline, booking: Booking, room: Room, group: Group | None = None) -> int:
    """How many nodes of a kind are free, of its first kind if none is named."""
    return room.nodes(line.table.view((group or booking.groups[0]).shape))


def _fits(line: Timeline, booking: Booking, room: Room, at: int, end: int) -> bool:
    if any(_nodes(line, booking, room, group) < group.count for group in booking.groups):
        return False
    if len(booking.groups) == 1:
        return True
    found = place(line, booking, at, None)
    return found is not None and found[1] >= end
