"""Deadline leases that are under way make room for tighter ones, or nothing is changed."""

import pytest

from orrery.core.model.lease import LeaseStatus as S
from orrery.sched.leases.settings import Settings, Suspension
from tests.sched.leases.world import World, by_deadline, runs_of, site

NONE = Settings(suspension=Suspension.NONE)


def running(settings: Settings | None = None, *, deadline: int = 10_000) -> World:
    """One host, on which a lease of 1000 s has run for 100 s."""
    world = World(site(1)) if settings is None else World(site(1), settings)
    world.submit(1, by_deadline(deadline, duration=1000))
    world.run(100)
    return world


def test_the_one_with_time_is_suspended_for_the_tighter_one_and_goes_on_after() -> None:
    world = running()
    assert world.submit(2, by_deadline(600, start=500, duration=100)).accepted
    world.run()
    assert runs_of(world[2]) == [(500, 600)]
    first, second = runs_of(world[1])
    assert first[0] == 0 and first[1] < 500 and second[0] > 600
    assert sum(end - start for start, end in (first, second)) == 1000


def test_where_nobody_may_be_suspended_it_begins_again_after_the_tighter_one() -> None:
    world = running(NONE)
    assert world.submit(2, by_deadline(600, start=500, duration=100)).accepted
    world.run()
    assert runs_of(world[2]) == [(500, 600)]
    assert runs_of(world[1])[-1] == (600, 1600)
    assert world[1].status is S.DONE


@pytest.mark.parametrize("settings", [None, NONE])
def test_nothing_changes_when_the_one_that_runs_would_be_late(settings: Settings | None) -> None:
    world = running(settings, deadline=1050)
    before = world.schedule()
    answer = world.submit(2, by_deadline(600, start=500, duration=100))
    assert answer.status is S.REJECTED
    world.calendar.bookings.pop(2)
    assert world.schedule() == before
    world.run()
    assert runs_of(world[1]) == [(0, 1000)]


def test_the_rest_of_an_interrupted_lease_is_planned_again_for_a_third() -> None:
    world = running()
    world.submit(2, by_deadline(600, start=500, duration=100))
    assert world.submit(3, by_deadline(900, start=800, duration=100)).accepted
    world.run()
    assert runs_of(world[3]) == [(800, 900)]
    assert world[1].status is S.DONE


def test_asking_first_gives_the_same_answer_and_changes_nothing() -> None:
    world = running()
    before = world.schedule()
    asked = world.calendar.when(by_deadline(600, start=500, duration=100), world.now)
    assert world.schedule() == before
    given = world.submit(2, by_deadline(600, start=500, duration=100))
    assert (asked.start, asked.end) == (given.start, given.end) == (500, 600)
