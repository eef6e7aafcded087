"""What must hold of every simulated schedule, whatever the workload and the settings.

Checked on the finished result alone; it knows nothing of how the schedule was planned.
"""

from collections import defaultdict
from collections.abc import Iterator

from orrery.core.model.lease import LeaseKind, LeaseStatus, NodeSet
from orrery.sched.leases.booking import Booking, Ending, RunPlan
from orrery.sched.leases.durations import resume_s, suspend_s
from orrery.sched.leases.settings import Migration, Preparation, Settings, Suspension
from orrery.simulate.leases.run import Result

MOST_TOLD = 5
"""Violations that are told of one result."""

Amounts = tuple[int, ...]
Change = tuple[int, Amounts]


def violations(result: Result) -> list[str]:
    """What does not hold, each with the lease and the time; empty for a sound schedule."""
    real = {a.lease_id: a.real_duration for a in result.workload.arrivals}
    found: list[str] = []
    if real.keys() != result.bookings.keys():
        found.append(f"{len(real)} leases arrived, {len(result.bookings)} are known")
    for booking in result.bookings.values():
        needed = real.get(booking.id) or booking.duration
        work = min(needed, booking.duration)
        told = (*_of_lease(booking, work), *_of_runs(booking, result.settings))
        found += (f"lease {booking.id}: {text}" for text in told)
    found += _of_capacity(result)
    found += _of_transfers(result)
    return found[:MOST_TOLD]


# --- each lease -----------------------------------------------------------------------------------


def _of_lease(booking: Booking, work: int) -> Iterator[str]:
    """Its end, and what its kind promises."""
    if booking.status is LeaseStatus.REJECTED:
        if booking.runs:
            yield "was rejected, and ran"
        if booking.kind is LeaseKind.BEST_EFFORT:
            yield f"is best effort and was rejected: {booking.reason}"
        return
    if booking.status is not LeaseStatus.DONE:
        yield f"is {booking.status.name} at the end: {booking.reason}"
        return
    if not booking.runs:
        yield "is done without a run"
        return
    served = sum(run.vm_end - run.vm_start for run in _counting(booking))
    if served != work:
        yield f"ran {served} s of the {work} s that its work takes"
    yield from _of_kind(booking, work)


def _counting(booking: Booking) -> list[RunPlan]:
    """The runs since its work was last lost."""
    lost = [index for index, run in enumerate(booking.runs) if run.ending is Ending.KILL]
    return booking.runs[lost[-1] + 1 if lost else 0 :]


def _of_kind(booking: Booking, work: int) -> Iterator[str]:
    first, last = booking.runs[0], booking.runs[-1]
    if booking.kind in (LeaseKind.RESERVATION, LeaseKind.IMMEDIATE) and len(booking.runs) > 1:
        yield f"was interrupted at {first.vm_end}"
    if booking.kind is LeaseKind.RESERVATION and (
        first.vm_start != booking.start or first.vm_end != first.vm_start + work
    ):
        yield f"was promised {booking.start} for {work} s, ran {first.vm_start} to {first.vm_end}"
    if booking.deadline is not None and last.vm_end > booking.deadline:
        yield f"ended at {last.vm_end}, after its deadline {booking.deadline}"
    if booking.kind is LeaseKind.DEADLINE and first.vm_start < (booking.start or 0):
        yield f"started at {first.vm_start}, before {booking.start}"


def _of_runs(booking: Booking, settings: Settings) -> Iterator[str]:
    """Each run in itself, and one after the other."""
    before: RunPlan | None = None
    for run in booking.runs:
        if not run.start <= run.vm_start <= run.vm_end <= run.end:
            yield f"times of a run are out of order at {run.start}"
        if run.start < booking.submitted:
            yield f"ran at {run.start}, before it was asked for at {booking.submitted}"
        if run.ending is not Ending.COMPLETE:
            yield from _of_interruption(booking, run, settings)
        if before is not None and run.start < before.end:
            yield f"runs twice at {run.start}"
        suspended = before is not None and before.ending is Ending.SUSPEND
        if run.resumes != suspended:
            yield f"resumes at {run.start} without having been suspended, or the other way round"
        if before is not None and suspended:
            yield from _of_resumption(booking, before, run, settings)
        before = run


def _of_interruption(booking: Booking, run: RunPlan, settings: Settings) -> Iterator[str]:
    if not (booking.preemptible or booking.divisible):
        yield f"may not be preempted, and was at {run.vm_end}"
    if run.ending is not Ending.SUSPEND:
        return
    if settings.suspension is Suspension.NONE or (
        settings.suspension is Suspension.SERIAL_ONLY and booking.node_count > 1
    ):
        yield f"was suspended at {run.vm_end} against the settings"
    if run.end - run.vm_end < suspend_s(settings, booking.memory_of, run.hosts):
        yield f"has less time to be suspended at {run.vm_end} than that takes"


def _of_resumption(
    booking: Booking, before: RunPlan, run: RunPlan, settings: Settings
) -> Iterator[str]:
    if before.hosts != run.hosts and settings.migration is Migration.NO:
        yield f"resumed on other hosts at {run.start} against the settings"
    needed = run.migration_s + resume_s(settings, booking.memory_of, run.hosts)
    if run.vm_start - run.start < needed:
        yield f"has less time to be resumed at {run.start} than that takes"


# --- hosts and network ----------------------------------------------------------------------------


def _of_capacity(result: Result) -> Iterator[str]:
    """No host ever has more than it holds."""
    names = sorted({name for host in result.site.hosts for name, _ in host.other})
    changes: dict[int, list[Change]] = defaultdict(list)
    for booking in result.bookings.values():
        shapes = [_amounts(nodes, names) for nodes in booking.terms.capacities()]
        for run in booking.runs:
            for index, shape in zip(run.hosts, shapes, strict=True):
                changes[index].append((run.start, shape))
                changes[index].append((run.end, tuple(-amount for amount in shape)))
    for index, host in enumerate(result.site.hosts):
        whole = _amounts(NodeSet(count=1, capacity=host.capacity, other=host.other), names)
        at = _first_excess(changes[index], whole)
        if at is not None:
            yield f"host {host.name} holds more than it has at {at}"


def _amounts(nodes: NodeSet, names: list[str]) -> Amounts:
    other = dict(nodes.other)
    capacity = nodes.capacity
    fixed = (capacity.cpu_pct, capacity.memory_mib, capacity.disk_mib)
    return (*fixed, *(other.get(name, 0) for name in names))


def _first_excess(changes: list[Change], whole: Amounts) -> int | None:
    """The first time at which more is used than there is; what ends makes room first."""
    used = [0] * len(whole)
    for at, amounts in sorted(changes):
        for index, amount in enumerate(amounts):
            used[index] += amount
            if used[index] > whole[index]:
                return at
    return None


def _of_transfers(result: Result) -> Iterator[str]:
    """The repository never serves more than it can, and images are there before they are used."""
    sent: set[tuple[int, int, str]] = set()
    for booking in result.bookings.values():
        image = booking.terms.image or ""
        sent |= {(start, end, image) for start, end, _ in booking.transfers if start < end}
        if _is_sent_afresh(result.settings) and image and booking.runs:
            first = booking.runs[0]
            there = {h for _, end, hosts in booking.transfers if end <= first.start for h in hosts}
            if not there.issuperset(first.hosts):
                yield f"lease {booking.id}: runs at {first.start} on hosts without its image"
    changes = sorted(change for start, end, _ in sent for change in ((start, 1), (end, -1)))
    busy = 0
    for at, change in changes:
        busy += change
        if busy > result.settings.transfer.channels:
            yield f"the repository serves {busy} transfers at {at}"
            return


def _is_sent_afresh(settings: Settings) -> bool:
    """No host keeps images, so that each lease needs a transfer to all of its hosts."""
    return settings.preparation is Preparation.TRANSFER and settings.transfer.cache_mib == 0
