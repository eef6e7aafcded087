"""What should run where: a pure function of a view and the time.

VMs that ask for the same are matched together: what one of them finds full is full for all of them,
so the cost grows with the number of hosts plus the number of VMs, not with their product.
"""

import heapq
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct

from orrery.core import expr
from orrery.core.capacity import Capacity
from orrery.core.messages import ExplainVm, PlaceVm
from orrery.core.model.host import Host
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.promises import ordinary_room
from orrery.core.status import HostStatus
from orrery.sched.match import (
    DYNAMIC,
    Lookup,
    attributes,
    clusters_of,
    meeting,
    rank_text,
    requirement_text,
)
from orrery.sched.policy import POLICIES, Policy, Room

CAUSE = "scheduler"

LOOKS = 40_000
"""What one plan may cost, in looks at a host: half for making the queues of wishes, half for taking
VMs from them. Some 40 ms in all: as long as the event loop can be without. What is over that waits
for the next plan of the same sweep; see docs/decisions/014."""

LOOKS_PER_VM = 10
CHARACTERS_PER_LOOK = 10
"""The share of a requirement's text that costs as much as a look at a host without one."""


class Wish(Struct, frozen=True):
    """What VMs that can be matched together have in common."""

    requirement: str
    rank: str
    clusters: frozenset[int] | None


Seen = Mapping[Wish, int]
"""How far a sweep has come: for each wish the newest VM that was looked at."""


class Plan(Struct, frozen=True):
    """What the planner proposes at one moment."""

    placements: tuple[PlaceVm, ...] = ()
    explanations: tuple[ExplainVm, ...] = ()
    wake_at: float | None = None
    """When it wants to be asked again even if nothing changes."""
    seen: Seen = {}
    """What the next plan of this sweep is to be given; empty when the sweep is over."""


def plan(
    view: View,
    now: float,
    policy: str = "striping",
    *,
    seen: Seen = MappingProxyType({}),
    looks: int = LOOKS,
) -> Plan:
    """Place what can be placed now, oldest first, and say of the rest why it waits.

    A plan that would cost more than `looks` leaves wishes for the next one, which it wants at once.
    """
    site = Site(view, POLICIES[policy], now)
    pending, rest = portion(site, seen, looks)
    queues = queues_of(site, pending)
    placements: list[PlaceVm] = []
    explanations: list[ExplainVm] = []
    reasons: dict[tuple[Wish, Capacity], str] = {}
    for vm, wish in pending:
        wanted = Capacity(vm.capacity.cpu_pct, vm.capacity.memory_mib)
        host_id = queues[wish].best(wanted)
        if host_id is not None:
            placements.append(site.book(vm, host_id))
            continue
        reason = reasons.get((wish, wanted))
        if reason is None:
            reason = reasons[wish, wanted] = explain(site, wish, wanted)
        explanations.append(
            ExplainVm(cause=vm.cause or CAUSE, vm_id=vm.id, gen=vm.gen, text=reason)
        )
    made = tuple(placements), tuple(explanations)
    if not rest:
        return Plan(*made)
    return Plan(*made, wake_at=now, seen={**seen, **{wish: vm.id for vm, wish in pending}})


def portion(site: "Site", seen: Seen, looks: int) -> tuple[list[tuple[Vm, Wish]], bool]:
    """The VMs of this plan, oldest first, and whether others are left for the next one.

    Each plan takes whole wishes, as far as the looks go, and at least one VM: a host looked at for
    one VM has been looked at for all that ask for the same.
    """
    most, looks = looks // 2 // LOOKS_PER_VM, looks // 2
    taken: list[tuple[Vm, Wish]] = []
    wishes: set[Wish] = set()
    rest = False
    for vm_id in sorted(site.view.vms_pending()):
        vm = site.view.vms[vm_id]
        wish = wish_of(vm, site.view)
        if vm_id <= seen.get(wish, -1):
            continue
        cost = 0 if wish in wishes else looks_for(wish, site)
        if taken and (cost > looks or len(taken) >= most):
            rest = True
            continue
        looks -= cost
        wishes.add(wish)
        taken.append((vm, wish))
    return taken, rest


def looks_for(wish: Wish, site: "Site") -> int:
    length = len(wish.requirement) + len(wish.rank)
    return len(site.hosts) * (1 + length // CHARACTERS_PER_LOOK)


def wish_of(vm: Vm, view: View) -> Wish:
    return Wish(requirement_text(vm), rank_text(vm), clusters_of(vm, view))


def queues_of(site: "Site", pending: list[tuple[Vm, Wish]]) -> dict[Wish, "Queue"]:
    """A queue for each wish, made before the plan takes anything from the hosts."""
    least: dict[Wish, Capacity] = {}
    for vm, wish in pending:
        known = least.get(wish, vm.capacity)
        least[wish] = Capacity(
            min(known.cpu_pct, vm.capacity.cpu_pct),
            min(known.memory_mib, vm.capacity.memory_mib),
        )
    return {wish: Queue(site, wish, wanted) for wish, wanted in least.items()}


class Site:
    """The hosts that may take VMs, with the room that the plan so far leaves on them."""

    def __init__(self, view: View, policy: Policy, now: float) -> None:
        self.view = view
        self.now = now
        self.policy = policy
        self.hosts: dict[int, Host] = {}
        self.rooms: dict[int, Room] = {}
        self.lookups: dict[int, Lookup] = {}
        self.datastores: dict[int, int] = {}
        self._meeting: dict[str, frozenset[int]] = {}
        self._stores: dict[int, int | None] = {}
        for host in view.hosts.values():
            if host.status is HostStatus.MONITORED:
                self._add(host)

    def _add(self, host: Host) -> None:
        datastore_id = self._datastore_of(host.cluster_id)
        if datastore_id is None:
            return
        free = ordinary_room(self.view, host, self.now)
        room = Room(free.cpu_pct, free.memory_mib, len(self.view.vms_on(host.id)), host.offered)
        cluster = self.view.clusters.get(host.cluster_id)
        self.hosts[host.id] = host
        self.rooms[host.id] = room
        self.lookups[host.id] = attributes(host, room, cluster.name if cluster else "")
        self.datastores[host.id] = datastore_id

    def _datastore_of(self, cluster_id: int) -> int | None:
        """Looked up once for each cluster."""
        if cluster_id not in self._stores:
            found = self.view.system_datastore(cluster_id)
            self._stores[cluster_id] = None if found is None else found.id
        return self._stores[cluster_id]

    def meeting(self, requirement: str) -> frozenset[int]:
        """Hosts that meet it as the plan began; a requirement on free capacity is a wish, not a
        booking."""
        found = self._meeting.get(requirement)
        if found is None:
            found = self._meeting[requirement] = meeting(requirement, self.lookups)
        return found

    def book(self, vm: Vm, host_id: int) -> PlaceVm:
        self.rooms[host_id].book(vm.capacity)
        return PlaceVm(
            cause=vm.cause or CAUSE,
            vm_id=vm.id,
            gen=vm.gen,
            host_id=host_id,
            ds_id=self.datastores[host_id],
        )


Key = tuple[float, float, int]


class Queue:
    """The hosts for one wish, best first. Keys go stale as VMs are booked: they are checked when
    popped.

    A host that has no room even for the smallest VM of the wish is dropped for good; one that only
    lacks room for a certain VM is put aside and comes back.
    """

    def __init__(self, site: Site, wish: Wish, least: Capacity) -> None:
        self._site = site
        self._least = least
        self._rank = expr.rank(wish.rank) if wish.rank else None
        self._rank_is_fixed = not (expr.names(wish.rank) & DYNAMIC.keys()) if wish.rank else True
        self._fixed: dict[int, float] = {}
        self._too_big: list[Capacity] = []
        hosts = site.meeting(wish.requirement)
        self._heap: list[Key] = [
            self._key(host_id) for host_id in hosts if in_cluster(site.hosts[host_id], wish)
        ]
        heapq.heapify(self._heap)

    def best(self, wanted: Capacity) -> int | None:
        """The best host that has room for it; it stays in the queue."""
        if any(refused.fits(wanted) for refused in self._too_big):
            return None  # room only shrinks: what is larger than what found none finds none
        aside: list[Key] = []
        found = None
        while self._heap and found is None:
            key = self._heap[0]
            host_id = key[2]
            room = self._site.rooms[host_id]
            if not room.takes(self._least):
                heapq.heappop(self._heap)
            elif (fresh := self._key(host_id)) != key:
                heapq.heapreplace(self._heap, fresh)
            elif room.takes(wanted):
                found = host_id
            else:
                aside.append(heapq.heappop(self._heap))
        for key in aside:
            heapq.heappush(self._heap, key)
        if found is None:
            self._too_big = [c for c in self._too_big if not wanted.fits(c)] + [wanted]
        return found

    def _key(self, host_id: int) -> Key:
        """By rank, then by the site's policy, then by id: the same input gives the same plan."""
        return (-self._ranked(host_id), -self._site.policy(self._site.rooms[host_id]), host_id)

    def _ranked(self, host_id: int) -> float:
        if self._rank is None:
            return 0.0
        if not self._rank_is_fixed:
            return self._rank(self._site.lookups[host_id])
        value = self._fixed.get(host_id)
        if value is None:
            value = self._fixed[host_id] = self._rank(self._site.lookups[host_id])
        return value


def in_cluster(host: Host, wish: Wish) -> bool:
    return wish.clusters is None or host.cluster_id in wish.clusters


# --- why it waits ---------------------------------------------------------------------------------


def explain(site: Site, wish: Wish, wanted: Capacity) -> str:
    """One sentence: how many hosts fail each rule, and by how much."""
    if not site.view.hosts:
        return "There are no hosts: add one (onehost create)"
    parts = [*not_monitored(site), *lacking(site, wish, wanted)]
    return "No host can take it now: " + "; ".join(parts)


def not_monitored(site: Site) -> Iterable[str]:
    counts: dict[HostStatus, int] = {}
    for host in site.view.hosts.values():
        if host.id not in site.hosts:
            counts[host.status] = counts.get(host.status, 0) + 1
    for status, count in sorted(counts.items()):
        why = "without a system datastore" if status is HostStatus.MONITORED else status.name
        yield f"{hosts(count)} {'is' if count == 1 else 'are'} {why}"


def lacking(site: Site, wish: Wish, wanted: Capacity) -> Iterable[str]:
    """Of the hosts that are up: which rule each fails first."""
    meets = site.meeting(wish.requirement)
    elsewhere = [h for h in site.hosts.values() if not in_cluster(h, wish)]
    if elsewhere:
        yield f"{hosts(len(elsewhere))} in clusters without its images or networks"
    inside = [h for h in site.hosts.values() if in_cluster(h, wish)]
    unmet = [h for h in inside if h.id not in meets]
    if unmet:
        why = expr.explain(wish.requirement, site.lookups[unmet[0].id]) or wish.requirement
        yield f"{hosts(len(unmet))} do{'es' if len(unmet) == 1 else ''} not meet {why}"
    full = [site.rooms[h.id] for h in inside if h.id in meets]
    yield from shortage(full, wanted)


def shortage(full: list[Room], wanted: Capacity) -> Iterable[str]:
    memory = [room.memory_mib for room in full if room.memory_mib < wanted.memory_mib]
    cpu = [room.cpu_pct for room in full if room.cpu_pct < wanted.cpu_pct]
    if memory:
        free = max(0, *memory)
        need = f"{wanted.memory_mib} MiB needed, at most {free} free"
        yield f"{hosts(len(memory))} lack{'s' * (len(memory) == 1)} memory: {need}"
    if cpu:
        free = max(0, *cpu)
        need = f"{wanted.cpu_pct / 100:g} needed, at most {free / 100:g} free"
        yield f"{hosts(len(cpu))} lack{'s' * (len(cpu) == 1)} CPU: {need}"


def hosts(count: int) -> str:
    return f"{count} host" if count == 1 else f"{count} hosts"
