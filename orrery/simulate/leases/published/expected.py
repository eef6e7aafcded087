"""What is to come of Haizea's small test traces: what its own tests demand, what the traces say of
themselves, and what its known defects would spoil.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.model.lease import LeaseStatus
from orrery.sched.leases.booking import Booking
from orrery.sched.leases.settings import Preparation, Settings, Suspension, TransferSettings
from orrery.simulate.leases.history import work_of
from orrery.simulate.leases.published.configurations import BASE, TRANSFERS
from orrery.simulate.leases.run import Result

WITH = BASE
WITHOUT = replace(BASE, suspension=Suspension.NONE)
INSTANT = replace(BASE, fixed_suspend_s=0, fixed_resume_s=0)
"""The prototype's comments count no time for suspending and resuming."""


def transferring(transfer: TransferSettings) -> Settings:
    return replace(BASE, preparation=Preparation.TRANSFER, transfer=transfer)


SENDING = transferring(BASE.transfer)
CACHING = transferring(dict(TRANSFERS)["caches"])


class Expectation(Struct, frozen=True):
    """One thing that is to hold under some settings."""

    text: str
    settings: Settings
    holds: Callable[[Result], bool]
    defect: str | None = None
    """Haizea itself does otherwise, by this known defect."""


def expectations(name: str) -> Iterator[Expectation]:
    """Of a trace, by the name of its file and of what is put into it."""
    stem = name.rpartition("/")[2]
    yield from DEADLINES.get(stem, ())
    yield from OTHERS.get(stem, ())


# --- what can be expected -------------------------------------------------------------------------


def ends(done: tuple[int, ...], refused: tuple[int, ...] = ()) -> Callable[[Result], bool]:
    """Which leases are complete, which are refused."""

    def holds(result: Result) -> bool:
        status = {lease: booking.status for lease, booking in result.bookings.items()}
        return all(status[lease] is LeaseStatus.DONE for lease in done) and all(
            status[lease] is LeaseStatus.REJECTED for lease in refused
        )

    return holds


def starts(lease: int, at: int) -> Callable[[Result], bool]:
    return lambda result: result.bookings[lease].first_start == at


def ended(lease: int, at: int) -> Callable[[Result], bool]:
    return lambda result: result.bookings[lease].ended == at


def gives_way(lease: int, at: int) -> Callable[[Result], bool]:
    """It is suspended, and wholly so when the other begins."""

    def holds(result: Result) -> bool:
        booking = result.bookings[lease]
        first = booking.runs[0]
        return booking.suspensions == 1 and first.end == at > first.vm_end

    return holds


def follows(lease: int, before: int) -> Callable[[Result], bool]:
    """It starts the moment the other ends."""
    return lambda result: result.bookings[lease].first_start == result.bookings[before].ended


def on_hosts_of(lease: int, other: int) -> Callable[[Result], bool]:
    def holds(result: Result) -> bool:
        return set(_hosts(result.bookings[lease])) <= set(_hosts(result.bookings[other]))

    return holds


def _hosts(booking: Booking) -> tuple[int, ...]:
    return booking.runs[0].hosts


def transfers(count: int) -> Callable[[Result], bool]:
    """So many images are sent in all."""

    def holds(result: Result) -> bool:
        sent = {
            (start, end, booking.terms.image)
            for booking in result.bookings.values()
            for start, end, _ in booking.transfers
            if start < end
        }
        return len(sent) == count

    return holds


def migrates(result: Result) -> bool:
    return any(work_of(booking).migrations for booking in result.bookings.values())


def one_after_another(result: Result) -> bool:
    """Each starts when the one before it ends."""
    in_order = sorted(result.bookings.values(), key=lambda b: (b.first_start or 0, b.id))
    return all(later.first_start == earlier.ended for earlier, later in pairwise(in_order))


# --- deadline leases ------------------------------------------------------------------------------


def outcome(
    done: tuple[int, ...],
    refused: tuple[int, ...] = (),
    ways: tuple[Settings, ...] = (WITH, WITHOUT),
    defect: str | None = None,
) -> tuple[Expectation, ...]:
    text = f"{listed(done)} complete" + (f", {listed(refused)} refused" if refused else "")
    return tuple(
        Expectation(f"{text} (suspension {way.suspension.value})", way, ends(done, refused), defect)
        for way in ways
    )


def listed(leases: tuple[int, ...]) -> str:
    return " ".join(map(str, leases))


STALE = "16: Haizea's test demands the other way round and fails in Haizea too"
DEADLINES: dict[str, tuple[Expectation, ...]] = {
    **{f"deadline{n}.lwf": outcome((1, 2)) for n in (1, 2, 3)},
    "deadline4.lwf": outcome((1,), (2,)),
    "deadline5.lwf": (
        *outcome((1, 2), ways=(WITH,)),
        *outcome((1,), (2,), ways=(WITHOUT,), defect=STALE),
    ),
    **{f"deadline{n}.lwf": outcome((1, 2, 3)) for n in (6, 7, 9)},
    "deadline8.lwf": outcome((1, 3), (2,), defect=STALE),
    **{f"deadline10-{n}.lwf": outcome((1, 2, 3)) for n in range(1, 13)},
    **{f"deadline11-{n}.lwf": outcome((1, 2, 3)) for n in (1, 2)},
    "deadline12.lwf": outcome(tuple(range(1, 9)), ways=(WITHOUT,)),
    "deadline13.lwf": outcome((1, 2, 3), ways=(WITHOUT,)),
    "deadline14.lwf": outcome((1, 2, 3), ways=(WITHOUT,)),
    "deadline15.lwf": outcome((1, 2, 3), (4,), ways=(WITHOUT,)),
    "deadline16.lwf": outcome((1, 2, 3, 4, 5, 6), ways=(WITHOUT,)),
}

# --- all others -----------------------------------------------------------------------------------


def both(*checks: Callable[[Result], bool]) -> Callable[[Result], bool]:
    return lambda result: all(check(result) for check in checks)


PREEMPTED = Expectation(
    "1 is suspended before 2 starts at 1800, both complete",
    WITH,
    both(gives_way(1, 1800), ends((1, 2))),
)
NOT_STOPPED_EARLY = Expectation(
    "without suspension 1 runs until 2 needs its host",
    WITHOUT,
    lambda result: result.bookings[1].runs[0].vm_end in (1770, 1800),
    "14: Haizea drops it when 2 is asked for, 900 s sooner",
)
OTHERS: dict[str, tuple[Expectation, ...]] = {
    "preemption.lwf": (PREEMPTED, NOT_STOPPED_EARLY),
    "preemption_prematureend.lwf": (PREEMPTED, NOT_STOPPED_EARLY),
    "preemption_prematureend2.lwf": (PREEMPTED, NOT_STOPPED_EARLY),
    "prematureend_in_start.lwf": (PREEMPTED, NOT_STOPPED_EARLY),
    "reservation.lwf": (Expectation("2 starts when 1 ends", WITH, starts(2, 3600)),),
    "reservation_prematureend.lwf": (
        Expectation("2 starts when 1 ends early", WITH, starts(2, 1800)),
        Expectation(
            "with transfers 2 starts when 1 ends early, its image is there already",
            SENDING,
            both(starts(2, 1882), follows(2, 1)),
            "10: Haizea sends the image again, 2 starts at 1964",
        ),
    ),
    "migrate.lwf": (
        Expectation("3 goes on on other hosts", WITH, both(migrates, ends((1, 2, 3)))),
    ),
    "wait.lwf": (Expectation("one after another", WITH, one_after_another),),
    "reuse1.lwf": (
        Expectation("one transfer is enough", CACHING, both(transfers(1), ends((1, 2)))),
    ),
    "reuse2.lwf": (
        Expectation("3 runs where its image is", CACHING, both(on_hosts_of(3, 2), transfers(2))),
        Expectation(
            "both reservations are accepted with transfers",
            SENDING,
            ends((1, 2, 3)),
            "5: Haizea refuses the second, the gap before the first transfer is not used",
        ),
    ),
    "piggybacking.lwf": (Expectation("all complete", SENDING, ends((1, 2))),),
    "price1.lwf": (Expectation("1 complete", WITH, ends((1,))),),
    "inj2.lwf + withprematureend.lwf": (
        Expectation("runs to its end", WITH, lambda result: result.end > 0, "3: Haizea stops"),
    ),
    "test_earlyend3.trace": (Expectation("ends at 3600 as it says", INSTANT, ended(2, 3600)),),
    "test_earlyend4.trace": (Expectation("ends at 3600 as it says", INSTANT, ended(3, 3600)),),
    "test_earlyend5.trace": (Expectation("ends at 6300 as it says", INSTANT, ended(3, 6300)),),
}
