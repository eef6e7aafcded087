"""How much disk leases use on hosts: images of their VMs, and the memory of suspended VMs.

An image lies on a host from the time at which the host is held for its VM to the end of the lease,
while it is suspended too; memory from the beginning of its suspension to the end of its resumption.
Images that are kept for later leases only are not counted.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest

from orrery.sched.leases.booking import Booking, Ending, RunPlan
from orrery.simulate.leases.history import in_order, runs_of
from orrery.simulate.leases.run import Result
from orrery.simulate.leases.series import Series, of_spans

Stay = tuple[int, int, RunPlan, bool]
"""(from, to, the run on whose hosts, whether it is memory)"""


def stays_of(booking: Booking) -> Iterator[Stay]:
    """Where images and memory lay."""
    runs = runs_of(booking)
    for run, following in zip_longest(runs, runs[1:]):
        suspends = run.ending is Ending.SUSPEND
        leaves = run.end
        if suspends:
            leaves = following.start + following.migration_s if following else booking.ended or 0
            yield run.vm_end, max(run.vm_end, leaves), run, True
        if run.resumes and run.vm_start > run.start + run.migration_s:
            yield run.start + run.migration_s, run.vm_start, run, True
        if booking.terms.image_mib:
            yield run.start + run.migration_s, max(run.end, leaves), run, False


def disk_of_site(result: Result) -> Series:
    """MiB on all hosts together."""
    return of_spans(
        (start, end, float(sum(sizes_of(booking, is_memory=is_memory))))
        for booking in in_order(result)
        for start, end, _, is_memory in stays_of(booking)
    )


def sizes_of(booking: Booking, *, is_memory: bool) -> Sequence[int]:
    """MiB of each node."""
    return booking.memory_of if is_memory else (booking.terms.image_mib,) * booking.node_count


def disk_of_fullest_host(result: Result) -> Series:
    """MiB on whichever host has most at the time."""
    times: list[int] = []
    values: list[float] = []
    used: defaultdict[int, int] = defaultdict(int)
    most: list[tuple[int, int]] = []
    for time, group in groupby(sorted(changes_of(result)), key=lambda change: change[0]):
        for _, host, amount in group:
            used[host] += amount
            heapq.heappush(most, (-used[host], host))
        while most and -most[0][0] != used[most[0][1]]:
            heapq.heappop(most)
        value = float(-most[0][0]) if most else 0.0
        if not values or values[-1] != value:
            times.append(time)
            values.append(value)
    return Series(tuple(times), tuple(values))


def changes_of(result: Result) -> Iterator[tuple[int, int, int]]:
    """(when, on which host, by how many MiB)"""
    for booking in in_order(result):
        for start, end, run, is_memory in stays_of(booking):
            for host, size in zip(run.hosts, sizes_of(booking, is_memory=is_memory), strict=True):
                yield start, host, size
                yield end, host, -size
