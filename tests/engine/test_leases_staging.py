"""Images are brought to hosts ahead of leases: once, in time, shared, and removed again."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from orrery.core.messages import ENGINE, AllocateImage
from orrery.core.model.lease import LeaseStatus, Terms
from orrery.core.model.storage import StagedImage
from orrery.core.status import ImageStatus, StagingStatus
from orrery.core.template import parse
from orrery.sched.leases.settings import Preparation, Settings, TransferSettings
from tests.engine.lease_cloud import SETTINGS, LeaseCloud, best_effort, in_lease_cloud, reservation

S = LeaseStatus
MIB = 1 << 20

TRANSFER = TransferSettings(bandwidth_mbit=MIB * 8 / 1e6 * 10, cache_mib=1000)
"""Plans with 10 MiB/s: the image of 100 MiB takes 10 s."""
MANAGED = replace(SETTINGS, preparation=Preparation.TRANSFER, transfer=TRANSFER)
DISK = 'DISK=[IMAGE="os"]'


def with_transfer(**changes: object) -> Settings:
    return replace(MANAGED, transfer=replace(TRANSFER, **changes))


class StagingCloud(LeaseCloud):
    """Images come at 10 MiB/s, as planned."""


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
