"""One simulation with all that is wanted of it: metrics, probes, and what it cost to run."""

import gc
import resource
import time
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from orrery.core.errors import InvalidInput
from orrery.sched.leases.settings import Settings
from orrery.simulate.leases.knobs import shown_settings
from orrery.simulate.leases.metrics import Metrics, measure
from orrery.simulate.leases.probes import Chosen, Reading
from orrery.simulate.leases.run import Progress, Result, simulate
from orrery.simulate.leases.workload.model import Workload

KIB = 1024
Row = dict[str, object]


class Cost(Struct, frozen=True, kw_only=True):
    """What a simulation took."""

    cpu_s: float
    """CPU time of the simulation itself, without reading the workload and measuring the result."""
    peak_rss_mib: float
    """The most memory that the process had, workload and program included."""


class Outcome(Struct, frozen=True):
    """All of one simulation."""

    result: Result
    metrics: Metrics
    readings: dict[str, Reading]
    cost: Cost


def run_one(
    workload: Workload,
    settings: Settings,
    *,
    probes: Iterable[str] = (),
    skip_share: float = 0.0,
    progress: Progress | None = None,
) -> Outcome:
    """Simulate and measure.

    Raises:
        InvalidInput: no site is named, or no probe of a name is there.
    """
    if workload.site is None:
        remedy = "names no site: give --site, like --site '4 CPU:100,Memory:1024'"
        raise InvalidInput("workload", workload.name, remedy)
    chosen = Chosen(probes)
    gc.collect()
    gc.freeze()  # the workload stays: nothing in it has to be looked at again
    before = time.process_time()
    result = simulate(workload, settings, progress=progress, probes=chosen.watching)
    spent = time.process_time() - before
    gc.unfreeze()
    return Outcome(
        result,
        measure(result, skip_share=skip_share),
        chosen.readings(result),
        Cost(cpu_s=spent, peak_rss_mib=peak_rss_mib()),
    )


def peak_rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB


def row_of(outcome: Outcome) -> Row:
    """Everything as one object for programs: metrics first, then cost, settings and probes."""
    result, cost = outcome.result, outcome.cost
    row: Row = {"workload": result.workload.name, "attributes": result.workload.attributes}
    row |= msgspec.to_builtins(outcome.metrics)
    row["cpu_s"] = round(cost.cpu_s, 4)
    row["peak_rss_mib"] = round(cost.peak_rss_mib, 1)
    row["leases_per_cpu_s"] = round(len(result.bookings) / cost.cpu_s) if cost.cpu_s else None
    row["events_per_cpu_s"] = round(result.events / cost.cpu_s) if cost.cpu_s else None
    row["hosts"] = len(result.site.hosts)
    row["settings"] = shown_settings(result.settings)
    if outcome.readings:
        row["probes"] = {name: dict(one.per_run) for name, one in outcome.readings.items()}
    return row
