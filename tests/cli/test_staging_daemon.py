"""Images come to hosts ahead of leases: a real daemon with simulated hosts, restarted in between.

1. a best-effort lease waits for its image, and says when it came, 2. after a restart the copy is
still known, 3. a reservation in a cluster of two hosts has it sent to the second one in time.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.test_daemon import Session, furnish, wait_for_endpoint

SETTINGS = {
    "ORRERY_LEASE_PREPARATION": "imagetransfer",
    "ORRERY_LEASE_TRANSFER_RATE": "100",
    "ORRERY_SIM_TRANSFER_RATE": "100",
    "ORRERY_LEASE_BOOT_S": "1",
    "ORRERY_LEASE_SHUTDOWN_S": "1",
    "ORRERY_LEASE_LEARNING": "off",
}


@contextmanager
def daemon(home: Path) -> Iterator[Session]:
    """A daemon in this home; its log is added to."""
    (home / "endpoint").unlink(missing_ok=True)
    words = ["serve", "--home", str(home), "--listen", "127.0.0.1:0", "--datastore-driver", "sim"]
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "orrery", *words],
            stdout=log,
            stderr=log,
            env={**os.environ, **SETTINGS},
        )
    try:
        wait_for_endpoint(home, process)
        yield Session(home)
    finally:
        process.terminate()
        process.wait(30)


def events(home: Path, kind: str) -> int:
    return len(re.findall(rf"\bstaged_image\.{kind}\b", (home / "log").read_text()))


def run_lease(user: Session, name: str, *words: str) -> str:
    """What is shown of a lease once it runs."""
    terms = ("--cpu", "1", "--memory", "64", "--image", "disk", "--duration", "1h")
    done = user.run("lease", "request", "--name", name, *terms, *words, "--wait", "--timeout", "60")
    assert done.returncode == 0, done.stderr
    return user.out("lease", "show", name)


@pytest.mark.slow
def test_images_come_ahead_of_leases_and_are_known_after_a_restart(tmp_path: Path) -> None:
    with daemon(tmp_path) as user:
        furnish(user)
        shown = run_lease(user, "first", "--nodes", "1")
        assert re.search(r"^transfer +1  .+ \S+$", shown, re.MULTILINE), shown
        assert (events(tmp_path, "coming"), events(tmp_path, "there")) == (1, 1)
        user.out("lease", "cancel", "first")
    with daemon(tmp_path) as user:
        shown = run_lease(user, "second", "--nodes", "1")
        assert "transfer" not in shown
        assert events(tmp_path, "coming") == 1
        user.out("host", "create", "sim2", "--im", "sim", "--wait")
        shown = run_lease(user, "third", "--nodes", "30", "--start", "+10s")
        assert re.search(r"^transfer +\d+  .+ \S+$", shown, re.MULTILINE), shown
        assert (events(tmp_path, "coming"), events(tmp_path, "there")) == (2, 2)
        measured = user.out("host", "show", "sim2", "--json")
        assert "transfer" in measured
        assert "staged_image.failed" not in (tmp_path / "log").read_text()
