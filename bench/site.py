"""Builds a large site through the core's own decisions: hosts, an image, a network, running VMs.

Writes it to a database file in one go, which takes seconds where calls would take minutes. Run as
a program it fills a home: `python -m bench.site HOME HOSTS VMS`.
"""

import asyncio
import sys
import time
from pathlib import Path

from orrery.core.capacity import Capacity
from orrery.core.decide import decide, expand
from orrery.core.messages import (
    ENGINE,
    AllocateHost,
    AllocateImage,
    AllocateNetwork,
    AllocateVm,
    Bootstrap,
    Done,
    HostSeen,
    Message,
    Outcome,
    PlaceVm,
    Record,
    Settled,
)
from orrery.core.model.action import Action
from orrery.core.model.kinds import Kind
from orrery.core.template import Template, parse
from orrery.engine.view import State
from orrery.ports.store import Batch
from orrery.service.sessions import default_hasher
from orrery.store.sqlite import SqliteStore

ENGINE_ID = "6f1c9a52-0000-4000-8000-00000000be7c"
PASSWORD = "bench"
HOST_SIZE = Capacity(6400, 262144, 1_000_000)
FACTS = Template(
    (("ARCH", "x86_64"), ("CPUSPEED", "2400"), ("HYPERVISOR", "sim"), ("MODELNAME", "Simulated"))
)

IMAGE = 'NAME="os" TYPE="OS" PATH="/images/os.qcow2" SIZE="2048"'
NETWORK = (
    'NAME="net" VN_MAD="nat" AR=[TYPE="IP4", IP="10.0.0.10", SIZE="20000"] '
    'GATEWAY="10.0.0.1" NETWORK_MASK="255.255.0.0" DNS="10.0.0.1"'
)
VM = 'NAME="{name}" CPU="0.1" MEMORY="64" NIC=[NETWORK="net"]'
"""Small, as the peer's were: a list of 10 000 of them is some 15 MB of XML in XML."""


class Site:
    """A state that grows by decisions, as the writer's does."""

    def __init__(self, engine_id: str = ENGINE_ID) -> None:
        self.state = State(engine_id)
        self.now = time.time()
        self.records: list[Record] = []

    def do(self, message: Message) -> int | None:
        first = None
        for part in expand(message):
            decision = decide(part, self.state, self.now)
            self.state.apply(decision)
            self.records.extend(decision.records)
            first = decision.result if first is None else first
        return first

    def made(self, message: Message) -> int:
        result = self.do(message)
        assert result is not None, f"{type(message).__name__} made nothing"
        return result

    def settle(self, kind: Kind, object_id: int, outcome: Outcome) -> None:
        action = self.state.unfinished(kind, object_id)
        assert isinstance(action, Action), "nothing is in flight"
        self.do(Settled(cause="bench", action=action, outcome=outcome))

    def furnish(self, password_hash: str = "x", datastore_dir: str = "/datastores") -> None:
        self.do(
            Bootstrap(
                cause="start",
                password_hash=password_hash,
                datastore_dir=datastore_dir,
                driver="sim",
            )
        )
        image = self.made(
            AllocateImage(cause="bench", actor=ENGINE, template=parse(IMAGE), datastore_id=1)
        )
        self.settle(Kind.IMAGE, image, Done({"size_mib": 2048, "format": "qcow2"}))
        self.do(AllocateNetwork(cause="bench", actor=ENGINE, template=parse(NETWORK)))

    def host(self, name: str, facts: Template = FACTS, size: Capacity = HOST_SIZE) -> int:
        host_id = self.made(
            AllocateHost(cause="bench", actor=ENGINE, name=name, im_mad="sim", vm_mad="sim")
        )
        self.do(
            HostSeen(
                cause="bench",
                host_id=host_id,
                total=size,
                facts=facts,
                capabilities=frozenset({"suspend", "reboot"}),
                domains=(),
            )
        )
        return host_id

    def vm(self, text: str) -> int:
        return self.made(AllocateVm(cause="bench", actor=ENGINE, template=parse(text), hold=False))

    def running(self, text: str, host_id: int) -> int:
        vm_id = self.vm(text)
        gen = self.state.vms[vm_id].gen
        self.do(PlaceVm(cause="bench", vm_id=vm_id, gen=gen, host_id=host_id, ds_id=0))
        self.settle(Kind.VM, vm_id, Done())
        self.settle(Kind.VM, vm_id, Done({"deploy_id": f"one-{vm_id}"}))
        return vm_id

    async def save(self, path: Path) -> None:
        """All of it as the only content of a new database."""
        store = SqliteStore(path)
        await store.open(self.state.engine_id)
        state = self.state
        await store.commit(
            Batch(
                put=[obj for pool in state.pools.values() for obj in pool.values()],
                put_actions=list(state.actions.values()),
                records=self.records,
                next_ids=state.next_ids,
            )
        )
        await store.close()


def fill(home: Path, hosts: int, vms: int) -> None:
    """A home whose database holds running VMs, spread evenly."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "one_auth").write_text(f"oneadmin:{PASSWORD}\n")
    site = Site()
    site.furnish(default_hasher().hash(PASSWORD), str(home / "datastores"))
    ids = [site.host(f"node{number}") for number in range(hosts)]
    for number in range(vms):
        site.running(VM.replace("{name}", f"vm-{number}"), ids[number % hosts])
    asyncio.run(site.save(home / "orrery.db"))


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
