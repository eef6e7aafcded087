"""Hosts that are lost, come back, are new, or offer another amount."""

from orrery.core.model.lease import LeaseStatus as S
from orrery.sched.leases.booking import Ending
from orrery.sched.leases.settings import Settings
from tests.sched.leases.world import (
    World,
    best_effort,
    by_deadline,
    host,
    immediate,
    nodes,
    reservation,
    runs_of,
    site,
)


def host_of(world: World, lease_id: int, run: int = -1) -> int:
    """The only host of a run."""
    (index,) = set(world[lease_id].runs[run].hosts)
    return world.calendar.line.hosts[index].id


def test_a_best_effort_lease_on_a_lost_host_starts_afresh_elsewhere() -> None:
    world = World(site(2))
    world.submit(1, best_effort())
    world.run(50)
    world.lose(host_of(world, 1))
    assert world[1].status is S.ACTIVE
    assert world[1].reason == f"host h{host_of(world, 1, 0)} was lost"
    world.run()
    assert runs_of(world[1]) == [(0, 50), (50, 150)]


def test_a_best_effort_lease_waits_until_a_host_is_back() -> None:
    world = World(site(1))
    world.submit(1, best_effort())
    world.run(50)
    world.lose(0)
    assert world[1].status is S.QUEUED
    world.run(200)
    world.bring_back(0)
    world.run()
    assert runs_of(world[1]) == [(0, 50), (200, 300)]


def test_a_reservation_ahead_is_moved_to_other_hosts_at_the_same_time() -> None:
    world = World(site(2))
    world.submit(1, reservation(100))
    world.lose(host_of(world, 1))
    assert runs_of(world[1]) == [(100, 200)]
    assert "moved to other hosts" in (world[1].reason or "")
    world.run()
    assert world[1].status is S.DONE


def test_a_reservation_that_fits_nowhere_any_more_fails_at_once_and_says_why() -> None:
    world = World(site(2))
    world.submit_all([reservation(100), reservation(100)])
    lost = host_of(world, 1)
    world.lose(lost)
    assert world[1].status is S.FAILED
    refusal = "not enough is free at that time, nor can enough leases give way"
    assert world[1].reason == f"host h{lost} was lost, and {refusal}"
    assert world[2].status is S.SCHEDULED


def test_a_reservation_that_runs_goes_on_elsewhere_until_its_promised_end() -> None:
    world = World(site(2), Settings(boot_s=10))
    world.submit(1, reservation(100))
    world.submit(2, best_effort(1, 1000))
    world.run(140)
    world.lose(host_of(world, 1))
    world.run()
    assert runs_of(world[1]) == [(100, 140), (150, 200)]
    assert world[1].status is S.DONE


def test_too_late_to_boot_again_is_a_failure() -> None:
    world = World(site(2), Settings(boot_s=10))
    world.submit(1, reservation(100))
    world.run(195)
    world.lose(host_of(world, 1))
    assert world[1].status is S.FAILED
    assert "its time is over before its VMs could run again" in (world[1].reason or "")


def test_a_lease_that_only_shuts_down_is_done_when_its_host_is_lost() -> None:
    world = World(site(1), Settings(shutdown_s=10))
    world.submit(1, best_effort())
    world.run(105)
    world.lose(0)
    assert world[1].status is S.DONE
    assert world[1].ended == 105


def test_an_immediate_lease_goes_on_elsewhere_for_what_is_left() -> None:
    world = World(site(2))
    world.submit(1, immediate())
    world.run(30)
    world.lose(host_of(world, 1))
    world.run()
    assert runs_of(world[1]) == [(0, 30), (30, 100)]


def suspended_with_a_plan_elsewhere() -> World:
    """Lease 1 is suspended, and is to resume on another host than its memory lies on."""
    world = World(site(2), Settings(migration_mbit=10_000, suspend_rate=102.4, resume_rate=102.4))
    world.submit(1, best_effort(duration=300))
    world.submit(2, reservation(100, 2, 50))
    home = host_of(world, 1)
    for lease_id in (3, 4):
        world.submit(lease_id, reservation(150, 1, 1000))
        if host_of(world, lease_id) != home:
            world.calendar.cancel(lease_id, 0)
            world.go_on()
    world.run(120)
    assert world[1].status is S.SUSPENDED_SCHEDULED
    assert host_of(world, 1) != home
    return world


def test_saved_memory_outlives_the_loss_of_a_host_it_was_only_planned_to_go_to() -> None:
    world = suspended_with_a_plan_elsewhere()
    world.lose(host_of(world, 1))
    assert world[1].status is S.SUSPENDED_QUEUED or world[1].status is S.SUSPENDED_SCHEDULED
    assert world[1].remaining == 210
    world.run()
    assert sum(end - start for start, end in runs_of(world[1])) == 300


def test_saved_memory_is_lost_with_the_host_it_lies_on() -> None:
    world = suspended_with_a_plan_elsewhere()
    world.lose(host_of(world, 1, 0))
    assert world[1].remaining == 300
    world.run()
    assert sum(end - start for start, end in runs_of(world[1])[1:]) == 300


def test_a_deadline_lease_keeps_what_it_did_when_only_its_next_host_is_lost() -> None:
    world = World(site(2), Settings(suspend_rate=102.4, resume_rate=102.4, migration_mbit=10_000))
    world.submit(1, reservation(100, 2, 50))
    world.submit(2, by_deadline(600, 1, 480))
    assert [run.ending for run in world[2].runs] == [Ending.SUSPEND, Ending.COMPLETE]
    world.run(110)
    world.lose(1 - host_of(world, 2, 0))
    world.run()
    assert world[2].status is S.DONE
    assert sum(end - start for start, end in runs_of(world[2])) == 480


def test_a_deadline_lease_starts_afresh_if_there_is_time() -> None:
    world = World(site(2))
    world.submit(1, by_deadline(150))
    world.run(50)
    world.lose(host_of(world, 1))
    world.run()
    assert runs_of(world[1]) == [(0, 50), (50, 150)]


def test_a_deadline_lease_that_cannot_start_afresh_in_time_fails_at_once() -> None:
    world = World(site(2))
    world.submit(1, by_deadline(140))
    world.run(50)
    world.lose(host_of(world, 1))
    assert world[1].status is S.FAILED
    assert "its duration does not fit" in (world[1].reason or "")


def test_leases_on_other_hosts_are_left_alone() -> None:
    world = World(site(3))
    world.submit_all([best_effort(), best_effort(), best_effort()])
    world.run(50)
    world.lose(1)
    untouched = [n for n in (1, 2, 3) if host_of(world, n, 0) != 1]
    assert len(untouched) == 2
    assert all(world[n].status is S.ACTIVE for n in untouched)


def test_told_twice_that_a_host_is_lost_or_back_changes_nothing() -> None:
    world = World(site(2))
    world.submit_all([best_effort(), best_effort()])
    world.run(10)
    world.lose(0)
    before = world.schedule()
    world.lose(0)
    assert world.schedule() == before
    world.bring_back(0)
    before = world.schedule()
    world.bring_back(0)
    assert world.schedule() == before
    world.run()
    world.audit_end()


def test_a_new_host_is_used_at_once() -> None:
    world = World(site(1))
    world.submit_all([best_effort(), best_effort()])
    world.run(10)
    world.add_host(host(7))
    world.run()
    assert runs_of(world[2]) == [(10, 110)]
    assert host_of(world, 2) == 7


def test_a_new_host_may_bring_resources_that_no_host_had() -> None:
    world = World(site(1))
    asked = best_effort()
    with_gpu = type(asked)(nodes=(nodes(1, gpu=1),), duration=10)
    assert world.submit(1, with_gpu).status is S.REJECTED
    world.add_host(host(7, gpu=1))
    world.submit(2, with_gpu)
    assert host_of(world, 2) == 7


def test_a_host_that_offers_more_takes_more() -> None:
    world = World(site(1))
    world.submit_all([best_effort(), best_effort()])
    world.run(10)
    world.change_host(host(0, 200, 2048))
    world.run()
    assert runs_of(world[2]) == [(10, 110)]


def test_a_host_that_offers_less_keeps_its_promises_and_makes_no_new_ones() -> None:
    world = World(site(1, cpu=200, memory=2048))
    world.submit_all([best_effort(2, 100), best_effort(1, 100), best_effort(1, 100)])
    world.run(10)
    world.change_host(host(0, 100, 1024))
    world.run()
    assert runs_of(world[1]) == [(0, 100)]
    assert sorted(runs_of(world[n])[-1] for n in (2, 3)) == [(100, 200), (200, 300)]


def test_what_a_promise_leaves_early_is_not_given_away_above_the_offer() -> None:
    world = World(site(1, cpu=200, memory=2048))
    world.submit(1, best_effort(2, 100), real=50)
    world.run(10)
    world.change_host(host(0, 100, 1024))
    world.submit(2, best_effort(1, 100))
    world.submit(3, best_effort(1, 100))
    world.run()
    first, second = sorted(runs_of(world[n])[-1] for n in (2, 3))
    assert first[0] == 50
    assert second[0] >= first[1]


def test_a_lost_host_that_comes_back_with_less_offers_that() -> None:
    world = World(site(1, cpu=200, memory=2048))
    world.lose(0)
    world.change_host(host(0, 100, 1024))
    world.submit_all([best_effort(), best_effort()])
    assert not world[1].runs
    world.bring_back(0)
    world.run()
    assert sorted(runs_of(world[n])[0][0] for n in (1, 2)) == [0, 100]
