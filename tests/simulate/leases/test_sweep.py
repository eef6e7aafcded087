"""Studies: what runs they make, and that nothing is computed twice."""

import json
from concurrent.futures import Future
from pathlib import Path

import pytest

from orrery.core.errors import InvalidInput
from orrery.simulate.leases import sweep as sweeping
from orrery.simulate.leases.job import Job, run_job, try_job
from orrery.simulate.leases.outcome import Row
from orrery.simulate.leases.study import read_study
from orrery.simulate.leases.sweep import Sweep, result_of, run_sweep
from orrery.simulate.leases.tables import comparison_text, mean_rows

STUDY = """
name: example
workloads:
  - {name: calm, file: "synthetic:20,8"}
  - {name: busy, file: "synthetic:20,8,50"}
settings: {suspend-rate: 100}
profiles:
  plain: {suspension: none}
  suspending: {suspension: all}
sweep:
  backfilling: [off, 2]
seeds: [4, 5]
skip_first: 5
"""


def study_in(folder: Path, text: str = STUDY) -> Path:
    path = folder / "study.yaml"
    path.write_text(text)
    return path


def test_a_study_is_every_combination(tmp_path: Path) -> None:
    study = read_study(study_in(tmp_path))
    assert len(study.jobs) == 2 * 2 * 2 * 2
    first = study.jobs[0]
    assert first.name == "plain_calm_backfilling=off_seed4"
    assert first.settings == {"suspend-rate": "100", "suspension": "none", "backfilling": "off"}
    assert first.labels == {
        "workload": "calm", "profile": "plain", "backfilling": "off", "seed": "4"
    }  # fmt: skip
    assert (first.options.seed, first.skip_share) == (4, 0.05)


def test_files_lie_beside_the_study(tmp_path: Path) -> None:
    text = (
        "workloads: [{file: log.swf.gz, site: site.xml, inject: [more.lwf, 'share=5,duration=1h']}]"
    )
    (job,) = read_study(study_in(tmp_path, text)).jobs
    assert job.name == "log"
    assert job.workload == str(tmp_path / "log.swf.gz")
    assert job.options.site == str(tmp_path / "site.xml")
    assert job.options.inject == (str(tmp_path / "more.lwf"), "share=5,duration=1h")


@pytest.mark.parametrize(
    "text",
    [
        "workloads: []",
        "workloads: [a.swf, a.lwf]",
        "workloads: [a.swf]\nprofiles: {x: {colour: red}}",
        "workloads: [a.swf]\nsweep: {backfilling: [sometimes]}",
        "workloads: [a.swf]\nseeds: 0",
        "workloads: [a.swf]\nseeds: true",
        "workloads: [a.swf]\nprobes: [nothing]",
        "workloads: [a.swf]\nfrom: yesterday",
        "workloads: [{file: a.swf, colour: red}]",
    ],
)
def test_a_study_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput):
        read_study(study_in(tmp_path, text))


def jobs_of(folder: Path, count: int) -> list[Job]:
    path = folder / "workload.yaml"
    path.write_text(
        "site: 4 CPU:100,Memory:1024\n"
        "leases: [{at: 0, nodes: 2, cpu: 1, memory: 1GiB, duration: 10m}]\n"
    )
    return [
        Job(name=f"run{number}", workload=str(path), settings={"boot": str(number)})
        for number in range(count)
    ]


def test_results_are_kept_and_not_computed_again(tmp_path: Path) -> None:
    jobs, out = jobs_of(tmp_path, 3), tmp_path / "out"
    first = run_sweep(Sweep(jobs=jobs[:2], out=out))
    told: list[tuple[int, int, str]] = []
    second = run_sweep(Sweep(jobs=jobs, out=out), lambda *news: told.append(news))
    assert (first.found, second.found) == (0, 2)
    assert told == [(3, 3, "run2")]
    assert [row["name"] for row in second.rows] == ["run0", "run1", "run2"]
    assert second.rows[:2] == first.rows


def test_another_content_or_setting_is_another_run(tmp_path: Path) -> None:
    jobs, out = jobs_of(tmp_path, 1), tmp_path / "out"
    run_sweep(Sweep(jobs=jobs, out=out))
    path = Path(jobs[0].workload)
    path.write_text(path.read_text().replace("10m", "20m"))
    assert run_sweep(Sweep(jobs=jobs, out=out)).found == 0
    assert run_sweep(Sweep(jobs=jobs, out=out)).found == 1
    other = Job(name="run0", workload=str(path), settings={"boot": "9"})
    assert run_sweep(Sweep(jobs=[other], out=out)).found == 0


def test_half_a_result_is_none(tmp_path: Path) -> None:
    jobs, out = jobs_of(tmp_path, 1), tmp_path / "out"
    run_sweep(Sweep(jobs=jobs, out=out))
    (kept,) = (out / "runs").iterdir()
    whole = kept.read_text()
    kept.write_text(whole[: len(whole) // 2])
    again = run_sweep(Sweep(jobs=jobs, out=out))
    assert again.found == 0
    assert json.loads(kept.read_text())["leases"] == 1


def test_a_run_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    jobs, out = jobs_of(tmp_path, 2), tmp_path / "out"
    without_site = tmp_path / "bare.yaml"
    without_site.write_text("leases: [{at: 0, nodes: 1, cpu: 1, memory: 1GiB, duration: 10m}]\n")
    bad = Job(name="bad", workload=str(without_site))
    rows = run_sweep(Sweep(jobs=[jobs[0], bad, jobs[1]], out=out)).rows
    assert "names no site" in str(rows[1]["error"])
    assert "error" not in rows[2]
    assert run_sweep(Sweep(jobs=[bad], out=out)).found == 0
    assert "failed" in comparison_text(["a", "bad", "c"], rows)


def test_a_mistake_in_a_users_probe_fails_its_run_only(tmp_path: Path) -> None:
    (job,) = jobs_of(tmp_path, 1)
    broken = Job(name="broken", workload=job.workload, probes=(f"{__name__}:broken",))
    assert "ZeroDivisionError" in str(try_job(broken)["error"])


def broken(_: object) -> float:
    return 1 / 0


def test_a_process_that_was_killed_fails_its_run_only() -> None:
    future: Future[Row] = Future()
    future.set_exception(RuntimeError("it was killed\nand more"))
    row = result_of(future, Job(name="gone", workload="synthetic:1,1"))
    assert row["error"] == "RuntimeError: it was killed"


def test_a_report_that_is_missing_is_made(tmp_path: Path) -> None:
    (job,) = jobs_of(tmp_path, 1)
    out = tmp_path / "out"
    run_sweep(Sweep(jobs=[job], out=out))
    reported = Job(
        name=job.name, workload=job.workload, settings=job.settings, report=str(tmp_path / "report")
    )
    assert run_sweep(Sweep(jobs=[reported], out=out)).found == 0
    assert (tmp_path / "report/report.html").exists()
    assert sweeping.kept(reported, None) is None


def test_means_over_seeds_and_how_far_they_lie_apart() -> None:
    labels = {"workload": "w", "profile": "p"}
    rows: list[Row] = [
        {"name": "a", "labels": labels | {"seed": "1"}, "mean_wait_s": 10, "note": "x"},
        {"name": "b", "labels": labels | {"seed": "2"}, "mean_wait_s": 14, "note": "y"},
        {"name": "c", "labels": labels | {"seed": "3"}, "error": "no"},
    ]
    assert mean_rows(rows) == [
        {"name": "w p", "runs": 2, "mean_wait_s": 12.0, "mean_wait_s_sd": pytest.approx(8**0.5)}
    ]


def test_a_job_answers_with_all_that_programs_need(tmp_path: Path) -> None:
    (job,) = jobs_of(tmp_path, 1)
    row = run_job(job)
    needed = (
        "leases ar_requested ar_accepted best_effort_done mean_wait_s mean_bounded_slowdown"
        " utilization all_best_effort_s suspensions cpu_s peak_rss_mib"
    )
    assert set(needed.split()) <= row.keys()
