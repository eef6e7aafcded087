"""Everything the state derives equals what its objects say, whatever happened before."""

from collections import defaultdict

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orrery.core.capacity import Capacity
from orrery.core.errors import Refused
from orrery.core.messages import (
    ENGINE,
    DomainSeen,
    Done,
    Failed,
    PoweroffVm,
    RecoverVm,
    Rename,
    ResumeVm,
    SuspendVm,
    TerminateVm,
    Unknown,
)
from orrery.core.model.kinds import Kind
from orrery.core.status import DomainState, RecoverOperation, VmStatus
from orrery.core.vm_entry import demand
from orrery.engine.view import State
from tests.site import ENGINE_ID, Site

OFF_HOST = {VmStatus.PENDING, VmStatus.HOLD, VmStatus.DONE}
AT_REST = {VmStatus.SUSPENDED, VmStatus.POWEROFF, VmStatus.EPILOG, VmStatus.EPILOG_FAILURE}
OUTCOMES = st.sampled_from([Done(), Failed("no"), Failed("no", retryable=True), Unknown("?")])
COMMANDS = st.sampled_from(
    [SuspendVm, ResumeVm, PoweroffVm, TerminateVm],
)


class Commands(RuleBasedStateMachine):
    """Random users, drivers and monitors on a small site."""

    def __init__(self) -> None:
        super().__init__()
        self.site = Site()
        self.site.host("h1", Capacity(400, 2048))
        self.site.host("h2", Capacity(400, 2048))
        self.site.image("os")
        self.site.image("mine", 'PERSISTENT="YES"')
        self.site.network(size=4)

    @rule(
        memory=st.sampled_from([256, 1024]),
        disk=st.sampled_from(["", 'DISK=[IMAGE="os"]', 'DISK=[IMAGE="mine"]']),
        nics=st.integers(0, 2),
        hold=st.booleans(),
    )
    def create(self, memory: int, disk: str, nics: int, hold: bool) -> None:
        text = f'CPU="1" MEMORY="{memory}" {disk} ' + 'NIC=[NETWORK="net"] ' * nics
        self.quietly(lambda: self.site.vm(text, hold=hold))

    @precondition(lambda self: self.site.state.vms)
    @rule(data=st.data(), host=st.sampled_from([1, 2]))
    def place(self, data: st.DataObject, host: int) -> None:
        vm_id = self.some_vm(data)
        self.site.place(vm_id, host)

    @precondition(lambda self: self.site.state.vms)
    @rule(data=st.data(), kind=COMMANDS)
    def act(self, data: st.DataObject, kind: type) -> None:
        vm_id = self.some_vm(data)
        self.quietly(lambda: self.site.do(kind(cause="t", actor=ENGINE, vm_id=vm_id)))

    @precondition(lambda self: self.site.state.vms)
    @rule(data=st.data(), operation=st.sampled_from(RecoverOperation))
    def recover(self, data: st.DataObject, operation: RecoverOperation) -> None:
        vm_id = self.some_vm(data)
        message = RecoverVm(cause="t", actor=ENGINE, vm_id=vm_id, operation=operation)
        self.quietly(lambda: self.site.do(message))

    @precondition(lambda self: self.site.state.actions)
    @rule(data=st.data(), outcome=OUTCOMES)
    def settle(self, data: st.DataObject, outcome: Done | Failed | Unknown) -> None:
        kind, object_id = data.draw(st.sampled_from(sorted(self.site.state.actions, key=str)))
        self.site.settle(kind, object_id, outcome)

    @precondition(lambda self: self.site.state.vms)
    @rule(data=st.data(), state=st.sampled_from(DomainState))
    def see(self, data: st.DataObject, state: DomainState) -> None:
        vm = self.site.state.vms[self.some_vm(data)]
        self.site.do(
            DomainSeen(cause="t", vm_id=vm.id, gen=vm.gen, host_id=vm.host_id or 0, state=state)
        )

    @rule(data=st.data(), name=st.sampled_from(["x", "y", "os"]))
    def rename_image(self, data: st.DataObject, name: str) -> None:
        image_id = data.draw(st.sampled_from(sorted(self.site.state.images)))
        message = Rename(cause="t", actor=ENGINE, kind=Kind.IMAGE, id=image_id, name=name)
        self.quietly(lambda: self.site.do(message))

    def some_vm(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.site.state.vms)))

    def quietly(self, do: object) -> None:
        before = self.site.state.revision
        try:
            do()  # type: ignore[operator] # a thunk
        except Refused:
            assert self.site.state.revision == before

    # --- what must hold ---------------------------------------------------------------------

    @invariant()
    def usage_is_the_sum_of_the_vms(self) -> None:
        state = self.site.state
        for host_id in state.hosts:
            vms = [v for v in state.vms.values() if v.status not in OFF_HOST and v.history]
            here = [v for v in vms if v.history[-1].host_id == host_id]
            busy = [v for v in here if v.status not in AT_REST]
            usage = state.host_usage(host_id)
            assert usage.cpu_pct == sum(v.capacity.cpu_pct for v in busy)
            assert usage.memory_mib == sum(v.capacity.memory_mib for v in busy)
            assert state.vms_on(host_id) == {v.id for v in here}

    @invariant()
    def pending_vms_are_known(self) -> None:
        state = self.site.state
        pending = {v.id for v in state.vms.values() if v.status is VmStatus.PENDING}
        assert set(state.vms_pending()) == pending

    @invariant()
    def addresses_are_held_by_one_vm(self) -> None:
        state = self.site.state
        holders: dict[tuple[int, int, int], int] = {}
        bits: dict[tuple[int, int], int] = defaultdict(int)
        for vm in state.vms.values():
            for nic in vm.nics if vm.status is not VmStatus.DONE else ():
                place = (nic.network_id, nic.ar_id, nic.index)
                assert place not in holders
                holders[place] = vm.id
                bits[place[:2]] |= 1 << nic.index
        assert state.addresses_taken(0, 0) == bits[0, 0]
        for place, vm_id in holders.items():
            assert state.address_holder(*place) == vm_id

    @invariant()
    def images_know_their_users(self) -> None:
        state = self.site.state
        for image_id, image in state.images.items():
            users = {
                v.id
                for v in state.vms.values()
                if v.status is not VmStatus.DONE and any(d.image_id == image_id for d in v.disks)
            }
            assert state.image_users(image_id) == users
            assert not image.persistent or len(users) < 2

    @invariant()
    def the_outbox_is_what_the_statuses_demand(self) -> None:
        state = self.site.state
        for vm in state.vms.values():
            action = state.unfinished(Kind.VM, vm.id)
            wanted = demand(vm)
            if wanted is not None:
                assert action is not None
                assert (action.kind, action.gen) == (wanted, vm.gen)
            else:
                assert action is None or vm.status is VmStatus.RUNNING

    @invariant()
    def a_state_loaded_from_the_objects_is_the_same(self) -> None:
        state = self.site.state
        fresh = State(ENGINE_ID)
        objects = [obj for pool in state.pools.values() for obj in pool.values()]
        fresh.load(objects, state.actions.values(), state.next_ids)
        for image in state.images.values():
            assert fresh.by_name(Kind.IMAGE, image.name) == state.by_name(Kind.IMAGE, image.name)
        for host_id in state.hosts:
            assert fresh.host_usage(host_id) == state.host_usage(host_id)
        assert fresh.next_ids == state.next_ids


Commands.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestCommands = Commands.TestCase


def test_names_of_renamed_and_deleted_objects_are_free_again() -> None:
    site = Site()
    image_id = site.image("old")
    site.do(Rename(cause="t", actor=ENGINE, kind=Kind.IMAGE, id=image_id, name="new"))
    assert site.state.by_name(Kind.IMAGE, "old") is None
    assert site.state.by_name(Kind.IMAGE, "new") == image_id
