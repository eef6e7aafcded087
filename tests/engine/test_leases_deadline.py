"""Leases by deadline in the running engine: one with time makes room for one that has little."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.model.lease import LeaseStatus as S
from orrery.core.model.lease import NodeSet, Terms
from orrery.sched.leases.settings import Suspension
from tests.engine.lease_cloud import HOUR, SETTINGS, LeaseCloud, in_lease_cloud


def whole_host(start: float, duration: float, deadline: float) -> Terms:
    nodes = (NodeSet(count=1, capacity=Capacity(800, 4096)),)
    return Terms(nodes=nodes, start=start, duration=duration, deadline=deadline)


@pytest.mark.parametrize("suspension", [Suspension.ALL, Suspension.NONE])
def test_the_one_with_time_goes_on_or_begins_again_after_the_tighter_one(
    tmp_path: Path, suspension: Suspension
) -> None:
    async def story(cloud: LeaseCloud) -> None:
        now = float(int(cloud.now))
        first = await cloud.lease_of(whole_host(now + 30, 1000.0, now + 6 * HOUR))
        before = (await cloud.lease_reaches(first, S.ACTIVE)).vms
        now = float(int(cloud.now))
        second = await cloud.lease_of(whole_host(now + 500, 100.0, now + 620))
        tight = await cloud.lease_reaches(second, S.DONE)
        done = await cloud.lease_reaches(first, S.DONE, seconds=3 * HOUR)
        assert done.runs[-1].began is not None and tight.runs[0].ended is not None
        assert done.runs[-1].began > tight.runs[0].ended
        kept_memory = suspension is Suspension.ALL
        assert (done.runs[0].suspends, done.runs[0].kills) == (kept_memory, not kept_memory)
        assert (done.vms == before) == kept_memory
        await cloud.until(lambda: not cloud.leftovers(), HOUR)
        assert cloud.world.violations == []

    in_lease_cloud(tmp_path, story, settings=replace(SETTINGS, suspension=suspension))
