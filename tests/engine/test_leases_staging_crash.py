"""The engine may die after any commit: no image is brought twice to where it is, no lease waits for
one that never comes, and the caches hold what is stored of them.
"""

import asyncio
from pathlib import Path

import pytest

from orrery.core.model.kinds import Kind
from orrery.core.status import StagingStatus
from orrery.simulate.loop import VirtualLoop, run
from tests.engine.lease_cloud import QUICK, best_effort, reservation
from tests.engine.test_leases_crash import Mortal, S
from tests.engine.test_leases_staging import (
    cached_files,
    copies,
    lease_of,
    new_image,
    of_image,
    with_transfer,
)

COMMITS = 38
"""Of the story, from when the first lease is asked for."""

SLOWLY = 6.0
"""MiB/s at which images come; planned are 10."""


async def story(cloud: Mortal, commits: int) -> None:
    """Two leases of one image, then one of another that needs its place in the cache."""
    await new_image(cloud, "two")
    start = float(int(cloud.now + 120))
    first = await lease_of(cloud, of_image(best_effort(1, 60.0)))
    second = await lease_of(cloud, of_image(reservation(start, 1, 60.0)))
    third = await lease_of(cloud, of_image(reservation(start + 120, 1, 60.0), "two"))
    cloud.die_after(commits)
    for lease_id in (first, second, third):
        await cloud.live_until(lease_id, S.DONE, S.FAILED)
    for _ in range(100):
        await asyncio.sleep(1.0)
        await cloud.revive()
    leases = [cloud.lease(one) for one in (first, second, third)]
    assert [lease.status for lease in leases] == [S.DONE] * 3
    assert leases[1].runs[0].began == pytest.approx(start, abs=6)
    assert leases[2].runs[0].began == pytest.approx(start + 120, abs=30)
    assert cloud.world.violations == []
    [copy] = copies(cloud)
    assert (copy.name, copy.status) == ("two", StagingStatus.THERE)
    assert cached_files(cloud) == {copy.path}
    assert len(cloud.world.stagings) == len(set(cloud.world.stagings)) == 2
    state = cloud.engine.state
    assert [key for key in state.actions if key[0] is Kind.STAGED_IMAGE] == []


@pytest.mark.parametrize("commits", range(1, COMMITS + 1))
def test_images_come_once_whenever_the_engine_dies(tmp_path: Path, commits: int) -> None:
    async def main(loop: VirtualLoop) -> int:
        cloud = Mortal(loop, tmp_path, QUICK)
        cloud.lease_settings = with_transfer(cache_mib=150)
        cloud.world.transfer_mib_s = SLOWLY
        await cloud.start()
        await cloud.furnish()
        try:
            await story(cloud, commits)
            return cloud.deaths
        finally:
            await cloud.kill()

    assert run(main) == 1
