"""Copies of images in caches: none is brought twice, none goes away under a VM."""

import pytest
from msgspec.structs import replace

from orrery.core.decide import outstanding
from orrery.core.messages import (
    ENGINE,
    Decision,
    DeleteObject,
    Done,
    EnableImage,
    Failed,
    Outcome,
    Settled,
    StageImage,
    UnstageImage,
)
from orrery.core.model.action import ActionKind
from orrery.core.model.kinds import Kind
from orrery.core.model.storage import StagedImage
from orrery.core.staging import DEMANDS, MACHINE, is_current, is_stageable, is_used
from orrery.core.status import StagingStatus, VmStatus
from orrery.engine.view import State
from tests.site import ENGINE_ID, FAILED, UNKNOWN, Site

S = StagingStatus
KEY = (Kind.STAGED_IMAGE, 0)


def stage(image_id: int = 0, host_id: int = 1, start: float = 100.0) -> StageImage:
    return StageImage(
        cause="t",
        image_id=image_id,
        host_id=host_id,
        name="os",
        mib=100,
        start=start,
        end=start + 10.0,
    )


def unstage(staged_id: int = 0) -> UnstageImage:
    return UnstageImage(cause="t", staged_id=staged_id)


def site_with(status: StagingStatus) -> Site:
    """Copy 0, of image 0 on host 1, in that status."""
    site = Site().furnished()
    site.do(stage())
    if status is S.FAILED:
        site.settle(*KEY, FAILED)
    elif status in (S.THERE, S.LEAVING):
        site.settle(*KEY, Done({"seconds": 4.0}))
    if status is S.LEAVING:
        site.do(unstage())
    assert copy_of(site).status is status
    return site


def copy_of(site: Site) -> StagedImage:
    return site.state.staged_images[0]


def lessee(site: Site, host_id: int = 1) -> int:
    """A VM of a lease with a disk of image 0, on that host."""
    vm_id = site.vm()
    site.place(vm_id, host_id)
    vm = replace(site.state.vms[vm_id], lease_id=site.lease())
    assert vm.status is VmStatus.PROLOG
    site.state.apply(Decision(put=(vm,)))
    return vm_id


def test_an_image_is_ordered_with_its_place_and_its_times() -> None:
    site = Site().furnished()
    site.do(stage())
    copy = copy_of(site)
    assert (copy.status, copy.path) == (S.COMING, f"/ds/0/cache/0.{copy.image_gen}")
    assert (copy.start, copy.end, copy.began) == (100.0, 110.0, site.now)
    assert copy.source == site.state.images[0].source
    action = site.state.unfinished(*KEY)
    assert action is not None
    assert (action.kind, action.host_id) == (ActionKind.IMAGE_STAGE, 1)
    site.settle(*KEY, Done({"size": 5, "seconds": 4}))
    copy = copy_of(site)
    assert (copy.status, copy.ended, copy.seconds) == (S.THERE, site.now, 4.0)
    assert site.state.unfinished(*KEY) is None
    assert site.state.staged_image(0, 1) == copy


@pytest.mark.parametrize("status", [S.COMING, S.THERE])
def test_what_is_there_or_on_its_way_is_not_ordered_again(status: StagingStatus) -> None:
    site = site_with(status)
    before = copy_of(site), dict(site.state.actions)
    site.do(stage(start=200.0))
    assert (copy_of(site), dict(site.state.actions)) == before


@pytest.mark.parametrize("status", [S.FAILED, S.LEAVING])
def test_what_failed_or_was_to_leave_is_ordered_anew(status: StagingStatus) -> None:
    site = site_with(status)
    site.do(stage(start=200.0))
    copy = copy_of(site)
    assert (copy.status, copy.start, copy.error, copy.ended) == (S.COMING, 200.0, None, None)
    action = site.state.unfinished(*KEY)
    assert action is not None
    assert (action.kind, action.gen) == (ActionKind.IMAGE_STAGE, copy.gen)


@pytest.mark.parametrize("message", [stage(7), stage(host_id=7), unstage(7)])
def test_what_is_not_there_is_ignored(message: StageImage | UnstageImage) -> None:
    site = Site().furnished()
    site.do(message)
    assert (site.state.staged_images, site.state.actions) == ({}, {})


def test_images_that_disks_link_to_are_not_staged() -> None:
    site = Site().furnished()
    mine = site.image("mine", 'PERSISTENT="YES"')
    cdrom = site.image("cd", 'TYPE="CDROM"')
    site.do(EnableImage(cause="t", actor=ENGINE, image_id=0, enable=False))
    for image_id in (0, mine, cdrom):
        assert not is_stageable(site.state.images[image_id])
        site.do(stage(image_id))
    assert site.state.staged_images == {}


@pytest.mark.parametrize("outcome", [FAILED, UNKNOWN])
@pytest.mark.parametrize("status", [S.COMING, S.LEAVING])
def test_what_cannot_be_done_is_told(status: StagingStatus, outcome: Outcome) -> None:
    site = site_with(status)
    site.settle(*KEY, outcome)
    copy = copy_of(site)
    assert (copy.status, copy.ended) == (S.FAILED, site.now)
    assert copy.error
    assert site.state.unfinished(*KEY) is None


def test_bringing_is_tried_three_times() -> None:
    site = site_with(S.COMING)
    for attempt in (1, 2):
        site.settle(*KEY, Failed("the link is cut", retryable=True))
        action = site.state.unfinished(*KEY)
        assert action is not None
        assert (action.attempt, copy_of(site).status) == (attempt, S.COMING)
    site.settle(*KEY, Failed("the link is cut", retryable=True))
    assert copy_of(site).status is S.FAILED


def test_a_copy_that_was_removed_is_forgotten() -> None:
    site = site_with(S.LEAVING)
    site.settle(*KEY)
    assert (site.state.staged_images, site.state.actions) == ({}, {})
    assert site.state.staged_image(0, 1) is None


@pytest.mark.parametrize("status", [S.COMING, S.THERE, S.FAILED])
def test_a_copy_leaves_in_every_status(status: StagingStatus) -> None:
    site = site_with(status)
    site.do(unstage())
    assert copy_of(site).status is S.LEAVING
    action = site.state.unfinished(*KEY)
    assert action is not None
    assert action.kind is ActionKind.IMAGE_UNSTAGE


def test_a_copy_stays_while_a_vm_of_a_lease_is_on_its_host() -> None:
    site = site_with(S.THERE)
    site.host("h2")
    lessee(site, 2)
    assert not is_used(copy_of(site), site.state)
    vm_id = lessee(site)
    for status in (VmStatus.PROLOG, VmStatus.RUNNING, VmStatus.SUSPENDED, VmStatus.EPILOG):
        site.force(vm_id, status)
        site.do(unstage())
        assert copy_of(site).status is S.THERE
    site.force(vm_id, VmStatus.DONE)
    site.do(unstage())
    assert copy_of(site).status is S.LEAVING


def test_an_image_that_was_changed_gets_a_copy_of_its_own() -> None:
    site = site_with(S.THERE)
    for enable in (False, True):
        site.do(EnableImage(cause="t", actor=ENGINE, image_id=0, enable=enable))
    assert not is_current(copy_of(site), site.state)
    assert site.state.staged_image(0, 1) is None
    site.do(stage())
    old, new = site.state.staged_images.values()
    assert old.path != new.path
    assert site.state.staged_image(0, 1) == new


def test_a_copy_goes_with_its_host_at_once() -> None:
    site = site_with(S.COMING)
    site.do(DeleteObject(cause="t", actor=ENGINE, kind=Kind.HOST, id=1))
    site.do(unstage())
    assert (site.state.staged_images, site.state.actions) == ({}, {})


def test_an_outcome_of_an_older_order_is_stale() -> None:
    site = site_with(S.COMING)
    old = site.state.unfinished(*KEY)
    assert old is not None
    site.do(unstage())
    site.do(Settled(cause="t", action=old, outcome=Done()))
    assert copy_of(site).status is S.LEAVING


@pytest.mark.parametrize("status", list(S))
def test_the_outbox_can_be_derived_again(status: StagingStatus) -> None:
    site = site_with(status)
    assert list(outstanding(site.state, site.now)) == []
    site.state.actions.clear()
    kinds = [action.kind for action in outstanding(site.state, site.now)]
    assert kinds == ([DEMANDS[status]] if status in DEMANDS else [])


@pytest.mark.parametrize("status", list(S))
def test_a_state_loaded_again_finds_the_copy(status: StagingStatus) -> None:
    site = site_with(status)
    fresh = State(ENGINE_ID)
    objects = [obj for pool in site.state.pools.values() for obj in pool.values()]
    fresh.load(objects, site.state.actions.values(), site.state.next_ids)
    assert fresh.staged_image(0, 1) == copy_of(site)


def test_every_status_that_waits_for_a_driver_takes_every_outcome() -> None:
    waits = {(status, kind) for status in DEMANDS for kind in (Done, type(FAILED), type(UNKNOWN))}
    assert set(MACHINE.edges()) == waits
