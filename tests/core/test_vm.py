"""The life cycle of a VM, as OpenNebula's tables of legal actions and transitions have it."""

import pytest

from orrery.core import vm as life
from orrery.core import vm_entry as entry
from orrery.core.errors import NoCapacity, NotFound, WrongState
from orrery.core.messages import (
    ENGINE,
    DeployVm,
    DomainSeen,
    Done,
    Failed,
    HoldVm,
    PlaceVm,
    PoweroffVm,
    RebootVm,
    RecoverVm,
    ReleaseVm,
    ResumeVm,
    Settled,
    SuspendVm,
    TerminateVm,
    Unknown,
    VmCommand,
)
from orrery.core.model.action import ActionKind
from orrery.core.model.kinds import Kind
from orrery.core.status import DomainState, HistoryAction, HostStatus, RecoverOperation, VmStatus
from tests.site import FAILED, UNKNOWN, Site

S = VmStatus


def command(name: str, vm_id: int) -> VmCommand:
    made: dict[str, VmCommand] = {
        "hold": HoldVm(cause="c", actor=ENGINE, vm_id=vm_id),
        "release": ReleaseVm(cause="c", actor=ENGINE, vm_id=vm_id),
        "deploy": DeployVm(cause="c", actor=ENGINE, vm_id=vm_id, host_id=1),
        "suspend": SuspendVm(cause="c", actor=ENGINE, vm_id=vm_id),
        "resume": ResumeVm(cause="c", actor=ENGINE, vm_id=vm_id),
        "poweroff": PoweroffVm(cause="c", actor=ENGINE, vm_id=vm_id),
        "poweroff-hard": PoweroffVm(cause="c", actor=ENGINE, vm_id=vm_id, hard=True),
        "reboot": RebootVm(cause="c", actor=ENGINE, vm_id=vm_id),
        "reboot-hard": RebootVm(cause="c", actor=ENGINE, vm_id=vm_id, hard=True),
        "terminate": TerminateVm(cause="c", actor=ENGINE, vm_id=vm_id),
        "terminate-hard": TerminateVm(cause="c", actor=ENGINE, vm_id=vm_id, hard=True),
    }
    return made[name]


LEGAL: dict[str, dict[VmStatus, VmStatus]] = {
    "hold": {S.PENDING: S.HOLD},
    "release": {S.HOLD: S.PENDING},
    "deploy": {S.PENDING: S.PROLOG, S.HOLD: S.PROLOG},
    "suspend": {S.RUNNING: S.SAVE_SUSPEND},
    "resume": {
        S.SUSPENDED: S.BOOT_SUSPENDED,
        S.POWEROFF: S.BOOT_POWEROFF,
        S.UNKNOWN: S.BOOT_UNKNOWN,
    },
    "poweroff": {S.RUNNING: S.SHUTDOWN_POWEROFF, S.UNKNOWN: S.SHUTDOWN_POWEROFF},
    "poweroff-hard": {S.RUNNING: S.SHUTDOWN_POWEROFF, S.UNKNOWN: S.SHUTDOWN_POWEROFF},
    "reboot": {S.RUNNING: S.RUNNING},
    "reboot-hard": {S.RUNNING: S.RUNNING},
    "terminate": {
        S.RUNNING: S.SHUTDOWN,
        S.UNKNOWN: S.SHUTDOWN,
        S.SUSPENDED: S.EPILOG,
        S.POWEROFF: S.EPILOG,
        S.PENDING: S.DONE,
        S.HOLD: S.DONE,
        S.PROLOG_FAILURE: S.CLEANUP_DELETE,
        S.BOOT_FAILURE: S.CLEANUP_DELETE,
        S.EPILOG_FAILURE: S.CLEANUP_DELETE,
    },
}
LEGAL["terminate-hard"] = LEGAL["terminate"] | {S.SHUTDOWN: S.SHUTDOWN}
"""What opennebula.md, 2.9, allows, written down a second time and independently of the table."""


def site_with(status: VmStatus) -> tuple[Site, int]:
    site = Site().furnished()
    if status in (S.PENDING, S.HOLD):
        return site, site.vm(hold=status is S.HOLD)
    vm_id = site.running()
    site.force(vm_id, status)
    return site, vm_id


@pytest.mark.parametrize("status", list(S), ids=lambda s: s.name)
@pytest.mark.parametrize("name", LEGAL)
def test_an_action_is_legal_exactly_where_opennebula_says(name: str, status: VmStatus) -> None:
    site, vm_id = site_with(status)
    wanted = LEGAL[name].get(status)
    before = site.state.vms[vm_id]
    if wanted is None:
        with pytest.raises(WrongState, match=f"not available for state {status.name}"):
            site.do(command(name, vm_id))
        assert site.state.vms[vm_id] is before
        return
    assert site.do(command(name, vm_id)) == vm_id
    assert site.state.vms[vm_id].status is wanted


OUTCOMES: dict[VmStatus, tuple[VmStatus, VmStatus, VmStatus]] = {
    S.PROLOG: (S.BOOT, S.PROLOG_FAILURE, S.PROLOG_FAILURE),
    S.BOOT: (S.RUNNING, S.BOOT_FAILURE, S.UNKNOWN),
    S.BOOT_POWEROFF: (S.RUNNING, S.POWEROFF, S.UNKNOWN),
    S.BOOT_SUSPENDED: (S.RUNNING, S.SUSPENDED, S.UNKNOWN),
    S.BOOT_UNKNOWN: (S.RUNNING, S.UNKNOWN, S.UNKNOWN),
    S.SAVE_SUSPEND: (S.SUSPENDED, S.RUNNING, S.UNKNOWN),
    S.SHUTDOWN: (S.EPILOG, S.RUNNING, S.UNKNOWN),
    S.SHUTDOWN_POWEROFF: (S.POWEROFF, S.RUNNING, S.UNKNOWN),
    S.EPILOG: (S.DONE, S.EPILOG_FAILURE, S.EPILOG_FAILURE),
    S.CLEANUP_DELETE: (S.DONE, S.DONE, S.DONE),
    S.CLEANUP_RESUBMIT: (S.PENDING, S.PENDING, S.PENDING),
}
"""Status -> where success, failure and an unknown outcome lead."""


def test_every_status_that_demands_an_action_has_its_three_outcomes() -> None:
    assert OUTCOMES.keys() == entry.DEMANDS.keys()


@pytest.mark.parametrize("status", OUTCOMES, ids=lambda s: s.name)
@pytest.mark.parametrize("which", [0, 1, 2], ids=["done", "failed", "unknown"])
def test_an_outcome_leads_where_the_table_says(status: VmStatus, which: int) -> None:
    site, vm_id = site_with(status)
    outcome = (Done(), FAILED, UNKNOWN)[which]
    site.settle(Kind.VM, vm_id, outcome)
    assert site.state.vms[vm_id].status is OUTCOMES[status][which]


@pytest.mark.parametrize("status", list(S), ids=lambda s: s.name)
def test_every_status_takes_or_ignores_everything_that_can_happen(status: VmStatus) -> None:
    stimuli = (Done, Failed, Unknown, *DomainState)
    for stimulus in stimuli:
        life.MACHINE.handles(status, stimulus)  # looked up without an error
        site, vm_id = site_with(status)
        vm = site.state.vms[vm_id]
        message = DomainSeen(
            cause="m", vm_id=vm_id, gen=vm.gen, host_id=vm.host_id or 0, state=DomainState.ABSENT
        )
        if isinstance(stimulus, DomainState):
            life.event(vm, stimulus, message, site.state, site.now)


@pytest.mark.parametrize("status", list(S), ids=lambda s: s.name)
def test_the_outbox_holds_exactly_what_the_status_demands(status: VmStatus) -> None:
    site, vm_id = site_with(status)
    action = site.state.unfinished(Kind.VM, vm_id)
    wanted = entry.demand(site.state.vms[vm_id])
    assert (action.kind if action else None) is wanted


def test_a_stale_outcome_is_dropped() -> None:
    site = Site().furnished()
    vm_id = site.vm()
    site.place(vm_id)
    prolog = site.state.unfinished(Kind.VM, vm_id)
    assert prolog is not None
    site.settle(Kind.VM, vm_id)
    assert site.decide(Settled(cause="late", action=prolog, outcome=FAILED))[0].put == ()
    assert site.state.vms[vm_id].status is S.BOOT


def test_a_failure_worth_another_try_keeps_the_status_and_comes_later() -> None:
    site, vm_id = site_with(S.PROLOG)
    site.settle(Kind.VM, vm_id, Failed("busy", retryable=True))
    again = site.state.unfinished(Kind.VM, vm_id)
    assert site.state.vms[vm_id].status is S.PROLOG
    assert again is not None
    assert (again.attempt, again.due_at > site.now) == (1, True)


def test_tries_end() -> None:
    site, vm_id = site_with(S.PROLOG)
    for _ in range(3):
        site.settle(Kind.VM, vm_id, Failed("busy", retryable=True))
    assert site.state.vms[vm_id].status is S.PROLOG_FAILURE
    assert site.state.vms[vm_id].error == "busy"


def test_a_hard_shutdown_demands_a_destroy_and_replaces_the_soft_one() -> None:
    site = Site().furnished()
    vm_id = site.running()
    site.do(command("terminate", vm_id))
    soft = site.state.unfinished(Kind.VM, vm_id)
    site.do(command("terminate-hard", vm_id))
    hard = site.state.unfinished(Kind.VM, vm_id)
    assert soft is not None
    assert hard is not None
    assert (soft.kind, hard.kind) == (ActionKind.VM_SHUTDOWN, ActionKind.VM_DESTROY)
    site.decide(Settled(cause="late", action=soft, outcome=FAILED))
    assert site.state.vms[vm_id].status is S.SHUTDOWN


def test_a_vm_at_rest_frees_cpu_and_memory_and_needs_room_to_come_back() -> None:
    site = Site().furnished()
    vm_id = site.running(site_text(memory=8192))
    assert site.state.host_usage(1).memory_mib == 8192
    site.do(command("suspend", vm_id))
    site.settle(Kind.VM, vm_id)
    assert site.state.host_usage(1).memory_mib == 0
    other = site.running(site_text(memory=4096))
    with pytest.raises(NoCapacity, match="no room"):
        site.do(command("resume", vm_id))
    site.force(other, S.DONE)
    site.do(command("resume", vm_id))
    assert site.state.host_usage(1).memory_mib == 8192


def site_text(memory: int) -> str:
    return f'NAME="a" CPU="1" MEMORY="{memory}"'


def test_history_tells_each_stay_and_what_ended_it() -> None:
    site = Site().furnished()
    vm_id = site.running()
    site.do(command("suspend", vm_id))
    site.settle(Kind.VM, vm_id)
    site.do(command("resume", vm_id))
    site.settle(Kind.VM, vm_id)
    site.do(command("terminate", vm_id))
    site.settle(Kind.VM, vm_id)
    site.settle(Kind.VM, vm_id)
    first, second = site.state.vms[vm_id].history
    assert (first.action, second.action) == (HistoryAction.SUSPEND, HistoryAction.TERMINATE)
    for stay in (first, second):
        assert stay.rstime is not None
        assert stay.retime is not None
        assert stay.etime is not None
        assert stay.stime <= stay.rstime <= stay.retime <= stay.etime
    assert site.state.vms[vm_id].etime == second.etime


def test_a_placement_made_on_an_older_picture_is_ignored() -> None:
    site = Site().furnished()
    vm_id = site.vm()
    stale = PlaceVm(cause="s", vm_id=vm_id, gen=99, host_id=1, ds_id=0)
    assert site.decide(stale)[0].put == ()


def test_a_placement_that_no_longer_fits_is_ignored() -> None:
    site = Site().furnished()
    first, second = (site.vm(site_text(memory=5000)) for _ in range(2))
    site.place(first)
    site.place(second)
    assert site.state.vms[second].status is S.PENDING


@pytest.mark.parametrize(
    ("status", "seen", "then"),
    [
        (S.RUNNING, DomainState.ABSENT, S.POWEROFF),
        (S.UNKNOWN, DomainState.ABSENT, S.POWEROFF),
        (S.UNKNOWN, DomainState.RUNNING, S.RUNNING),
        (S.POWEROFF, DomainState.RUNNING, S.RUNNING),
        (S.SUSPENDED, DomainState.RUNNING, S.RUNNING),
        (S.BOOT_FAILURE, DomainState.RUNNING, S.RUNNING),
        (S.SHUTDOWN, DomainState.ABSENT, S.EPILOG),
        (S.SHUTDOWN_POWEROFF, DomainState.ABSENT, S.POWEROFF),
        (S.BOOT, DomainState.ABSENT, S.BOOT),
        (S.SAVE_SUSPEND, DomainState.ABSENT, S.SAVE_SUSPEND),
        (S.RUNNING, DomainState.PAUSED, S.RUNNING),
    ],
    ids=lambda x: x.name,
)
def test_what_monitoring_sees_decides(status: VmStatus, seen: DomainState, then: VmStatus) -> None:
    site, vm_id = site_with(status)
    vm = site.state.vms[vm_id]
    site.do(DomainSeen(cause="m", vm_id=vm_id, gen=vm.gen, host_id=1, state=seen))
    assert site.state.vms[vm_id].status is then


def test_what_was_seen_before_the_last_change_does_not_count() -> None:
    site, vm_id = site_with(S.RUNNING)
    gen = site.state.vms[vm_id].gen - 1
    site.do(DomainSeen(cause="m", vm_id=vm_id, gen=gen, host_id=1, state=DomainState.ABSENT))
    assert site.state.vms[vm_id].status is S.RUNNING


def test_a_paused_domain_is_shown_as_an_error_and_stays_running() -> None:
    site, vm_id = site_with(S.RUNNING)
    vm = site.state.vms[vm_id]
    message = DomainSeen(
        cause="m",
        vm_id=vm_id,
        gen=vm.gen,
        host_id=1,
        state=DomainState.PAUSED,
        reason="no space left",
    )
    site.do(message)
    assert "no space left" in (site.state.vms[vm_id].error or "")


def test_a_start_that_may_still_happen_keeps_its_room_for_a_while() -> None:
    site, vm_id = site_with(S.BOOT)
    site.settle(Kind.VM, vm_id, UNKNOWN)
    usage = site.state.host_usage(1)

    def see_absent() -> VmStatus:
        vm = site.state.vms[vm_id]
        site.do(DomainSeen(cause="m", vm_id=vm_id, gen=vm.gen, host_id=1, state=DomainState.ABSENT))
        return site.state.vms[vm_id].status

    assert see_absent() is S.UNKNOWN
    assert site.state.host_usage(1) == usage
    site.now += entry.LATE_EFFECT_S
    assert see_absent() is S.POWEROFF


@pytest.mark.parametrize("status", [S.RUNNING, S.UNKNOWN], ids=lambda s: s.name)
def test_a_save_whose_answer_was_lost_is_a_suspension(status: VmStatus) -> None:
    site, vm_id = site_with(status)
    vm = site.state.vms[vm_id]
    site.do(DomainSeen(cause="m", vm_id=vm_id, gen=vm.gen, host_id=1, state=DomainState.SAVED))
    after = site.state.vms[vm_id]
    assert (after.status, after.checkpoint) == (S.SUSPENDED, 0)


def test_a_resume_goes_on_from_the_stay_that_was_saved_however_often_it_fails() -> None:
    site = Site().furnished()
    vm_id = site.running()
    site.do(command("suspend", vm_id))
    site.settle(Kind.VM, vm_id)
    for _ in range(2):
        site.do(command("resume", vm_id))
        site.settle(Kind.VM, vm_id, FAILED)
        assert site.state.vms[vm_id].checkpoint == 0
    site.do(command("resume", vm_id))
    site.settle(Kind.VM, vm_id)
    assert site.state.vms[vm_id].checkpoint is None


def recover(vm_id: int, operation: RecoverOperation) -> RecoverVm:
    return RecoverVm(cause="r", actor=ENGINE, vm_id=vm_id, operation=operation)


R = RecoverOperation


@pytest.mark.parametrize(
    ("status", "operation", "then"),
    [
        (S.PROLOG, R.SUCCESS, S.BOOT),
        (S.PROLOG, R.FAILURE, S.PROLOG_FAILURE),
        (S.PROLOG_FAILURE, R.SUCCESS, S.BOOT),
        (S.PROLOG_FAILURE, R.FAILURE, S.PROLOG_FAILURE),
        (S.PROLOG_FAILURE, R.RETRY, S.PROLOG),
        (S.BOOT_FAILURE, R.RETRY, S.BOOT),
        (S.BOOT_FAILURE, R.SUCCESS, S.RUNNING),
        (S.EPILOG_FAILURE, R.SUCCESS, S.DONE),
        (S.EPILOG_FAILURE, R.RETRY, S.EPILOG),
        (S.SHUTDOWN, R.FAILURE, S.RUNNING),
        (S.SAVE_SUSPEND, R.SUCCESS, S.SUSPENDED),
        (S.SAVE_SUSPEND, R.RETRY, S.SAVE_SUSPEND),
        (S.UNKNOWN, R.SUCCESS, S.RUNNING),
        (S.RUNNING, R.SUCCESS, S.RUNNING),
        (S.RUNNING, R.DELETE, S.CLEANUP_DELETE),
        (S.PENDING, R.DELETE, S.DONE),
        (S.DONE, R.DELETE, S.DONE),
        (S.RUNNING, R.DELETE_RECREATE, S.CLEANUP_RESUBMIT),
        (S.HOLD, R.DELETE_RECREATE, S.PENDING),
        (S.BOOT, R.DELETE_DB, S.DONE),
    ],
    ids=lambda x: x.name,
)
def test_recover(status: VmStatus, operation: RecoverOperation, then: VmStatus) -> None:
    site, vm_id = site_with(status)
    assert site.do(recover(vm_id, operation)) == vm_id
    assert site.state.vms[vm_id].status is then


@pytest.mark.parametrize(
    ("status", "operation"),
    [(S.POWEROFF, R.RETRY), (S.PENDING, R.SUCCESS), (S.DONE, R.DELETE_RECREATE)],
    ids=lambda x: x.name,
)
def test_recover_is_refused_where_there_is_nothing_to_recover(
    status: VmStatus, operation: RecoverOperation
) -> None:
    site, vm_id = site_with(status)
    with pytest.raises(WrongState):
        site.do(recover(vm_id, operation))


def test_an_unknown_vm_is_not_found() -> None:
    with pytest.raises(NotFound, match=r"Error getting virtual machine \[7\]"):
        Site().do(command("hold", 7))


def test_a_second_reboot_waits_for_the_first() -> None:
    site = Site().furnished()
    vm_id = site.running()
    site.do(command("reboot", vm_id))
    with pytest.raises(WrongState, match="rebooting already"):
        site.do(command("reboot", vm_id))
    site.settle(Kind.VM, vm_id)
    site.do(command("reboot-hard", vm_id))


def test_a_failed_reboot_leaves_the_vm_running_and_says_why() -> None:
    site = Site().furnished()
    vm_id = site.running()
    site.do(command("reboot", vm_id))
    site.settle(Kind.VM, vm_id, FAILED)
    assert site.state.vms[vm_id].status is S.RUNNING
    assert site.state.vms[vm_id].error == "it broke"


def test_suspend_is_refused_where_the_driver_cannot() -> None:
    site = Site().furnished()
    vm_id = site.running()
    from msgspec.structs import replace

    from orrery.core.messages import Decision

    host = replace(site.state.hosts[1], capabilities=frozenset())
    site.state.apply(Decision(put=(host,)))
    with pytest.raises(WrongState, match="cannot suspend"):
        site.do(command("suspend", vm_id))


def test_a_vm_whose_host_is_in_error_cannot_be_resumed() -> None:
    site, vm_id = site_with(S.POWEROFF)
    from msgspec.structs import replace

    from orrery.core.messages import Decision

    site.state.apply(Decision(put=(replace(site.state.hosts[1], status=HostStatus.ERROR),)))
    with pytest.raises(WrongState, match="is ERROR"):
        site.do(command("resume", vm_id))


@pytest.mark.parametrize(
    ("status", "numbers"),
    [
        (S.PENDING, (1, 0)),
        (S.RUNNING, (3, 3)),
        (S.POWEROFF, (8, 0)),
        (S.SHUTDOWN_POWEROFF, (3, 18)),
        (S.EPILOG, (3, 11)),
        (S.BOOT_FAILURE, (3, 36)),
    ],
    ids=lambda x: getattr(x, "name", str(x)),
)
def test_statuses_carry_opennebulas_numbers(status: VmStatus, numbers: tuple[int, int]) -> None:
    assert (status.state, status.lcm_state) == numbers
