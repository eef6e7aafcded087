"""The doctor: findings, remedies, exit status."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orrery.cli import doctor, doctor_network, doctor_system, doctor_virtualization
from orrery.cli.diagnosis import Check, Finding, Level, Machine, ask, fail, ok
from tests.cli.conftest import Command


def machine(home: Path, port: int = 0) -> Machine:
    return Machine(home=home, port=port)


def test_findings_come_with_what_mends_them(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    checks = (
        Check("good", "needed", lambda _: ok("there")),
        Check("bad", "Nothing works without it.", lambda _: fail("absent", "apt-get install it")),
    )
    monkeypatch.setattr(doctor, "CHECKS", checks)
    done = command("orrery", "doctor")
    assert done.status == 1
    assert "mend: apt-get install it" in done.out
    assert "1 to mend" in done.out


def test_findings_are_json_for_programs(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (Check("good", "needed", lambda _: ok("there")),))
    done = command("orrery", "doctor", "--json")
    assert done.status == 0
    assert json.loads(done.out) == [
        {"check": "good", "result": "ok", "found": "there", "why": "needed", "remedy": None}
    ]


def test_check_that_breaks_is_a_finding(tmp_path: Path) -> None:
    def broken(_: Machine) -> Finding:
        raise PermissionError("not allowed")

    assert doctor.finding_of(broken, machine(tmp_path)).level is Level.WARN


def test_closed_home_is_found_by_its_first_closed_parent(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    finding = doctor_system.home(machine(closed / "below"))
    assert finding.level is Level.FAIL
    assert finding.remedy is not None
    assert "chmod o+x" in finding.remedy


def test_credentials_others_can_read_are_a_warning(tmp_path: Path) -> None:
    (tmp_path / "one_auth").write_text("oneadmin:x")
    (tmp_path / "one_auth").chmod(0o644)
    assert doctor_system.credentials(machine(tmp_path)).level is Level.WARN


def test_port_taken_by_a_stranger_is_a_warning(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.close()
        assert doctor_system.port(machine(tmp_path, port)).level is Level.OK
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        finding = doctor_system.port(machine(tmp_path, server.getsockname()[1]))
    assert finding.level is Level.WARN
    assert finding.remedy is not None


@contextmanager
def not_root() -> Iterator[None]:
    before = os.geteuid()
    os.seteuid(65534 if before == 0 else before)
    try:
        yield
    finally:
        os.seteuid(before)


def test_daemon_that_only_root_may_ask_is_neither_well_nor_broken(tmp_path: Path) -> None:
    path = tmp_path / "virtlogd-sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert doctor_virtualization.listening([str(path)], "virtlogd").level is Level.OK
        path.chmod(0)
        with not_root():
            finding = doctor_virtualization.listening([str(path)], "virtlogd")
        assert (finding.level, finding.remedy) == (Level.WARN, "sudo orrery doctor")
        assert finding.found == "can only be checked as root"


def test_daemon_that_is_not_there_is_broken_for_everybody() -> None:
    with not_root():
        finding = doctor_virtualization.listening(["/run/no-such-socket"], "virtlogd")
    assert finding.level is Level.FAIL


def test_firewalls_of_others_that_drop_forwarding_are_named() -> None:
    chains = [
        {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"},
        {"family": "ip", "table": "orrery_1", "name": "f", "hook": "forward", "policy": "drop"},
        {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"},
    ]
    text = json.dumps({"nftables": [{"metainfo": {}}, *({"chain": one} for one in chains)]})
    assert doctor_network.dropping_chains(text) == ["ip filter FORWARD"]
    assert doctor_network.dropping_chains("no json") == []


def test_command_that_is_not_there_is_an_answer() -> None:
    answer = ask(["orrery-no-such-program"])
    assert (answer.status, answer.worked) == (None, False)


@pytest.mark.real
def test_every_check_answers_on_this_machine(tmp_path: Path) -> None:
    findings = list(doctor.examined(machine(tmp_path), doctor.CHECKS))
    assert len({check.name for check, _ in findings}) == len(doctor.CHECKS)
    assert all(finding.remedy for _, finding in findings if finding.level is Level.FAIL)
