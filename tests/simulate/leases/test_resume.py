"""A study that is killed: its workers end with it, and its results stay."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orrery.cli.program import run

STUDY = """
name: long
workloads: ["synthetic:2000,32,20"]
sweep: {backfilling: [off, 1, 2, 3, 4, 5, 6, 7]}
"""


def started(folder: Path) -> "subprocess.Popen[str]":
    """A study in a process group of its own that has one result."""
    (folder / "study.yaml").write_text(STUDY)
    command = [sys.executable, "-m", "orrery", "simulate", "study", "study.yaml", "--jobs", "2"]
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [*command, "--out", "results"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("1 of 8: ")
    return process


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_study_that_was_stopped_goes_on(
    how: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = started(tmp_path)
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # as a terminal does
    else:
        process.send_signal(how)
    # Its workers share its output: it closes when the last of them has ended.
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    assert process.returncode == (130 if how is signal.SIGINT else -how)
    before = len(list((tmp_path / "results/runs").glob("*.json")))
    assert 1 <= before < 8
    study, out = str(tmp_path / "study.yaml"), str(tmp_path / "results")
    assert run("orrery", ["simulate", "study", study, "--out", out]) == 0
    assert f"long: 8 runs, {8 - before} now, {before} before" in capsys.readouterr().out
