"""`orrery simulate` as a person or a program uses it."""

import csv
import json
from pathlib import Path

import pytest

from orrery.cli.program import run
from orrery.simulate.leases.workload.lwf import lwf_text
from tests.simulate.leases.small import PREEMPTED, workload

RATES = ("--suspend-rate", "102.4", "--resume-rate", "102.4")


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.lwf"
    # Its leases say nothing of preemption: then the kind decides, as where they come from SWF.
    path.write_text(lwf_text(workload(*PREEMPTED)))
    return str(path)


def simulate(*words: str) -> int:
    return run("orrery", ["simulate", *words])


def test_a_summary_for_people(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(small, *RATES) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("small on 2 hosts\n")
    assert "reservations accepted       1 of 1\n" in shown
    assert "suspensions                 1 of 1 leases\n" in shown
    assert "all done after              00:22:00\n" in shown


def test_one_object_for_programs(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--json", *RATES, small) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["leases"], found["ar_requested"], found["ar_accepted"]) == (2, 1, 1)
    assert (found["best_effort_done"], found["suspensions"]) == (1, 1)
    assert (found["mean_wait_s"], found["all_best_effort_s"]) == (0, 1320)
    assert found["settings"]["suspend-rate"] == "102.4"
    assert found["cpu_s"] >= 0
    assert found["peak_rss_mib"] > 1


def test_the_schedule_is_the_same_every_time(small: str, tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    assert simulate(small, "--schedule", str(first)) == 0
    assert simulate(small, "--schedule", str(second)) == 0
    assert first.read_bytes() == second.read_bytes()
    assert [lease["id"] for lease in json.loads(first.read_text())["leases"]] == [1, 2]


def test_settings_change_what_happens(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(small, "--json", "--suspension", "none", "--policy", "order=smallest") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["suspensions"], found["kills"]) == (0, 1)
    assert found["settings"]["order"] == "smallest"


def test_probes_by_name(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(small, "--json", "--probes", "ar,best-effort", "--probes", "deadline") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["probes"]["ar"] == {"Total accepted AR": 1, "Total rejected AR": 0}
    assert set(found["probes"]) == {"ar", "best-effort", "deadline"}


def test_a_report_has_every_number(small: str, tmp_path: Path) -> None:
    out = tmp_path / "report"
    assert simulate(small, *RATES, "--out", str(out), "--probes", "best-effort lease-extras") == 0
    assert json.loads((out / "metrics.json").read_text())["all_best_effort_s"] == 1320
    assert json.loads((out / "settings.json").read_text())["suspend-rate"] == "102.4"
    with (out / "leases.csv").open() as stream:
        first, second = csv.DictReader(stream)
    assert (first["wait_s"], first["bounded_slowdown"], first["suspensions"]) == ("0", "1.32", "1")
    assert (second["state"], second["best-effort: Slowdown"]) == ("done", "")
    with (out / "series/utilization.csv").open() as stream:
        rows = [row for row in csv.reader(stream)][1:]
    assert rows[1][:3] == ["490", "0.0", "1.0"]
    assert (out / "series/queue.csv").read_text() == "time_s,waiting\n500,1.0\n800,0.0\n"
    averages = (out / "series/best-effort-queue-size.csv").read_text().splitlines()
    assert averages == ["time_s,lease,value,average", "500,,1.0,0.0", "800,,0.0,0.375"]


def test_the_page_of_a_report_needs_nothing_else(small: str, tmp_path: Path) -> None:
    assert simulate(small, "--out", str(tmp_path)) == 0
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg ") == 5
    assert "src=" not in page
    assert "href=" not in page
    assert "<script" not in page
    assert "lease 2 (reservation), vm: 500 to 800 s" in page


def test_settings_are_compared(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(small, "--compare", "off,suspension=none+boot=20", "--jobs", "2") == 0
    head, off, none = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "leases"
    assert off.startswith("off ")
    assert none.startswith("suspension=none+boot=20 ")


def test_a_comparison_for_programs_and_its_reports(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "compared"
    assert simulate(small, "--compare", "none,all", "--json", "--out", str(out)) == 0
    rows = json.loads(capsys.readouterr().out)["runs"]
    assert [(row["name"], row["suspensions"]) for row in rows] == [("none", 0), ("all", 1)]
    assert (out / "none/report.html").exists()
    with (out / "comparison.csv").open() as stream:
        assert [row["settings.suspension"] for row in csv.DictReader(stream)] == ["none", "all"]


def test_a_study_goes_on_where_it_was(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.yaml"
    text = "name: s\nworkloads: [small.lwf]\nsweep: {suspension: [none]}\n"
    study.write_text(text)
    command = ("study", str(study), "--out", str(tmp_path / "results"))
    assert simulate(*command) == 0
    assert "s: 1 runs, 1 now, 0 before" in capsys.readouterr().out
    study.write_text(text.replace("[none]", "[none, all]"))
    assert simulate(*command) == 0
    shown = capsys.readouterr().out
    assert "s: 2 runs, 1 now, 1 before" in shown
    with (tmp_path / "results/runs.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["labels.suspension"] for row in rows] == ["none", "all"]
    assert [row["kills"] for row in rows] == ["1", "0"]


def test_a_study_with_a_run_that_fails_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bare.yaml").write_text("leases: []\n")
    (tmp_path / "study.yaml").write_text("name: s\nworkloads: ['synthetic:3,3', bare.yaml]\n")
    results = tmp_path / "r"
    assert simulate("study", str(tmp_path / "study.yaml"), "--out", str(results)) == 1
    shown = capsys.readouterr()
    assert "1 of 2 runs failed: bare: workload: 'bare' names no site" in shown.err
    assert len(list((results / "runs").iterdir())) == 1


def test_workloads_are_converted(small: str, tmp_path: Path) -> None:
    yaml, back = tmp_path / "x.yaml", tmp_path / "x.lwf"
    assert simulate("convert", small, str(yaml)) == 0
    assert simulate("convert", str(yaml), str(back)) == 0
    assert (
        back.read_text().split("<lease-requests>")[1]
        == (Path(small).read_text().split("<lease-requests>")[1])
    )


def test_workloads_are_generated(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert simulate("generate", "synthetic:3,4,50", "--seed", "2") == 0
    assert capsys.readouterr().out.count("<lease-request ") == 3
    out = tmp_path / "drawn.yaml"
    assert simulate("generate", "synthetic:3,4", "-o", str(out)) == 0
    assert simulate(str(out), "--json") == 0


def test_policies_are_listed_with_what_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("policies") == 0
    shown = capsys.readouterr().out
    assert "order and backfill-order\n  fcfs\n      First come" in shown
    assert simulate("policies", "--json") == 0
    names = [one["name"] for one in json.loads(capsys.readouterr().out)]
    assert {"fcfs", "ar-preempts-be"} <= set(names)


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["missing.lwf"], 1, "orrery: file: 'missing.lwf' cannot be read"),
        (["synthetic:3,3", "--backfilling", "often"], 2, "is none of off, aggressive"),
        (["synthetic:3,3", "--boot", "soon"], 2, "is no duration"),
        (["synthetic:3,3", "--from", "soon"], 2, "is no duration"),
        (["synthetic:3,3", "--policy", "colour=red"], 2, "is no kind of policy"),
        (["synthetic:3,3", "--policy", "order=backwards"], 2, "is no policy of the kind order"),
        (["synthetic:3,3", "--probes", "nothing"], 1, "orrery: probes: 'nothing' is not known"),
        (["synthetic:3,3", "--compare", "what"], 1, "orrery: compare: 'what' is no value"),
        (["synthetic:3,3", "--compare", "off", "--schedule", "x"], 2, "--schedule is for one"),
        (["synthetic:3,3", "--cluster", "dask://h:1"], 2, "--cluster needs several runs"),
        (["synthetic:3,3", "--compare", "off", "--cluster", "x"], 1, "is no cluster"),
        (["synthetic:3,3", "--schedule", "/missing/x"], 1, "orrery: /missing/x: No such file"),
        (["convert", "synthetic:3,3", "x.pdf"], 1, "suffix: '.pdf' is none of"),
        (["study", "missing.yaml"], 1, "orrery: file: 'missing.yaml' cannot be read"),
        (["--json"], 2, "Missing argument 'WORKLOAD'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    words: list[str], status: int, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(*words) == status
    shown = capsys.readouterr().err
    assert error in shown
    assert "Traceback" not in shown


def test_help_shows_options_and_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--help") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: orrery simulate WORKLOAD [OPTIONS] | COMMAND")
    for heading in ("Workload:", "Scheduler:", "Output:", "Commands:"):
        assert f"\n{heading}\n" in shown
