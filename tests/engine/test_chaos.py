"""Whole engines under virtual time: crashes, failures, hangs and late effects, from seeds."""

import logging
from collections.abc import Iterator

import pytest

from orrery.drivers.sim import Faults
from orrery.engine.dispatcher import Dispatcher
from orrery.engine.reconcile import Reconciler
from orrery.simulate import chaos
from orrery.simulate.chaos import DAY_S, Report, Story, tell

CHUNK = 20
CHUNKS = 10
QUICK_CHUNKS = 5
"""So many are told in `make check`, all of them in `make test`."""
HANGING = Faults(fail_rate=0.02, hang_rate=0.10, late_rate=0.9)


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    """Thousands of warnings about a world that misbehaves cost more than the stories themselves."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def told(story: Story) -> Report:
    report = tell(story)
    assert not report.broken, f"seed {story.seed}: {report.broken}"
    return report


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(chunk, marks=pytest.mark.slow if chunk >= QUICK_CHUNKS else ())
        for chunk in range(CHUNKS)
    ],
)
def test_the_invariants_hold_whatever_goes_wrong(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        report = told(Story(seed=seed))
        assert report.done == 20
        assert report.crashes == 6


@pytest.mark.parametrize("seed", range(10))
def test_calls_that_hang_and_take_effect_late_leave_nothing_behind(seed: int) -> None:
    told(Story(seed=seed, faults=HANGING))


@pytest.mark.parametrize("seed", [88, *range(8)], ids=str)
def test_leases_are_kept_or_say_why_not_whatever_goes_wrong(seed: int) -> None:
    told(Story(seed=seed, vms=6, leases=8))


@pytest.mark.parametrize("faults", [Story(seed=0).faults, HANGING], ids=["failing", "hanging"])
@pytest.mark.parametrize("seed", range(6), ids=str)
def test_images_come_ahead_of_leases_whatever_goes_wrong(seed: int, faults: Faults) -> None:
    told(Story(seed=seed, vms=3, hosts=3, leases=20, staging=True, faults=faults))


def test_a_sound_world_sees_each_effect_once() -> None:
    report = told(Story(seed=1, faults=Faults(), crashes=0))
    assert report.absorbed_boots == 0
    assert report.removed == 0


@pytest.mark.parametrize("seed", range(5))
def test_crashes_alone_never_boot_a_vm_twice(seed: int) -> None:
    report = told(Story(seed=seed, faults=Faults(), crashes=20))
    assert report.absorbed_boots == 0


def test_the_same_seed_tells_the_same_story() -> None:
    assert tell(Story(seed=7)) == tell(Story(seed=7))


def test_the_story_notices_when_leftovers_are_not_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing(*_: object) -> None:
        return

    monkeypatch.setattr(Reconciler, "remove_leftovers", nothing)
    broken = [tell(Story(seed=seed, faults=HANGING)).broken for seed in range(8)]
    assert any("left on" in what for story in broken for what in story)


def test_the_story_notices_when_actions_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Dispatcher.run

    async def forgetful(self: Dispatcher, unfinished: object = ()) -> None:
        await run(self, ())

    monkeypatch.setattr(Dispatcher, "run", forgetful)
    monkeypatch.setattr(chaos, "PATIENCE_S", DAY_S / 4)
    broken = [tell(Story(seed=seed)).broken for seed in range(2)]
    assert any("not over" in what for story in broken for what in story)
