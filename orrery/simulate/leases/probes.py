"""Haizea's probes by their names: counters over time, values of each lease and of the whole run.

A probe of a user is named by its dotted path (`package.module:name`) or by an entry point of the
group `orrery.probes`. It is a function that takes the Result and gives a Reading; or a class, made
without arguments before the run, that watches it (`orrery.simulate.leases.run.Probe`) and has
`finish(result)` to give its Reading.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol, cast

from msgspec import Struct

from orrery.core.errors import InvalidInput
from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.sched.leases import market
from orrery.sched.leases.booking import Booking
from orrery.simulate.leases.disk import disk_of_fullest_host
from orrery.simulate.leases.history import (
    Use,
    in_order,
    site_cpu,
    state_name,
    work_of,
)
from orrery.simulate.leases.metrics import (
    REFUSED,
    Lease,
    asked_duration,
    deadline_slowdown,
)
from orrery.simulate.leases.run import Probe, Result
from orrery.simulate.leases.series import Series, cpu_by_use, queue_length

GROUP = "orrery.probes"
Plain = int | float | str | None


class Counter(Struct, frozen=True):
    """A number over time. `leases` names the lease behind each change, where there is one."""

    series: Series
    leases: tuple[int | None, ...] = ()
    weighted: bool = False
    """Its average over time means something."""


class Reading(Struct, frozen=True, kw_only=True):
    """What a probe has found."""

    counters: Mapping[str, Counter] = {}
    per_lease: Mapping[str, Mapping[int, Plain]] = {}
    per_run: Mapping[str, Plain] = {}


After = Callable[[Result], Reading]


class Watching(Probe, Protocol):
    """A probe that sees the run."""

    def finish(self, result: Result) -> Reading:
        """What it has seen."""
        ...


# --- Haizea's -------------------------------------------------------------------------------------

Event = tuple[int, int, float]
"""(when, which lease, by how much)"""


def counted(events: Iterable[Event]) -> Counter:
    """The running sum; of several changes at one time the last one stands."""
    times: list[int] = []
    values: list[float] = []
    leases: list[int | None] = []
    total = 0.0
    for when, lease, amount in sorted(events, key=lambda event: event[0]):
        total += amount
        if times and times[-1] == when:
            times.pop(), values.pop(), leases.pop()
        times.append(when)
        values.append(total)
        leases.append(lease)
    return Counter(Series(tuple(times), tuple(values)), tuple(leases))


def counters_and_totals(events: Mapping[str, Sequence[Event]]) -> Reading:
    return Reading(
        counters={name: counted(found) for name, found in events.items()},
        per_run={
            f"Total {name[0].lower()}{name[1:]}": len(found) for name, found in events.items()
        },
    )


def bookings(result: Result, *kinds: LeaseKind) -> list[Booking]:
    return [booking for booking in in_order(result) if not kinds or booking.kind in kinds]


def admitted(result: Result, kind: LeaseKind, name: str) -> Reading:
    """Accepted are those that were really planned: Haizea also counts those that were let in and
    then found no room."""
    asked: dict[bool, list[Event]] = {True: [], False: []}
    for booking in bookings(result, kind):
        asked[booking.status not in REFUSED].append((booking.submitted, booking.id, 1))
    return counters_and_totals({f"Accepted {name}": asked[True], f"Rejected {name}": asked[False]})


def ar(result: Result) -> Reading:
    """Reservations that were accepted and rejected."""
    return admitted(result, LeaseKind.RESERVATION, "AR")


def immediate(result: Result) -> Reading:
    """Immediate leases that were accepted and rejected."""
    return admitted(result, LeaseKind.IMMEDIATE, "Immediate")


def best_effort(result: Result) -> Reading:
    """Completed best-effort leases, the queue, waiting times and slowdowns."""
    leases = [Lease(one, work_of(one)) for one in bookings(result, LeaseKind.BEST_EFFORT)]
    done = [(one.booking.ended, one.booking.id, 1) for one in leases if one.done]
    events = [(when, lease, 1.0) for when, lease, _ in done if when is not None]
    return Reading(
        counters={
            "Best-effort completed": counted(events),
            "Queue size": Counter(queue_length(result), weighted=True),
        },
        per_lease={
            "Waiting time": {one.booking.id: one.wait_s for one in leases},
            "Slowdown": {one.booking.id: one.slowdown for one in leases},
        },
        per_run={
            "Total best-effort completed": len(events),
            "all-best-effort": max((when for when, _, _ in events), default=0),
        },
    )


def cpu_utilization(result: Result) -> Reading:
    """The share of the site's CPU that VMs have: not what suspending and resuming hold."""
    series, whole = cpu_by_use(result)[Use.VM], site_cpu(result)
    share = Series(series.times, tuple(value / whole for value in series.values))
    return Reading(counters={"CPU utilization": Counter(share, weighted=True)})


def disk_usage(result: Result) -> Reading:
    """The largest usage of any host, in MiB."""
    return Reading(counters={"Disk usage": Counter(disk_of_fullest_host(result))})


def lease(result: Result) -> Reading:
    """All leases: requested, completed, rejected by the scheduler or for their price."""
    by_user = LeaseStatus.REJECTED_BY_USER
    every = bookings(result)
    done = [b for b in every if b.status is LeaseStatus.DONE and b.ended is not None]
    return counters_and_totals(
        {
            "Requested": [(b.submitted, b.id, 1) for b in every],
            "Completed": [(b.ended or 0, b.id, 1) for b in done],
            "Rejected": [(b.submitted, b.id, 1) for b in every if b.status is LeaseStatus.REJECTED],
            "Rejected by user": [(b.submitted, b.id, 1) for b in every if b.status is by_user],
        }
    )


def lease_extras(result: Result) -> Reading:
    """What was asked for and used, and every extra of the workload."""
    found: dict[str, dict[int, Plain]] = {}

    def note(name: str, lease_id: int, value: Plain) -> None:
        found.setdefault(name, {})[lease_id] = value

    for arrival in result.workload.arrivals:
        booking = result.bookings[arrival.lease_id]
        start, deadline = booking.start, booking.deadline
        late = None if start is None or deadline is None else deadline - start
        note("State", booking.id, state_name(booking.status))
        note("Number of nodes", booking.id, booking.node_count)
        note("Requested duration", booking.id, asked_duration(booking, arrival.extras))
        note("Actual duration", booking.id, work_of(booking).done_s)
        note("Start", booking.id, None if start is None else start - booking.submitted)
        note("Deadline", booking.id, late)
        for name, text in arrival.extras:
            note(name, booking.id, text)
    return Reading(per_lease=found)


def deadline(result: Result) -> Reading:
    """Slowdowns of deadline leases."""
    found: dict[int, Plain] = {}
    for arrival in result.workload.arrivals:
        booking = result.bookings[arrival.lease_id]
        if booking.kind is LeaseKind.DEADLINE:
            asked = asked_duration(booking, arrival.extras)
            found[booking.id] = deadline_slowdown(booking, asked)
    return Reading(per_lease={"Slowdown": found})


def price(result: Result) -> Reading:
    """What was earned, and what could have been: the user's rate tells what a lease was worth."""
    events: dict[str, list[Event]] = {name: [] for name in PRICES}
    for booking in bookings(result):
        for name, amount in amounts_of(booking):
            events[name].append((booking.submitted, booking.id, amount))
    totals: dict[str, Plain] = {name: sum(e[2] for e in found) for name, found in events.items()}
    missed = [e[2] for name, found in events.items() if name in MISSED for e in found]
    return Reading(
        counters={name: counted(found) for name, found in events.items()},
        per_lease={"Price": {b.id: b.price for b in bookings(result)}},
        per_run={**totals, "Missed revenue (total)": sum(missed)},
    )


MISSED = (
    "Missed revenue (undercharging)",
    "Missed revenue (reject)",
    "Missed revenue (reject by user)",
)
PRICES = ("Revenue", "Surcharge", *MISSED)


def amounts_of(booking: Booking) -> list[tuple[str, float]]:
    """What one lease adds to each sum."""
    worth = market.worth(booking)
    if booking.status is LeaseStatus.REJECTED:
        return [("Missed revenue (reject)", worth)]
    if booking.status is LeaseStatus.REJECTED_BY_USER:
        return [("Missed revenue (reject by user)", worth)]
    charged = booking.price or 0.0
    return [
        ("Revenue", charged),
        ("Surcharge", booking.surcharge),
        ("Missed revenue (undercharging)", max(0.0, worth - charged)),
    ]


PROBES: dict[str, After] = {
    "ar": ar,
    "immediate": immediate,
    "best-effort": best_effort,
    "cpu-utilization": cpu_utilization,
    "disk-usage": disk_usage,
    "lease": lease,
    "lease-extras": lease_extras,
    "deadline": deadline,
    "price": price,
}


# --- choosing -------------------------------------------------------------------------------------


class Chosen:
    """Probes of one run."""

    def __init__(self, names: Iterable[str]) -> None:
        self._after: dict[str, After] = {}
        self._watching: dict[str, Watching] = {}
        for name in names:
            found = find_probe(name)
            if isinstance(found, type):
                self._watching[name] = cast(Watching, found())
            else:
                self._after[name] = cast(After, found)

    @property
    def watching(self) -> tuple[Probe, ...]:
        """Those that want to see the run."""
        return tuple(self._watching.values())

    def readings(self, result: Result) -> dict[str, Reading]:
        found = {name: probe(result) for name, probe in self._after.items()}
        found |= {name: probe.finish(result) for name, probe in self._watching.items()}
        return found


def find_probe(name: str) -> object:
    """One of ours, or a user's.

    Raises:
        InvalidInput: there is none of that name, or it cannot be imported.
    """
    if name in PROBES:
        return PROBES[name]
    for entry in entry_points(group=GROUP, name=name):
        return entry.load()
    module, _, attribute = name.partition(":")
    if attribute:
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise InvalidInput("probes", name, f"cannot be loaded: {error}") from error
    known = ", ".join((*PROBES, *(entry.name for entry in entry_points(group=GROUP))))
    raise InvalidInput("probes", name, f"is not known: use {known}, or package.module:name")
