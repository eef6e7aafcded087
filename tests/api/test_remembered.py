"""Answers that are remembered equal answers made from nothing, whatever happens in between and
whoever asks.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from orrery.api.http import api_of
from orrery.api.xmlrpc.dispatch import Rpc
from orrery.core.errors import Refused
from orrery.core.messages import (
    AllocateVm,
    Chmod,
    Chown,
    Command,
    DeleteObject,
    HoldVm,
    ReleaseVm,
    Rename,
    TerminateVm,
)
from orrery.core.model.kinds import Kind
from orrery.core.status import VmStatus
from orrery.core.template import parse
from tests.api.world import ADMIN, ANNA, BEN, Numbers, World

pytestmark = pytest.mark.anyio

SESSIONS = ("oneadmin:secret", "anna:anna-secret", "ben:ben-secret")
POOLS = (
    ("vmpool.info", (-2, -1, -1, -1)),
    ("vmpool.info", (-2, 1, -3, -1)),
    ("vmpool.info", (-1, -1, -1, -2)),
    ("vmpool.infoextended", (-2, -1, -1, -1)),
    ("hostpool.info", ()),
    ("imagepool.info", (-2, -1, -1)),
    ("clusterpool.info", ()),
    ("userpool.info", ()),
)


@dataclass
class Counted(Numbers):
    """Numbers whose revision is the one that was set, as the monitor's."""

    now: int = 0

    @property
    def revision(self) -> int:
        return self.now


def call_of(method: str, session: str, values: tuple[int, ...]) -> bytes:
    numbers = "".join(f"<param><value><i4>{value}</i4></value></param>" for value in values)
    return (
        f"<methodCall><methodName>one.{method}</methodName><params><param><value>"
        f"<string>{session}</string></value></param>{numbers}</params></methodCall>"
    ).encode()


class Story:
    """A world to which random things happen."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World()
        self.numbers = Counted()
        self.world.numbers = self.numbers
        for vm_id, actor in enumerate((ADMIN, ANNA, BEN, ANNA)):
            self.world.running_vm(vm_id, actor, host_id=1 + vm_id % 2)
        self.rpc = Rpc(api_of(self.world.parts()))

    async def step(self) -> None:
        happening: Callable[[], Any] = self.random.choice(
            [self.command, self.command, self.sample, self.host_sample, self.outcome]
        )
        made = happening()
        if isinstance(made, Command):
            try:
                await self.world.submit(made)
            except Refused:
                return

    def command(self) -> Command:
        pick = self.random.choice
        vm_id = pick(list(self.world.state.vms))
        name = f"name{self.random.randrange(1000)}"
        kind = pick([Kind.VM, Kind.IMAGE, Kind.USER, Kind.HOST, Kind.CLUSTER, Kind.GROUP])
        oid = vm_id if kind is Kind.VM else pick(list(self.world.state.pools[kind]))
        bits = (1, 1, 0, pick([0, 1]), 0, 0, pick([0, 1]), 0, 0)
        template = parse("CPU=1 MEMORY=64 DISK=[IMAGE_ID=0]")
        who = pick([ADMIN, ANNA, BEN])
        return pick(
            [
                AllocateVm(cause="t", actor=who, template=template, hold=pick([True, False])),
                HoldVm(cause="t", actor=ADMIN, vm_id=vm_id),
                ReleaseVm(cause="t", actor=ADMIN, vm_id=vm_id),
                TerminateVm(cause="t", actor=ADMIN, vm_id=vm_id),
                Chmod(cause="t", actor=ADMIN, kind=Kind.VM, id=vm_id, bits=bits),
                Chown(cause="t", actor=ADMIN, kind=Kind.VM, id=vm_id, uid=who.uid, gid=None),
                Rename(cause="t", actor=ADMIN, kind=kind, id=oid, name=name),
                DeleteObject(cause="t", actor=ADMIN, kind=Kind.IMAGE, id=0),
            ]
        )

    def sample(self) -> None:
        vm_id = self.random.choice(list(self.world.state.vms))
        self.numbers.now += 1
        self.numbers.vms[vm_id] = {"CPU": self.random.random(), "TIMESTAMP": 1.79e9}

    def outcome(self) -> None:
        """A VM starts, stops or is gone, as its driver says."""
        vm = self.random.choice(list(self.world.state.vms.values()))
        to = self.random.choice([VmStatus.RUNNING, VmStatus.POWEROFF, VmStatus.DONE])
        self.world.put(replace(vm, status=to, gen=vm.gen + 1))

    def host_sample(self) -> None:
        self.numbers.now += 1
        self.numbers.hosts[self.random.choice([1, 2])] = {
            "USED_CPU": self.random.random(),
            "TIMESTAMP": 1.79e9,
        }

    async def compare(self) -> None:
        fresh = Rpc(api_of(self.world.parts()))
        for session in SESSIONS:
            for method, values in POOLS:
                body = call_of(method, session, values)
                assert await self.rpc.answer(body) == await fresh.answer(body), (session, method)


@pytest.mark.parametrize("seed", range(8))
async def test_remembered_answers_equal_fresh_ones(seed: int) -> None:
    story = Story(seed)
    for _ in range(40):
        await story.compare()
        await story.step()
    await story.compare()


async def test_an_answer_is_given_again_while_nothing_changes() -> None:
    story = Story(1)
    body = call_of("vmpool.info", SESSIONS[0], (-2, -1, -1, -1))
    first = await story.rpc.answer(body)
    assert story.rpc.begin(body) is first


async def test_nobody_is_given_what_another_may_see() -> None:
    story = Story(1)
    answers = [
        await story.rpc.answer(call_of("vmpool.info", session, (-2, -1, -1, -1)))
        for session in SESSIONS
    ]
    assert [answer.count(b"&lt;VM&gt;") for answer in answers] == [4, 2, 1]
