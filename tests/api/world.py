"""A small engine to test front ends against: the real core and view, no store, no drivers, a
clock that stands.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from argon2 import PasswordHasher
from msgspec.structs import replace

from orrery.api.http import Parts
from orrery.core.capacity import Capacity
from orrery.core.decide import decide
from orrery.core.messages import Actor, Bootstrap, Command, Decision, Record
from orrery.core.model.host import Host
from orrery.core.model.kinds import Kind
from orrery.core.model.storage import Image
from orrery.core.model.users import User
from orrery.core.model.view import Object
from orrery.core.model.vm import HistoryRecord, Vm
from orrery.core.status import HostStatus, ImageStatus, ImageType, VmStatus
from orrery.core.template import parse
from orrery.engine.view import State
from orrery.ports.store import Sample
from orrery.service.engine import Engine
from orrery.service.sessions import Sessions

NOW = 1_790_000_000.0
ADMIN = Actor(0, (0,))
ANNA = Actor(2, (1,))
BEN = Actor(3, (1,))

VM_TEXT = 'NAME="{name}" CPU="0.5" MEMORY="256" COLOUR="a<b & ]] > c"'


def cheap_hasher() -> PasswordHasher:
    """Real argon2, at the least it can cost."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> float:
        return self.time


@dataclass
class Kept:
    """What is kept of single objects, by hand."""

    records: list[Record] = field(default_factory=list)
    consoles: dict[int, bytes] = field(default_factory=dict)
    fractions: dict[tuple[Kind, int], float] = field(default_factory=dict)

    async def history(self, kind: Kind, object_id: int) -> list[Record]:
        return [r for r in self.records if (r.subject_kind, r.subject_id) == (kind, object_id)]

    async def console(self, vm_id: int, limit: int) -> bytes:
        return self.consoles.get(vm_id, b"")[-limit:]

    def progress(self, kind: Kind, object_id: int) -> float | None:
        return self.fractions.get((kind, object_id))


@dataclass
class Numbers:
    """Monitoring from dictionaries."""

    vms: dict[int, Mapping[str, float]] = field(default_factory=dict)
    hosts: dict[int, Mapping[str, float]] = field(default_factory=dict)
    datastores: dict[int, Mapping[str, float]] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    asked: int = 0

    @property
    def revision(self) -> int:
        """Another one each time: the dictionaries may have been changed."""
        self.asked += 1
        return self.asked

    @property
    def vm_samples(self) -> Mapping[int, Mapping[str, float]]:
        return self.vms

    def last_vm(self, vm_id: int) -> Mapping[str, float] | None:
        return self.vms.get(vm_id)

    def last_host(self, host_id: int) -> Mapping[str, float] | None:
        return self.hosts.get(host_id)

    def last_datastore(self, datastore_id: int) -> Mapping[str, float] | None:
        return self.datastores.get(datastore_id)

    async def series(self, kind: Kind, ids: Sequence[int] | None, since: float) -> list[Sample]:
        return [
            sample
            for sample in self.samples
            if sample.kind is kind and sample.at >= since and (ids is None or sample.id in ids)
        ]


@dataclass
class Feed:
    """Records that were written beforehand."""

    records: list[Record] = field(default_factory=list)

    async def follow(self, after: int | None = None) -> AsyncIterator[Record]:
        for record in self.records:
            if after is None or record.seq > after:
                yield record


class World:
    """Two users (anna 2, ben 3, password like `anna-secret`) beside oneadmin (`secret`), two
    hosts, an image.
    """

    def __init__(self) -> None:
        self.state = State("test-engine")
        self.watch = Watch()
        self.numbers = Numbers()
        self.feed = Feed()
        self.kept = Kept()
        self.commands: list[Command] = []
        self.hasher = cheap_hasher()
        self.sessions = Sessions(self.state, self.watch, b"k" * 32, self.hasher)
        self.engine = Engine(self.state, self.submit, self._new_cause, self.watch)
        self._causes = 0
        self._fill()

    async def submit(self, command: Command) -> int | None:
        """As the writer: decide, make it so, answer; a refusal changes nothing."""
        self.commands.append(command)
        decision = decide(command, self.state, self.watch.now())
        self.state.apply(decision)
        return decision.result

    def put(self, *objects: Object) -> None:
        self.state.apply(Decision(put=objects))

    def _new_cause(self) -> str:
        self._causes += 1
        return f"test-{self._causes}"

    def _fill(self) -> None:
        bootstrap = Bootstrap(
            cause="start",
            password_hash=self.hasher.hash("secret"),
            datastore_dir="/var/lib/orrery/datastores",
            driver="sim",
        )
        self.state.apply(decide(bootstrap, self.state, NOW))
        for uid, name in ((2, "anna"), (3, "ben")):
            stored = self.hasher.hash(f"{name}-secret")
            self.put(User(id=uid, name=name, gid=1, groups=(1,), password_hash=stored))
        self.put(a_host(1, "node1"), a_host(2, "node2"), an_image(0, "debian"))

    def parts(self, **changes: Any) -> Parts:
        parts = Parts(
            engine=self.engine,
            sessions=self.sessions,
            monitoring=self.numbers,
            events=self.feed,
            journal=self.kept,
            make_token=lambda: f"token-{self._new_cause()}-{'x' * 20}",
            metrics=lambda: b"orrery_up 1\n",
            is_healthy=lambda: True,
            endpoint="http://localhost:2633/RPC2",
            version="0.1.0",
            settings={"PORT": "2633"},
        )
        return replace(parts, **changes)

    def running_vm(self, vm_id: int, actor: Actor, host_id: int = 1, **changes: Any) -> Vm:
        """A VM that runs, put without asking anybody."""
        vm = a_vm(vm_id, actor, host_id)
        vm = replace(vm, **changes)
        self.put(vm)
        return vm


def a_host(host_id: int, name: str) -> Host:
    return Host(
        id=host_id,
        name=name,
        status=HostStatus.MONITORED,
        prev_status=HostStatus.INIT,
        im_mad="sim",
        vm_mad="sim",
        cluster_id=0,
        total=Capacity(800, 16_384, 100_000),
        facts=parse('ARCH="x86_64" HYPERVISOR="sim"'),
        capabilities=frozenset({"suspend"}),
    )


def an_image(image_id: int, name: str, uid: int = 0, permissions: int = 0o644) -> Image:
    return Image(
        id=image_id,
        name=name,
        uid=uid,
        gid=0 if uid == 0 else 1,
        permissions=permissions,
        type=ImageType.OS,
        status=ImageStatus.READY,
        datastore_id=1,
        regtime=NOW,
        path="/var/tmp/debian.qcow2",
        source="/var/lib/orrery/datastores/1/0",
        format="qcow2",
        size_mib=2048,
    )


def a_vm(vm_id: int, actor: Actor, host_id: int = 1) -> Vm:
    return Vm(
        id=vm_id,
        name=f"vm{vm_id}",
        uid=actor.uid,
        gid=actor.gids[0],
        status=VmStatus.RUNNING,
        prev_status=VmStatus.BOOT,
        capacity=Capacity(50, 256, 2048),
        vcpu=1,
        stime=NOW - 100,
        template=parse('CPU="0.5" MEMORY="256" OS=[ARCH="x86_64"] GRAPHICS=[TYPE="VNC"]'),
        user_template=parse('COLOUR="a<b & c"'),
        history=(
            HistoryRecord(
                seq=0,
                host_id=host_id,
                hostname=f"node{host_id}",
                cluster_id=0,
                vm_mad="sim",
                tm_mad="sim",
                ds_id=0,
                stime=NOW - 90,
                pstime=NOW - 90,
                petime=NOW - 85,
                rstime=NOW - 85,
            ),
        ),
        deploy_id=f"one-{vm_id}",
    )
