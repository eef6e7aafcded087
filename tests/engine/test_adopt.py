"""What the simulated world has on its hosts when an engine starts: what the state says."""

import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from orrery.core.messages import Decision
from orrery.core.model.vm import OFF_HOST
from orrery.core.status import VmStatus
from orrery.daemon.fleet import adopt
from orrery.drivers.sim import SimHost, World
from tests.engine.harness import Cloud, in_cloud

S = VmStatus

WITH_DOMAIN = {
    S.RUNNING,
    S.SAVE_SUSPEND,
    S.SHUTDOWN,
    S.SHUTDOWN_POWEROFF,
    S.UNKNOWN,
}


def adopted(home: Path, status: VmStatus, checkpoint: int | None = None) -> SimHost:
    """The host of a VM in that status, in a world that begins now."""

    async def story(cloud: Cloud) -> SimHost:
        vm = cloud.vm(await cloud.running_vm())
        state = cloud.engine.state
        state.apply(Decision(put=(replace(vm, status=status, checkpoint=checkpoint),)))
        world = World(random.Random(1))
        adopt(world, state)
        return world.host("h1")

    return in_cloud(home, story)


@pytest.mark.parametrize("status", sorted(set(VmStatus) - OFF_HOST), ids=lambda s: s.name)
def test_only_what_ran_when_the_engine_ended_runs(status: VmStatus, tmp_path: Path) -> None:
    assert bool(adopted(tmp_path, status).domains) == (status in WITH_DOMAIN)


@pytest.mark.parametrize("status", [S.SUSPENDED, S.BOOT_SUSPENDED, S.EPILOG], ids=lambda s: s.name)
def test_a_memory_that_was_saved_is_there_until_it_is_used(
    status: VmStatus, tmp_path: Path
) -> None:
    files = adopted(tmp_path, status, checkpoint=0).files
    assert files.keys() >= {"/ds/0/0/checkpoint.0", "/ds/0/0/disk.0"}


@pytest.mark.parametrize("status", [S.PROLOG, S.DONE], ids=lambda s: s.name)
def test_disks_that_are_not_made_are_not_there(status: VmStatus, tmp_path: Path) -> None:
    assert adopted(tmp_path, status).files == {}
