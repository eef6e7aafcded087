"""Tens of thousands of chaos stories on all cores: `python -m orrery.simulate.soak`.

Every fourth story hangs more than it fails, every tenth is told without faults but with many
crashes. Prints each broken seed with what broke; the seed alone replays it.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from orrery.drivers.sim import Faults
from orrery.simulate.chaos import Report, Story, tell

HANGING = Faults(fail_rate=0.02, hang_rate=0.10, late_rate=0.9)
CHUNK = 20


def story_of(seed: int) -> Story:
    """Which kind of story a seed tells."""
    if seed % 10 == 9:
        return Story(seed=seed, faults=Faults(), crashes=30)
    if seed % 4 == 3:
        return Story(seed=seed, faults=HANGING)
    return Story(seed=seed)


def told(seed: int) -> Report:
    """One story, in a worker process."""
    logging.disable(logging.CRITICAL)
    return tell(story_of(seed))


def soak(seeds: Sequence[int], workers: int) -> Iterator[Report]:
    """Reports in the order of the seeds."""
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(told, seeds, chunksize=CHUNK)


class Totals:
    """What all stories add up to."""

    def __init__(self) -> None:
        self.stories = self.crashes = self.effects = self.absorbed = self.removed = 0
        self.virtual_s = 0.0
        self.broken: list[Report] = []

    def add(self, report: Report) -> None:
        self.stories += 1
        self.crashes += report.crashes
        self.effects += report.effects
        self.absorbed += report.absorbed_boots
        self.removed += report.removed
        self.virtual_s += report.virtual_s
        if report.broken:
            self.broken.append(report)

    def line(self, seconds: float) -> str:
        days = self.virtual_s / 86400.0
        return (
            f"{self.stories} stories, {self.crashes} crashes, {self.effects} driver effects, "
            f"{self.absorbed} repeated boots absorbed, {self.removed} leftovers removed, "
            f"{days:.0f} virtual days in {seconds:.0f} s, {len(self.broken)} broken"
        )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("soak", description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=100_000, help="first seed")
    parser.add_argument("--seeds", type=int, default=20_000, help="how many")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(argv)
    totals = Totals()
    start = time.monotonic()
    for report in soak(range(options.first, options.first + options.seeds), options.workers):
        totals.add(report)
        if report.broken:
            print(f"seed {report.seed}: {'; '.join(report.broken)}", flush=True)
        if totals.stories % 1000 == 0:
            print(totals.line(time.monotonic() - start), flush=True)
    print(totals.line(time.monotonic() - start))
    return 1 if totals.broken else 0


if __name__ == "__main__":
    sys.exit(main())
