"""The pages about simulations: every command on them runs, every number is explained."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from msgspec.structs import fields

from orrery.cli.program import run
from orrery.simulate.leases.job import Job, run_job
from orrery.simulate.leases.metrics import Metrics
from orrery.simulate.leases.probes import PROBES, Chosen
from tests.simulate.leases import small

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = (DOCS / "how-to/policy-studies.md").read_text()
REFERENCE = (DOCS / "reference/simulation-metrics.md").read_text()
COMMANDS = [
    match[1]
    for match in re.finditer(r"^\$ (?:PYTHONPATH=\. )?orrery (simulate .*)$", PAGE, re.MULTILINE)
    if "--cluster" not in match[1]
]


def weighed(command: str) -> object:
    many = "study" in command or "--compare" in command
    return pytest.param(command, marks=pytest.mark.slow) if many else command


@pytest.mark.parametrize("command", [weighed(command) for command in COMMANDS])
def test_a_command_of_the_page_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "examples"
    shutil.copytree(DOCS / "examples", place)
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))
    assert run("orrery", shlex.split(command)) == 0


def test_the_page_has_all_commands_that_it_should() -> None:
    assert len(COMMANDS) > 10
    for word in ("--json", "--inject", "--out", "policies", "study", "convert", "generate"):
        assert any(word in command for command in COMMANDS), word


def test_the_study_on_the_page_is_the_one_in_the_examples() -> None:
    study = (DOCS / "examples/policy-study.yaml").read_text()
    assert study.partition("\n")[2] in PAGE


def test_every_number_is_explained() -> None:
    row = run_job(Job(name="x", workload="synthetic:5,3", probes=("ar",)))
    keys = {*row, *(field.name for field in fields(Metrics))} - {"name", "labels"}
    assert [key for key in sorted(keys) if f"`{key}`" not in REFERENCE] == []


def test_every_probe_and_its_counters_are_explained() -> None:
    readings = Chosen(PROBES).readings(small.run(*small.PREEMPTED))
    for name, reading in readings.items():
        row = next(one for one in REFERENCE.splitlines() if one.startswith(f"| `{name}` |"))
        for counter in reading.counters:
            assert counter.partition(" (")[0] in row
