"""The engine may die after any commit: no promise is lost, no VM starts twice, nothing is left."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from orrery.core.model.lease import LeaseStatus
from orrery.core.status import VmStatus
from orrery.engine.writer import Commit
from orrery.simulate.loop import VirtualLoop, run
from tests.engine.lease_cloud import QUICK, LeaseCloud, best_effort, reservation

S = LeaseStatus

COMMITS = 30
"""Of the story, from when the reservation is promised to the end of both leases."""


class Death(Exception):
    """Of the engine, at a moment of our choice."""


class Mortal(LeaseCloud):
    """Dies at once after so many commits, and starts again on what it left."""

    deaths = 0

    def die_after(self, commits: int) -> None:
        left = commits

        def on_commit(commit: Commit) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Death

        self.engine.writer.listen(on_commit)

    async def revive(self) -> bool:
        """Start again if it died; whether it did."""
        assert self._task is not None
        if not self._task.done():
            return False
        self.deaths += 1
        with contextlib.suppress(BaseException):
            self._task.result()
        assert self._store is not None
        await self._store.close()
        await self.start()
        return True

    async def live_until(self, lease_id: int, *statuses: LeaseStatus) -> None:
        async with asyncio.timeout(40_000):
            while self.lease(lease_id).status not in statuses:
                await asyncio.sleep(0.5)
                await self.revive()


async def story(cloud: Mortal, commits: int) -> None:
    """A best-effort lease makes way for a reservation and goes on after it."""
    first = await cloud.lease_of(best_effort(2, 900.0))
    await cloud.lease_reaches(first, S.ACTIVE)
    start = float(int(cloud.now + 300))
    second = await cloud.lease_of(reservation(start, 2, 120.0))
    cloud.die_after(commits)
    await cloud.live_until(second, S.DONE, S.FAILED)
    await cloud.live_until(first, S.DONE, S.FAILED)
    await asyncio.sleep(300)
    await cloud.revive()
    reserved, suspended = cloud.lease(second), cloud.lease(first)
    assert (reserved.status, suspended.status) == (S.DONE, S.DONE), (reserved, suspended)
    assert abs((reserved.runs[0].began or 0.0) - start) <= 5.0
    assert suspended.suspensions == 1
    assert sum((r.ended or 0) - (r.began or 0) for r in suspended.runs) == pytest.approx(900, abs=8)
    for lease in (reserved, suspended):
        vms = [cloud.engine.state.vms[i] for i in lease.vms]
        assert len(vms) == 2
        assert {vm.status for vm in vms} == {VmStatus.DONE}
        assert {vm.deployment for vm in vms} == {1}
    assert len(cloud.engine.state.vms) == 4
    assert cloud.world.violations == []
    assert cloud.leftovers() == []


def told(home: Path, commits: int) -> int:
    async def main(loop: VirtualLoop) -> int:
        cloud = Mortal(loop, home, QUICK)
        await cloud.start()
        await cloud.furnish()
        try:
            await story(cloud, commits)
            return cloud.deaths
        finally:
            await cloud.kill()

    return run(main)


@pytest.mark.parametrize("commits", range(1, COMMITS + 1))
def test_a_promise_is_kept_whenever_the_engine_dies(tmp_path: Path, commits: int) -> None:
    assert told(tmp_path, commits) == 1


def test_what_should_have_begun_while_the_engine_was_down_begins_late(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        cloud = Mortal(loop, tmp_path, QUICK)
        await cloud.start()
        await cloud.furnish()
        first = await cloud.lease_of(best_effort(2, 900.0))
        await cloud.lease_reaches(first, S.ACTIVE)
        start = float(int(cloud.now + 300))
        second = await cloud.lease_of(reservation(start, 2, 600.0))
        await cloud.kill()
        await asyncio.sleep(400)
        await cloud.start()
        lease = await cloud.lease_reaches(second, S.ACTIVE, seconds=200)
        assert (lease.runs[0].began or 0) > start + 100
        done = await cloud.lease_reaches(second, S.DONE)
        assert done.runs[0].ended == pytest.approx(start + 600, abs=10)
        await cloud.lease_reaches(first, S.DONE)
        assert cloud.leftovers() == []
        await cloud.kill()

    run(main)
