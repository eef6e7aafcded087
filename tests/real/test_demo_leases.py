"""`make demo-leases` as a newcomer runs it: promises kept by suspending guests, nothing left."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.site import missing

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(missing()), reason=f"needs {', '.join(missing())}"),
]

ROOT = Path(__file__).parents[2]
PROMISES = (
    r"accepted \(scheduled\)",
    r"refused: not enough is free at that time",
    r"the youngest gave way, and no more than needed: first runs on",
    r"stored: the last suspension was to end \d+\.\d s before the first start",
    r"libvirt: the last was saved at \S+, the first started at",
    r"all reserved VMs run: \d+\.\d s (early|late)",
    r"second: stopped at \d+, goes on with \d+, in the same boot",
    r"third: stopped at \d+, goes on with \d+, in the same boot",
    r"first: had 110 s of 110 s, suspended 0 times",
    r"third: had 80 s of 80 s, suspended 1 times",
    r"learned: suspend +\d+\.\d MiB/s",
    r"nothing is left",
)


def test_the_demo_of_leases_keeps_its_promises_and_leaves_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/demo-leases")],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    for promise in PROMISES:
        assert re.search(promise, done.stdout), f"{promise}\n{done.stdout[-6000:]}"
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    assert "orrdemo" not in links
    assert not list(Path("/var/lib").glob("orrery-demo*"))
