"""The experiment of HPDC 2008 again, beside the published numbers: `make paper TRACES=DIR`.

Where the files come from, what each configuration means and why numbers differ is in
docs/explanation/paper.md.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import click

from orrery.core.errors import InvalidInput
from orrery.simulate.leases.metrics import Metrics
from orrery.simulate.leases.published.charts import (
    Panel,
    bar_chart,
    completion_svg,
    metric_table,
)
from orrery.simulate.leases.published.experiment import (
    BASELINE,
    EVERY_SET,
    LOADS_OF_TABLE,
    SETUPS,
    VARIANTS,
    Files,
    Injected,
    Job,
    run_job,
)
from orrery.simulate.leases.published.files import unpack
from orrery.simulate.leases.published.numbers import PORT, PUBLISHED, Key, Row

WORKLOAD = "30days.swf"
ARCHIVE = "injected_leases_30days.tar.gz"
NAMES = tuple(setup.name for setup in SETUPS)
TITLES = (
    "Completion of all best-effort leases, percent later than without reservations (NOVM-NOSR)",
    "Mean wait, 1000 s",
    "Mean bounded slowdown",
    "Reservations accepted",
    "Suspensions",
)
Done = Mapping[Job, Metrics]


def find_files(directory: Path, unpacked: Path) -> Files:
    """The two that the experiment needs, wherever they are below the directory.

    Raises:
        InvalidInput: one of them is not there.
    """
    unpack(only(directory, ARCHIVE), unpacked / "injected")
    sets = {path.parent for path in (unpacked / "injected").rglob(EVERY_SET[0].file)}
    if len(sets) != 1:
        raise InvalidInput(ARCHIVE, str(directory), f"does not hold one {EVERY_SET[0].file}")
    return Files(only(directory, WORKLOAD), sets.pop())


def only(directory: Path, name: str) -> Path:
    found = sorted(directory.rglob(name))
    if not found:
        raise InvalidInput("directory", str(directory), f"does not hold {name}")
    return found[0]


def jobs(variants: Sequence[str], *, full: bool) -> list[Job]:
    """The longest first, so that no core waits at the end."""
    sets = EVERY_SET if full else tuple(Injected(load) for load in LOADS_OF_TABLE)
    found = [
        Job(variant, setup.name, injected)
        for setup in reversed(SETUPS)
        for injected in reversed(sets)
        for variant in variants
    ]
    bare = [Job(variant, name) for variant in variants for name in NAMES[:2]]
    return [*found, *bare]


def run_jobs(files: Files, wanted: list[Job], workers: int) -> Iterator[tuple[Job, Metrics]]:
    with ProcessPoolExecutor(workers) as pool:
        yield from zip(wanted, pool.map(partial(run_job, files), wanted), strict=True)


def row_of(done: Done, job: Job) -> Row:
    metrics = done[job]
    baseline = done[Job(job.variant, BASELINE)].all_best_effort_s
    return Row(
        (metrics.all_best_effort_s / baseline - 1) * 100,
        (metrics.mean_wait_s or 0.0) / 1000,
        metrics.mean_bounded_slowdown or 0.0,
        metrics.ar_accepted,
        metrics.suspensions,
    )


def rows_of(done: Done, variant: str, hours: int = 3, size: str = "2medium") -> dict[Key, Row]:
    """The rows of one variant, one duration and one size; and without reservations."""
    return {
        (job.setup, job.injected.load if job.injected else 0): row_of(done, job)
        for job in done
        if job.variant == variant
        and (job.injected is None or (job.injected.hours, job.injected.size) == (hours, size))
    }


def report(done: Done) -> Iterator[str]:
    """Table 1 and what goes with it, then the figure as text."""
    variants = variants_of(done)
    results: dict[str, Mapping[Key, Row]] = {v: rows_of(done, v) for v in variants}
    results |= {"published": PUBLISHED, "port": PORT}
    for place, title in enumerate(TITLES):
        yield from metric_table(title, results, NAMES, LOADS_OF_TABLE, place)
        yield ""
    for variant in variants:
        baseline = done[Job(variant, BASELINE)]
        yield (
            f"baseline {variant}: all best effort after {baseline.all_best_effort_s} s, mean wait "
            f"{baseline.mean_wait_s:.0f} s, bounded slowdown {baseline.mean_bounded_slowdown:.2f}"
        )
    yield ""
    yield f"Completion times as a figure, {variants[0]}; published ones as |"
    yield from bar_chart(results, NAMES, LOADS_OF_TABLE, variants[0])


def variants_of(done: Done) -> list[str]:
    """In the order in which they are described."""
    return [variant for variant in VARIANTS if Job(variant, BASELINE) in done]


def extremes(done: Done) -> Iterator[str]:
    """Over all sets of reservations."""
    for variant in variants_of(done):
        for name in NAMES:
            rows = [
                (row_of(done, job).completion, job.injected.file)
                for job in done
                if job.injected and (job.variant, job.setup) == (variant, name)
            ]
            (low, first), (high, last) = min(rows), max(rows)
            yield f"{variant:6}{name:17}{low:+7.2f} % ({first}) to {high:+7.2f} % ({last})"


def panels(done: Done) -> Iterator[Panel]:
    variant = variants_of(done)[0]
    kinds = dict.fromkeys((j.injected.hours, j.injected.size) for j in done if j.injected)
    for hours, size in sorted(kinds):
        rows = rows_of(done, variant, hours, size)
        lines = {
            name: sorted((load, row.completion) for (n, load), row in rows.items() if n == name)
            for name in NAMES
        }
        lines = {name: [p for p in points if p[0]] for name, points in lines.items()}
        yield f"{hours} h, {size[1:]}", lines


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--full", is_flag=True, help="All 72 sets of reservations.")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    default=tuple(VARIANTS),
    type=click.Choice(tuple(VARIANTS)),
    help="Only these settings; all if not given.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The figure, as SVG.")
@click.option("--workers", default=os.cpu_count() or 1, help="Processes at a time.")
def main(
    directory: Path, variants: tuple[str, ...], out: Path | None, workers: int, *, full: bool
) -> None:
    """Repeat the experiment of HPDC 2008 with the files below DIRECTORY."""
    begun = time.monotonic()
    wanted = jobs(variants, full=full)
    done: dict[Job, Metrics] = {}
    with tempfile.TemporaryDirectory(prefix="orrery-paper-") as unpacked:
        try:
            files = find_files(directory, Path(unpacked))
        except InvalidInput as error:
            sys.exit(str(error))
        for job, metrics in run_jobs(files, wanted, workers):
            done[job] = metrics
            if sys.stderr.isatty():
                click.echo(f"\r{len(done)} of {len(wanted)} simulations ", err=True, nl=False)
    if sys.stderr.isatty():
        click.echo("", err=True)
    for line in (*report(done), *(extremes(done) if full else ())):
        click.echo(line)
    target = out or Path("build/paper.svg")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(completion_svg(list(panels(done)), 3 if full else 1))
    click.echo(f"\n{target}; {len(wanted)} simulations in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
