"""`make demo` as a newcomer runs it: a real guest, its whole life, and nothing left afterwards."""

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
    "the counter went on",
    "the engine is dead, its guest lives",
    "still RUNNING, the same domain, the same boot",
    "nothing is left",
)


def test_the_demo_keeps_its_promises_and_leaves_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/demo")],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    for promise in PROMISES:
        assert promise in done.stdout
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    assert "demo" not in links
    assert not list(Path("/var/lib").glob("orrery-demo*"))
