"""Leases on the command line against a real daemon with simulated hosts.

1. a class is reserved and shown in list, sheet and calendar, 2. what does not fit is refused, held
as an offer and taken, 3. best effort runs, is seen in the calendar and ends when it is cancelled.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_daemon import Session, furnish, wait_for_endpoint


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A daemon of its own, with a host of 16 cores, an image, a network and a template."""
    home = tmp_path_factory.mktemp("home")
    words = ["serve", "--home", str(home), "--listen", "127.0.0.1:0", "--datastore-driver", "sim"]
    with (home / "log").open("wb") as log:
        daemon = subprocess.Popen([sys.executable, "-m", "orrery", *words], stdout=log, stderr=log)
    try:
        wait_for_endpoint(home, daemon)
        user = Session(home)
        furnish(user)
        yield user
    finally:
        daemon.terminate()
        daemon.wait(30)


def verdict(out: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(out)["VERDICT"]
    return found


def test_a_class_is_reserved_changed_and_cancelled(session: Session) -> None:
    words = ("--nodes", "6", "--cpu", "1", "--memory", "64", "--image", "disk", "--network", "lan")
    asked = session.out(
        "lease", "request", "--name", "class", *words, "--start", "+2h", "--duration", "1h", "-j"
    )
    lease_id = verdict(asked)["LEASE_ID"]
    row = session.out("lease", "list", "-l", "NAME,STAT,KIND,NODES,LENGTH", "--no-header")
    assert row.split() == ["class", "scheduled", "reservation", "6", "1h"]
    assert "6 with 1 CPU, 64M memory" in session.out("lease", "show", "class")
    drawn = session.out("lease", "calendar", "--to", "+4h")
    assert f"{lease_id} class" in drawn
    assert session.out("lease", "extend", "class", "30m").startswith(f"ID: {lease_id}\naccepted")
    assert session.out("lease", "move", "class", "+3h").startswith(f"ID: {lease_id}\naccepted")
    session.out("lease", "cancel", "class", "--reason", "it rains")
    shown = session.out("lease", "show", lease_id)
    assert "cancelled" in shown
    assert "it rains" in shown
    session.out("lease", "delete", lease_id)
    assert session.run("lease", "show", lease_id).returncode == 1


def test_what_does_not_fit_is_offered_later_and_taken(session: Session) -> None:
    words = ("--nodes", "8", "--cpu", "2", "--memory", "64", "--duration", "1h")
    first = verdict(session.out("lease", "request", *words, "--start", "+5h", "--json"))
    done = session.run("lease", "when", *words, "--start", "+5h")
    assert (done.returncode, done.stderr.startswith("refused: ")) == (1, True)
    assert "later" in done.stdout
    done = session.run("lease", "request", *words, "--start", "+5h", "--hold-offer", "--json")
    offered = verdict(done.stdout)
    assert (done.returncode, offered["STATE_STR"]) == (1, "OFFERED")
    assert int(offered["START"]) > int(first["END"])
    taken = verdict(session.out("lease", "accept", offered["LEASE_ID"], "--json"))
    assert (taken["ACCEPTED"], taken["START"]) == ("YES", offered["START"])
    session.out("lease", "cancel", first["LEASE_ID"], offered["LEASE_ID"])


def test_best_effort_runs_from_a_file_until_it_is_cancelled(
    session: Session, tmp_path: Path
) -> None:
    file = tmp_path / "batch.yaml"
    file.write_text("name: batch\nnodes: 2\ntemplate: small\nduration: 1h\n")
    done = session.run("lease", "request", str(file), "--wait", "--timeout", "30")
    assert done.returncode == 0, done.stderr
    assert "batch: active" in done.stderr
    slots = session.out("lease", "calendar", "--csv").splitlines()
    assert any(",vm," in line for line in slots)
    session.out("lease", "cancel", "batch")
    session.out("lease", "wait", "batch", "--for", "cancelled", "--timeout", "30")
    usage = session.out("lease", "usage", "-l", "NAME,LEASES", "--no-header").split()
    assert usage[0] == "oneadmin"
