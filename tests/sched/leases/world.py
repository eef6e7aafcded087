"""A small site under a calendar: time passes, leases end early, and what happened is audited from
the runs alone, without the slot table."""

import heapq
from collections.abc import Iterable

from orrery.core.capacity import Capacity
from orrery.core.model.lease import LeaseKind, LeaseStatus, NodeSet, Terms
from orrery.sched.leases.answer import Answer
from orrery.sched.leases.booking import Booking, Ending, RunPlan, Stage
from orrery.sched.leases.calendar import Calendar
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.site import Site, SiteHost
from orrery.sched.leases.timeline import Step, StepKind

LIMIT = 100_000
"""More events than any workload of a test has: it does not come to an end."""


def host(number: int, cpu: int = 100, memory: int = 1024, **other: int) -> SiteHost:
    return SiteHost(
        id=number,
        name=f"h{number}",
        capacity=Capacity(cpu, memory),
        other=tuple(sorted(other.items())),
    )


def site(count: int, cpu: int = 100, memory: int = 1024, **other: int) -> Site:
    return Site(hosts=tuple(host(number, cpu, memory, **other) for number in range(count)))


def nodes(count: int = 1, cpu: int = 100, memory: int = 1024, **other: int) -> NodeSet:
    """Nodes of a lease: as a rule each takes a whole host of `site`."""
    return NodeSet(count=count, capacity=Capacity(cpu, memory), other=tuple(sorted(other.items())))


def best_effort(
    count: int = 1,
    duration: int = 100,
    *,
    cpu: int = 100,
    memory: int = 1024,
    preemptible: bool | None = None,
    priority: int = 0,
) -> Terms:
    return Terms(
        nodes=(nodes(count, cpu, memory),),
        duration=duration,
        preemptible=preemptible,
        priority=priority,
    )


def reservation(start: int, count: int = 1, duration: int = 100) -> Terms:
    return Terms(nodes=(nodes(count),), duration=duration, start=start)


def immediate(count: int = 1, duration: int = 100) -> Terms:
    return Terms(nodes=(nodes(count),), duration=duration, immediate=True)


def by_deadline(
    deadline: int,
    count: int = 1,
    duration: int = 100,
    *,
    start: int | None = None,
    preemptible: bool | None = None,
) -> Terms:
    return Terms(
        nodes=(nodes(count),),
        duration=duration,
        start=start,
        deadline=deadline,
        preemptible=preemptible,
    )


class World:
    """Calendar and clock."""

    def __init__(
        self, on: Site, settings: Settings | None = None, *, automatic: bool = True
    ) -> None:
        self.settings = settings or Settings(suspend_rate=102.4, resume_rate=102.4)
        """As a rule a VM of 1024 MiB is suspended and resumed in 10 s each."""
        self.calendar = Calendar(on, self.settings, automatic=automatic)
        self.now = 0
        self.capacities = {h.id: _amounts(h.capacity, h.other) for h in on.hosts}
        self.steps: list[Step] = []
        self.real: dict[int, int] = {}
        """After how many seconds of its VMs a lease ends by itself."""
        self.changed: set[int] = set()
        """Leases that were lengthened, shortened, moved, or lost a host."""
        self.killed: set[int] = set()
        self.lost: dict[int, int] = {}
        """Hosts that are lost, and since when."""
        self.lowered: set[int] = set()
        """Hosts that offer less than they did."""
        self._early: list[tuple[int, int, int, RunPlan]] = []

    def __getitem__(self, lease_id: int) -> Booking:
        return self.calendar.bookings[lease_id]

    # --- time -------------------------------------------------------------------------------------

    def submit(self, lease_id: int, terms: Terms, *, real: int | None = None) -> Answer:
        if real is not None:
            self.real[lease_id] = real
        answer = self.calendar.submit(lease_id, terms, self.now)
        self.go_on()
        return answer

    def submit_all(self, terms: Iterable[Terms]) -> None:
        """At one moment, as leases 1, 2, ..."""
        for lease_id, each in enumerate(terms, 1):
            self.calendar.submit(lease_id, each, self.now)
        self.go_on()

    def go_on(self) -> list[Step]:
        """What is due now."""
        steps = self.calendar.advance(self.now)
        self.steps += steps
        for step in steps:
            if step.kind is StepKind.ACTIVE and step.run.booking.id in self.real:
                self._watch(step.run)
            if step.kind is StepKind.KILL:
                self.killed.add(step.run.booking.id)
        return steps

    def _watch(self, run: RunPlan) -> None:
        booking = run.booking
        ends = run.vm_start + max(0, self.real[booking.id] - booking.served)
        heapq.heappush(self._early, (ends, booking.id, len(self.steps), run))

    def run(self, until: int | None = None) -> "World":
        """Until a time, or until nothing is left to happen."""
        for _ in range(LIMIT):
            at = self.next_time()
            if at is None or (until is not None and at > until):
                break
            assert at >= self.now, f"at {self.now} the next event is said to be at {at}"
            self.now = at
            self._end_early()
            self.go_on()
            following = self.calendar.next_time()
            assert following is None or following > self.now
        else:
            raise AssertionError("it never comes to an end")
        if until is not None:
            self.now = until
        return self

    def next_time(self) -> int | None:
        while self._early and self._early[0][3].stage is not Stage.RUNNING:
            heapq.heappop(self._early)
        times = [self.calendar.next_time(), self._early[0][0] if self._early else None]
        return min((time for time in times if time is not None), default=None)

    def _end_early(self) -> None:
        while self._early and self._early[0][0] <= self.now:
            at, lease_id, _, run = heapq.heappop(self._early)
            if run.stage is Stage.RUNNING and run.vm_end >= at:
                self.calendar.finish(lease_id, self.now)

    # --- events -----------------------------------------------------------------------------------

    def lose(self, host_id: int) -> None:
        for booking in self.calendar.bookings.values():
            if not booking.status.final:
                self.changed.add(booking.id)
        self.calendar.host_lost(host_id, self.now)
        self.lost[host_id] = self.now
        self.go_on()

    def bring_back(self, host_id: int) -> None:
        self.calendar.host_back(host_id, self.now)
        self.lost.pop(host_id, None)
        self.go_on()

    def change_host(self, offer: SiteHost) -> None:
        self.calendar.host_changed(offer, self.now)
        known = self.capacities[offer.id]
        new = _amounts(offer.capacity, offer.other)
        self.capacities[offer.id] = {
            name: max(known.get(name, 0), new.get(name, 0)) for name in known | new
        }
        self.go_on()

    def add_host(self, new: SiteHost) -> None:
        self.calendar.host_added(new, self.now)
        self.capacities[new.id] = _amounts(new.capacity, new.other)
        self.go_on()

    # --- audit ------------------------------------------------------------------------------------

    def audit(self) -> None:
        """What must hold at every moment, of what was and of what is planned."""
        for booking in self.calendar.bookings.values():
            audit_runs(booking)
        self.audit_capacity()
        self.audit_queue()

    def audit_capacity(self) -> None:
        """At no instant is more held of a host than it has."""
        ids = [h.id for h in self.calendar.line.hosts]
        changes: dict[int, list[tuple[int, int, str, int]]] = {}
        for booking in self.calendar.bookings.values():
            demands = [_amounts(n.capacity, n.other) for n in booking.terms.capacities()]
            for run in booking.runs:
                for index, demand in zip(run.hosts, demands, strict=True):
                    held = changes.setdefault(ids[index], [])
                    for name, amount in demand.items():
                        held.append((run.start, 1, name, amount))
                        held.append((run.end, 0, name, -amount))
                    if run.stage is not Stage.OVER:
                        assert ids[index] not in self.lost, (booking.id, "runs on a lost host")
        for host_id, held in changes.items():
            taken: dict[str, int] = {}
            for at, _, name, amount in sorted(held):
                taken[name] = taken.get(name, 0) + amount
                offered = self.capacities[host_id].get(name, 0)
                assert taken[name] <= offered, (host_id, at, name, taken[name], offered)

    def audit_queue(self) -> None:
        """Who waits has no plan; who has a plan does not wait; and the queue knows whom it has."""
        waiting = {booking.id for booking in self.calendar.line.queue.in_order()}
        for booking in self.calendar.bookings.values():
            queued = booking.status in (LeaseStatus.QUEUED, LeaseStatus.SUSPENDED_QUEUED)
            assert (booking.id in waiting) == queued, (booking.id, booking.status)
            ahead = [run for run in booking.runs if run.stage is not Stage.OVER]
            assert booking.run is (ahead[0] if ahead else None)
            if queued or booking.status.final:
                assert not ahead, (booking.id, booking.status)
            else:
                assert ahead, (booking.id, booking.status, "has no plan")

    def audit_end(self) -> None:
        """What must hold when nothing is left to happen."""
        self.audit()
        for booking in self.calendar.bookings.values():
            if booking.status is LeaseStatus.DONE:
                self.audit_done(booking)

    def audit_done(self, booking: Booking) -> None:
        asked = booking.duration
        real = min(asked, self.real.get(booking.id, asked))
        lengths = [run.vm_end - run.vm_start for run in booking.runs]
        if booking.id not in self.killed and booking.id not in self.changed:
            assert sum(lengths) == real, (booking.id, "work is not conserved", lengths)
        else:
            assert sum(lengths) >= real or booking.id in self.changed
        if booking.id in self.changed:
            return
        if booking.kind is LeaseKind.RESERVATION:
            (run,) = booking.runs
            assert run.vm_start == booking.start
        if booking.kind is LeaseKind.DEADLINE:
            assert booking.deadline is not None
            assert booking.runs[-1].vm_end <= booking.deadline
        if booking.start is not None:
            assert all(run.vm_start >= booking.start for run in booking.runs)

    # --- text -------------------------------------------------------------------------------------

    def schedule(self) -> str:
        """Everything that was done, as text: equal texts are equal schedules."""
        lines = [
            f"{step.at} {step.kind.value} {step.run.booking.id} {step.run.hosts}"
            for step in self.steps
        ]
        for lease_id, booking in self.calendar.bookings.items():
            lines.append(f"{lease_id} {booking.status.name} {booking.reason}")
            lines += [f"  {run_text(run)}" for run in booking.runs]
        return "\n".join(lines)


def run_text(run: RunPlan) -> str:
    times = f"{run.start} {run.vm_start} {run.vm_end} {run.end}"
    return f"{times} {run.ending.name} {run.hosts} {run.stage.name}"


def audit_runs(booking: Booking) -> None:
    """The runs of a lease follow one another, and each has room for its operations."""
    before = None
    for run in booking.runs:
        assert run.start <= run.start + run.migration_s <= run.vm_start, run_text(run)
        assert run.vm_start <= run.vm_end <= run.end, run_text(run)
        assert len(run.hosts) == booking.node_count
        assert before is None or before <= run.start
        before = run.end
        for _, start, end in run.operations():
            assert run.start <= start < end <= run.end
        if run.ending is Ending.SUSPEND and run.stage is Stage.PLANNED:
            assert run.vm_end > run.vm_start


def _amounts(capacity: Capacity, other: tuple[tuple[str, int], ...]) -> dict[str, int]:
    amounts = {
        "cpu": capacity.cpu_pct,
        "memory": capacity.memory_mib,
        "disk": capacity.disk_mib,
    }
    return amounts | dict(other)


def runs_of(booking: Booking) -> list[tuple[int, int]]:
    """When its VMs ran, or are planned to run."""
    return [(run.vm_start, run.vm_end) for run in booking.runs]
