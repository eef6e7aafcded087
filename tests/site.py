"""A small site in memory for tests of core and scheduler: decide and apply, nothing else."""

from typing import Any

from msgspec.structs import replace

from orrery.core.bootstrap import DATASTORES
from orrery.core.capacity import Capacity
from orrery.core.decide import decide, expand
from orrery.core.messages import (
    ENGINE,
    Actor,
    AllocateHost,
    AllocateImage,
    AllocateNetwork,
    AllocateUser,
    AllocateVm,
    Bootstrap,
    Decision,
    Done,
    Failed,
    HostSeen,
    Message,
    Outcome,
    PlaceVm,
    RequestLease,
    Settled,
    Unknown,
)
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import NodeSet, Terms
from orrery.core.model.vm import Vm
from orrery.core.status import VmStatus
from orrery.core.template import Template, parse
from orrery.core.vm_entry import demanded_action
from orrery.engine.view import State

NOW = 1_700_000_000.0
ENGINE_ID = "6f1c9a52-0000-4000-8000-000000000001"
ALL_CAPABILITIES = frozenset({"suspend", "reboot"})

VM = 'NAME="a" CPU="1" MEMORY="512" DISK=[IMAGE="os"] NIC=[NETWORK="net"]'


class Site:
    """A state, and the time that passes with each message."""

    def __init__(self) -> None:
        self.state = State(ENGINE_ID)
        self.now = NOW
        self.do(Bootstrap(cause="start", password_hash="x", datastore_dir="/ds", driver="sim"))
        assert len(self.state.datastores) == len(DATASTORES)

    def do(self, message: Message) -> int | None:
        """Decide and apply; the result of the first part."""
        return self.decide(message)[0].result

    def decide(self, message: Message) -> list[Decision]:
        self.now += 1
        made = []
        for part in expand(message):
            decision = decide(part, self.state, self.now)
            self.state.apply(decision)
            made.append(decision)
        return made

    # --- furniture ----------------------------------------------------------------------------

    def host(self, name: str = "h1", size: Capacity | None = None) -> int:
        """A monitored host."""
        message = AllocateHost(cause="t", actor=ENGINE, name=name, im_mad="sim", vm_mad="sim")
        host_id = self.do(message)
        assert host_id is not None
        self.seen(host_id, size or Capacity(800, 8192))
        return host_id

    def lease(self, terms: Terms | None = None, text: str = "", actor: Actor = ENGINE) -> int:
        """A lease that no plan has answered yet."""
        nodes = NodeSet(count=2, capacity=Capacity(100, 512))
        message = RequestLease(
            cause="t",
            actor=actor,
            terms=terms or Terms(nodes=(nodes,), duration=3600.0),
            template=parse(text),
        )
        lease_id = self.do(message)
        assert lease_id is not None
        return lease_id

    def seen(self, host_id: int, total: Capacity, facts: Template | None = None) -> None:
        self.do(
            HostSeen(
                cause="t",
                host_id=host_id,
                total=total,
                facts=facts or Template((("ARCH", "x86_64"),)),
                capabilities=ALL_CAPABILITIES,
                domains=(),
            )
        )

    def image(self, name: str = "os", extra: str = "", actor: Actor = ENGINE) -> int:
        """A READY image."""
        template = parse(f'NAME="{name}" PATH="/images/{name}.qcow2" {extra}')
        message = AllocateImage(cause="t", actor=actor, template=template, datastore_id=1)
        image_id = self.do(message)
        assert image_id is not None
        self.settle(Kind.IMAGE, image_id, Done({"size_mib": 100, "format": "qcow2"}))
        return image_id

    def network(self, name: str = "net", size: int = 10) -> int:
        text = (
            f'NAME="{name}" VN_MAD="nat" AR=[TYPE="IP4", IP="10.0.0.10", SIZE="{size}"] '
            'GATEWAY="10.0.0.1" NETWORK_MASK="255.255.255.0"'
        )
        result = self.do(AllocateNetwork(cause="t", actor=ENGINE, template=parse(text)))
        assert result is not None
        return result

    def user(self, name: str) -> Actor:
        message = AllocateUser(
            cause="t", actor=ENGINE, name=name, password_hash="x", auth_driver="core"
        )
        uid = self.do(message)
        assert uid is not None
        return Actor(uid, (1,))

    def furnished(self) -> "Site":
        self.host()
        self.image()
        self.network()
        return self

    # --- VMs ------------------------------------------------------------------------------------

    def vm(self, text: str = VM, actor: Actor = ENGINE, *, hold: bool = False) -> int:
        message = AllocateVm(cause="t", actor=actor, template=parse(text), hold=hold)
        vm_id = self.do(message)
        assert vm_id is not None
        return vm_id

    def place(self, vm_id: int, host_id: int = 1) -> None:
        gen = self.state.vms[vm_id].gen
        self.do(PlaceVm(cause="t", vm_id=vm_id, gen=gen, host_id=host_id, ds_id=0))

    def running(self, text: str = VM) -> int:
        vm_id = self.vm(text)
        self.place(vm_id)
        self.settle(Kind.VM, vm_id)
        self.settle(Kind.VM, vm_id)
        assert self.state.vms[vm_id].status is VmStatus.RUNNING
        return vm_id

    def settle(self, kind: Kind, object_id: int, outcome: Outcome | None = None) -> list[Decision]:
        """A driver answers for the unfinished action of an object."""
        action = self.state.unfinished(kind, object_id)
        assert action is not None, f"nothing is unfinished for {kind.value} {object_id}"
        return self.decide(Settled(cause="t", action=action, outcome=outcome or Done()))

    def force(self, vm_id: int, status: VmStatus, **changes: Any) -> Vm:
        """A VM in a status without the way there, with what that status demands."""
        vm = replace(self.state.vms[vm_id], status=status, **changes)
        action = demanded_action(vm, self.now, "t")
        key = (Kind.VM, vm_id)
        self.state.apply(
            Decision(
                put=(vm,),
                actions=() if action is None else (action,),
                settled=(key,) if action is None else (),
            )
        )
        return vm


FAILED = Failed("it broke")
UNKNOWN = Unknown("nobody knows")
