"""Settings under which a published trace is run: all that matter to it, fewer if it is large."""

from collections.abc import Iterator
from itertools import product

from msgspec.structs import replace

from orrery.sched.leases.durations import MIB_PER_MBIT
from orrery.sched.leases.settings import (
    Backfilling,
    Exclusion,
    Migration,
    Preparation,
    Settings,
    Suspension,
    TransferSettings,
)
from orrery.simulate.leases.workload.model import Workload

SMALL = 250
"""Leases up to which a trace is run under every combination."""
MEDIUM = 20_000

HAIZEA_MIB_S = 12.5
"""What Haizea makes of its default of 100 Mbit/s."""

BASE = Settings(
    suspend_rate=32.0,
    resume_rate=32.0,
    migration_mbit=HAIZEA_MIB_S / MIB_PER_MBIT,
    transfer=TransferSettings(bandwidth_mbit=HAIZEA_MIB_S / MIB_PER_MBIT),
)
"""Those of Haizea's own tests, as far as they are known."""

Configuration = tuple[str, Settings]

TRANSFERS: tuple[tuple[str, TransferSettings], ...] = (
    ("multicast", BASE.transfer),
    ("unicast", replace(BASE.transfer, multicast=False, piggyback=False)),
    ("caches", replace(BASE.transfer, cache_mib=20 * 1024)),
)
SUSPENSIONS: tuple[tuple[Suspension, Migration], ...] = (
    (Suspension.NONE, Migration.NO),
    *product((Suspension.SERIAL_ONLY, Suspension.ALL), Migration),
)
ODD: tuple[Configuration, ...] = (
    ("global exclusion", replace(BASE, exclusion=Exclusion.GLOBAL)),
    ("boot and shutdown", replace(BASE, boot_s=20, shutdown_s=10, overhead_s=2)),
    ("fcfs, tightest", replace(BASE, backfill_order="fcfs", host_selection="tightest")),
    ("no preemption", replace(BASE, preemption="no-preemption")),
)
LARGE: tuple[Configuration, ...] = (
    ("default", BASE),
    ("no suspension", replace(BASE, suspension=Suspension.NONE)),
    ("conservative", replace(BASE, backfilling=Backfilling.CONSERVATIVE)),
    ("serial-only", replace(BASE, suspension=Suspension.SERIAL_ONLY)),
    ("no migration", replace(BASE, migration=Migration.NO)),
    *ODD,
)
FEW = 3
"""The first of them: for what there are dozens of."""


def configurations(workload: Workload, *, injected: bool = False) -> Iterator[Configuration]:
    """Those for one workload, alone or with one of the many sets of reservations."""
    count = len(workload.arrivals)
    if count > SMALL:
        chosen = LARGE[:FEW] if injected or count > MEDIUM else LARGE
    else:
        chosen = (*every_combination(), *ODD)
    yield from chosen
    if any(arrival.terms.image for arrival in workload.arrivals):
        yield from with_transfers(chosen)


def every_combination() -> tuple[Configuration, ...]:
    return tuple(
        (
            f"{suspension.value}, {backfilling.value}, migration {migration.value}",
            replace(
                BASE,
                suspension=suspension,
                migration=migration,
                backfilling=backfilling,
                backfilling_reservations=2,
            ),
        )
        for (suspension, migration), backfilling in product(SUSPENSIONS, Backfilling)
    )


def with_transfers(chosen: tuple[Configuration, ...]) -> Iterator[Configuration]:
    for (label, settings), (way, transfer) in product(chosen, TRANSFERS):
        managed = replace(settings, preparation=Preparation.TRANSFER, transfer=transfer)
        yield f"{label}, {way}", managed
