"""`orrery simulate WORKLOAD`: one simulation, or several that differ in their settings."""

import os
from pathlib import Path
from typing import Any

import click
import orjson

from orrery.simulate.leases.command.options import (
    Option,
    Sectioned,
    names_of,
    refusals,
    take_settings,
    take_source,
    with_setting_options,
    with_workload_options,
)
from orrery.simulate.leases.command.progress import progress_bar, runs_bar
from orrery.simulate.leases.job import Job
from orrery.simulate.leases.knobs import profiles_from, settings_from
from orrery.simulate.leases.outcome import Row, row_of, run_one
from orrery.simulate.leases.probes import Chosen
from orrery.simulate.leases.report.files import write_report, write_rows
from orrery.simulate.leases.schedule import schedule_json
from orrery.simulate.leases.sources import load_workload
from orrery.simulate.leases.study import UNFIT
from orrery.simulate.leases.sweep import Sweep, run_sweep
from orrery.simulate.leases.tables import comparison_text, summary_text

OUTPUT: dict[str, Any] = {"cls": Option, "heading": "Output"}


@click.command("run", cls=Sectioned)
@click.argument("workload")
@with_workload_options
@with_setting_options
@click.option("--json", "as_json", is_flag=True, help="One object for programs.", **OUTPUT)
@click.option("--schedule", metavar="FILE", help="When each lease ran, as JSON.", **OUTPUT)
@click.option("--out", metavar="DIR", help="A report: HTML, CSV and JSON.", **OUTPUT)
@click.option(
    "--probes",
    multiple=True,
    metavar="NAMES",
    help="Haizea's by name (ar, best-effort, ...), yours by package.module:name.",
    **OUTPUT,
)
@click.option(
    "--skip-first",
    type=click.FloatRange(0, 100),
    default=0.0,
    metavar="PERCENT",
    help="Best-effort leases that are done first and count in no wait and no slowdown.",
    **OUTPUT,
)
@click.option(
    "--compare",
    multiple=True,
    metavar="A,B,...",
    help="Run once with each: values like off,aggressive,4, or sets like suspension=none+boot=20.",
    **OUTPUT,
)
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", help="Runs at once; else all cores.", **OUTPUT
)
@click.option(
    "--cluster", metavar="ADDRESS", help="Compare on dask://HOST:PORT or ray://HOST:PORT.", **OUTPUT
)
def run(workload: str, **given: Any) -> None:
    """Simulate the leases of WORKLOAD and say how it went.

    WORKLOAD is a file in LWF, SWF or YAML (also in gzip), or synthetic:LEASES,NODES[,PERCENT] with
    so many percent reservations.
    """
    with refusals():
        job = Job(
            name=workload,
            workload=workload,
            options=take_source(given),
            settings=take_settings(given),
            probes=names_of(given["probes"]),
            skip_share=given["skip_first"] / 100,
        )
        Chosen(job.probes)  # a name that is none is told before the work
        if given["compare"]:
            compare(job, **given)
        elif given["cluster"]:
            raise click.UsageError("--cluster needs several runs: give --compare, or use study")
        else:
            run_alone(job, given["schedule"], given["out"], as_json=given["as_json"])


def run_alone(job: Job, schedule: str | None, out: str | None, *, as_json: bool) -> None:
    workload = load_workload(job.workload, job.options)
    settings = settings_from(job.settings)
    with progress_bar("simulating") as progress:
        outcome = run_one(
            workload, settings, probes=job.probes, skip_share=job.skip_share, progress=progress
        )
    if schedule is not None:
        Path(schedule).write_bytes(schedule_json(outcome.result))
    if out is not None:
        write_report(outcome, Path(out))
    if as_json:
        click.echo(orjson.dumps(row_of(outcome)).decode())
        return
    hosts = len(outcome.result.site.hosts)
    title = f"{workload.name or job.workload} on {hosts} host{'s' * (hosts != 1)}"
    click.echo(summary_text(title, outcome.metrics, outcome.cost))
    if out is not None:
        click.echo(f"\nReport: {Path(out) / 'report.html'}")


# --- several --------------------------------------------------------------------------------------


def compare(job: Job, **given: Any) -> None:
    if given["schedule"]:
        raise click.UsageError("--schedule is for one run: with --compare give --out")
    jobs = jobs_of(job, given["compare"], given["out"], reports=not given["cluster"])
    workers = given["jobs"] or os.cpu_count() or 1
    with runs_bar(len(jobs)) as told:
        rows = run_sweep(Sweep(jobs=jobs, workers=workers, cluster=given["cluster"]), told).rows
    if given["out"]:
        Path(given["out"]).mkdir(parents=True, exist_ok=True)
        write_rows(Path(given["out"]) / "comparison.csv", rows)
    show_rows(rows, as_json=given["as_json"])


def jobs_of(job: Job, compared: tuple[str, ...], out: str | None, *, reports: bool) -> list[Job]:
    """One for each set of settings, with its report in a directory of its name."""
    return [
        Job(
            name=name,
            workload=job.workload,
            options=job.options,
            settings=job.settings | settings,
            probes=job.probes,
            skip_share=job.skip_share,
            labels={"profile": name},
            report=str(Path(out) / UNFIT.sub("-", name)) if out and reports else None,
        )
        for name, settings in profiles_from(compared).items()
    ]


def show_rows(rows: list[Row], *, as_json: bool) -> None:
    """All runs; a failed one makes the whole fail, after the others are shown."""
    if as_json:
        click.echo(orjson.dumps({"runs": rows}).decode())
    else:
        click.echo(comparison_text([str(row["name"]) for row in rows], rows))
    fail_if_any(rows)


def fail_if_any(rows: list[Row]) -> None:
    failed = [row for row in rows if "error" in row]
    if failed:
        first = f"{failed[0]['name']}: {failed[0]['error']}"
        raise click.ClickException(f"{len(failed)} of {len(rows)} runs failed: {first}")
