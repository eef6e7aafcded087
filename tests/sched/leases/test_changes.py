"""What a user may do to a lease, in every status it can be in."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from orrery.core.model.lease import LeaseStatus as S
from orrery.sched.leases.booking import Ending
from orrery.sched.leases.changes import withdraw
from orrery.sched.leases.settings import Backfilling, Preparation, Settings, TransferSettings
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

LENGTH = 200
"""What lease 1 asks for."""


def queued() -> World:
    world = World(site(1), replace(RATES, backfilling=Backfilling.OFF))
    world.submit(2, best_effort())
    world.submit(1, best_effort(duration=LENGTH))
    return world


def scheduled() -> World:
    world = World(site(1), RATES)
    world.submit(2, best_effort())
    world.submit(1, best_effort(duration=LENGTH))
    return world


def with_image() -> World:
    """The image of lease 1 arrives after 100 s."""
    transfer = TransferSettings(fixed_s=100)
    world = World(site(1), replace(RATES, preparation=Preparation.TRANSFER, transfer=transfer))
    world.submit(1, replace(best_effort(duration=LENGTH), image="debian", image_mib=100))
    return world


def booting() -> World:
    world = World(site(1), replace(RATES, boot_s=20))
    world.submit(1, best_effort(duration=LENGTH))
    return world.run(10)


def active() -> World:
    world = World(site(1), RATES)
    world.submit(1, best_effort(duration=LENGTH))
    return world.run(50)


def active_until_it_is_suspended(now: int = 50) -> World:
    """From 0 to 90, and again from 160 on."""
    world = World(site(1), RATES)
    world.submit(1, best_effort(duration=LENGTH))
    world.submit(2, reservation(100, 1, 50))
    return world.run(now)


def suspended_and_queued() -> World:
    world = World(site(1), replace(RATES, backfilling=Backfilling.OFF))
    world.submit(1, best_effort(duration=LENGTH))
    world.submit(2, reservation(100, 1, 50))
    return world.run(120)


def migrating() -> World:
    world = World(site(2), replace(RATES, migration_mbit=107.3741824))
    world.submit(1, best_effort(duration=LENGTH))
    world.submit(2, reservation(100, 2, 50))
    world.run(100)
    for lease_id in (3, 4):
        world.submit(lease_id, reservation(150, 1, 1000))
    home = world[1].runs[0].hosts
    world.calendar.cancel(3 if world[4].runs[0].hosts == home else 4, world.now)
    world.go_on()
    return world.run(170)


def done() -> World:
    return active().run(500)


def cancelled() -> World:
    world = active()
    world.calendar.cancel(1, world.now)
    return world


def rejected() -> World:
    world = World(site(1), RATES)
    world.submit(1, best_effort(2))
    return world


def failed() -> World:
    world = active()
    withdraw(world.calendar.line, world[1], S.FAILED, world.now)
    return world


IN_STATUS: dict[S, Callable[[], World]] = {
    S.QUEUED: queued,
    S.SCHEDULED: scheduled,
    S.PREPARING: lambda: with_image().run(50),
    S.READY: booting,
    S.ACTIVE: active,
    S.SUSPENDING: lambda: active_until_it_is_suspended(95),
    S.SUSPENDED_QUEUED: suspended_and_queued,
    S.SUSPENDED_SCHEDULED: lambda: active_until_it_is_suspended(120),
    S.MIGRATING: migrating,
    S.RESUMING: lambda: active_until_it_is_suspended(155),
    S.DONE: done,
    S.CANCELLED: cancelled,
    S.REJECTED: rejected,
    S.FAILED: failed,
}
"""Every status in which a lease can be found between two moments."""

PASSING = {
    S.NEW,
    S.PENDING,
    S.SUSPENDED_PENDING,
    S.RESUMED_READY,
    S.REJECTED_BY_USER,
    S.OFFERED,
}
"""Statuses that a lease only passes through here, or that the engine gives."""

every_status = pytest.mark.parametrize("status", IN_STATUS, ids=lambda status: status.name)


def in_status(status: S) -> World:
    world = IN_STATUS[status]()
    assert world[1].status is status
    return world


def ran(world: World) -> int:
    """Useful seconds of lease 1."""
    return sum(end - start for start, end in runs_of(world[1]))


def test_every_status_is_in_the_table() -> None:
    assert set(IN_STATUS) | PASSING == set(S)


@every_status
def test_cancel_ends_a_lease_in_every_status(status: S) -> None:
    world = in_status(status)
    world.calendar.cancel(1, world.now)
    world.go_on()
    world.audit()
    assert world[1].status is (status if status.final else S.CANCELLED)
    if not status.final:
        assert world[1].ended == world.now
    world.run()
    world.audit_end()
    assert not any(run.end > run.start and run.end > world.now for run in world[1].runs)


@every_status
def test_a_longer_lease_runs_for_longer(status: S) -> None:
    world = in_status(status)
    answer = world.calendar.extend(1, 30, world.now)
    world.changed.add(1)
    if status.final:
        assert not answer.possible
        assert answer.reason == f"it is {status.name}: it is over"
        return
    assert answer.possible, answer.reason
    world.go_on()
    world.audit()
    world.run()
    world.audit_end()
    assert ran(world) == LENGTH + 30


@every_status
def test_a_shorter_lease_runs_for_less(status: S) -> None:
    world = in_status(status)
    answer = world.calendar.shorten(1, 30, world.now)
    world.changed.add(1)
    if status.final:
        assert not answer.possible
        return
    assert answer.possible, answer.reason
    world.go_on()
    world.audit()
    world.run()
    world.audit_end()
    assert ran(world) == LENGTH - 30


@every_status
def test_what_is_behind_cannot_be_taken_away(status: S) -> None:
    world = in_status(status)
    before = world.schedule()
    answer = world.calendar.shorten(1, LENGTH, world.now)
    assert not answer.possible
    if not status.final:
        assert "cancelled instead" in (answer.reason or "")
    assert world.schedule() == before
    world.run()
    world.audit_end()


@every_status
def test_a_best_effort_lease_has_no_start_to_move(status: S) -> None:
    world = in_status(status)
    before = world.schedule()
    answer = world.calendar.move(1, world.now + 500, world.now)
    assert not answer.possible
    if not status.final:
        assert answer.reason == "a lease that is best-effort has no start to move"
    assert world.schedule() == before


@every_status
def test_a_priority_may_be_given_in_every_status(status: S) -> None:
    world = in_status(status)
    world.calendar.prioritise(1, 7, world.now)
    world.go_on()
    world.audit()
    world.run()
    world.audit_end()
    if not status.final:
        assert world[1].status is S.DONE


@every_status
def test_the_loss_of_its_host_is_survived_in_every_status(status: S) -> None:
    world = in_status(status)
    hosts = {host for run in world[1].runs for host in run.hosts} or {0}
    for host in sorted(hosts):
        world.lose(host)
        world.audit()
    world.run(world.now + 300)
    for host in sorted(hosts):
        world.bring_back(host)
    world.run()
    world.audit_end()
    assert world[1].status is (status if status.final else S.DONE)


# --- length ---------------------------------------------------------------------------------------


def test_a_reservation_is_lengthened_where_its_hosts_are_free_and_refused_where_not() -> None:
    world = World(site(1), RATES)
    world.submit(1, reservation(100))
    world.submit(2, reservation(250))
    assert world.calendar.extend(1, 50, 0).end == 250
    refused = world.calendar.extend(1, 1, 0)
    assert not refused.possible
    assert refused.reason == "its hosts are promised to others after its end"
    assert (refused.status, refused.end) == (S.SCHEDULED, 250)


def test_best_effort_gives_way_to_a_longer_reservation_and_no_more_than_needed() -> None:
    world = World(site(2), RATES)
    world.submit(1, reservation(0, 1, 100))
    world.submit(2, best_effort(1, 1000))
    world.submit(3, best_effort(1, 1000))
    (here,) = world[1].runs[0].hosts
    world.run(50)
    assert world.calendar.extend(1, 100, 50).end == 200
    world.go_on()
    other = world[2] if world[2].runs[0].hosts != (here,) else world[3]
    assert other.runs[0].ending is Ending.COMPLETE
    world.run()
    world.audit_end()


def test_a_deadline_lease_is_not_lengthened_beyond_its_deadline() -> None:
    world = World(site(1), RATES)
    world.submit(1, by_deadline(150))
    assert world.calendar.extend(1, 50, 0).end == 150
    refused = world.calendar.extend(1, 1, 0)
    assert refused.reason == "it would end after its deadline"


def test_a_deadline_lease_in_parts_is_shortened_from_its_end() -> None:
    world = World(site(1), RATES)
    world.submit(1, reservation(80, duration=50))
    world.submit(2, by_deadline(210))
    assert runs_of(world[2]) == [(0, 70), (140, 170)]
    assert world.calendar.shorten(2, 20, 0).possible
    assert runs_of(world[2]) == [(0, 70), (140, 150)]
    assert world.calendar.shorten(2, 20, 0).possible
    assert runs_of(world[2]) == [(0, 60)]
    assert world[2].runs[0].ending is Ending.COMPLETE
    world.run()
    assert world[2].status is S.DONE


def test_shortening_makes_a_suspension_needless() -> None:
    world = active_until_it_is_suspended(50)
    assert world.calendar.shorten(1, 110, 50).possible  # 90 s are left: as long as it runs
    world.run()
    assert runs_of(world[1]) == [(0, 90)]
    assert world[1].suspensions == 0
    assert world[1].ended == 90


def test_room_that_a_shorter_lease_leaves_is_used() -> None:
    world = World(site(1), RATES)
    world.submit_all([best_effort(duration=200), best_effort()])
    world.run(50)
    world.calendar.shorten(1, 100, 50)
    world.run()
    assert runs_of(world[2]) == [(100, 200)]


@pytest.mark.parametrize("seconds", [0, -5, 1 << 60])
def test_lengths_that_are_none_are_refused_by_name_and_value(seconds: int) -> None:
    world = active()
    before = world.schedule()
    for change in (world.calendar.extend, world.calendar.shorten):
        answer = change(1, seconds, world.now)
        assert not answer.possible
        assert answer.reason == f"seconds: {seconds} is no length of time: give 1 or more"
    assert world.schedule() == before


def test_a_lease_that_is_ending_already_keeps_its_length() -> None:
    world = World(site(1), replace(RATES, shutdown_s=20))
    world.submit(1, best_effort())
    world.run(110)
    assert world.calendar.extend(1, 10, 110).reason == "it is ending already"
    assert world.calendar.shorten(1, 10, 110).reason == "it is ending already"


# --- move -----------------------------------------------------------------------------------------


def test_a_reservation_that_has_not_begun_is_moved() -> None:
    world = World(site(1), RATES)
    world.submit(1, reservation(100))
    assert world.calendar.move(1, 150, 0).start == 150  # into its own time
    world.run()
    assert runs_of(world[1]) == [(150, 250)]


def test_a_move_that_is_not_possible_changes_nothing() -> None:
    world = World(site(1), RATES)
    world.submit(1, reservation(100))
    world.submit(2, reservation(300))
    before = world.schedule()
    for start in (250, 399, -1):
        answer = world.calendar.move(1, start, 0)
        assert not answer.possible
        assert answer.start == 100
    assert world.schedule() == before


def test_a_lease_that_has_begun_is_not_moved() -> None:
    world = World(site(1), RATES)
    world.submit(1, reservation(0))
    world.run(10)
    assert world.calendar.move(1, 100, 10).reason == "it has begun already"
    assert world.submit(2, immediate()).status is S.REJECTED


def test_a_deadline_lease_may_be_moved_within_its_deadline() -> None:
    world = World(site(1), RATES)
    world.submit(1, by_deadline(400, start=100))
    assert world.calendar.move(1, 250, 0).start == 250
    assert not world.calendar.move(1, 301, 0).possible
    world.run()
    assert runs_of(world[1]) == [(250, 350)]


def test_the_time_that_a_moved_reservation_leaves_is_used() -> None:
    world = World(site(1), RATES)
    world.submit(1, reservation(0))
    world.submit(2, best_effort(preemptible=False))
    world.calendar.cancel(1, 0)
    world.submit(3, reservation(100))
    world.run(0)
    world.calendar.move(3, 500, 0)
    world.run()
    assert runs_of(world[2]) == [(0, 100)]


# --- cancel and priority --------------------------------------------------------------------------


def test_the_time_that_a_cancelled_lease_leaves_is_used_at_once() -> None:
    world = World(site(1), RATES)
    world.submit_all([best_effort(duration=500), best_effort(), best_effort()])
    world.run(50)
    world.calendar.cancel(1, 50)
    world.go_on()
    assert runs_of(world[2]) == [(50, 150)]


def test_a_higher_priority_takes_the_reservation_of_the_first() -> None:
    world = World(site(1), RATES)
    world.submit_all([best_effort(), best_effort(), best_effort()])
    assert runs_of(world[2]) == [(100, 200)]
    world.calendar.prioritise(3, 1, 0)
    world.go_on()
    assert runs_of(world[3]) == [(100, 200)]
    world.run()
    assert runs_of(world[2]) == [(200, 300)]


def test_a_lease_that_is_there_cannot_be_submitted_again() -> None:
    world = active()
    with pytest.raises(ValueError, match="lease 1 is there already: it is ACTIVE"):
        world.calendar.submit(1, best_effort(), world.now)
