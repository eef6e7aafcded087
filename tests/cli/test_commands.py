"""Commands against a recorded engine: what is asked of it, what is shown, how it ends."""

import io
import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command, RecordedEngine

VM = """<VM><ID>{id}</ID><UID>0</UID><GID>0</GID><UNAME>oneadmin</UNAME><GNAME>oneadmin</GNAME>
<NAME>{name}</NAME><STATE>{state}</STATE><LCM_STATE>{lcm}</LCM_STATE><STIME>100</STIME><ETIME>3700</ETIME>
<TEMPLATE><CPU>0.5</CPU><MEMORY>128</MEMORY><NIC><IP>10.0.0.{id}</IP></NIC></TEMPLATE>
<USER_TEMPLATE><ERROR>{error}</ERROR></USER_TEMPLATE>
<HISTORY_RECORDS><HISTORY><HOSTNAME>node1</HOSTNAME></HISTORY></HISTORY_RECORDS></VM>"""


def vm(object_id: int, name: str, state: int, lcm: int = 0, error: str = "") -> str:
    return VM.format(id=object_id, name=name, state=state, lcm=lcm, error=error)


POOL = f"<VM_POOL>{vm(0, 'web', 3, 3)}{vm(7, 'db', 8)}{vm(8, 'web-2', 1)}</VM_POOL>"
REFUSED = (
    2048,
    '[one.vm.action] Error performing action "resume": not available for state RUNNING',
)


def test_list_shows_opennebulas_columns(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.vmpool.info"] = POOL
    done = command("onevm", "list")
    assert done.status == 0
    lines = done.out.splitlines()
    assert " ".join(lines[0].split()) == "ID USER GROUP NAME STAT CPU MEM HOST IP TIME"
    assert " ".join(lines[1].split()) == (
        "0 oneadmin oneadmin web runn 0.5 128M node1 10.0.0.0 0d 01h00"
    )
    assert "node1" in lines[2]
    assert "node1" not in lines[3]
    assert engine.calls == [("one.vmpool.info", -2, -1, -1, -1)]


def test_orrery_vm_and_orrery_onevm_are_onevm(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.vmpool.info"] = POOL
    texts = {command("orrery", word, "list", "--csv").out for word in ("vm", "onevm")}
    assert texts == {command("onevm", "list", "--csv").out}


def test_list_options_select_and_order(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.vmpool.info"] = POOL
    done = command(
        "onevm", "list", "m", "-l", "NAME,STAT", "-f", "NAME~web", "-o", "-NAME", "--no-header"
    )
    assert done.out.split() == ["web-2", "pend", "web", "runn"]
    assert engine.calls == [("one.vmpool.info", -3, -1, -1, -1)]


def test_lists_are_json_and_xml_for_programs(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.vmpool.info"] = POOL
    found = json.loads(command("onevm", "list", "--json", "-f", "STAT=poff").out)
    assert [one["NAME"] for one in found["VM_POOL"]["VM"]] == ["db"]
    assert found["VM_POOL"]["VM"][0]["TEMPLATE"]["NIC"] == [{"IP": "10.0.0.7"}]
    assert command("onevm", "list", "--xml").out.startswith("<VM_POOL><VM><ID>0</ID>")


def test_show_names_states_and_the_error(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.vm.info"] = vm(3, "web", 3, 36, "no\nroom")
    done = command("onevm", "show", "3")
    assert "LCM_STATE           : BOOT_FAILURE" in done.out
    assert "MESSAGE             : no room" in done.out


def test_actions_take_ids_ranges_and_names(engine: RecordedEngine, command: Command) -> None:
    engine.answers |= {"one.vmpool.info": POOL, "one.vm.action": 0}
    assert command("onevm", "terminate", "--hard", "1..2,db").status == 0
    assert engine.calls[1:] == [("one.vm.action", "terminate-hard", one) for one in (1, 2, 7)]


def test_name_that_is_nobodys_is_said(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.vmpool.info"] = POOL
    done = command("onevm", "hold", "nobody")
    assert (done.status, done.out) == (1, "")
    assert done.err == "onevm: there is no virtual machine named 'nobody': see 'list'\n"


def test_refusal_is_one_line_without_the_methods_name(
    engine: RecordedEngine, command: Command
) -> None:
    engine.answers["one.vm.action"] = REFUSED
    done = command("onevm", "resume", "0")
    assert done.status == 1
    assert done.err == (
        'onevm: Error performing action "resume": not available for state RUNNING\n'
    )


def test_the_rest_is_done_when_one_is_refused(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.vm.action"] = [REFUSED, 1]
    done = command("onevm", "resume", "0", "1")
    assert done.status == 1
    assert done.err.startswith("0: Error")
    assert len(engine.calls) == 2


@pytest.mark.parametrize(
    "argv", [["onevm", "fly"], ["onevm"], ["onevm", "resume"], ["onevm", "chmod", "1", "rw"]]
)
def test_wrong_usage_ends_with_2(engine: RecordedEngine, command: Command, argv: list[str]) -> None:
    assert command(*argv).status == 2
    assert engine.calls == []


def test_create_reads_a_file_and_adds_options(
    engine: RecordedEngine, command: Command, tmp_path: Path
) -> None:
    engine.answers["one.vm.allocate"] = 12
    (tmp_path / "t").write_text("CPU=1\nMEMORY=64")
    done = command("onevm", "create", str(tmp_path / "t"), "--name", "web", "--hold")
    assert done.out == "ID: 12\n"
    assert engine.calls == [("one.vm.allocate", 'CPU=1\nMEMORY=64\nNAME="web"\n', True)]


@pytest.mark.parametrize("argv", [[], ["-"]])
def test_create_reads_what_is_piped_in(
    engine: RecordedEngine, command: Command, monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    engine.answers["one.vm.allocate"] = 12
    monkeypatch.setattr(sys, "stdin", io.StringIO("CPU=1\n"))
    assert command("onevm", "create", *argv).status == 0
    assert engine.calls == [("one.vm.allocate", "CPU=1\n", False)]


def test_create_from_options_alone_reads_nothing(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.vm.allocate"] = 12
    assert command("onevm", "create", "--cpu", "1", "--memory", "1g", "--name", "a").status == 0
    assert engine.calls == [("one.vm.allocate", 'NAME="a"\nCPU="1"\nMEMORY="1024"\n', False)]


def test_dry_run_prints_and_asks_nothing(engine: RecordedEngine, command: Command) -> None:
    assert command("onevm", "create", "--cpu", "1", "--dry").out == 'CPU="1"\n'
    assert engine.calls == []


def test_wait_follows_the_states(engine: RecordedEngine, command: Command) -> None:
    engine.answers |= {
        "one.vm.action": 0,
        "one.vm.info": [vm(0, "web", 3, 6), vm(0, "web", 5)],
    }
    done = command("onevm", "suspend", "0", "--wait")
    assert done.status == 0
    lines = done.err.splitlines()
    assert lines[0] == "VM 0 web: SAVE_SUSPEND on node1"
    assert lines[1].startswith("VM 0 web: SUSPENDED on node1 (")


def test_wait_fails_when_it_settles_elsewhere(engine: RecordedEngine, command: Command) -> None:
    engine.answers |= {"one.vm.action": 0, "one.vm.info": vm(0, "web", 3, 3, "disk full")}
    done = command("onevm", "suspend", "0", "--wait")
    assert done.status == 1
    assert done.err == "onevm: VM 0 web: RUNNING on node1, and not SUSPENDED: disk full\n"


def test_wait_gives_up_in_time(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.vm.info"] = vm(0, "web", 1, 0, "no host has room")
    done = command("onevm", "wait", "0", "--timeout", "0.2")
    assert done.status == 1
    assert "not RUNNING after 0.2 s but PENDING (no host has room)" in done.err


def test_instantiate_passes_name_hold_and_overrides(
    engine: RecordedEngine, command: Command
) -> None:
    engine.answers["one.template.instantiate"] = [5, 6]
    done = command(
        "onetemplate",
        "instantiate",
        "4",
        "--name",
        "w%i",
        "--hold",
        "--multiple",
        "2",
        "--cpu",
        "2",
    )
    assert done.out == "VM ID: 5\nVM ID: 6\n"
    assert engine.calls == [
        ("one.template.instantiate", 4, f"w{number}", True, 'CPU="2"\n', False) for number in (0, 1)
    ]


def test_image_is_registered_by_its_absolute_path(
    engine: RecordedEngine, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    engine.answers |= {
        "one.datastorepool.info": "<DATASTORE_POOL><DATASTORE><ID>1</ID><NAME>default</NAME>"
        "</DATASTORE></DATASTORE_POOL>",
        "one.image.allocate": 3,
    }
    done = command("oneimage", "create", "--name", "d", "--path", "disk.qcow2", "--persistent")
    assert done.out == "ID: 3\n"
    text = f'NAME="d"\nPATH="{tmp_path}/disk.qcow2"\nPERSISTENT="YES"\n'
    assert engine.calls[-1] == ("one.image.allocate", text, 1)


def test_hosts_are_made_with_their_drivers(engine: RecordedEngine, command: Command) -> None:
    engine.answers |= {"one.host.allocate": 1, "one.host.status": 1}
    assert command("onehost", "create", "node1", "--im", "kvm", "--vm", "kvm").out == "ID: 1\n"
    assert command("onehost", "disable", "1").status == 0
    assert engine.calls == [
        ("one.host.allocate", "node1", "kvm", "kvm", -1),
        ("one.host.status", 1, 1),
    ]


def test_address_is_held_by_ip_or_mac(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.vn.hold"] = 0
    assert command("onevnet", "hold", "0", "10.0.0.9").status == 0
    assert command("onevnet", "hold", "0", "02:00:0a:00:00:09").status == 0
    assert [call[2] for call in engine.calls] == [
        'LEASES=[ IP="10.0.0.9" ]',
        'LEASES=[ MAC="02:00:0a:00:00:09" ]',
    ]


def test_owner_and_mode_are_changed(engine: RecordedEngine, command: Command) -> None:
    users = "<USER_POOL><USER><ID>4</ID><NAME>alice</NAME></USER></USER_POOL>"
    engine.answers |= {"one.userpool.info": users, "one.vm.chown": 1, "one.vm.chmod": 1}
    assert command("onevm", "chown", "1", "alice").status == 0
    assert command("onevm", "chmod", "1", "640").status == 0
    assert engine.calls[1:] == [
        ("one.vm.chown", 1, 4, -1),
        ("one.vm.chmod", 1, 1, 1, 0, 1, 0, 0, 0, 0, 0),
    ]


def test_log_and_console_come_from_the_json_api(engine: RecordedEngine, command: Command) -> None:
    engine.pages["/api/v1/vms/3/log"] = ("text/plain", b"one\ntwo\n")
    engine.pages["/api/v1/vms/3/console"] = ("text/plain", b"login: \x1b[2J\n")
    assert command("onevm", "log", "3", "-n", "1").out == "two\n"
    assert command("onevm", "console", "3").out == "login: \n"


def test_events_are_one_line_each(engine: RecordedEngine, command: Command) -> None:
    event = {
        "seq": 4,
        "kind": "vm.running",
        "subject": {"kind": "vm", "id": 3},
        "at": 0,
        "body": {"host": "node1"},
    }
    body = f": hello\n\nid: 4\nevent: record\ndata: {json.dumps(event)}\n\n"
    engine.pages["/api/v1/events"] = ("text/event-stream", body.encode())
    done = command("orrery", "events", "--follow", "-n", "2")
    first, second = done.out.splitlines()
    assert first.split()[1:] == ["vm.running", "vm", "3", "host=node1"]
    assert second == first
    assert engine.headers[-1]["Last-Event-ID"] == "4"


def test_nobody_at_the_address_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, command: Command, engine: RecordedEngine
) -> None:
    monkeypatch.setenv("ONE_XMLRPC", "http://127.0.0.1:9/RPC2")
    done = command("onevm", "list")
    assert done.status == 1
    assert done.err.startswith("onevm: no engine at http://127.0.0.1:9 (Connection refused)")
    assert "orrery serve" in done.err
    assert "orrery up" in done.err


def test_start_page_counts_and_names_the_next_steps(
    engine: RecordedEngine, command: Command
) -> None:
    engine.answers |= {
        "one.hostpool.info": "<HOST_POOL><HOST><STATE>2</STATE></HOST></HOST_POOL>",
        "one.vmpool.info": POOL,
    }
    done = command("orrery")
    assert done.status == 0
    assert "1 hosts (1 on), 3 VMs (1 pend, 1 poff, 1 runn)" in done.out
    assert done.out.count("\n  orrery ") == 5


def test_start_page_without_an_engine_says_how_to_try(
    monkeypatch: pytest.MonkeyPatch, command: Command, engine: RecordedEngine
) -> None:
    monkeypatch.setenv("ONE_XMLRPC", "http://127.0.0.1:9/RPC2")
    done = command("orrery")
    assert done.status == 0
    assert "orrery up" in done.out
    assert "orrery doctor" in done.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_covers_every_program(command: Command, shell: str) -> None:
    text = command("orrery", "completion", shell).out
    assert "_ORRERY_COMPLETE" in text
    assert "_ONEVM_COMPLETE" in text


def test_login_keeps_the_token_to_itself(
    engine: RecordedEngine, command: Command, tmp_path: Path
) -> None:
    engine.answers["one.user.login"] = "abc123"
    assert command("oneuser", "login", "oneadmin").status == 1
    assert command("oneuser", "login", "oneadmin", "--force").status == 0
    file = tmp_path / "one_auth"
    assert file.read_text() == "oneadmin:abc123\n"
    assert file.stat().st_mode & 0o777 == 0o600
