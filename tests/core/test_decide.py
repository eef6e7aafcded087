"""The one door into the core: every message has its handler, and the core is a pure function."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orrery.core import messages as m
from orrery.core.capacity import Capacity
from orrery.core.decide import (
    ATTEMPTS,
    HANDLERS,
    RETRY_DELAY_MAX_S,
    another_try,
    decide,
    expand,
    outstanding,
)
from orrery.core.errors import NotFound, Refused
from orrery.core.model.action import Action, ActionKind
from orrery.core.model.kinds import Kind
from orrery.core.status import DomainState, RecoverOperation, VmStatus
from orrery.core.template import Template, parse
from orrery.core.vm_entry import DEMANDS
from orrery.engine.view import State
from tests.core.refusals import refused, snapshot
from tests.site import ENGINE_ID, NOW, Site


def subclasses(cls: type[m.Message]) -> Iterator[type[m.Message]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)


ABSTRACT = {m.Command, m.VmCommand, m.LeaseCommand}
SPLIT = {m.ApplyPlan, m.ApplyLeasePlan}
"""Messages that are only ever decided in parts."""


@pytest.mark.parametrize("kind", sorted(set(subclasses(m.Message)) - ABSTRACT - SPLIT, key=str))
def test_every_message_has_its_handler(kind: type[m.Message]) -> None:
    assert kind in HANDLERS or issubclass(kind, m.VmCommand)


def test_an_action_on_a_vm_that_is_not_there_is_refused() -> None:
    message = m.HoldVm(cause="t", actor=m.ENGINE, vm_id=5)
    error = refused(Site(), message, NotFound, "Error getting virtual machine [5].")
    assert (error.object_kind, error.object_id) == ("VM", 5)


def events(site: Site) -> list[m.Message]:
    """News of things that are gone, or never were."""
    action = Action(
        kind=ActionKind.VM_BOOT, subject_kind=Kind.VM, subject_id=9, gen=1, due_at=0, cause="t"
    )
    nothing = Template()
    return [
        m.Settled(cause="t", action=action, outcome=m.Done()),
        m.PlaceVm(cause="t", vm_id=9, gen=0, host_id=1, ds_id=0),
        m.ExplainVm(cause="t", vm_id=9, gen=0, text="x"),
        m.DomainSeen(cause="t", vm_id=9, gen=0, host_id=1, state=DomainState.ABSENT),
        m.HostSilent(cause="t", host_id=9, message="x"),
        m.HostSeen(
            cause="t",
            host_id=9,
            total=Capacity(),
            facts=nothing,
            capabilities=frozenset(),
            domains=(),
        ),
    ]


def test_news_of_what_is_gone_changes_nothing() -> None:
    site = Site().furnished()
    before = snapshot(site)
    for message in events(site):
        site.do(message)
    assert snapshot(site) == before


def test_deciding_changes_nothing_and_gives_the_same_answer_twice() -> None:
    site = Site().furnished()
    template = parse('CPU="1" MEMORY="64" NIC=[NETWORK="net"]')
    message = m.AllocateVm(cause="t", actor=m.ENGINE, template=template, hold=False)
    before = snapshot(site)
    assert decide(message, site.state, NOW) == decide(message, site.state, NOW)
    assert snapshot(site) == before


def test_each_part_of_a_plan_is_decided_on_what_the_parts_before_it_leave() -> None:
    site = Site().furnished()
    vms = [site.vm('CPU="1" MEMORY="5000"') for _ in range(2)]
    places = tuple(
        m.PlaceVm(cause="s", vm_id=i, gen=site.state.vms[i].gen, host_id=1, ds_id=0) for i in vms
    )
    reason = m.ExplainVm(cause="s", vm_id=vms[1], gen=site.state.vms[vms[1]].gen, text="full")
    site.do(m.ApplyPlan(cause="s", placements=places, explanations=(reason,)))
    first, second = (site.state.vms[i] for i in vms)
    assert (first.status, second.status) == (VmStatus.PROLOG, VmStatus.PENDING)
    assert second.sched_message == "full"


def test_a_message_without_parts_is_its_own_only_part() -> None:
    message = m.HostSilent(cause="t", host_id=1, message="x")
    assert tuple(expand(message)) == (message,)


# --- tries ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(ActionKind), ids=lambda k: k.value)
def test_tries_end_and_come_later_each_time(kind: ActionKind) -> None:
    action: Action | None = Action(
        kind=kind, subject_kind=Kind.VM, subject_id=0, gen=1, due_at=NOW, cause="t"
    )
    delays = []
    while action is not None and (action := another_try(action, NOW)) is not None:
        delays.append(action.due_at - NOW)
    assert len(delays) == ATTEMPTS.get(kind, 1) - 1
    assert delays == sorted(delays)
    assert all(0 < delay <= RETRY_DELAY_MAX_S for delay in delays)


def test_another_try_is_recorded_with_its_reason() -> None:
    site = Site().furnished()
    site.place(site.vm())
    decision = site.settle(Kind.VM, 0, m.Failed("busy", retryable=True))[0]
    assert decision.put == ()
    assert decision.records[0].kind == "vm.prolog.retry"
    assert decision.records[0].body["error"] == "busy"


def test_an_answer_to_another_kind_of_action_is_dropped() -> None:
    site = Site().furnished()
    site.place(site.vm())
    action = site.state.unfinished(Kind.VM, 0)
    assert action is not None
    before = snapshot(site)
    for wrong in ({"gen": action.gen + 1}, {"kind": ActionKind.VM_EPILOG}):
        site.do(m.Settled(cause="t", action=replace(action, **wrong), outcome=m.Done()))
    assert snapshot(site) == before


# --- a lost outbox --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", list(VmStatus), ids=lambda s: s.name)
def test_the_outbox_can_be_derived_again_from_the_rows(status: VmStatus) -> None:
    site = Site().furnished()
    site.force(site.running(), status)
    assert list(outstanding(site.state, NOW)) == []
    site.state.actions.clear()
    kinds = [action.kind for action in outstanding(site.state, NOW)]
    assert kinds == ([DEMANDS[status]] if status in DEMANDS else [])


def test_an_image_on_its_way_is_fetched_again() -> None:
    site = Site()
    template = parse('NAME="x" PATH="/x"')
    site.do(m.AllocateImage(cause="t", actor=m.ENGINE, template=template, datastore_id=1))
    site.state.actions.clear()
    assert [a.kind for a in outstanding(site.state, NOW)] == [ActionKind.IMAGE_REGISTER]


# --- whatever happens -----------------------------------------------------------------------------

VMS = st.integers(0, 3)
COMMANDS: dict[str, type[m.VmCommand]] = {
    "hold": m.HoldVm,
    "release": m.ReleaseVm,
    "suspend": m.SuspendVm,
    "resume": m.ResumeVm,
    "poweroff": m.PoweroffVm,
    "reboot": m.RebootVm,
    "terminate": m.TerminateVm,
}
OUTCOMES: dict[str, m.Outcome] = {
    "done": m.Done(),
    "failed": m.Failed("x"),
    "unknown": m.Unknown("x"),
}
STEPS = st.one_of(
    st.tuples(st.sampled_from(sorted(COMMANDS)), VMS),
    st.tuples(st.sampled_from(["done", "failed", "unknown", "place"]), VMS),
    st.tuples(st.sampled_from([s.value for s in DomainState]), VMS),
    st.tuples(st.sampled_from([o.name for o in RecoverOperation]), VMS),
    st.tuples(st.sampled_from(["silence", "answer"]), VMS),
)


def step(site: Site, name: str, vm_id: int) -> None:
    vm = site.state.vms[vm_id]
    if name in COMMANDS:
        site.do(COMMANDS[name](cause="t", actor=m.ENGINE, vm_id=vm_id))
    elif name in RecoverOperation.__members__:
        operation = RecoverOperation[name]
        site.do(m.RecoverVm(cause="t", actor=m.ENGINE, vm_id=vm_id, operation=operation))
    elif name == "place":
        site.place(vm_id)
    elif name == "silence":
        site.do(m.HostSilent(cause="t", host_id=1, message="x"))
    elif name == "answer":
        site.seen(1, Capacity(800, 8192))
    elif name in OUTCOMES:
        if site.state.unfinished(Kind.VM, vm_id) is not None:
            site.settle(Kind.VM, vm_id, OUTCOMES[name])
    elif vm.host_id is not None:
        state = DomainState(name)
        site.do(m.DomainSeen(cause="t", vm_id=vm_id, gen=vm.gen, host_id=1, state=state))


def rebuilt(site: Site) -> Site:
    """The same objects in a fresh state: every derived answer is worked out anew."""
    again = Site()
    again.state = State(ENGINE_ID)
    objects = [obj for kind in Kind for obj in site.state.pools[kind].values()]
    again.state.load(objects, site.state.actions.values(), site.state.next_ids)
    return again


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_whatever_happens_status_outbox_and_derived_answers_agree(
    steps: list[tuple[str, int]],
) -> None:
    site = Site().furnished()
    for _ in range(4):
        site.vm()
    for name, vm_id in steps:
        before = snapshot(site)
        try:
            step(site, name, vm_id)
        except Refused:
            assert snapshot(site) == before
        assert list(outstanding(site.state, NOW)) == []
        vm = site.state.vms[vm_id]
        action = site.state.unfinished(Kind.VM, vm_id)
        if action is not None:
            assert action.gen == vm.gen
            assert vm.status in DEMANDS or vm.status is VmStatus.RUNNING
    assert snapshot(rebuilt(site)) == snapshot(site)
    room = site.state.hosts[1].offered - site.state.host_usage(1)
    assert room.memory_mib >= 0
