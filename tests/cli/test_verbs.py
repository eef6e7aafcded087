"""Every verb of every noun: the one call it makes. A verb without a case fails the last test."""

import io
import sys
from typing import Any

import click
import pytest

from orrery.cli.program import NOUNS, load
from orrery.cli.vm import RECOVERIES
from tests.cli.conftest import Command, RecordedEngine

BITS = (1, 1, 0, 1, 0, 0, 0, 0, 0)
PIPED = "A=1\n"
OWNED = {"vm": "vm", "template": "template", "image": "image", "vnet": "vn", "secgroup": "secgroup",
         "datastore": "datastore", "lease": "lease"}  # fmt: skip
UNOWNED = {"host": "host", "cluster": "cluster"}
FILTERED = {"vm": (-2, -1, -1, -1), "template": (-2, -1, -1), "image": (-2, -1, -1),
            "vnet": (-2, -1, -1), "secgroup": (-2, -1, -1),
            "lease": (-2, -1, -1, -1)}  # fmt: skip

Case = tuple[str, tuple[Any, ...]]


def shared(word: str, name: str, *, owned: bool) -> list[Case]:
    """Verbs that mean the same for all nouns."""
    cases: list[Case] = [
        (f"{word} list", (f"one.{name}pool.info", *FILTERED.get(word, ()))),
        (f"{word} show 3", (f"one.{name}.info", 3)),
        (f"{word} rename 3 new", (f"one.{name}.rename", 3, "new")),
        (f"{word} update 3 -", (f"one.{name}.update", 3, PIPED, 0)),
        (f"{word} update 3 - --append", (f"one.{name}.update", 3, PIPED, 1)),
    ]
    if word != "vm":
        cases.append((f"{word} delete 3", (f"one.{name}.delete", 3)))
    if owned:
        cases.append((f"{word} chmod 3 640", (f"one.{name}.chmod", 3, *BITS)))
        cases.append((f"{word} chown 3 4 5", (f"one.{name}.chown", 3, 4, 5)))
    return cases


CASES: list[Case] = [
    *(case for word, name in OWNED.items() for case in shared(word, name, owned=True)),
    *(case for word, name in UNOWNED.items() for case in shared(word, name, owned=False)),
    *((f"vm {verb} 3", ("one.vm.action", verb, 3))
      for verb in ("hold", "release", "suspend", "resume", "poweroff", "reboot", "terminate")),
    *((f"vm {verb} 3 --hard", ("one.vm.action", f"{verb}-hard", 3))
      for verb in ("poweroff", "reboot", "terminate")),
    *((f"vm recover 3 --{way}", ("one.vm.recover", 3, number))
      for number, way in enumerate(RECOVERIES)),
    ("vm create -", ("one.vm.allocate", PIPED, False)),
    ("vm deploy 3 4 --enforce -i 0", ("one.vm.deploy", 3, 4, True, 0)),
    ("vm wait 3", ("one.vm.info", 3)),
    ("vm monitoring 3", ("one.vm.monitoring", 3)),
    ("template create -", ("one.template.allocate", PIPED)),
    ("template instantiate 3", ("one.template.instantiate", 3, "", False, "", False)),
    ("template clone 3 copy", ("one.template.clone", 3, "copy", False)),
    ("image create - -d 1", ("one.image.allocate", PIPED, 1)),
    ("image persistent 3", ("one.image.persistent", 3, True)),
    ("image nonpersistent 3", ("one.image.persistent", 3, False)),
    ("image enable 3", ("one.image.enable", 3, True)),
    ("image disable 3", ("one.image.enable", 3, False)),
    ("vnet create -", ("one.vn.allocate", PIPED, -1)),
    ("vnet addar 3 --ip 10.0.0.1 --size 5",
     ("one.vn.add_ar", 3, 'AR=[ TYPE="IP4", IP="10.0.0.1", SIZE="5" ]')),
    ("vnet rmar 3 0", ("one.vn.rm_ar", 3, 0)),
    ("vnet hold 3 10.0.0.1", ("one.vn.hold", 3, 'LEASES=[ IP="10.0.0.1" ]')),
    ("vnet release 3 10.0.0.1", ("one.vn.release", 3, 'LEASES=[ IP="10.0.0.1" ]')),
    ("lease request --duration 2h --nodes 2 --hold-offer",
     ("one.lease.request", 'LEASE=[ NODES="2", DURATION="7200" ]\n', -1, True)),
    ("lease when --duration 2h --template 7 --now",
     ("one.lease.when", 'LEASE=[ DURATION="7200", START="now" ]\n', 7)),
    ("lease accept 3", ("one.lease.accept", 3)),
    ("lease cancel 3 --reason rain", ("one.lease.cancel", 3, "rain")),
    ("lease extend 3 1h30m", ("one.lease.extend", 3, 5400)),
    ("lease shorten 3 90", ("one.lease.shorten", 3, 90)),
    ("lease move 3 2026-12-01T10:00Z", ("one.lease.move", 3, 1_796_119_200)),
    ("lease top 3 5", ("one.lease.top", 3, 5)),
    ("lease wait 3", ("one.lease.info", 3)),
    ("lease calendar --from 2026-12-01T10:00Z --to 2026-12-01T12:00Z",
     ("one.leasepool.calendar", 1_796_119_200, 1_796_126_400)),
    ("lease usage --from 2026-12-01T10:00Z", ("one.leasepool.usage", -2, 1_796_119_200, -1)),
    ("host create node1 -i sim", ("one.host.allocate", "node1", "sim", "sim", -1)),
    ("host enable 3", ("one.host.status", 3, 0)),
    ("host disable 3", ("one.host.status", 3, 1)),
    ("host offline 3", ("one.host.status", 3, 2)),
    ("cluster create c", ("one.cluster.allocate", "c")),
    ("cluster addhost 3 4", ("one.cluster.addhost", 3, 4)),
    ("datastore create -", ("one.datastore.allocate", PIPED, -1)),
    ("secgroup create -", ("one.secgroup.allocate", PIPED)),
    ("user list", ("one.userpool.info",)),
    ("user show 3", ("one.user.info", 3)),
    ("user create alice pw", ("one.user.allocate", "alice", "pw", "core")),
    ("user passwd 3 pw", ("one.user.passwd", 3, "pw")),
    ("user login alice --print", ("one.user.login", "alice", "", 36000, -1)),
    ("user update 3 -", ("one.user.update", 3, PIPED, 0)),
    ("user delete 3", ("one.user.delete", 3)),
    ("group list", ("one.grouppool.info",)),
    ("group show 3", ("one.group.info", 3)),
]  # fmt: skip

BY_HTTP = {"vm log", "vm console"}
"""Not methods of XML-RPC; tested with the JSON API."""

RUNNING = "<VM><STATE>3</STATE><LCM_STATE>3</LCM_STATE></VM>"


VERDICT = """<VERDICT><LEASE_ID>3</LEASE_ID><ACCEPTED>YES</ACCEPTED></VERDICT>"""
ASKING = ("request", "when", "accept", "extend", "shorten", "move", "top")
ACTIVE = "<LEASE><STATE_STR>ACTIVE</STATE_STR></LEASE>"
CALENDAR = """<LEASE_CALENDAR><NOW>1796119200</NOW><SINCE>1796119200</SINCE>
<UNTIL>1796126400</UNTIL></LEASE_CALENDAR>"""
ANSWERS = {
    "one.vm.info": RUNNING,
    "one.lease.info": ACTIVE,
    "one.lease.cancel": 3,
    "one.leasepool.calendar": CALENDAR,
    "one.leasepool.usage": "<LEASE_USAGE/>",
    **dict.fromkeys(
        (
            f"one.lease.{word}"
            for word in ["request", "when", "accept", "extend", "shorten", "move", "top"]
        ),
        VERDICT,
    ),
}


def answer_to(method: str) -> Any:
    if method in ANSWERS:
        return ANSWERS[method]
    if method.endswith((".info", ".monitoring")):
        return "<NOTHING/>"
    return "token" if method == "one.user.login" else 3


@pytest.mark.parametrize(("words", "call"), CASES, ids=[words for words, _ in CASES])
def test_each_verb_makes_its_call(
    engine: RecordedEngine,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    call: tuple[Any, ...],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(PIPED))
    engine.answers[call[0]] = answer_to(call[0])
    engine.answers.setdefault("one.vm.info", RUNNING)
    done = command("orrery", *words.split())
    assert (done.status, done.err if "wait" not in words else "") == (0, "")
    assert engine.calls[0] == call


def test_every_verb_of_every_noun_has_a_case() -> None:
    covered = {" ".join(words.split()[:2]) for words, _ in CASES} | BY_HTTP
    there = set()
    for noun, branch in NOUNS.items():
        group = load(branch.target)
        assert isinstance(group, click.Group)
        there |= {f"{noun} {verb}" for verb in group.commands}
    assert there == covered
