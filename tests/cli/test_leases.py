"""Leases on the command line: what is asked for, what the answer says, how lists and calendars
look. The engine is recorded, the zone is Berlin's.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Command, RecordedEngine

Golden = Callable[[str, str], None]

NOW = 1_795_615_200.0
"""Wed 2026-11-25 15:00 in Berlin."""
TUESDAY_10 = 1_796_115_600

TERMS = """<TERMS><NODES>20</NODES><NODE_SET><COUNT>20</COUNT><CPU>1</CPU><MEMORY>2048</MEMORY>
<DISK_SIZE>0</DISK_SIZE></NODE_SET><DURATION>7200</DURATION><START>1796115600</START>
<DEADLINE>0</DEADLINE><PREEMPTIBLE>NO</PREEMPTIBLE><IMAGE>debian</IMAGE><IMAGE_SIZE>9</IMAGE_SIZE>
<PRIORITY>2</PRIORITY></TERMS>"""
LEASE = f"""<LEASE><ID>12</ID><UID>2</UID><GID>1</GID><UNAME>anna</UNAME><GNAME>users</GNAME>
<NAME>class</NAME><PERMISSIONS><OWNER_U>1</OWNER_U><OWNER_M>1</OWNER_M></PERMISSIONS>
<STATE>8</STATE><STATE_STR>ACTIVE</STATE_STR><KIND>reservation</KIND>
<SUBMITTED>1795615200</SUBMITTED><START>1796115600</START><END>1796122800</END>
<FIRST_START>1796115602</FIRST_START><ENDED>0</ENDED><SERVED>600</SERVED>
<SUSPENSIONS>0</SUSPENSIONS><PRICE/><SERIES_ID>11</SERIES_ID><OFFER_EXPIRES>0</OFFER_EXPIRES>
<REASON></REASON>{TERMS}<VMS><ID>4</ID><ID>5</ID></VMS><RUNS><RUN><HOSTS><ID>1</ID><ID>1</ID></HOSTS>
<START>1796115540</START><VM_START>1796115600</VM_START><VM_END>1796122800</VM_END>
<END>1796122810</END><BEGAN>1796115602</BEGAN><ENDED>0</ENDED><OPERATION><KIND>boot</KIND>
<NODE_IDS><ID>0</ID><ID>1</ID></NODE_IDS><START>1796115540</START><END>1796115600</END>
<BEGAN>1796115541</BEGAN><ENDED>1796115602</ENDED></OPERATION><OPERATION><KIND>shutdown</KIND>
<NODE_IDS><ID>0</ID><ID>1</ID></NODE_IDS><START>1796122800</START><END>1796122810</END>
<BEGAN>0</BEGAN><ENDED>0</ENDED></OPERATION></RUN></RUNS></LEASE>"""
REFUSED = f"""<VERDICT><LEASE_ID>13</LEASE_ID><ACCEPTED>NO</ACCEPTED><STATE_STR>REJECTED</STATE_STR>
<REASON>not enough is free</REASON><START>0</START><END>0</END><OFFER_EXPIRES>0</OFFER_EXPIRES>
<ALTERNATIVES><ALTERNATIVE><WHAT>later</WHAT><START>1796122800</START><END>1796130000</END>{TERMS}
</ALTERNATIVE><ALTERNATIVE><WHAT>fewer nodes</WHAT><START>1796115600</START><END>1796122800</END>
{TERMS}</ALTERNATIVE><ALTERNATIVE><WHAT>shorter</WHAT><START>1796115600</START>
<END>1796119200</END>{TERMS}</ALTERNATIVE></ALTERNATIVES></VERDICT>"""
ACCEPTED = """<VERDICT><LEASE_ID>12</LEASE_ID><ACCEPTED>YES</ACCEPTED>
<STATE_STR>SCHEDULED</STATE_STR><REASON></REASON><START>1796115600</START><END>1796122800</END>
<SERIES><ID>12</ID><ID>13</ID></SERIES></VERDICT>"""
OFFERED = """<VERDICT><LEASE_ID>13</LEASE_ID><ACCEPTED>NO</ACCEPTED><STATE_STR>OFFERED</STATE_STR>
<REASON>taken</REASON><START>1796122800</START><END>1796130000</END>
<OFFER_EXPIRES>1795615260</OFFER_EXPIRES><TERMS><NODES>4</NODES></TERMS></VERDICT>"""
CALENDAR = """<LEASE_CALENDAR><NOW>1796115600</NOW>
<SINCE>1796108400</SINCE><UNTIL>1796130000</UNTIL>
<HOST><ID>1</ID><NAME>alpha</NAME></HOST><HOST><ID>2</ID><NAME>beta</NAME></HOST>
<LEASE><ID>3</ID><NAME>batch</NAME></LEASE><LEASE><ID>12</ID><NAME>class</NAME></LEASE>
<SLOT><HOST_ID>1</HOST_ID><LEASE_ID>3</LEASE_ID><KIND>vm</KIND><START>1796108400</START>
<END>1796114700</END><NODES>2</NODES><CPU>4</CPU><MEMORY>512</MEMORY><ACTUAL>YES</ACTUAL></SLOT>
<SLOT><HOST_ID>1</HOST_ID><LEASE_ID>3</LEASE_ID><KIND>suspend</KIND><START>1796114700</START>
<END>1796115600</END><NODES>2</NODES><CPU>4</CPU><MEMORY>512</MEMORY><ACTUAL>YES</ACTUAL></SLOT>
<SLOT><HOST_ID>1</HOST_ID><LEASE_ID>12</LEASE_ID><KIND>vm</KIND><START>1796115600</START>
<END>1796122800</END><NODES>4</NODES><CPU>4</CPU><MEMORY>512</MEMORY><ACTUAL>NO</ACTUAL></SLOT>
<SLOT><HOST_ID>2</HOST_ID><LEASE_ID>-1</LEASE_ID><KIND>vm</KIND><START>1796119200</START>
<END>1796130000</END><NODES>1</NODES><CPU>1</CPU><MEMORY>512</MEMORY><ACTUAL>NO</ACTUAL></SLOT>
</LEASE_CALENDAR>"""


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: NOW)
    yield
    monkeypatch.undo()
    time.tzset()


def sent(engine: RecordedEngine) -> str:
    """The template of the first request."""
    text: str = next(call for call in engine.calls if call[0] == "one.lease.request")[1]
    return text


# --- ask ------------------------------------------------------------------------------------------


def test_options_become_a_template_with_times_resolved_here(
    engine: RecordedEngine, command: Command
) -> None:
    engine.answers["one.lease.request"] = ACCEPTED
    words = "--name class --nodes 20 --cpu 1 --memory 2G --image debian --duration 2h --priority 2"
    done = command(
        "onelease", "request", *words.split(), "--start", "Tuesday 10:00", "--network", "lan,2",
        "--non-preemptible", "--context", "ROLE=pupil",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert sent(engine).splitlines() == [
        'NAME="class"',
        'LEASE=[ NODES="20", CPU="1", MEMORY="2G", IMAGE="debian", START="1796115600", '
        'DURATION="7200", PREEMPTIBLE="NO", PRIORITY="2" ]',
        'NIC=[ NETWORK="lan" ]',
        'NIC=[ NETWORK_ID="2" ]',
        'CONTEXT=[ ROLE="pupil" ]',
    ]
    assert done.out.splitlines() == [
        "ID: 12",
        "ID: 13",
        "accepted (scheduled): 2 times, the last Tue 2026-12-01 10:00 to 12:00 CET",
    ]


def test_a_time_after_the_clocks_change_is_that_of_the_day(
    engine: RecordedEngine, command: Command
) -> None:
    engine.answers["one.lease.request"] = ACCEPTED
    command("onelease", "request", "--duration", "1h", "--start", "2027-06-01 10:00")
    assert 'START="1811836800"' in sent(engine)  # 8:00 UTC: summer time by then


@pytest.mark.parametrize(
    ("how", "days"),
    [("daily", [1, 2, 3]), ("weekly", [7, 14, 21]), ("weekdays", [1, 2, 3])],
)
def test_recurring_times_are_the_same_time_of_day(
    engine: RecordedEngine, command: Command, how: str, days: list[int]
) -> None:
    engine.answers["one.lease.request"] = ACCEPTED
    words = ("--duration", "1h", "--start", "Tuesday 10:00", "--recurring", how, "--count", "4")
    assert command("onelease", "request", *words).status == 0
    starts = ",".join(str(TUESDAY_10 + 86_400 * day) for day in days)
    assert f'STARTS="{starts}"' in sent(engine)


def test_recurring_times_leave_out_weekends_and_follow_the_clocks(
    engine: RecordedEngine, command: Command
) -> None:
    engine.answers["one.lease.request"] = ACCEPTED
    words = ("--duration", "1h", "--start", "2027-03-26 10:00", "--recurring", "weekdays")
    assert command("onelease", "request", *words, "--count", "2").status == 0
    friday = 1_806_051_600
    assert f'START="{friday}"' in sent(engine)
    assert f'STARTS="{friday + 3 * 86_400 - 3_600}"' in sent(engine)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "--duration"),
        ("--duration 1h --now --best-effort", "--now"),
        ("--duration 1h --now --start +1h", "--start"),
        ("--duration 1h --recurring daily", "--count"),
        ("--duration 1h --count 3", "--recurring"),
        ("--duration 1h --recurring daily --count 3", "--start"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(
    engine: RecordedEngine, command: Command, words: str, complaint: str
) -> None:
    done = command("onelease", "request", *words.split())
    assert (done.status, engine.calls) == (2, [])
    assert complaint in done.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--duration", "a while"), "duration: 'a while' is no duration"),
        (("--duration", "1h", "--start", "whenever"), "start: 'whenever' is no moment"),
    ],
)
def test_what_is_no_time_is_named(
    engine: RecordedEngine, command: Command, words: tuple[str, ...], complaint: str
) -> None:
    done = command("onelease", "request", *words)
    assert (done.status, engine.calls) == (1, [])
    assert complaint in done.err


def test_a_refusal_has_reason_alternatives_and_how_to_take_them(
    engine: RecordedEngine, command: Command
) -> None:
    engine.answers["one.lease.request"] = REFUSED
    done = command("onelease", "request", "--duration", "2h")
    assert done.status == 1
    assert done.err == "refused: not enough is free\n"
    assert "--start 2026-12-01T12:00:00+01:00" in done.out
    assert "--nodes 20" in done.out
    assert "--duration '2h'" in done.out
    assert "Tue 2026-12-01 12:00 to 14:00 CET" in done.out


def test_an_offer_says_until_when_and_how_it_is_taken(
    engine: RecordedEngine, command: Command
) -> None:
    engine.answers["one.lease.request"] = OFFERED
    done = command("onelease", "request", "--duration", "2h", "--hold-offer")
    assert (done.status, done.err) == (1, "refused: taken\n")
    assert "offered instead: 4 nodes, Tue 2026-12-01 12:00 to 14:00 CET" in done.out
    assert "until Wed 2026-11-25 15:01 CET: take it with 'onelease accept 13'" in done.out


def test_programs_get_the_answer_as_json(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.lease.when"] = REFUSED
    done = command("onelease", "when", "--duration", "2h", "--json")
    verdict = json.loads(done.out)["VERDICT"]
    assert (verdict["ACCEPTED"], len(verdict["ALTERNATIVES"]["ALTERNATIVE"])) == ("NO", 3)


def test_nothing_is_asked_with_dry(engine: RecordedEngine, command: Command) -> None:
    done = command("onelease", "request", "--duration", "90m", "--dry")
    assert (done.out, engine.calls) == ('LEASE=[ DURATION="5400" ]\n', [])


# --- files ----------------------------------------------------------------------------------------

YAML = """
leases:
  - name: class
    nodes: [{count: 4}, {count: 1, cpu: 2, memory: 4GiB}]
    memory: 1GiB
    start: Tuesday 10:00
    duration: 2h
    network: [lan]
    image: {name: debian, size: 2GiB}
    recurring: {count: 3, every: 1w}
  - duration: 1:30:00
    preemptible: false
    cpu: 0.5
    memory: 512
"""
LWF = """<lease preemptible="true"><nodes><node-set numnodes="4"><res type="CPU" amount="50"/>
<res type="Memory" amount="1024"/></node-set></nodes><start><exact time="+01:00:00"/></start>
<duration time="00:10:00"/><software><disk-image id="web" size="64"/></software></lease>"""


def test_a_file_in_yaml_has_several_leases(
    engine: RecordedEngine, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "f.yaml").write_text(YAML)
    done = command("onelease", "request", str(tmp_path / "f.yaml"), "--dry", "--priority", "1")
    assert done.out.splitlines() == [
        'NAME="class"',
        'LEASE=[ MEMORY="1GiB", START="1796115600", DURATION="7200", IMAGE="debian", '
        'IMAGE_SIZE="2GiB", REPEAT="3", EVERY="1w", PRIORITY="1" ]',
        'LEASE_NODES=[ COUNT="4" ]',
        'LEASE_NODES=[ COUNT="1", CPU="2", MEMORY="4GiB" ]',
        'NIC=[ NETWORK="lan" ]',
        'LEASE=[ DURATION="5400", PREEMPTIBLE="NO", CPU="0.5", MEMORY="512", PRIORITY="1" ]',
    ]


def test_a_file_of_haizea_is_counted_from_now(
    engine: RecordedEngine, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "f.lwf").write_text(LWF)
    done = command("onelease", "request", str(tmp_path / "f.lwf"), "--dry")
    assert done.out.splitlines() == [
        f'LEASE=[ DURATION="600", START="{NOW + 3600:.0f}", PREEMPTIBLE="YES", IMAGE="web" ]',
        'LEASE_NODES=[ COUNT="4", CPU="0.5", MEMORY="1024" ]',
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("colour: red", "colour"),
        ("a: [", "is no YAML"),
        ("<site/>", "<lease>"),
        (b"\xff", "UTF-8"),
        (None, "cannot read"),
    ],
)
def test_a_file_that_is_no_lease_is_refused(
    engine: RecordedEngine, command: Command, tmp_path: Path, content: str | bytes | None,
    complaint: str,
) -> None:  # fmt: skip
    path = tmp_path / "f"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = command("onelease", "request", str(path))
    assert (done.status, engine.calls) == (1, [])
    assert complaint in done.err


# --- look -----------------------------------------------------------------------------------------


def test_list(engine: RecordedEngine, command: Command, golden: Golden) -> None:
    engine.answers["one.leasepool.info"] = f"<LEASE_POOL>{LEASE}</LEASE_POOL>"
    golden("cli/leases.txt", command("onelease", "list").out)
    listed = command("onelease", "list", "-l", "ID,SERVED,PRIORITY,SERIES", "--csv", "--all")
    assert listed.out == "ID,SERVED,PRIORITY,SERIES\n12,10m,2,11\n"
    assert [call[-1] for call in engine.calls] == [-1, -2]


def test_show(engine: RecordedEngine, command: Command, golden: Golden) -> None:
    engine.answers["one.lease.info"] = LEASE
    golden("cli/lease.txt", command("onelease", "show", "12").out)


def test_a_run_is_shown_as_it_was_planned_also_when_it_began_at_another_time(
    engine: RecordedEngine, command: Command
) -> None:
    early = "<VM_START>1796115590</VM_START>"
    began = LEASE.replace("<VM_START>1796115600</VM_START>", early)
    engine.answers["one.lease.info"] = began.replace("1796115602", "1796115590")
    (line,) = [one for one in command("onelease", "show", "12").out.splitlines() if "run " in one]
    assert line.split() == [
        *("run", "2", "Tue", "2026-12-01", "10:00", "to", "12:00", "CET"),
        *("since", "Tue", "2026-12-01", "09:59:50", "CET"),
    ]


def test_top_without_a_priority_is_above_all_others(
    engine: RecordedEngine, command: Command
) -> None:
    engine.answers["one.leasepool.info"] = f"<LEASE_POOL>{LEASE}</LEASE_POOL>"
    engine.answers["one.lease.top"] = ACCEPTED
    command("onelease", "top", "12")
    assert engine.calls[-1] == ("one.lease.top", 12, 3)


def test_a_name_means_a_lease_that_is_not_over(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.leasepool.info"] = f"<LEASE_POOL>{LEASE}</LEASE_POOL>"
    engine.answers["one.lease.accept"] = ACCEPTED
    assert command("onelease", "accept", "class").status == 0
    assert engine.calls == [("one.leasepool.info", -2, -1, -1, -1), ("one.lease.accept", 12)]


def test_waiting_follows_the_states(engine: RecordedEngine, command: Command) -> None:
    ready = LEASE.replace("ACTIVE", "READY")
    engine.answers["one.lease.info"] = [ready, LEASE]
    done = command("onelease", "wait", "12")
    assert done.err.splitlines()[0] == "lease 12 class: ready until Tue 2026-12-01 10:00 CET"
    assert done.err.splitlines()[1].startswith("lease 12 class: active (")
    engine.answers["one.lease.info"] = LEASE.replace("ACTIVE", "FAILED")
    done = command("onelease", "wait", "12")
    assert (done.status, "failed, and not active" in done.err) == (1, True)
    engine.answers["one.lease.info"] = ready
    done = command("onelease", "wait", "12", "--timeout", "0.05")
    assert (done.status, "not active after" in done.err) == (1, True)


def test_calendar_in_the_terminal(engine: RecordedEngine, command: Command, golden: Golden) -> None:
    engine.answers["one.leasepool.calendar"] = CALENDAR
    golden("cli/calendar.txt", command("onelease", "calendar", "--width", "80").out)
    assert engine.calls == [("one.leasepool.calendar", int(NOW) - 3600, int(NOW) + 82_800)]


def test_calendar_for_programs(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.leasepool.calendar"] = CALENDAR
    lines = command("onelease", "calendar", "--csv").out.splitlines()
    assert lines[0] == "HOST,LEASE,KIND,START,END,NODES,CPU,MEMORY,ACTUAL"
    assert lines[3] == "1,12,vm,2026-12-01 10:00 CET,2026-12-01 12:00 CET,4,4,512,NO"
    found = json.loads(command("onelease", "calendar", "--json").out)
    assert len(found["LEASE_CALENDAR"]["SLOT"]) == 4


def test_calendar_as_pictures(engine: RecordedEngine, command: Command, tmp_path: Path) -> None:
    engine.answers["one.leasepool.calendar"] = CALENDAR
    html, png = tmp_path / "c.html", tmp_path / "c.png"
    done = command("onelease", "calendar", "--html", str(html), "--png", str(png))
    assert (done.status, done.out) == (0, "")
    assert "lease 12 class: 4 nodes, vm: Tue 2026-12-01 10:00 to 12:00 CET (2h)" in html.read_text()
    assert Image.open(png).format == "PNG"
    done = command("onelease", "calendar", "--png", str(tmp_path / "none" / "c.png"))
    assert (done.status, "cannot write" in done.err) == (1, True)


def test_calendar_ends_after_it_begins(engine: RecordedEngine, command: Command) -> None:
    done = command("onelease", "calendar", "--from", "+2h", "--to", "+1h")
    assert (done.status, engine.calls) == (1, [])
    assert "--to" in done.err


def test_usage(engine: RecordedEngine, command: Command) -> None:
    engine.answers["one.leasepool.usage"] = """<LEASE_USAGE><USER><ID>2</ID><NAME>anna</NAME>
    <LEASES>5</LEASES><ACCEPTED>4</ACCEPTED><REJECTED>1</REJECTED><DONE>3</DONE>
    <NODE_SECONDS>72000</NODE_SECONDS><CPU_SECONDS>36000</CPU_SECONDS>
    <MEMORY_GIB_SECONDS>144000</MEMORY_GIB_SECONDS><SUSPENSIONS>2</SUSPENSIONS><WAIT>90</WAIT>
    </USER></LEASE_USAGE>"""
    done = command("onelease", "usage", "m", "--no-header")
    assert done.out.split() == [
        "2",
        "anna",
        "5",
        "4",
        "1",
        "3",
        "20.0",
        "10.0",
        "40.0",
        "2",
        "1m",
        "30s",
    ]
    assert engine.calls[-1][1] == -3
