"""How long suspending, resuming and migrating a lease takes.

The model is that of "Resource Leasing and the Art of Suspending Virtual Machines" (HPCC 2009):
commands are given one after another (N e), and the memory of the VMs on one host goes through that
host's disk one after another; on a global file system all of it goes through one.
"""

from collections.abc import Sequence
from math import ceil

from orrery.sched.leases.settings import Exclusion, Migration, Settings

MIB_PER_MBIT = 1_000_000 / 8 / (1 << 20)


def suspend_s(settings: Settings, memory: Sequence[int], hosts: Sequence[int]) -> int:
    """Seconds to suspend VMs with this memory (MiB) on these hosts."""
    return _saved_s(settings, memory, hosts, settings.suspend_rate, settings.fixed_suspend_s)


def resume_s(settings: Settings, memory: Sequence[int], hosts: Sequence[int]) -> int:
    """Seconds to resume them."""
    return _saved_s(settings, memory, hosts, settings.resume_rate, settings.fixed_resume_s)


def _saved_s(
    settings: Settings,
    memory: Sequence[int],
    hosts: Sequence[int],
    rate: float,
    fixed: int | None,
) -> int:
    overhead = settings.overhead_s * len(memory)
    if settings.exclusion is Exclusion.LOCAL and len(set(hosts)) == len(hosts):
        longest = fixed if fixed is not None else ceil(max(memory) / rate)
        return overhead + longest
    each = [fixed if fixed is not None else ceil(size / rate) for size in memory]
    if settings.exclusion is Exclusion.GLOBAL:
        return overhead + sum(each)
    on_host: dict[int, int] = {}
    for host, seconds in zip(hosts, each, strict=True):
        on_host[host] = on_host.get(host, 0) + seconds
    return overhead + max(on_host.values())


def migration_s(
    settings: Settings,
    memory: Sequence[int],
    image_mib: int,
    before: Sequence[int],
    after: Sequence[int],
) -> int:
    """Seconds to bring the memory and the disks of suspended VMs from hosts to others.

    Every host sends and receives one at a time over its own link; the busiest link decides.
    """
    if settings.migration is Migration.NO_TRANSFER:
        return 0
    traffic: dict[int, int] = {}
    for size, origin, target in zip(memory, before, after, strict=True):
        if origin != target:
            traffic[origin] = traffic.get(origin, 0) + size + image_mib
            traffic[-1 - target] = traffic.get(-1 - target, 0) + size + image_mib
    if not traffic:
        return 0
    return ceil(max(traffic.values()) / (settings.migration_mbit * MIB_PER_MBIT))


def summed_migration_s(settings: Settings, memory: Sequence[int]) -> int:
    """Seconds to move the memory of all VMs one after another."""
    if settings.migration is Migration.NO:
        return 0
    return sum(ceil(size / (settings.migration_mbit * MIB_PER_MBIT)) for size in memory)
