"""Every published trace of a directory through the simulator: `make test-traces TRACES=DIR`.

One line a trace, a summary, and exit status 1 when an invariant of the schedules does not hold or
an outcome is not what it has to be. Run as a module; where the traces come from is in
docs/how-to/repeat-published-experiments.md.
"""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import click
from msgspec import Struct

from orrery.core.errors import Refused
from orrery.simulate.leases.published.configurations import configurations
from orrery.simulate.leases.published.expected import expectations
from orrery.simulate.leases.published.files import Trace, load, traces_in
from orrery.simulate.leases.published.invariants import violations
from orrery.simulate.leases.run import Result, simulate
from orrery.simulate.leases.workload.model import Workload

NAME_WIDTH = 66
MOST_SHOWN = 6
"""Violations that are shown of one trace."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a trace under all its configurations."""

    name: str
    leases: int = 0
    runs: int = 0
    """Configurations it was run under."""
    met: int = 0
    """Expectations that were met."""
    first: str = ""
    """What the first configuration came to."""
    differs: tuple[str, ...] = ()
    """Where Haizea itself comes to something else, and by which defect."""
    violations: tuple[str, ...] = ()


def try_trace(trace: Trace) -> Outcome:
    """Run one trace under all configurations that suit it."""
    try:
        workload = load(trace)
    except (Refused, OSError) as error:
        return Outcome(name=trace.name, violations=(f"cannot be read: {error}",))
    broken: list[str] = []
    first, runs = "no leases", 0
    for label, settings in configurations(workload, injected=trace.injected is not None):
        if not workload.arrivals:
            break
        runs += 1
        try:
            result = simulate(workload, settings)
        except Exception as error:  # whatever it is, it is what this program is to find
            broken.append(f"[{label}] stopped: {type(error).__name__}: {error}")
            continue
        broken += (f"[{label}] {text}" for text in violations(result))
        if runs == 1:
            first = summary(result)
    met, differs, missed = expect(trace.name, workload)
    return Outcome(
        name=trace.name,
        leases=len(workload.arrivals),
        runs=runs,
        met=met,
        first=first,
        differs=differs,
        violations=(*broken, *missed),
    )


def summary(result: Result) -> str:
    """Leases by what became of them."""
    counts = Counter(booking.status.name.lower() for booking in result.bookings.values())
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def expect(name: str, workload: Workload) -> tuple[int, tuple[str, ...], list[str]]:
    """(expectations met, where Haizea differs, those not met)."""
    met, differs, missed = 0, [], []
    for expected in expectations(name):
        if expected.holds(simulate(workload, expected.settings)):
            met += 1
            if expected.defect is not None:
                differs.append(f"{expected.text}. Haizea's defect {expected.defect}")
        else:
            missed.append(f"expected: {expected.text}")
    return met, tuple(dict.fromkeys(differs)), missed


def lines_of(outcome: Outcome) -> Iterator[str]:
    """One for the trace, and one for each thing that is to be said of it."""
    verdict = "FAIL" if outcome.violations else "ok"
    met = f", {outcome.met} expectations" if outcome.met else ""
    name = outcome.name.ljust(NAME_WIDTH)
    yield (
        f"{verdict:4} {name} {outcome.leases:6} leases, {outcome.runs:3} configurations{met}: "
        f"{outcome.first}"
    )
    yield from (f"       differs from Haizea: {text}" for text in outcome.differs)
    yield from (f"       {text}" for text in outcome.violations[:MOST_SHOWN])
    if len(outcome.violations) > MOST_SHOWN:
        yield f"       and {len(outcome.violations) - MOST_SHOWN} more"


def run_all(traces: list[Trace], workers: int) -> Iterator[Outcome]:
    """In order, on all cores."""
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(try_trace, traces)


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only", default="", help="Only traces whose name holds this text.")
@click.option("--workers", default=os.cpu_count() or 1, help="Processes at a time.")
def main(directory: Path, only: str, workers: int) -> None:
    """Run every published trace below DIRECTORY through the lease scheduler."""
    say = partial(click.echo, color=False)
    with tempfile.TemporaryDirectory(prefix="orrery-traces-") as unpacked:
        found = [t for t in traces_in(directory, Path(unpacked)) if only in t.name]
        counts: Counter[str] = Counter()
        for outcome in run_all(found, workers):
            for line in lines_of(outcome):
                say(line)
            counts["runs"] += outcome.runs
            counts["met"] += outcome.met
            counts["differs"] += len(outcome.differs)
            counts["bad"] += bool(outcome.violations)
            counts["violations"] += len(outcome.violations)
    say(
        f"{len(found)} traces, {counts['runs']} simulations, {counts['met']} expectations met "
        f"({counts['differs']} of them against a defect of Haizea); "
        f"{counts['bad']} traces with {counts['violations']} violations"
    )
    sys.exit(1 if counts["bad"] else 0)


if __name__ == "__main__":
    main()
