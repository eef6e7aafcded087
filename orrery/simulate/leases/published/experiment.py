"""The simulations of HPDC 2008 (Sotomayor, Keahey, Foster: "Combining Batch Execution and Leasing
Using Virtual Machines"): workloads, images and settings. Knows no published number and prints
nothing.
"""

from pathlib import Path
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.lease_lwf import Amounts
from orrery.core.model.lease import LeaseKind
from orrery.sched.leases.durations import MIB_PER_MBIT
from orrery.sched.leases.settings import (
    Estimates,
    Migration,
    Preparation,
    Settings,
    Suspension,
    TransferSettings,
)
from orrery.simulate.leases.metrics import Metrics, measure
from orrery.simulate.leases.run import simulate
from orrery.simulate.leases.workload.model import Arrival, Workload, merge
from orrery.simulate.leases.workload.reading import ReadOptions, read
from orrery.simulate.leases.workload.sites import site_of
from orrery.simulate.leases.workload.swf import SwfOptions

HOSTS = 144
MEMORY_MIB = 1024
SITE = site_of([(HOSTS, Amounts(Capacity(100, MEMORY_MIB)))])
SKIPPED = 0.05
"""Of the completions, the first so many count neither in waits nor in slowdowns."""

LOADS = (5, 10, 15, 20, 25, 30)
"""Percent of the CPU hours that go to reservations."""
LOADS_OF_TABLE = (10, 20, 30)
HOURS = (1, 2, 3, 4)
SIZES = ("1small", "2medium", "3large")
"""1 to 24, 25 to 48 and 49 to 72 nodes."""

NETWORK_MBIT = 10 / MIB_PER_MBIT
"""The paper's 10 MB/s."""
RUNS_LONGER = 1.05
IMAGE_MIB = 4096
CACHE_MIB = 20 * 1024
IMAGES = 37
POPULAR = 7
"""Of the skewed images: each is asked for ten times as often as one of the others."""
SEED = 2008

PLAIN = Settings(
    suspend_rate=50.0,
    resume_rate=50.0,
    migration_mbit=NETWORK_MBIT,
)
VIRTUAL = replace(PLAIN, boot_s=10, shutdown_s=10)
SENT = replace(
    VIRTUAL,
    preparation=Preparation.TRANSFER,
    transfer=TransferSettings(bandwidth_mbit=NETWORK_MBIT, multicast=True, cache_mib=0),
)
KEPT = replace(SENT, transfer=replace(SENT.transfer, cache_mib=CACHE_MIB))


class Setup(Struct, frozen=True, kw_only=True):
    """One of the six configurations of the paper."""

    name: str
    settings: Settings
    runs_longer: float = 1.0
    """What virtualisation makes of run times."""
    weights: tuple[int, ...] = ()
    """How often each image is asked for; none: leases name no images."""


UNIFORM = (1,) * IMAGES
SKEWED = (10,) * POPULAR + (1,) * (IMAGES - POPULAR)
SETUPS = (
    Setup(name="NOVM-NOSR", settings=replace(PLAIN, suspension=Suspension.NONE)),
    Setup(name="NOVM-SR", settings=PLAIN),
    Setup(name="VM-PREDEPLOY", settings=VIRTUAL, runs_longer=RUNS_LONGER),
    Setup(name="VM-MULT", settings=SENT, runs_longer=RUNS_LONGER, weights=UNIFORM),
    Setup(name="VM-REUSE-UNIFORM", settings=KEPT, runs_longer=RUNS_LONGER, weights=UNIFORM),
    Setup(name="VM-REUSE-SKEWED", settings=KEPT, runs_longer=RUNS_LONGER, weights=SKEWED),
)
BASELINE = SETUPS[0].name
"""Without reservations it is what completion times are compared with."""

VARIANTS: dict[str, dict[str, object]] = {
    "ours": {},
    "fcfs": {"backfill_order": "fcfs"},
    "haizea": {
        "backfill_order": "fcfs",
        "estimates": Estimates.SUMMED,
        "migration": Migration.NO_TRANSFER,
    },
}
"""Settings in which we differ from Haizea on purpose: as we do, with its order of backfilling, and
with its estimates too."""


class Injected(Struct, frozen=True):
    """One of the 72 sets of reservations."""

    load: int
    hours: int = 3
    size: str = SIZES[1]

    @property
    def file(self) -> str:
        return f"work_{self.load:02}-dur_{self.hours}h-size_{self.size}.lwf"


EVERY_SET = tuple(
    Injected(load, hours, size) for hours in HOURS for size in SIZES for load in LOADS
)


class Job(Struct, frozen=True):
    """One simulation."""

    variant: str
    setup: str
    injected: Injected | None = None


class Files(Struct, frozen=True):
    """Where the workloads are."""

    best_effort: Path
    injected: Path


def run_job(files: Files, job: Job) -> Metrics:
    """Simulate it."""
    setup = next(setup for setup in SETUPS if setup.name == job.setup)
    settings = replace(setup.settings, **VARIANTS[job.variant])
    result = simulate(workload_of(files, setup, job.injected), settings, SITE)
    return measure(result, skip_share=SKIPPED)


def workload_of(files: Files, setup: Setup, injected: Injected | None) -> Workload:
    options = ReadOptions(swf=SwfOptions(memory_mib=MEMORY_MIB, extras=False))
    workload = read(files.best_effort, options)
    if injected is not None:
        workload = merge(workload, read(files.injected / injected.file))
    return replace(workload, arrivals=with_costs(workload.arrivals, setup))


def with_costs(arrivals: tuple[Arrival, ...], setup: Setup) -> tuple[Arrival, ...]:
    """The run times that virtual machines lead to, and an image for each lease."""
    changed = [longer(arrival, setup.runs_longer) for arrival in arrivals]
    if not setup.weights:
        return tuple(changed)
    rng = Random(SEED)  # noqa: S311 - a simulation, no secret
    drawn = rng.choices(range(len(setup.weights)), setup.weights, k=len(changed))
    return tuple(
        replace(a, terms=replace(a.terms, image=f"image-{number}", image_mib=IMAGE_MIB))
        for a, number in zip(changed, drawn, strict=True)
    )


def longer(arrival: Arrival, factor: float) -> Arrival:
    """What is asked for and what is needed; a reservation stays as long as it is."""
    terms, real = arrival.terms, arrival.real_duration
    if factor == 1.0 or terms.kind is not LeaseKind.BEST_EFFORT:
        return arrival
    return replace(
        arrival,
        terms=replace(terms, duration=round(terms.duration * factor)),
        real_duration=None if real is None else round(real * factor),
    )
