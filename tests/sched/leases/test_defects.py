"""The defects of Haizea that are on record, one test for each: they must not come back.

Those of image transfers (5, 8, 10, 11) are in test_transfer_rules.py and test_transfer_caches.py;
those of what a simulation counts and of run times (7, 15) with the simulation; those of recovery
and of the running engine (12, 13) with the engine's tests of leases.
"""

from orrery.core.model.lease import LeaseStatus as S
from orrery.sched.leases.booking import Ending, Stage
from orrery.sched.leases.settings import Settings, Suspension
from orrery.sched.leases.timeline import StepKind
from tests.sched.leases import long
from tests.sched.leases.world import (
    World,
    best_effort,
    by_deadline,
    immediate,
    reservation,
    runs_of,
    site,
)

RATES = Settings(suspend_rate=102.4, resume_rate=102.4)


def test_defect_01_preemption_takes_the_youngest_not_the_oldest() -> None:
    """Haizea's mapper took from the wrong end of its list: of two leases the older was
    suspended."""
    world = World(site(2), RATES)
    world.submit(1, best_effort(1, 1000))
    world.run(10)
    world.submit(2, best_effort(1, 1000))
    world.submit(3, reservation(200))
    assert world[2].runs[0].ending is Ending.SUSPEND
    assert world[1].runs[0].ending is Ending.COMPLETE


def test_defect_02_an_immediate_lease_is_never_suspended_and_forgotten() -> None:
    """Haizea accepted it though a reservation was near, suspended it, and never resumed it."""
    world = World(site(1), RATES)
    world.submit(1, reservation(50))
    assert world.submit(2, immediate(duration=100)).status is S.REJECTED
    assert world.submit(3, immediate(duration=50)).accepted
    world.run()
    assert world[3].status is S.DONE
    assert world[3].suspensions == 0


def test_defect_03_the_end_of_a_suspension_under_way_is_a_time_at_which_to_start() -> None:
    """Haizea's search for a future start did not try it, and the daemon stopped."""
    world = World(site(1), RATES)
    world.submit(1, best_effort(duration=300))
    world.submit(2, reservation(100))
    world.run(95)
    assert world[1].status is S.SUSPENDING
    world.calendar.cancel(2, 95)
    world.submit(3, best_effort(duration=30, priority=1))
    assert runs_of(world[3]) == [(100, 130)]
    world.run()
    assert (world[1].status, world[3].status) == (S.DONE, S.DONE)


def test_defect_04_a_reservation_may_begin_while_another_lease_is_suspending() -> None:
    """Haizea stopped with an error."""
    world = World(site(3), RATES)
    world.submit(1, best_effort(2, 300))
    world.submit(2, reservation(100, 2))
    world.submit(3, reservation(95, 1))
    world.run(95)
    assert (world[1].status, world[3].status) == (S.SUSPENDING, S.ACTIVE)
    assert world.submit(4, reservation(150, 1)).status is S.REJECTED
    assert world.submit(5, reservation(200, 3)).accepted
    world.run()
    world.audit_end()


def test_defect_06_without_suspension_every_kind_of_lease_can_be_placed() -> None:
    """Haizea 1.1 read a variable that nothing had set, and placed neither best effort nor
    deadline leases."""
    world = World(site(1), Settings(suspension=Suspension.NONE))
    world.submit_all([best_effort(), by_deadline(250), reservation(300), best_effort()])
    world.run()
    assert {world[n].status for n in (1, 2, 3, 4)} == {S.DONE}


def test_defect_09_what_is_not_preemptible_is_not_preempted() -> None:
    """No policy of Haizea's looked at it."""
    world = World(site(1), RATES)
    world.submit(1, best_effort(duration=300, preemptible=False))
    assert world.submit(2, reservation(100)).status is S.REJECTED
    world.run()
    assert runs_of(world[1]) == [(0, 300)]


def test_defect_14_work_that_is_lost_is_lost_only_when_the_reservation_begins() -> None:
    """Haizea gave it up when the reservation was asked for, a day before, and never stopped its
    VMs: they ran on under those of the reservation."""
    world = World(site(1), Settings(suspension=Suspension.NONE))
    world.submit(1, best_effort(duration=2000))
    world.submit(2, reservation(1500))
    world.run(1499)
    assert world[1].run is not None
    assert world[1].run.stage is Stage.RUNNING
    world.run()
    stopped = [s for s in world.steps if s.run.booking.id == 1 and s.kind is StepKind.KILL]
    assert [step.at for step in stopped] == [1500]
    early = World(site(1), Settings(suspension=Suspension.NONE))
    early.submit(1, best_effort(duration=2000), real=1000)
    early.submit(2, reservation(1500))
    early.run()
    assert runs_of(early[1]) == [(0, 1000)]  # it was over before: nothing is lost


def test_defect_16_deadline_leases_stand_by_what_they_promise() -> None:
    """Haizea's own tests of deadlines failed, and nobody knew which of them were right: here it
    is what was promised that is tested."""
    for suspension in Suspension:
        world = World(site(2), Settings(suspension=suspension))
        accepted = []
        for number in range(1, 20):
            deadline = world.now + 150 + 37 * (number % 7)
            if world.submit(number, by_deadline(deadline, 1 + number % 2, 80)).accepted:
                accepted.append(number)
            world.run(world.now + 11 * (number % 5))
        world.run()
        world.audit_end()
        assert len(accepted) > 4
        assert {world[n].status for n in accepted} == {S.DONE}


def test_defect_17_a_change_costs_what_it_touches_not_the_whole_table() -> None:
    """Haizea threw away all it knew at every change, and tried the whole queue at every event.
    Counted in entries of the slot table, which the clock of a busy machine does not change."""
    world = long.told(1, leases=600)
    table = world.calendar.line.table
    assert len(table.times) < 10
    assert max(len(stays) for stays in table._stays) < 30
    full = World(site(4, cpu=100, memory=1024), RATES)
    full.submit_all([best_effort(4, 10_000), *[best_effort(1, 50) for _ in range(500)]])
    version = full.calendar.line.version
    for number in range(600, 700):
        full.submit(number, best_effort(2, 50))
    assert full.calendar.line.version == version  # nothing could start: nothing was tried
