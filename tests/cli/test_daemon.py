"""The command line against a real daemon with a simulated host, as processes of their own.

1. a daemon starts in an empty home, 2. a host, an image, a network and a template are made,
3. a VM lives its life from instantiate to done, 4. refusals end with 1 and change nothing.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

NETWORK = """NAME="lan"
VN_MAD="bridge"
BRIDGE="br0"
AR=[ TYPE="IP4", IP="10.0.0.10", SIZE="10" ]
"""
START_S = 30.0


class Session:
    """A user of one daemon."""

    def __init__(self, home: Path) -> None:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("ONE_")}
        self.environment = {**kept, "ORRERY_HOME": str(home), "HOME": str(home)}

    def run(self, *words: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "orrery", *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment,
        )

    def out(self, *words: str, given: str = "") -> str:
        done = self.run(*words, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A daemon of its own, with a host, an image, a network and a template."""
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


def wait_for_endpoint(home: Path, daemon: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_S
    while not (home / "endpoint").exists() or not (home / "endpoint").read_text().endswith("\n"):
        assert daemon.poll() is None, (home / "log").read_text()
        assert time.monotonic() < until, (home / "log").read_text()
        time.sleep(0.05)


def furnish(user: Session) -> None:
    user.out("host", "create", "sim1", "--im", "sim", "--wait")
    user.out("image", "create", "--name", "disk", "--path", "/disk.img", "--size", "64", "--wait")
    user.out("vnet", "create", given=NETWORK)
    options = ("--cpu", "0.5", "--memory", "64", "--disk", "disk", "--nic", "lan")
    user.out("template", "create", "--name", "small", *options)


def test_vm_lives_its_life(session: Session) -> None:
    done = session.run("template", "instantiate", "small", "--name", "life", "--wait")
    assert done.returncode == 0, done.stderr
    assert ": RUNNING on sim1" in done.stderr
    listed = session.out("vm", "list", "-l", "NAME,STAT,HOST,IP", "-f", "NAME=life", "--no-header")
    assert listed.split() == ["life", "runn", "sim1", "10.0.0.10"]
    for verb, state in (("suspend", "SUSPENDED"), ("resume", "RUNNING"), ("terminate", "DONE")):
        done = session.run("vm", verb, "life", "--wait")
        assert done.returncode == 0, done.stderr
        assert f": {state}" in done.stderr
    assert session.out("vm", "list", "-f", "NAME=life", "--no-header") == ""


def test_vm_on_hold_waits_until_released(session: Session) -> None:
    vm_id = session.out("template", "instantiate", "small", "--hold").split()[-1]
    assert json.loads(session.out("vm", "show", vm_id, "--json"))["VM"]["STATE"] == "2"
    session.out("vm", "release", vm_id, "--wait")
    session.out("vm", "terminate", vm_id, "--hard", "--wait")


def test_vm_nobody_has_room_for_says_why_it_waits(session: Session) -> None:
    text = 'NAME="huge"\nCPU="400"\nMEMORY="64"\n'
    vm_id = session.out("vm", "create", "-", given=text).split()[-1]
    done = session.run("vm", "wait", vm_id, "--timeout", "1")
    assert done.returncode == 1
    assert "but PENDING (" in done.stderr
    session.out("vm", "terminate", vm_id)


def test_refusal_ends_with_1_and_one_line(session: Session) -> None:
    done = session.run("vm", "resume", "12345")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "orrery: Error getting virtual machine [12345].\n"


@pytest.mark.parametrize(
    "noun",
    "vm template image vnet secgroup host cluster datastore user group".split(),  # noqa: SIM905
)
def test_every_list_and_show_has_all_forms(session: Session, noun: str) -> None:
    assert session.out(noun, "list").split()[0] == "ID"
    assert json.loads(session.out(noun, "list", "--json"))
    assert session.out(noun, "list", "--xml").startswith("<")
    assert session.out(noun, "list", "--csv").startswith("ID,")
    first = "1" if noun == "host" else "0"
    if session.run(noun, "list", "--no-header").stdout:
        assert " INFORMATION" in session.out(noun, "show", first)


def test_events_are_told_from_the_beginning(session: Session) -> None:
    told = session.out("events", "--after", "0", "--count", "2")
    assert "host.created" in told.splitlines()[0]


def test_user_may_log_in_with_a_token(session: Session) -> None:
    session.out("user", "create", "alice", "wonder")
    login = ("--user", "alice", "--password")
    token = session.out("user", "login", "alice", "--print", *login, "wonder").strip()
    assert session.out("vm", "list", "--csv", *login, token).startswith("ID,")
    assert session.run("vm", "list", *login, "wrong").returncode == 1


def test_start_page_tells_what_runs(session: Session) -> None:
    assert "1 hosts (1 on)" in session.out()
