"""What the parts of the lease scheduler share: the slot table, the bookings, the queue, the agenda.

It keeps these consistent and decides nothing.
"""

import heapq
from collections.abc import Sequence
from enum import Enum
from math import ceil

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.model.lease import LeaseKind, LeaseStatus, NodeSet, Terms
from orrery.sched.leases.booking import Booking, Group, RunPlan, Stage
from orrery.sched.leases.durations import resume_s, summed_migration_s, suspend_s
from orrery.sched.leases.market import Market
from orrery.sched.leases.policies.host_selection import HOST_SELECTION
from orrery.sched.leases.policies.order import ORDERS, STEADY
from orrery.sched.leases.policies.registry import check
from orrery.sched.leases.power import Power
from orrery.sched.leases.preparation import Preparation, Unmanaged
from orrery.sched.leases.queue import Queue
from orrery.sched.leases.repository import Transfer
from orrery.sched.leases.settings import Backfilling, Estimates, Exclusion, Settings, Suspension
from orrery.sched.leases.settings import Preparation as PreparationKind
from orrery.sched.leases.shapes import ShapeView, pack, unpack
from orrery.sched.leases.site import Site, SiteHost
from orrery.sched.leases.slottable import (
    FOREVER,
    Held,
    SlotTable,
    Window,
)
from orrery.sched.leases.transfer import Transfers
from orrery.sched.leases.usage import Standing, Usage

FIXED_RESOURCES = 3
"""CPU, memory and disk: the first fields of a packed capacity."""

NOTHING_HELD = Held(())

MOST_WINDOWS = 256
"""Answers of the slot table that are kept at a time."""

PRIORITY = {Stage.ENDING: 0, Stage.RUNNING: 1, Stage.PREPARING: 2, Stage.PLANNED: 3}
"""At one moment what ends comes before what begins."""


class StepKind(Enum):
    """What whoever carries out the plan has to do, or is told."""

    TRANSFER = "transfer"
    START = "start"
    MIGRATE = "migrate"
    RESUME = "resume"
    ACTIVE = "active"
    SUSPEND = "suspend"
    STOP = "stop"
    KILL = "kill"
    SUSPENDED = "suspended"
    DONE = "done"


class Step(Struct, frozen=True):
    """One step of carrying out a run at its time."""

    at: int
    kind: StepKind
    run: RunPlan
    transfer: Transfer | None = None
    """Of TRANSFER: what is to be sent where."""


class Timeline:
    """The state of the scheduler."""

    def __init__(self, site: Site, settings: Settings, start: int = 0) -> None:
        check(settings)
        self.settings = settings
        self.select_hosts = HOST_SELECTION[settings.host_selection]
        self.resources = _resources(site.hosts)
        self.hosts: list[SiteHost] = list(site.hosts)
        self.index_of = {host.id: index for index, host in enumerate(site.hosts)}
        self.table = SlotTable([self._capacity(host) for host in site.hosts], start)
        self.preparation = _preparation(settings)
        self.bookings: dict[int, Booking] = {}
        self.usage = Usage(settings, ages=_changes_with_time(settings))
        self.standing = Standing(settings, start)
        self.market = Market(settings)
        self.queue = Queue(ORDERS[settings.backfill_order], self.standing)
        self.futures: dict[int, Booking] = {}
        self.live: dict[int, Booking] = {}
        """Bookings with a run that holds hosts now or later."""
        self.steps: list[Step] = []
        self.changed: set[int] = set()
        self.automatic = True
        """Operations end when planned; otherwise when whoever carries them out says so."""
        self.overdue: dict[int, RunPlan] = {}
        """Runs whose end is past though their VMs have not gone."""
        self.waiting: list[RunPlan] = []
        """Runs that should have begun, on hosts that are overdue."""
        self.gain = False
        """Capacity became free that no plan counted on."""
        self.version = 0  # grows with each change of the slot table
        self._agenda: list[tuple[int, int, int, RunPlan]] = []
        self._sequence = 0
        self._blocked: set[int] = set()
        self._offers: dict[int, int] = {}
        self._held_back: dict[int, list[tuple[int, int, int]]] = {}
        """What of each host no plan may use: from when until when, and how much (packed)."""
        self._overpromised: dict[int, int] = {}
        """Hosts on which more is promised than they offer by now, and what they offer."""
        self.power = (
            None
            if settings.power_down_after_s is None
            else Power(self.table, self.hosts, settings, start)
        )
        self._settled = 0
        """The version for which is held back what has to be."""
        self._window_of: dict[tuple[ShapeView, int], Window] = {}
        self._windows_for = 0

    def use(self, settings: Settings) -> None:
        """Go on with other settings: what is planned already stays."""
        check(settings)
        before = self.settings
        reordered = (before.backfill_order, before.suspension) != (
            settings.backfill_order,
            settings.suspension,
        )
        self.settings = settings
        self.select_hosts = HOST_SELECTION[settings.host_selection]
        self.usage.settings = self.standing.settings = self.market.settings = settings
        self.usage.ages = _changes_with_time(settings)
        self.preparation.use(settings)
        waiting = list(self.queue.in_order())
        for booking in waiting:
            booking.need = self.need(booking)
        if reordered:
            self.queue = Queue(ORDERS[settings.backfill_order], self.standing)
            for booking in waiting:
                self.queue.add(booking)

    # --- capacity ---------------------------------------------------------------------------------

    def _capacity(self, host: SiteHost) -> int:
        return self._packed(NodeSet(count=1, capacity=host.capacity, other=host.other))

    def _packed(self, nodes: NodeSet) -> int:
        other = dict(nodes.other)
        capacity = nodes.capacity
        amounts = [capacity.cpu_pct, capacity.memory_mib, capacity.disk_mib]
        return pack([*amounts, *(other.get(name, 0) for name in self.resources)])

    def unknown_resources(self, terms: Terms) -> list[str]:
        """Resources asked for that no host of the site has."""
        known = set(self.resources)
        return sorted({n for nodes in terms.nodes for n, _ in nodes.other if n not in known})

    def groups(self, terms: Terms) -> list[Group]:
        """The nodes by demand, the largest demand first."""
        if len(terms.nodes) == 1:
            nodes = terms.nodes[0]
            members = tuple(range(nodes.count))
            return [Group(self._packed(nodes), nodes.capacity.memory_mib, members)]
        by_shape: dict[int, tuple[int, list[int]]] = {}
        for node, nodes in enumerate(terms.capacities()):
            entry = by_shape.setdefault(self._packed(nodes), (nodes.capacity.memory_mib, []))
            entry[1].append(node)
        return [
            Group(shape, memory, tuple(same))
            for shape, (memory, same) in sorted(by_shape.items(), reverse=True)
        ]

    def held_by(self, booking: Booking, hosts: Sequence[int]) -> Held:
        """What its nodes hold on these hosts."""
        groups = booking.groups
        if len(groups) == 1 and len(set(hosts)) == len(hosts):
            shape = groups[0].shape
            return Held([(host, shape) for host in hosts])
        amounts: dict[int, int] = {}
        for group in groups:
            for node in group.nodes:
                amounts[hosts[node]] = amounts.get(hosts[node], 0) + group.shape
        return Held(list(amounts.items()))

    def window(self, view: ShapeView, now: int) -> Window:
        """What is free from now on; kept until the table changes."""
        if self._windows_for != self.version or len(self._window_of) > MOST_WINDOWS:
            self._window_of.clear()
            self._windows_for = self.version
        found = self._window_of.get((view, now))
        if found is None:
            found = self._window_of[view, now] = self.table.window(view, now)
        return found

    # --- hosts ------------------------------------------------------------------------------------

    def add_host(self, host: SiteHost) -> None:
        """A host that is new."""
        self._know_resources(host)
        self.hosts.append(host)
        self.index_of[host.id] = self.table.add_host(self._capacity(host))
        if self.power is not None:
            self.power.add_host(self.table.times[0])
        self.version += 1

    def _know_resources(self, host: SiteHost) -> None:
        """Resources that no host had before come after those that are known: what is packed
        already stays as it is."""
        self.resources += tuple(sorted({n for n, _ in host.other}.difference(self.resources)))

    def offered(self, host: SiteHost) -> int:
        """What a host offers, packed."""
        self._know_resources(host)
        return self._capacity(host)

    def offer(self, host: int, capacity: int, now: int) -> None:
        """From now on a host offers another capacity; what is held already stays held."""
        if self.power is not None:
            self.power.forget(host, now)
        self.table.raise_capacity(host, capacity)
        self._offers[host] = capacity
        to_plans = 0 if host in self._blocked else capacity
        self._hold_back(host, self.table.capacities[host], to_plans, now)

    def block(self, host: int, now: int) -> None:
        """Nothing can be planned on a host from now on."""
        if self.power is not None:
            self.power.forget(host, now)
        self._blocked.add(host)
        self._hold_back(host, self.table.capacities[host], 0, now)

    def unblock(self, host: int, now: int) -> None:
        self._blocked.discard(host)
        whole = self.table.capacities[host]
        self._hold_back(host, whole, self._offers.get(host, whole), now)

    def _hold_back(self, host: int, whole: int, offered: int, now: int) -> None:
        """Keep what a host does not offer out of every plan: of what is promised on it already,
        as soon as that is over."""
        begin = max(now, self.table.times[0])
        self._release(host, begin)
        fields = len(self.resources) + FIXED_RESOURCES
        whole_and_offered = zip(unpack(whole, fields), unpack(offered, fields), strict=True)
        short = [max(0, of - to) for of, to in whole_and_offered]
        held = [
            (start, end, pack(map(min, unpack(free, fields), short)))
            for start, end, free in self.table.free_pieces(host, begin)
        ]
        if any(back != pack(short) for _, _, back in held):
            self._overpromised[host] = offered
        held = [piece for piece in held if piece[2]]
        for start, end, back in held:
            self.table.add([(host, back)], start, end)
        self._held_back[host] = held
        self.version += 1

    def _release(self, host: int, begin: int) -> None:
        """Hold nothing of a host back any more."""
        self._overpromised.pop(host, None)
        for start, end, amount in self._held_back.pop(host, ()):
            if start >= begin:
                self.table.remove([(host, amount)], start, end)
            elif end > begin:
                self.table.move_end([(host, amount)], start, end, begin)

    def pass_to(self, now: int) -> None:
        """Forget the past; where promises on hosts that offer less by now were given up, nobody
        else is to have what they held."""
        self.table.trim(now)
        if self._overpromised and self.version != self._settled:
            for host, offered in list(self._overpromised.items()):
                self._hold_back(host, self.table.capacities[host], offered, now)
            self._settled = self.version
        if self.power is not None:
            self.pass_power_to(now)

    def pass_power_to(self, now: int, *, again: bool = False) -> None:
        """Hosts go down and come up by now."""
        assert self.power is not None
        if self.power.pass_to(now, calm=not self.queue, again=again):
            self.gain = True
        self.version += 1

    # --- runs -------------------------------------------------------------------------------------

    def book(self, run: RunPlan) -> None:
        """Hold the hosts of a run and put it on the agenda."""
        booking = run.booking
        self.table.add(run.held, run.start, run.end)
        self.version += 1
        booking.runs.append(run)
        if booking.run is None:
            booking.run = run
        self.live[booking.id] = booking
        self.put_on_agenda(run)
        self.changed.add(booking.id)

    def drop(self, run: RunPlan) -> None:
        """Give up a run that has not begun."""
        booking = run.booking
        self.table.remove(run.held, run.start, run.end)
        self.version += 1
        run.stage = Stage.OVER
        booking.runs.remove(run)
        self._next_run(booking)

    def end_at(self, run: RunPlan, end: int) -> None:
        """Change until when the hosts of a run are held."""
        if end != run.end:
            self.table.move_end(run.held, run.start, run.end, end)
            self.version += 1
            run.end = end
        self.put_on_agenda(run)
        self.changed.add(run.booking.id)

    def end_now(self, run: RunPlan, now: int) -> None:
        """The hosts of a run are free from now on; where its end is past, they are not held."""
        if now < run.end:
            self.end_at(run, now)
        run.end = now
        self.changed.add(run.booking.id)

    def over(self, run: RunPlan) -> None:
        """A run is behind: its booking turns to the next one, if there is one."""
        run.stage = Stage.OVER
        self.overdue.pop(id(run), None)
        run.held = NOTHING_HELD  # a year of runs stays in memory: each as small as can be
        self._next_run(run.booking)

    def _next_run(self, booking: Booking) -> None:
        ahead = [run for run in booking.runs if run.stage is not Stage.OVER]
        booking.run = ahead[0] if ahead else None
        if not ahead:
            self.live.pop(booking.id, None)
        if booking.future and (booking.run is None or booking.run.stage is not Stage.PLANNED):
            self.no_future(booking)
        self.changed.add(booking.id)

    def future(self, booking: Booking) -> None:
        """Its run is one of the reservations that backfilling allows."""
        booking.future = True
        self.futures[booking.id] = booking

    def no_future(self, booking: Booking) -> None:
        booking.future = False
        self.futures.pop(booking.id, None)

    @property
    def futures_allowed(self) -> int:
        match self.settings.backfilling:
            case Backfilling.OFF:
                return 0
            case Backfilling.AGGRESSIVE:
                return 1
            case Backfilling.INTERMEDIATE:
                return self.settings.backfilling_reservations
            case Backfilling.CONSERVATIVE:
                return FOREVER

    # --- agenda -----------------------------------------------------------------------------------

    def put_on_agenda(self, run: RunPlan) -> None:
        self._sequence += 1
        entry = (run.next_time, PRIORITY.get(run.stage, 0), self._sequence, run)
        heapq.heappush(self._agenda, entry)

    def due(self, now: int) -> RunPlan | None:
        """The next run whose stage changes by now; it is taken off the agenda."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= now:
            time, _, _, run = heapq.heappop(agenda)
            if run.stage is not Stage.OVER and run.next_time == time:
                return run
        return None

    def next_time(self) -> int | None:
        agenda = self._agenda
        while agenda:
            time, _, _, run = agenda[0]
            if run.stage is not Stage.OVER and run.next_time == time:
                return time
            heapq.heappop(agenda)
        return None

    def step(self, at: int, kind: StepKind, run: RunPlan) -> None:
        self.steps.append(Step(at, kind, run))

    # --- suspension -------------------------------------------------------------------------------

    def may_suspend(self, booking: Booking) -> bool:
        """Whether its runs may be cut by a suspension."""
        suspension = self.settings.suspension
        if suspension is Suspension.NONE:
            return False
        if not (
            booking.divisible or (booking.kind is LeaseKind.BEST_EFFORT and booking.preemptible)
        ):
            return False
        return suspension is Suspension.ALL or booking.node_count == 1

    def boot_s(self, booking: Booking) -> int:
        """Seconds until its VMs are up, as many on one host as there may be."""
        each = self.settings.boot_each_s
        if not each:
            return self.settings.boot_s
        widest = max(max(self.table.view(group.shape).widths) for group in booking.groups)
        return self.settings.boot_s + ceil(each * (min(booking.node_count, max(1, widest)) - 1))

    def suspend_s(self, booking: Booking, hosts: Sequence[int]) -> int:
        return suspend_s(self.settings, booking.memory_of, hosts)

    def resume_s(self, booking: Booking, hosts: Sequence[int]) -> int:
        return resume_s(self.settings, booking.memory_of, hosts)

    def threshold(self, booking: Booking, suspend: int, resume: int) -> int:
        """The shortest stretch, operations included, that is worth its suspension."""
        if self.settings.fixed_threshold_s is not None:
            return self.settings.fixed_threshold_s
        if self.settings.estimates is Estimates.SUMMED:
            one_by_one = replace(self.settings, exclusion=Exclusion.GLOBAL)
            suspend = suspend_s(one_by_one, booking.memory_of, ())
            resume = resume_s(one_by_one, booking.memory_of, ())
        cost = suspend + (resume if booking.hosts is not None else 0)
        return int((1 + self.settings.threshold_factor) * cost)

    def earliest(self, booking: Booking, now: int) -> int:
        """From when on a run of a lease may be planned."""
        at = now + self.settings.lead_s
        if booking.hosts is None:
            return at
        if self.settings.estimates is Estimates.SUMMED:
            at += summed_migration_s(self.settings, booking.memory_of)
        return at + self.settings.resume_after_s

    @property
    def waits_to_resume(self) -> bool:
        """What is free now says nothing about leases that are suspended."""
        summed = self.settings.estimates is Estimates.SUMMED
        return summed or self.settings.resume_after_s > 0

    def need(self, booking: Booking) -> int:
        """The least free time, from its start, with which a start can be of use."""
        hosts = range(booking.node_count)  # one on each host: the shortest operations
        spread = booking.hosts or hosts
        before = self.boot_s(booking)
        resume = 0
        if booking.hosts is not None:
            before = resume = self.resume_s(booking, hosts)
        whole = before + booking.remaining + self.settings.shutdown_s
        if not self.may_suspend(booking):
            return whole
        suspend = self.suspend_s(booking, hosts if booking.hosts is None else spread)
        return min(whole, max(self.threshold(booking, suspend, resume), before + suspend + 1))

    # --- statuses ---------------------------------------------------------------------------------

    def enqueue(self, booking: Booking) -> None:
        """Into the queue, by its order."""
        if booking.hosts is not None:
            if booking.status is not LeaseStatus.SUSPENDED_QUEUED:
                booking.become(LeaseStatus.SUSPENDED_QUEUED)
        elif booking.status is not LeaseStatus.QUEUED:
            booking.become(LeaseStatus.QUEUED)
        booking.need = self.need(booking)
        self.queue.add(booking)
        self.changed.add(booking.id)

    def scheduled(self, booking: Booking) -> None:
        """It has a run ahead."""
        if booking.hosts is not None:
            if booking.status is not LeaseStatus.SUSPENDED_SCHEDULED:
                booking.become(LeaseStatus.SUSPENDED_SCHEDULED)
        elif booking.status is not LeaseStatus.SCHEDULED:
            booking.become(LeaseStatus.SCHEDULED)
        self.changed.add(booking.id)


def _changes_with_time(settings: Settings) -> bool:
    """Whether the order of the queue has to be computed anew from time to time."""
    return settings.order not in STEADY or settings.backfill_order not in STEADY


def _resources(hosts: Sequence[SiteHost]) -> tuple[str, ...]:
    """Names of the resources beyond CPU, memory and disk, in order."""
    return tuple(sorted({name for host in hosts for name, _ in host.other}))


def _preparation(settings: Settings) -> Preparation:
    if settings.preparation is PreparationKind.TRANSFER:
        return Transfers(settings)
    return Unmanaged()
