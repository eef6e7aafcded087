"""How long operations really take on each host, learned from those that were carried out.

Of each kind of operation a mean and a variance are kept, recent measurements weighing more: with
weight w, for a value x that is d away from the mean, the mean moves by w d and the variance becomes
(1 - w)(variance + w d^2) (Finch, "Incremental calculation of weighted mean and variance", 2009).
Plans use mean + 2 sigma, as "Resource Leasing and the Art of Suspending Virtual Machines" (HPCC
2009) does: of an operation planned so, few take longer.
"""

from collections.abc import Iterable
from math import ceil, floor, sqrt

from msgspec.structs import replace

from orrery.core.model.host import Measured
from orrery.sched.leases.durations import MIB_PER_MBIT
from orrery.sched.leases.settings import Settings

WEIGHT = 0.25
SIGMAS = 2.0

BOOT = "boot"
"""Seconds from the order to start a VM until it runs, its disks included; of several on one host,
each one's share."""
SUSPEND = "suspend"
RESUME = "resume"
"""Seconds per MiB of memory."""
TRANSFER = "transfer"
"""Seconds per MiB of an image that is brought to a host ahead of time."""
SHUTDOWN = "shutdown"
"""Seconds from the order to stop a VM until nothing of it is left."""

LEAST = 1e-6
"""Faster than any disk: what took no time at all is no rate."""


def observed(known: Iterable[Measured], kind: str, value: float) -> tuple[Measured, ...]:
    """What is known of a host with one more measurement; kinds in alphabetical order."""
    by_kind = {one.kind: one for one in known}
    by_kind[kind] = renewed(by_kind.get(kind), kind, max(value, LEAST))
    return tuple(by_kind[name] for name in sorted(by_kind))


def renewed(known: Measured | None, kind: str, value: float) -> Measured:
    if known is None:
        return Measured(kind=kind, mean=value, variance=0.0, count=1)
    step = WEIGHT * (value - known.mean)
    return Measured(
        kind=kind,
        mean=known.mean + step,
        variance=(1 - WEIGHT) * (known.variance + step * (value - known.mean)),
        count=known.count + 1,
    )


def cautious(measured: Measured) -> float:
    """What to plan with: longer than nearly all of those measured."""
    return measured.mean + SIGMAS * sqrt(measured.variance)


def learned(base: Settings, hosts: Iterable[Iterable[Measured]]) -> Settings:
    """The settings with what was measured in place of what was assumed.

    A plan has one rate for all hosts: that of the slowest, so that it holds wherever a lease runs.
    """
    slowest: dict[str, float] = {}
    for host in hosts:
        for one in host:
            slowest[one.kind] = max(slowest.get(one.kind, 0.0), cautious(one))
    transfer = base.transfer
    if TRANSFER in slowest:
        sent = rate_of(slowest[TRANSFER], 0.0)
        transfer = replace(transfer, bandwidth_mbit=sent / MIB_PER_MBIT)
    return replace(
        base,
        suspend_rate=rate_of(slowest.get(SUSPEND), base.suspend_rate),
        resume_rate=rate_of(slowest.get(RESUME), base.resume_rate),
        boot_s=seconds_of(slowest.get(BOOT), base.boot_s),
        boot_each_s=slowest.get(BOOT, base.boot_each_s),
        shutdown_s=seconds_of(slowest.get(SHUTDOWN), base.shutdown_s),
        transfer=transfer,
    )


def rate_of(seconds_per_mib: float | None, otherwise: float) -> float:
    """MiB a second, rounded down to two digits: a plan need not change with every measurement."""
    if seconds_per_mib is None:
        return otherwise
    rate = 1 / max(seconds_per_mib, LEAST)
    step = 10.0 ** (len(str(floor(rate))) - 2)
    return max(floor(rate / step) * step, 0.1)


def seconds_of(seconds: float | None, otherwise: int) -> int:
    return otherwise if seconds is None else ceil(seconds)
