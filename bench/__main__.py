"""`python -m bench`: measure, print a table, write bench/out/latest.json."""

import argparse
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator

from bench import api, commits, deploy, leases, placement
from bench.reference import SOURCE
from bench.table import Row, print_table, write

Section = Callable[[float], Iterator[Row]]

SECTIONS: dict[str, Section] = {
    "api-1000": lambda seconds: api.measure(1_000, seconds),
    "api-10000": lambda seconds: api.measure(10_000, seconds),
    "memory": lambda seconds: api.memory((1_000, 10_000)),
    "commits": commits.measure,
    "placement": placement.measure,
    "leases": leases.measure,
    "deploy": deploy.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser("bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SECTIONS, help="one section (repeat)")
    parser.add_argument("--seconds", type=float, default=1.5, help="of load for each row")
    given = parser.parse_args()
    rows: list[Row] = []
    for name in given.only or SECTIONS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        rows.extend(SECTIONS[name](given.seconds))
    print(f"reference: {SOURCE}")
    print_table(rows)
    print(f"\nwritten to {write(rows, facts())}")
    return 0


def facts() -> dict[str, object]:
    """The machine: figures of another one are not comparable."""
    return {
        "at": time.time(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "reference": SOURCE,
    }


if __name__ == "__main__":
    sys.exit(main())
