"""Many simulations at once, each result kept in a file as soon as it is there.

A run whose result is there already, for the very same request and files, is not done again: a sweep
that was stopped goes on where it was.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

import orjson
from msgspec import Struct

from orrery.simulate.leases.backends import backend
from orrery.simulate.leases.job import Job, digest_of, failed
from orrery.simulate.leases.outcome import Row
from orrery.simulate.leases.sources import Files, files_of

Told = Callable[[int, int, str], None]
"""(runs that are done, all runs, the one that has just ended)"""


class Sweep(Struct, frozen=True, kw_only=True):
    """What to run and where."""

    jobs: Sequence[Job]
    out: Path | None = None
    """Directory of the results; None keeps none."""
    workers: int = 1
    cluster: str | None = None


class Swept(Struct, frozen=True):
    """All rows in the order of the jobs, and how many were there before."""

    rows: list[Row]
    found: int


def run_sweep(sweep: Sweep, told: Told = lambda done, count, name: None) -> Swept:
    """Run what has no result yet.

    Raises:
        InvalidInput: a file cannot be read, or the cluster does not answer.
    """
    files = loaded(sweep.jobs)
    paths = {job.name: result_path(sweep.out, job, files) for job in sweep.jobs}
    rows = {job.name: row for job in sweep.jobs if (row := kept(job, paths[job.name])) is not None}
    found = len(rows)
    for row in run_missing([job for job in sweep.jobs if job.name not in rows], sweep, files):
        name = str(row["name"])
        rows[name] = row
        keep(paths[name], row)
        told(len(rows), len(sweep.jobs), name)
    return Swept([rows[job.name] for job in sweep.jobs], found)


def loaded(jobs: Sequence[Job]) -> Files:
    """The contents of all files, each read once."""
    disk = Files()
    names = {name for job in jobs for name in files_of(job.workload, job.options)}
    return Files({name: disk.get(name) for name in sorted(names)})


def run_missing(jobs: Sequence[Job], sweep: Sweep, files: Files) -> Iterator[Row]:
    """Results in the order in which they come."""
    if not jobs:
        return
    runner = backend(sweep.cluster, min(sweep.workers, len(jobs)), files.contents)
    try:
        asked: dict[Future[Row], Job] = {runner.submit(job): job for job in jobs}
        pending = set(asked)
        while pending:
            ended, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in ended:
                yield result_of(future, asked[future])
    finally:
        runner.close()


def result_of(future: Future[Row], job: Job) -> Row:
    """What failed on its way (a process that was killed, a machine without Orrery) is told too."""
    try:
        return future.result()
    except Exception as error:
        return failed(job, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")


# --- results on disk ------------------------------------------------------------------------------


def result_path(out: Path | None, job: Job, files: Files) -> Path | None:
    return None if out is None else out / "runs" / f"{job.name}-{digest_of(job, files)}.json"


def kept(job: Job, path: Path | None) -> Row | None:
    """The result of an earlier run, if its report is there too where one is wanted."""
    if path is None or (job.report is not None and not Path(job.report).is_dir()):
        return None
    try:
        row = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return {**row, "name": job.name, "labels": job.labels} if isinstance(row, dict) else None


def keep(path: Path | None, row: Row) -> None:
    """Whole or not at all: who stops in between finds no half of it."""
    if path is None or "error" in row:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(orjson.dumps(row, option=orjson.OPT_INDENT_2))
    part.replace(path)
