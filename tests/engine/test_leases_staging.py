"""Images are brought to hosts ahead of leases: once, in time, shared, and removed again."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from orrery.core.documents import Value
from orrery.core.messages import ENGINE, Actor, AllocateImage, DeleteObject, Failed, Outcome
from orrery.core.model.action import ActionKind
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import LeaseStatus, Terms
from orrery.core.model.storage import StagedImage
from orrery.core.status import HostStatus, ImageStatus, StagingStatus
from orrery.core.template import parse
from orrery.engine import specs
from orrery.engine.steps import STEPS, StagingWork
from orrery.sched.leases import learning
from orrery.sched.leases.settings import Preparation, Settings, TransferSettings
from orrery.service.lease_request import Written, request_of
from tests.engine.lease_cloud import SETTINGS, LeaseCloud, best_effort, in_lease_cloud, reservation

S = LeaseStatus
MIB = 1 << 20

TRANSFER = TransferSettings(bandwidth_mbit=MIB * 8 / 1e6 * 10, cache_mib=1000)
"""Plans with 10 MiB/s: the image of 100 MiB takes 10 s."""
MANAGED = replace(SETTINGS, preparation=Preparation.TRANSFER, transfer=TRANSFER)


def with_transfer(**changes: object) -> Settings:
    return replace(MANAGED, transfer=replace(TRANSFER, **changes))


def of_image(terms: Terms, image: str = "os", mib: int = 100) -> Terms:
    return replace(terms, image=image, image_mib=mib)


async def lease_of(cloud: LeaseCloud, terms: Terms) -> int:
    verdict = await cloud.request(terms, template=f'DISK=[IMAGE="{terms.image}"]')
    assert verdict.accepted, verdict.reason
    assert verdict.lease_id is not None
    return verdict.lease_id


async def new_image(cloud: LeaseCloud, name: str, mib: int = 100) -> int:
    template = parse(f'NAME="{name}" PATH="/{name}.qcow2" SIZE="{mib}"')
    image_id = await cloud.ask(
        AllocateImage(cause="t", actor=ENGINE, template=template, datastore_id=1)
    )
    images = cloud.engine.state.images
    await cloud.until(lambda: images[image_id].status is ImageStatus.READY)
    return image_id


def copies(cloud: LeaseCloud) -> list[StagedImage]:
    return list(cloud.engine.state.staged_images.values())


def staged(
    home: Path,
    story: Callable[[LeaseCloud], Awaitable[None]],
    settings: Settings = MANAGED,
    *,
    learns: bool = False,
    mib_s: float = 10.0,
) -> None:
    async def main(cloud: LeaseCloud) -> None:
        cloud.world.transfer_mib_s = mib_s
        await story(cloud)
        assert cloud.world.violations == []

    in_lease_cloud(home, main, settings=settings, learns=learns)


# --- in time --------------------------------------------------------------------------------------


def test_an_image_is_on_its_host_just_before_a_reservation_begins(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        start = float(int(cloud.now + 600))
        lease_id = await lease_of(cloud, of_image(reservation(start, 2, 300.0)))
        await cloud.lease_reaches(lease_id, S.PREPARING)
        assert start - 30 <= cloud.now <= start - 10
        ready = await cloud.lease_reaches(lease_id, S.READY)
        assert cloud.now <= start
        [copy] = copies(cloud)
        assert (copy.status, copy.mib) == (StagingStatus.THERE, 100)
        [transfer] = ready.transfers
        assert (transfer.start, transfer.end) == (copy.start, copy.end)
        assert transfer.nodes == (0, 1)
        assert transfer.began == pytest.approx(copy.start, abs=2)
        assert transfer.ended == pytest.approx(copy.end, abs=2)
        lease = await cloud.lease_reaches(lease_id, S.ACTIVE)
        assert lease.runs[0].began == pytest.approx(start, abs=5)
        await cloud.lease_reaches(lease_id, S.DONE)
        assert cloud.world.stagings == [copy.path]

    staged(tmp_path, story)


def test_best_effort_waits_for_its_image(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        before = cloud.now
        lease_id = await lease_of(cloud, of_image(best_effort(2, 60.0)))
        lease = await cloud.lease_reaches(lease_id, S.ACTIVE)
        assert (lease.runs[0].began or 0) >= before + 10
        assert len(cloud.world.stagings) == 1

    staged(tmp_path, story)


def test_what_is_unmanaged_is_brought_nowhere(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        lease_id = await lease_of(cloud, of_image(best_effort(1, 60.0)))
        await cloud.lease_reaches(lease_id, S.DONE)
        assert (copies(cloud), cloud.world.stagings) == ([], [])
        assert cloud.lease(lease_id).transfers == ()

    staged(tmp_path, story, SETTINGS)


# --- shared ---------------------------------------------------------------------------------------


def test_two_leases_share_the_transfer_of_their_image(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await cloud.add_host("h2")
        start = float(int(cloud.now + 600))
        whole = {"cpu": 800, "memory": 4096}
        first = await lease_of(cloud, of_image(reservation(start, 1, 300.0, **whole)))
        second = await lease_of(cloud, of_image(reservation(start + 5, 1, 300.0, **whole)))
        for lease_id in (first, second):
            await cloud.lease_reaches(lease_id, S.ACTIVE)
        hosts = {cloud.lease(one).runs[0].hosts for one in (first, second)}
        assert len(hosts) == 2
        both = copies(cloud)
        assert len(both) == len(cloud.world.stagings) == 2
        assert len({(copy.start, copy.end) for copy in both}) == 1
        [of_first], [of_second] = cloud.lease(first).transfers, cloud.lease(second).transfers
        assert (of_first.start, of_first.end) == (of_second.start, of_second.end)

    staged(tmp_path, story, with_transfer(multicast=True))


def test_unicast_serves_one_host_after_another(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await cloud.add_host("h2")
        start = float(int(cloud.now + 600))
        terms = of_image(reservation(start, 2, 300.0, cpu=800))
        lease_id = await lease_of(cloud, terms)
        await cloud.lease_reaches(lease_id, S.ACTIVE)
        first, second = copies(cloud)
        assert second.began >= (first.ended or 0)
        [transfer] = cloud.lease(lease_id).transfers
        assert (transfer.end - transfer.start, transfer.nodes) == (20, (0, 1))
        assert (transfer.began, transfer.ended) == (first.began, second.ended)

    staged(tmp_path, story, with_transfer(multicast=False))


def test_a_copy_in_the_cache_serves_the_next_lease_at_once(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        first = await lease_of(cloud, of_image(best_effort(1, 60.0)))
        await cloud.lease_reaches(first, S.DONE)
        before = cloud.now
        second = await lease_of(cloud, of_image(best_effort(1, 60.0)))
        lease = await cloud.lease_reaches(second, S.ACTIVE)
        assert (lease.runs[0].began or 0) < before + 8
        assert lease.transfers == ()
        assert len(cloud.world.stagings) == 1

    staged(tmp_path, story)


def test_disks_of_leases_lie_on_the_copy_others_on_the_image(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        lease_id = await lease_of(cloud, of_image(best_effort(1, 600.0)))
        await cloud.lease_reaches(lease_id, S.ACTIVE)
        state = cloud.engine.state
        [mine] = cloud.vms(lease_id)
        other = cloud.vm(await cloud.running_vm())
        [copy] = copies(cloud)
        assert specs.disk_plans(mine, state)[0].staged == copy.path
        assert specs.disk_plans(other, state)[0].staged is None
        assert specs.disk_plans(mine, state)[0].source == state.images[0].source

    staged(tmp_path, story)


def test_images_of_two_users_with_one_name_are_told_apart(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        def image_asked_for(text: str) -> str | None:
            values: dict[str, Value] = {
                "nodes": 1,
                "memory": "512",
                "duration": "1h",
                "image": text,
            }
            return request_of(cloud.services, ENGINE, Written(values=values)).terms.image

        assert image_asked_for("os") == "os"
        template = parse('NAME="os" PATH="/other.qcow2" SIZE="100"')
        other = await cloud.ask(
            AllocateImage(cause="t", actor=Actor(7, (1,)), template=template, datastore_id=1)
        )
        assert image_asked_for(str(other)) == str(other)
        images = cloud.engine.state.images
        await cloud.until(lambda: images[other].status is ImageStatus.READY)
        terms = of_image(best_effort(1, 60.0), str(other))
        verdict = await cloud.request(terms, template=f'DISK=[IMAGE_ID="{other}"]')
        assert verdict.lease_id is not None
        await cloud.lease_reaches(verdict.lease_id, S.ACTIVE)
        assert [copy.image_id for copy in copies(cloud)] == [other]

    staged(tmp_path, story)


# --- slow and failing -----------------------------------------------------------------------------


def test_best_effort_waits_for_a_slow_transfer(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        lease_id = await lease_of(cloud, of_image(best_effort(1, 300.0)))
        lease = await cloud.lease_reaches(lease_id, S.ACTIVE)
        [copy] = copies(cloud)
        assert (copy.ended or 0) - copy.began == pytest.approx(50, abs=3)
        assert (lease.runs[-1].began or 0) >= (copy.ended or 0)
        [transfer] = lease.transfers
        assert transfer.end == copy.end < (transfer.ended or 0)
        await cloud.lease_reaches(lease_id, S.DONE)
        assert len(cloud.world.stagings) == 1

    staged(tmp_path, story, mib_s=2.0)


def test_a_promise_does_not_wait_for_a_slow_transfer(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        start = float(int(cloud.now + 300))
        lease_id = await lease_of(cloud, of_image(reservation(start, 1, 300.0)))
        lease = await cloud.lease_reaches(lease_id, S.ACTIVE)
        assert lease.runs[0].began == pytest.approx(start, abs=6)
        assert lease.reason == (
            "its image had not come by its start: its VMs take it from its datastore"
        )
        assert copies(cloud)[0].status is StagingStatus.COMING
        done = await cloud.lease_reaches(lease_id, S.DONE)
        assert done.runs[0].ended == pytest.approx(start + 300, abs=10)
        again = await lease_of(cloud, of_image(best_effort(1, 300.0)))
        assert (await cloud.lease_reaches(again, S.ACTIVE)).transfers == ()
        assert len(cloud.world.stagings) == 1

    staged(tmp_path, story, mib_s=2.0)


def test_a_copy_that_hangs_is_given_up(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        before = cloud.now
        lease_id = await lease_of(cloud, of_image(best_effort(1, 300.0)))
        lease = await cloud.lease_reaches(lease_id, S.ACTIVE)
        assert 300 < cloud.now - before < 400
        assert "has been on its way for" in (lease.reason or "")
        await cloud.lease_reaches(lease_id, S.DONE)

    staged(tmp_path, story, mib_s=0.01)


def failing(monkeypatch: pytest.MonkeyPatch, times: int, *, retryable: bool) -> list[str]:
    """Staging fails so often; the paths of those that did."""
    [step] = STEPS[ActionKind.IMAGE_STAGE]
    failed: list[str] = []

    async def stage(work: StagingWork) -> Outcome:
        if len(failed) < times:
            failed.append(work.copy.path)
            return Failed("the link is cut", retryable)
        return await step.do(work)

    monkeypatch.setitem(STEPS, ActionKind.IMAGE_STAGE, (replace(step, do=stage),))
    return failed


def test_what_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = failing(monkeypatch, 2, retryable=True)

    async def story(cloud: LeaseCloud) -> None:
        lease_id = await lease_of(cloud, of_image(best_effort(1, 60.0)))
        lease = await cloud.lease_reaches(lease_id, S.ACTIVE)
        assert len(failed) == 2
        assert lease.reason is None
        assert len(cloud.world.stagings) == 1

    staged(tmp_path, story)


def test_a_lease_whose_image_could_not_come_is_planned_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = failing(monkeypatch, 1, retryable=False)

    async def story(cloud: LeaseCloud) -> None:
        lease_id = await lease_of(cloud, of_image(best_effort(1, 60.0)))
        lease = await cloud.lease_reaches(lease_id, S.ACTIVE)
        assert len(failed) == len(cloud.world.stagings) == 1
        assert "could not be brought to host h1: the link is cut" in (lease.reason or "")
        await cloud.lease_reaches(lease_id, S.DONE)

    staged(tmp_path, story)


@pytest.mark.parametrize("retryable", [True, False])
@pytest.mark.parametrize("promised", [True, False])
def test_a_lease_starts_without_its_copy_if_need_be_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, retryable: bool, promised: bool
) -> None:
    failing(monkeypatch, 1000, retryable=retryable)

    async def story(cloud: LeaseCloud) -> None:
        start = float(int(cloud.now + 300))
        terms = reservation(start, 1, 200.0) if promised else best_effort(1, 200.0)
        lease_id = await lease_of(cloud, of_image(terms))
        lease = await cloud.lease_reaches(lease_id, S.ACTIVE)
        if promised:
            assert lease.runs[0].began == pytest.approx(start, abs=30)
        reason = lease.reason or ""
        assert reason.endswith(": its VMs take it from its datastore")
        if not (promised and retryable):
            assert reason.startswith("image os could not be brought to host h1: the link is cut: ")
        await cloud.lease_reaches(lease_id, S.DONE)
        assert cloud.world.stagings == []

    staged(tmp_path, story)


def test_hosts_whose_driver_cannot_stage_are_used_as_ever(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        cloud.world.capabilities = ("suspend",)
        host = cloud.engine.state.hosts
        await cloud.until(lambda: "stage" not in host[1].capabilities)
        lease_id = await lease_of(cloud, of_image(best_effort(1, 60.0)))
        await cloud.lease_reaches(lease_id, S.DONE)
        assert (copies(cloud), cloud.world.stagings) == ([], [])

    staged(tmp_path, story)


def test_what_copies_took_is_learned_and_planned_with(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await new_image(cloud, "two")
        first = await lease_of(cloud, of_image(best_effort(1, 60.0)))
        await cloud.lease_reaches(first, S.DONE)
        [measured] = [
            one for one in cloud.engine.state.hosts[1].measured if one.kind == learning.TRANSFER
        ]
        assert measured.mean == pytest.approx(0.5)
        start = float(int(cloud.now + 600))
        second = await lease_of(cloud, of_image(reservation(start, 1, 60.0), "two"))
        lease = await cloud.lease_reaches(second, S.ACTIVE)
        [transfer] = lease.transfers
        assert transfer.end - transfer.start == 50
        assert lease.runs[0].began == pytest.approx(start, abs=3)

    staged(tmp_path, story, learns=True, mib_s=2.0)


# --- removed --------------------------------------------------------------------------------------


def names(cloud: LeaseCloud) -> list[str]:
    return [copy.name for copy in copies(cloud)]


async def run_one(cloud: LeaseCloud, image: str) -> int:
    lease_id = await lease_of(cloud, of_image(best_effort(1, 60.0), image))
    await cloud.lease_reaches(lease_id, S.DONE)
    return lease_id


def cached_files(cloud: LeaseCloud) -> set[str]:
    return {path for path in cloud.world.host("h1").files if "/cache/" in path}


def test_the_copy_whose_use_is_longest_past_makes_room(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        for name in ("one", "two", "three"):
            await new_image(cloud, name)
        await run_one(cloud, "one")
        await run_one(cloud, "two")
        await run_one(cloud, "one")
        assert names(cloud) == ["one", "two"]
        await run_one(cloud, "three")
        await cloud.until(lambda: names(cloud) == ["one", "three"])
        assert cached_files(cloud) == {copy.path for copy in copies(cloud)}

    staged(tmp_path, story, with_transfer(cache_mib=250))


def test_a_copy_in_use_stays_and_the_next_one_goes_with_its_lease(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        for name in ("one", "two"):
            await new_image(cloud, name)
        long = await lease_of(cloud, of_image(best_effort(1, 600.0), "one"))
        await cloud.lease_reaches(long, S.ACTIVE)
        short = await lease_of(cloud, of_image(best_effort(1, 60.0), "two"))
        await cloud.lease_reaches(short, S.ACTIVE)
        assert names(cloud) == ["one", "two"]
        await cloud.lease_reaches(short, S.DONE)
        await cloud.until(lambda: names(cloud) == ["one"])
        assert cloud.lease(long).status is S.ACTIVE
        await cloud.lease_reaches(long, S.DONE)
        await cloud.until(lambda: cached_files(cloud) == {copies(cloud)[0].path})

    staged(tmp_path, story, with_transfer(cache_mib=150))


def test_without_a_cache_a_copy_goes_with_its_lease(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await run_one(cloud, "os")
        await cloud.until(lambda: copies(cloud) == [])
        assert cloud.leftovers() == []

    staged(tmp_path, story, with_transfer(cache_mib=0))


def test_copies_of_an_image_that_is_deleted_go_with_it(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        image_id = await new_image(cloud, "one")
        await run_one(cloud, "one")
        assert names(cloud) == ["one"]
        await cloud.ask(DeleteObject(cause="t", actor=ENGINE, kind=Kind.IMAGE, id=image_id))
        await run_one(cloud, "os")
        await cloud.until(lambda: names(cloud) == ["os"])
        assert cached_files(cloud) == {copies(cloud)[0].path}

    staged(tmp_path, story)


def test_copies_that_nobody_knows_are_removed_unless_unknown_vms_may_lie_on_them(
    tmp_path: Path,
) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await run_one(cloud, "os")
        files = cloud.world.host("h1").files
        [copy] = copies(cloud)
        files["/ds/0/cache/70.3"] = files["/ds/0/77/disk.0"] = 1
        await asyncio.sleep(100)
        assert cached_files(cloud) == {copy.path, "/ds/0/cache/70.3"}
        del files["/ds/0/77/disk.0"]
        await cloud.until(lambda: cached_files(cloud) == {copy.path})

    staged(tmp_path, story)


# --- restarts and losses --------------------------------------------------------------------------


def test_what_is_in_caches_is_known_after_a_restart(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        for name in ("one", "two", "three"):
            await new_image(cloud, name)
        for name in ("one", "two", "one"):
            await run_one(cloud, name)
        await cloud.kill()
        await cloud.start()
        before = cloud.now
        lease_id = await lease_of(cloud, of_image(best_effort(1, 60.0), "one"))
        await cloud.lease_reaches(lease_id, S.ACTIVE)
        assert cloud.now < before + 8
        await cloud.lease_reaches(lease_id, S.DONE)
        assert len(cloud.world.stagings) == 2
        await run_one(cloud, "three")
        await cloud.until(lambda: names(cloud) == ["one", "three"])

    staged(tmp_path, story, with_transfer(cache_mib=250))


def test_a_copy_is_not_brought_again_when_its_host_was_away(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await run_one(cloud, "os")
        hosts = cloud.engine.state.hosts
        cloud.world.host("h1").alive = False
        await cloud.until(lambda: hosts[1].status is HostStatus.ERROR)
        await asyncio.sleep(100)
        cloud.world.host("h1").alive = True
        await cloud.until(lambda: hosts[1].status is HostStatus.MONITORED)
        await run_one(cloud, "os")
        assert len(cloud.world.stagings) == 1

    staged(tmp_path, story)


def test_copies_on_a_host_that_is_deleted_are_forgotten(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        await run_one(cloud, "os")
        await cloud.ask(DeleteObject(cause="t", actor=ENGINE, kind=Kind.HOST, id=1))
        await cloud.until(lambda: copies(cloud) == [])
        assert cloud.engine.state.actions == {}

    staged(tmp_path, story)


def test_copies_are_removed_when_images_are_nobodys_concern_any_more(tmp_path: Path) -> None:
    async def story(cloud: LeaseCloud) -> None:
        lease_id = await lease_of(cloud, of_image(best_effort(1, 300.0)))
        await cloud.lease_reaches(lease_id, S.ACTIVE)
        await cloud.kill()
        cloud.lease_settings = SETTINGS
        await cloud.start()
        await asyncio.sleep(100)
        assert names(cloud) == ["os"]
        await cloud.lease_reaches(lease_id, S.DONE)
        await cloud.until(lambda: copies(cloud) == [])
        assert cached_files(cloud) == set()

    staged(tmp_path, story)
