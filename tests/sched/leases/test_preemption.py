"""Who gives way to whom, when, and at what cost."""

import pytest

from orrery.core.model.lease import LeaseStatus as S
from orrery.core.model.lease import Terms
from orrery.sched.leases.booking import Ending
from orrery.sched.leases.policies.preemption import DAY
from orrery.sched.leases.settings import Settings, Suspension
from orrery.sched.leases.timeline import StepKind
from tests.sched.leases.world import (
    World,
    best_effort,
    by_deadline,
    nodes,
    reservation,
    runs_of,
    site,
)


def suspended(world: World) -> set[int]:
    return {
        booking.id
        for booking in world.calendar.bookings.values()
        if any(run.ending is Ending.SUSPEND for run in booking.runs)
    }


def one_each(count: int, duration: int = 1000) -> World:
    """A site full of leases of one node, each asked for 10 s after the one before."""
    world = World(site(count))
    for lease_id in range(1, count + 1):
        world.submit(lease_id, best_effort(duration=duration))
        world.run(world.now + 10)
    return world


def test_suspensions_have_finished_when_the_reservation_begins() -> None:
    world = one_each(2)
    world.submit(9, reservation(200, 2))
    for lease_id in (1, 2):
        (run,) = world[lease_id].runs
        assert (run.vm_end, run.end) == (190, 200)
    world.run(200)
    assert world[9].status is S.ACTIVE
    done = [s.run.booking.id for s in world.steps if s.kind is StepKind.SUSPENDED and s.at == 200]
    assert sorted(done) == [1, 2]


def test_the_youngest_gives_way_first() -> None:
    world = one_each(4)
    world.submit(9, reservation(200, 1))
    assert suspended(world) == {4}
    world.submit(10, reservation(200, 2))
    assert suspended(world) == {2, 3, 4}


def test_no_more_give_way_than_needed() -> None:
    """Taken youngest first, lease 3 alone would not do; with lease 2 it is not needed at all."""
    world = World(site(4))
    world.submit(1, best_effort(1, 1000))
    world.submit(2, best_effort(2, 1000))
    world.submit(3, best_effort(1, 1000))
    world.submit(9, reservation(200, 2))
    assert suspended(world) in ({2}, {1, 3}, {3, 2}) and len(suspended(world)) == 1


def test_who_ends_before_the_reservation_is_left_alone() -> None:
    world = World(site(2))
    world.submit_all([best_effort(1, 1000), best_effort(1, 150)])
    world.submit(9, reservation(200, 1))
    assert suspended(world) == set()


def test_what_is_not_preemptible_never_gives_way() -> None:
    world = World(site(1))
    world.submit(1, best_effort(duration=300, preemptible=False))
    assert world.submit(2, reservation(200)).status is S.REJECTED
    assert world.submit(3, by_deadline(299)).status is S.REJECTED
    assert world.submit(4, reservation(300)).accepted


def test_what_is_not_preemptible_is_not_planned_into_a_gap_either() -> None:
    world = World(site(1))
    world.submit(1, reservation(200))
    world.submit(2, best_effort(duration=250, preemptible=False))
    world.run()
    assert runs_of(world[2]) == [(300, 550)]


@pytest.mark.parametrize("first", [reservation(100), by_deadline(250, start=100)])
def test_promises_do_not_give_way_to_promises(first: Terms) -> None:
    world = World(site(1))
    world.submit(1, first)
    assert world.submit(2, reservation(150)).status is S.REJECTED
    assert world.submit(3, reservation(100)).status is S.REJECTED


def test_without_preemption_nobody_gives_way() -> None:
    world = World(site(1), Settings(preemption="no-preemption"))
    world.submit(1, best_effort(duration=300))
    assert world.submit(2, reservation(200)).status is S.REJECTED
    assert world.submit(3, reservation(300)).accepted


def test_age_protects_from_being_displaced_for_ever() -> None:
    world = World(site(1))
    world.submit(1, best_effort(duration=30 * DAY))
    assert world.submit(2, reservation(7 * DAY + 1)).status is S.REJECTED
    assert world.submit(3, reservation(7 * DAY)).accepted


def test_a_lease_that_was_suspended_often_enough_is_not_again() -> None:
    world = World(site(1), Settings(max_suspensions=1))
    world.submit(1, best_effort(duration=1000))
    world.submit(2, reservation(200))
    world.run(400)
    assert world[1].status is S.ACTIVE
    refused = world.submit(3, reservation(600))
    assert refused.status is S.REJECTED
    world.run()
    assert world[1].suspensions == 1


def test_what_only_waits_gives_way_without_a_suspension() -> None:
    world = World(site(1))
    world.submit_all([best_effort(duration=100), best_effort(duration=100)])
    assert runs_of(world[2]) == [(100, 200)]
    assert world.submit(3, reservation(100)).accepted
    world.run()
    assert runs_of(world[1]) == [(0, 100)]
    assert runs_of(world[2]) == [(200, 300)]


def test_a_start_that_would_be_cut_too_soon_is_given_up() -> None:
    world = World(site(1))
    world.submit_all([best_effort(duration=100), best_effort(duration=100)])
    world.submit(3, reservation(115))
    world.run()
    assert runs_of(world[2]) == [(215, 315)]


def test_work_of_less_than_the_threshold_is_lost_rather_than_saved() -> None:
    world = World(site(1))
    world.submit(1, best_effort(duration=300))
    world.submit(2, reservation(19))
    world.run()
    first, second = world[1].runs
    assert first.ending is Ending.KILL
    assert (first.vm_start, first.vm_end) == (0, 19)
    assert second.vm_end - second.vm_start == 300


def test_a_lease_that_cannot_be_saved_runs_until_the_moment_the_reservation_begins() -> None:
    world = World(site(1), Settings(suspension=Suspension.NONE))
    world.submit(1, best_effort(duration=1000))
    world.submit(2, reservation(500))
    world.run(499)
    assert world[1].status is S.ACTIVE
    world.run(500)
    kills = [(s.at, s.run.booking.id) for s in world.steps if s.kind is StepKind.KILL]
    assert kills == [(500, 1)]
    assert world[2].status is S.ACTIVE


def test_saved_work_is_never_thrown_away_for_a_reservation_on_short_notice() -> None:
    """It was suspended before, and there is no time to suspend it again."""
    world = World(site(1))
    world.submit(1, best_effort(duration=1000))
    world.submit(2, reservation(200))
    world.run(400)
    assert world.submit(3, reservation(405)).status is S.REJECTED
    assert world.submit(4, reservation(410)).accepted
    world.run()
    assert sum(end - start for start, end in runs_of(world[1])) == 1000


def test_a_lease_that_still_boots_is_stopped_before_its_vms_are_up() -> None:
    world = World(site(1), Settings(boot_s=60))
    world.submit(1, best_effort(duration=1000))
    world.run(10)
    assert world.submit(2, reservation(100)).accepted  # its own boot begins at 40
    world.run()
    assert world[1].runs[0].end == 40
    assert runs_of(world[1])[0] == (40, 40)
    assert world[1].first_start == world[1].runs[1].vm_start
    world.audit_end()


def test_cost_aware_preemption_spares_what_has_done_most() -> None:
    world = World(site(3), Settings(preemption="cheapest"))
    world.submit(1, best_effort(1, 20_000))
    world.run(3000)
    world.submit(2, best_effort(2, 20_000))
    world.run(3500)
    world.submit(3, reservation(4000, 1))
    assert suspended(world) == {2}


def test_a_deadline_lease_displaces_best_effort_but_a_queued_lease_displaces_nobody() -> None:
    world = World(site(1))
    world.submit(1, best_effort(duration=500))
    world.submit(2, best_effort(duration=10, priority=5))
    world.run(100)
    assert world[1].status is S.ACTIVE
    assert world.submit(3, by_deadline(300)).accepted
    world.run()
    assert (world[3].ended or 0) <= 300
    world.audit_end()


def test_a_reservation_that_is_refused_changes_nothing() -> None:
    world = one_each(3)
    world.submit(4, best_effort(1, 1500, preemptible=False))
    before = world.schedule()
    assert world.calendar.submit(5, reservation(1200, 3), world.now).status is S.REJECTED
    assert world.schedule().startswith(before)
    world.run()
    world.audit_end()


def test_large_nodes_take_the_place_of_several_small_ones() -> None:
    world = World(site(2, cpu=400, memory=4096))
    world.submit_all([best_effort(1, 1000) for _ in range(8)])
    big = Terms(nodes=(nodes(1, 400, 4096),), duration=100, start=500)
    assert world.submit(20, big).accepted
    assert len(suspended(world)) == 4
    world.run()
    world.audit_end()


def test_who_was_to_give_way_goes_on_when_the_reservation_is_cancelled() -> None:
    world = one_each(2)
    world.submit(9, reservation(200, 2))
    world.calendar.cancel(9, 50)
    world.run()
    assert runs_of(world[1]) == [(0, 1000)]
    assert runs_of(world[2]) == [(10, 1010)]


def test_who_gives_way_to_two_goes_on_until_the_second_when_the_first_is_cancelled() -> None:
    world = one_each(1)
    world.submit(8, reservation(200))
    world.submit(9, reservation(400))
    world.calendar.cancel(8, 50)
    world.run()
    assert runs_of(world[1]) == [(0, 390), (510, 1120)]


def test_leases_on_one_host_are_suspended_one_after_another() -> None:
    """Each takes 10 s of the same disk: the last has finished when the reservation begins."""
    world = World(site(1, cpu=200, memory=2048))
    for lease_id in (1, 2):
        world.submit(lease_id, best_effort(duration=1000))
    world.run(50)
    world.submit(9, Terms(nodes=(nodes(1, 200, 2048),), duration=100, start=200))
    planned = sorted((run.vm_end, run.end) for run in (world[1].runs[0], world[2].runs[0]))
    assert planned == [(180, 190), (190, 200)]
    world.run()
    assert runs_of(world[9]) == [(200, 300)]


def test_those_for_whose_turn_there_is_no_time_leave_the_turns_of_others_alone() -> None:
    """25 s notice, 10 s each: two are saved in turn; the others at the end, beside the first."""
    world = World(site(1, cpu=400, memory=4096))
    for lease_id in (1, 2, 3, 4):
        world.submit(lease_id, best_effort(duration=1000))
    world.run(100)
    world.submit(9, Terms(nodes=(nodes(1, 400, 4096),), duration=100, start=125))
    ends = sorted(world[lease_id].runs[0].end for lease_id in (1, 2, 3, 4))
    assert ends == [115, 125, 125, 125]
