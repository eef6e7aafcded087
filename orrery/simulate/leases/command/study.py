"""`orrery simulate study`: all runs of a study file, on every core or on a cluster."""

import os
from pathlib import Path

import click
import orjson
from msgspec.structs import replace

from orrery.simulate.leases.command.options import refusals
from orrery.simulate.leases.command.progress import runs_bar
from orrery.simulate.leases.command.run import fail_if_any
from orrery.simulate.leases.job import Job
from orrery.simulate.leases.report.files import write_rows
from orrery.simulate.leases.study import Study, described, read_study
from orrery.simulate.leases.sweep import Sweep, Swept, run_sweep
from orrery.simulate.leases.tables import comparison_text, mean_rows


@click.command("study")
@click.argument("file")
@click.option("--out", metavar="DIR", help="Directory of the results; else NAME-results.")
@click.option("--reports", is_flag=True, help="Write the report of every run too.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Runs at once; else all cores.")
@click.option(
    "--cluster", metavar="ADDRESS", help="Run on a cluster: dask://HOST:PORT or ray://HOST:PORT."
)
@click.option("--json", "as_json", is_flag=True, help="One object for programs.")
def study(
    file: str,
    out: str | None,
    *,
    reports: bool,
    jobs: int | None,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Run the study in FILE: workloads, profiles, sweeps and seeds.

    Each result is kept as soon as it is there. Give the same command again to go on after a stop:
    what has been computed from the same files and settings is not computed again.
    """
    if reports and cluster:
        raise click.UsageError("--reports are written where runs are: not with --cluster")
    with refusals():
        plan = read_study(Path(file))
        place = Path(out or f"{plan.name}-results")
        work = [with_report(job, place) for job in plan.jobs] if reports else plan.jobs
        sweep = Sweep(jobs=work, out=place, workers=jobs or os.cpu_count() or 1, cluster=cluster)
        place.mkdir(parents=True, exist_ok=True)
        (place / "study.json").write_bytes(described(plan))
        with runs_bar(len(plan.jobs)) as told:
            swept = run_sweep(sweep, told)
        finish(plan, swept, place, as_json=as_json)


def with_report(job: Job, place: Path) -> Job:
    return replace(job, report=str(place / "reports" / job.name))


def finish(plan: Study, swept: Swept, place: Path, *, as_json: bool) -> None:
    """Tables of all runs and of the means over seeds."""
    means = mean_rows(swept.rows)
    write_rows(place / "runs.csv", swept.rows)
    write_rows(place / "means.csv", means)
    if as_json:
        click.echo(orjson.dumps({"study": plan.name, "runs": swept.rows, "means": means}).decode())
    else:
        done = len(swept.rows) - swept.found
        click.echo(f"{plan.name}: {len(swept.rows)} runs, {done} now, {swept.found} before\n")
        click.echo(comparison_text([str(row["name"]) for row in means], means))
        click.echo(f"\nResults: {place}")
    fail_if_any(swept.rows)
