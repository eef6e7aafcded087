"""Where somebody else carries out the plan: operations end sooner or later than planned."""

from msgspec.structs import replace

from orrery.core.model.lease import LeaseStatus as S
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.timeline import StepKind
from tests.sched.leases.world import (
    World,
    best_effort,
    by_deadline,
    host,
    immediate,
    reservation,
    runs_of,
    site,
)

RATES = Settings(suspend_rate=102.4, resume_rate=102.4)


def manual(hosts: int = 1, settings: Settings = RATES) -> World:
    return World(site(hosts), settings, automatic=False)


def up(world: World, lease_id: int, at: int) -> World:
    """The VMs of a lease run from a time on."""
    world.run(at)
    run = world[lease_id].run
    assert run is not None
    told = world.calendar.resumed if run.resumes else world.calendar.started
    told(lease_id, at)
    world.go_on()
    return world


def down(world: World, lease_id: int, at: int) -> World:
    """The VMs of a lease are suspended or gone at a time."""
    world.run(at)
    saved = status(world, lease_id) is S.SUSPENDING
    told = world.calendar.suspended if saved else world.calendar.stopped
    told(lease_id, at)
    world.go_on()
    return world


def status(world: World, lease_id: int) -> S:
    return world[lease_id].status


def steps(world: World, lease_id: int) -> list[tuple[int, StepKind]]:
    return [(step.at, step.kind) for step in world.steps if step.run.booking.id == lease_id]


def test_nothing_is_taken_for_done_before_it_is_said_to_be() -> None:
    world = manual(settings=replace(RATES, boot_s=20))
    world.submit(1, best_effort())
    world.run(60)
    assert status(world, 1) is S.READY
    up(world, 1, 61)
    assert status(world, 1) is S.ACTIVE


def test_a_late_start_moves_the_end() -> None:
    world = manual(settings=replace(RATES, boot_s=20))
    world.submit(1, best_effort())
    up(world, 1, 35)
    assert runs_of(world[1]) == [(35, 135)]
    down(world, 1, 136)
    assert status(world, 1) is S.DONE


def test_an_early_start_moves_the_end_too_and_frees_the_host_sooner() -> None:
    world = manual(settings=replace(RATES, boot_s=20))
    world.submit_all([best_effort(), best_effort()])
    up(world, 1, 5)
    assert runs_of(world[1]) == [(5, 105)]
    assert world[2].runs[0].start == 105


def test_a_reservation_that_starts_late_still_ends_when_it_was_promised_to() -> None:
    world = manual(settings=replace(RATES, boot_s=20))
    world.submit(1, reservation(100))
    up(world, 1, 130)
    assert runs_of(world[1]) == [(130, 200)]
    why = "its VMs took longer to come up"
    assert world[1].reason == f"it started 30 s late and is cut short by as much: {why}"


def test_a_reservation_that_waited_for_its_hosts_says_so_until_it_runs_after_all() -> None:
    world = manual(settings=replace(RATES, boot_s=20))
    world.submit(1, best_effort(duration=300))
    up(world, 1, 20)
    world.submit(2, reservation(100))
    down(world, 1, 85)
    assert (world[2].reason or "").startswith("its hosts are not free yet")
    up(world, 2, 98)
    assert world[2].reason is None


def test_a_reservation_that_waited_too_long_for_its_hosts_says_by_how_much() -> None:
    world = manual(settings=replace(RATES, boot_s=20))
    world.submit(1, best_effort(duration=300))
    up(world, 1, 20)
    world.submit(2, reservation(100))
    down(world, 1, 90)
    up(world, 2, 103)
    why = "it waited for its hosts or its image"
    assert world[2].reason == f"it started 3 s late and is cut short by as much: {why}"


def test_a_late_immediate_lease_that_meets_a_promise_is_cut_short_and_says_so() -> None:
    world = manual(settings=replace(RATES, boot_s=20))
    world.submit(1, immediate())
    world.submit(2, reservation(140))
    up(world, 1, 30)
    assert runs_of(world[1]) == [(30, 120)]
    assert world[1].reason == "it started 10 s late and is cut short by as much"


def test_best_effort_that_starts_late_before_a_promise_is_suspended_for_it() -> None:
    world = manual(settings=replace(RATES, boot_s=20))
    world.submit(1, best_effort())
    world.submit(2, reservation(140))
    up(world, 1, 30)
    assert runs_of(world[1]) == [(30, 110)]
    world.run(110)
    assert status(world, 1) is S.SUSPENDING
    assert world[1].remaining == 20


def test_a_deadline_that_a_late_start_breaks_is_reported_at_once() -> None:
    world = manual(settings=replace(RATES, boot_s=20))
    world.submit(1, by_deadline(125))
    up(world, 1, 40)
    assert world[1].reason == "it started 20 s late and ends 15 s after its deadline"


def test_a_suspension_that_ends_early_frees_its_host_at_once() -> None:
    world = manual()
    world.submit(1, best_effort(duration=300))
    up(world, 1, 0)
    world.submit(2, reservation(100))
    world.submit(3, best_effort(duration=4, preemptible=False))
    down(world, 1, 93)
    assert world[1].runs[0].end == 93
    assert runs_of(world[3]) == [(93, 97)]


def test_an_overdue_suspension_blocks_what_follows_on_its_hosts_and_nothing_else() -> None:
    world = manual(2)
    world.submit_all([best_effort(1, 300), best_effort(1, 300)])
    up(world, 1, 0)
    up(world, 2, 0)
    world.submit(3, reservation(100))
    world.submit(4, reservation(100))
    world.run(95)
    down(world, 2, 100)
    world.run(104)
    first = next(n for n in (3, 4) if world[n].runs[0].hosts == world[1].runs[0].hosts)
    other = 7 - first
    assert status(world, other) is S.READY
    assert status(world, first) is S.SCHEDULED
    assert "waits for them" in (world[first].reason or "")
    down(world, 1, 108)
    assert (108, StepKind.START) in steps(world, first)
    up(world, first, 108)
    assert runs_of(world[first]) == [(108, 200)]


def test_told_twice_changes_nothing() -> None:
    world = manual()
    world.submit(1, best_effort(duration=300))
    calendar = world.calendar
    for told in (calendar.suspended, calendar.stopped, calendar.finish):
        before = world.schedule()
        told(1, 0)
        world.go_on()
        assert world.schedule() == before
    up(world, 1, 0)
    world.submit(2, reservation(100))
    world.run(95)
    down(world, 1, 99)
    for told in (calendar.suspended, calendar.stopped, calendar.started, calendar.finish):
        before = world.schedule()
        told(1, 99)
        world.go_on()
        assert world.schedule() == before


def test_a_cancelled_lease_that_was_overdue_blocks_its_hosts_no_more() -> None:
    world = manual()
    world.submit(1, best_effort(duration=300))
    up(world, 1, 0)
    world.submit(2, reservation(100))
    world.run(105)
    assert status(world, 2) is S.SCHEDULED
    world.calendar.cancel(1, 105)
    world.go_on()
    assert status(world, 2) is S.READY


def test_a_lost_host_that_was_overdue_blocks_nobody() -> None:
    world = manual(2)
    world.submit(1, best_effort(2, 300))
    up(world, 1, 0)
    world.submit(2, reservation(100))
    world.run(105)
    (here,) = world[2].runs[0].hosts
    world.lose(1 - here)
    world.go_on()
    assert status(world, 2) is S.READY


def test_vms_that_do_not_come_up_in_time_give_their_hosts_to_a_promise() -> None:
    world = manual(settings=replace(RATES, boot_s=20))
    world.submit(1, best_effort(duration=300))
    world.run(25)
    assert world.submit(2, reservation(60)).accepted
    world.run(40)
    assert (40, StepKind.KILL) in steps(world, 1)
    assert status(world, 2) is S.SCHEDULED
    down(world, 1, 43)
    assert (43, StepKind.START) in steps(world, 2)


def test_a_resumption_that_takes_too_long_blocks_what_follows_until_it_is_saved_again() -> None:
    world = manual()
    world.submit(1, best_effort(duration=300))
    up(world, 1, 0)
    world.submit(2, reservation(100, 1, 50))
    down(world, 1, 100)
    up(world, 2, 100)
    down(world, 2, 150)
    world.submit(3, reservation(200, 1, 50))
    assert status(world, 1) is S.RESUMING
    world.run(210)
    assert status(world, 3) is S.SCHEDULED
    up(world, 1, 212)
    assert status(world, 1) is S.SUSPENDING
    down(world, 1, 222)
    assert (222, StepKind.START) in steps(world, 3)
    assert world[1].remaining == 210


def test_a_promise_whose_time_is_over_before_its_hosts_are_free_fails() -> None:
    world = manual()
    world.submit(1, best_effort(duration=300))
    up(world, 1, 0)
    world.submit(2, reservation(100, 1, 20))
    world.run(125)
    down(world, 1, 130)
    assert status(world, 2) is S.FAILED
    assert "only when its time was over" in (world[2].reason or "")


def test_a_late_part_of_a_deadline_lease_makes_its_next_part_longer() -> None:
    world = manual(settings=replace(RATES, boot_s=10))
    world.submit(1, reservation(100, 1, 50))
    world.submit(2, by_deadline(220, 1, 100))
    assert runs_of(world[2]) == [(10, 80), (160, 190)]
    up(world, 2, 30)
    down(world, 2, 90)
    assert runs_of(world[2]) == [(30, 80), (160, 210)]
    world.run(90)
    up(world, 1, 100)
    down(world, 1, 150)
    up(world, 2, 160)
    down(world, 2, 210)
    assert status(world, 2) is S.DONE
    assert sum(end - start for start, end in runs_of(world[2])) == 100


def test_vms_that_end_by_themselves_end_the_lease() -> None:
    world = manual(settings=replace(RATES, shutdown_s=5))
    world.submit(1, best_effort())
    up(world, 1, 0)
    world.run(30)
    world.calendar.finish(1, 30)
    world.go_on()
    down(world, 1, 33)
    assert status(world, 1) is S.DONE
    assert world[1].ended == 33


def test_an_overdue_lease_holds_a_shared_host_without_stopping_those_that_run_on_it() -> None:
    on = replace(site(1), hosts=(host(0, 200, 2048),))
    world = World(on, replace(RATES, shutdown_s=2), automatic=False)
    world.submit(1, reservation(0))
    up(world, 1, 0)
    world.submit(2, best_effort(1, 300))
    up(world, 2, 0)
    world.run(160)  # lease 1 should be gone since 102
    assert world[1].runs[0].end > 160
    assert status(world, 2) is S.ACTIVE
    down(world, 1, 161)
    assert status(world, 1) is S.DONE
    assert status(world, 2) is S.ACTIVE
