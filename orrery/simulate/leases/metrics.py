"""Every metric of a finished simulation, computed from the runs of its leases. Knows no format.

What each means, exactly, is in docs/reference/simulation-metrics.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import ceil

from msgspec import Struct

from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.sched.leases.booking import Booking
from orrery.simulate.leases.disk import disk_of_site
from orrery.simulate.leases.history import (
    Use,
    Work,
    cpu_of,
    in_order,
    runs_of,
    site_cpu,
    spans_of,
    state_name,
    work_of,
)
from orrery.simulate.leases.run import Result
from orrery.simulate.leases.series import queue_length

BOUND_S = 10
"""Shorter work counts as so long: nobody minds how often ten seconds fit into a wait."""
HOUR_S = 3600
REFUSED = frozenset({LeaseStatus.REJECTED, LeaseStatus.REJECTED_BY_USER})


class Distribution(Struct, frozen=True, kw_only=True):
    """All None when there is nothing."""

    mean: float | None = None
    median: float | None = None
    p95: float | None = None
    largest: float | None = None


class Admission(Struct, frozen=True, kw_only=True):
    """What became of the leases of one kind."""

    requested: int = 0
    accepted: int = 0
    """Really planned: a lease that was let in and then found no room is rejected."""
    rejected: int = 0
    done: int = 0


class UserUsage(Struct, frozen=True, kw_only=True):
    """What one user had."""

    leases: int
    done: int
    rejected: int
    node_seconds: int
    """Time of VMs, that which was lost too."""
    cpu_hours: float
    mean_wait_s: float | None


class Metrics(Struct, frozen=True, kw_only=True):
    """In the order in which they are shown. Shares are of 1, times are seconds."""

    leases: int
    states: dict[str, dict[str, int]]
    """Leases by kind and final state."""
    ar_requested: int
    ar_accepted: int
    ar_rejected: int
    immediate_requested: int
    immediate_accepted: int
    immediate_rejected: int
    deadline_requested: int
    deadline_accepted: int
    deadline_rejected: int
    deadline_met: int
    best_effort_requested: int
    best_effort_done: int
    mean_wait_s: float | None
    median_wait_s: float | None
    p95_wait_s: float | None
    max_wait_s: float | None
    mean_bounded_slowdown: float | None
    median_bounded_slowdown: float | None
    p95_bounded_slowdown: float | None
    mean_deadline_slowdown: float | None
    all_best_effort_s: int
    makespan_s: int
    utilization: float
    utilization_split: dict[str, float]
    suspensions: int
    suspended_leases: int
    migrations: int
    kills: int
    lost_node_seconds: int
    mean_queue_length: float
    max_queue_length: int
    mean_disk_mib: float
    max_disk_mib: int
    revenue: float | None
    users: dict[str, UserUsage]
    events: int


class Lease(Struct, frozen=True):
    """A booking with what it came to."""

    booking: Booking
    work: Work

    @property
    def wait_s(self) -> int | None:
        first = self.work.first_start
        return None if first is None else first - self.booking.submitted

    @property
    def slowdown(self) -> float | None:
        """(end - request) / work done, of completed leases."""
        if not self.done or self.booking.ended is None:
            return None
        return (self.booking.ended - self.booking.submitted) / max(self.work.done_s, BOUND_S)

    @property
    def done(self) -> bool:
        return self.booking.status is LeaseStatus.DONE


def deadline_slowdown(booking: Booking, asked_s: int) -> float | None:
    """(end - requested start) / duration asked for, of completed deadline leases."""
    if booking.status is not LeaseStatus.DONE or booking.start is None or booking.ended is None:
        return None
    return (booking.ended - booking.start) / max(asked_s, BOUND_S)


def measure(result: Result, *, skip_share: float = 0.0) -> Metrics:
    """All metrics; the first `skip_share` of the completed best-effort leases count neither in
    waits nor in slowdowns, for a site begins empty."""
    leases = [Lease(booking, work_of(booking)) for booking in in_order(result)]
    admissions = admissions_of(leases)
    ars, now = admissions[LeaseKind.RESERVATION], admissions[LeaseKind.IMMEDIATE]
    by_deadline, best_effort = admissions[LeaseKind.DEADLINE], admissions[LeaseKind.BEST_EFFORT]
    settled = after_warm_up(leases, skip_share)
    waits = distribution([w for lease in settled if (w := lease.wait_s) is not None])
    slowdowns = distribution([s for lease in settled if (s := lease.slowdown) is not None])
    end = result.end
    split = utilization_split(result)
    queue, disk = queue_length(result), disk_of_site(result)
    return Metrics(
        leases=len(leases),
        states=states_of(leases),
        ar_requested=ars.requested,
        ar_accepted=ars.accepted,
        ar_rejected=ars.rejected,
        immediate_requested=now.requested,
        immediate_accepted=now.accepted,
        immediate_rejected=now.rejected,
        deadline_requested=by_deadline.requested,
        deadline_accepted=by_deadline.accepted,
        deadline_rejected=by_deadline.rejected,
        deadline_met=sum(map(is_in_time, leases)),
        best_effort_requested=best_effort.requested,
        best_effort_done=best_effort.done,
        mean_wait_s=waits.mean,
        median_wait_s=waits.median,
        p95_wait_s=waits.p95,
        max_wait_s=waits.largest,
        mean_bounded_slowdown=slowdowns.mean,
        median_bounded_slowdown=slowdowns.median,
        p95_bounded_slowdown=slowdowns.p95,
        mean_deadline_slowdown=distribution(list(deadline_slowdowns(result))).mean,
        all_best_effort_s=max((ended_at(lease) for lease in completed(leases)), default=0),
        makespan_s=end,
        utilization=split[Use.VM.value],
        utilization_split=split,
        suspensions=sum(lease.booking.suspensions for lease in leases),
        suspended_leases=sum(lease.booking.suspensions > 0 for lease in leases),
        migrations=sum(lease.work.migrations for lease in leases),
        kills=sum(lease.work.kills for lease in leases),
        lost_node_seconds=sum(lease.work.lost_s * lease.booking.node_count for lease in leases),
        mean_queue_length=queue.mean(end),
        max_queue_length=int(queue.peak),
        mean_disk_mib=disk.mean(end),
        max_disk_mib=int(disk.peak),
        revenue=revenue_of(leases),
        users=users_of(leases),
        events=result.events,
    )


def admissions_of(leases: Iterable[Lease]) -> dict[LeaseKind, Admission]:
    counts: dict[LeaseKind, list[int]] = {kind: [0, 0, 0] for kind in LeaseKind}
    for lease in leases:
        count = counts[lease.booking.kind]
        count[0] += 1
        count[1] += lease.booking.status in REFUSED
        count[2] += lease.done
    return {
        kind: Admission(requested=all_, accepted=all_ - refused, rejected=refused, done=done)
        for kind, (all_, refused, done) in counts.items()
    }


def states_of(leases: Iterable[Lease]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for lease in leases:
        states = found.setdefault(lease.booking.kind.value, {})
        state = state_name(lease.booking.status)
        states[state] = states.get(state, 0) + 1
    return {kind: dict(sorted(found[kind].items())) for kind in sorted(found)}


def completed(leases: Iterable[Lease]) -> list[Lease]:
    """Best-effort leases that are done."""
    kind = LeaseKind.BEST_EFFORT
    return [lease for lease in leases if lease.done and lease.booking.kind is kind]


def ended_at(lease: Lease) -> int:
    assert lease.booking.ended is not None, "it is done"
    return lease.booking.ended


def after_warm_up(leases: Iterable[Lease], share: float) -> list[Lease]:
    """Completed best-effort leases in order of their end, without the first ones."""
    done = sorted(completed(leases), key=lambda lease: (ended_at(lease), lease.booking.id))
    return done[int(len(done) * share) :]


def is_in_time(lease: Lease) -> bool:
    deadline = lease.booking.deadline
    return lease.done and deadline is not None and ended_at(lease) <= deadline


def deadline_slowdowns(result: Result) -> Iterable[float]:
    for arrival in result.workload.arrivals:
        booking = result.bookings[arrival.lease_id]
        if booking.kind is LeaseKind.DEADLINE:
            slowdown = deadline_slowdown(booking, asked_duration(booking, arrival.extras))
            if slowdown is not None:
                yield slowdown


ASKED_DURATION = "asked_duration"
"""The extra that keeps what was asked for where a simulation adds overhead to durations."""


def asked_duration(booking: Booking, extras: Sequence[tuple[str, str]]) -> int:
    """Without the overhead that a simulation adds."""
    return next((int(value) for name, value in extras if name == ASKED_DURATION), booking.duration)


def distribution(values: Sequence[float]) -> Distribution:
    """Quantiles are those values that so many are at most (nearest rank)."""
    if not values:
        return Distribution()
    ordered = sorted(values)
    return Distribution(
        mean=sum(ordered) / len(ordered),
        median=quantile(ordered, 0.5),
        p95=quantile(ordered, 0.95),
        largest=ordered[-1],
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def utilization_split(result: Result) -> dict[str, float]:
    """Shares of the CPU time of all hosts from the beginning to the last event."""
    used: dict[Use, int] = dict.fromkeys(Use, 0)
    for booking in result.bookings.values():
        cpu = cpu_of(booking)
        for run in runs_of(booking):
            for span in spans_of(run):
                used[span.use] += cpu * (span.end - span.start)
    whole = site_cpu(result) * result.end
    split = {use.value: used[use] / whole if whole else 0.0 for use in Use}
    return {**split, "idle": 1.0 - sum(split.values())}


def revenue_of(leases: Iterable[Lease]) -> float | None:
    """What accepted leases cost; None where nothing has a price."""
    accepted = [lease.booking.price for lease in leases if lease.booking.status not in REFUSED]
    prices = [price for price in accepted if price is not None]
    return sum(prices) if prices else None


def users_of(leases: Iterable[Lease]) -> dict[str, UserUsage]:
    by_user: defaultdict[int, list[Lease]] = defaultdict(list)
    for lease in leases:
        by_user[lease.booking.user].append(lease)
    return {str(user): usage_of(by_user[user]) for user in sorted(by_user)}


def usage_of(leases: Sequence[Lease]) -> UserUsage:
    ran = [(lease.work.done_s + lease.work.lost_s, lease.booking) for lease in leases]
    waits = [w for lease in completed(leases) if (w := lease.wait_s) is not None]
    return UserUsage(
        leases=len(leases),
        done=sum(lease.done for lease in leases),
        rejected=sum(lease.booking.status in REFUSED for lease in leases),
        node_seconds=sum(seconds * booking.node_count for seconds, booking in ran),
        cpu_hours=sum(seconds * cpu_of(booking) for seconds, booking in ran) / 100 / HOUR_S,
        mean_wait_s=distribution(waits).mean,
    )
