"""Who gives way by the policies `deadline` and `least-suspended`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.sched.leases.booking import Stage
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.site import Site
from tests.sched.leases import drawn
from tests.sched.leases.drawn import Story
from tests.sched.leases.effort import examples
from tests.sched.leases.world import (
    World,
    best_effort,
    by_deadline,
    reservation,
    runs_of,
    site,
)

RATES = Settings(suspend_rate=102.4, resume_rate=102.4)
BY_SLACK = replace(RATES, preemption="deadline")


def test_a_deadline_lease_with_time_makes_room_for_a_reservation() -> None:
    one = World(site(1), BY_SLACK)
    one.submit(1, by_deadline(1000, duration=100, start=200))
    answer = one.submit(2, reservation(200, 1, 100))
    assert answer.accepted
    one.run()
    assert runs_of(one[2]) == [(200, 300)]
    assert runs_of(one[1]) == [(300, 400)]


def test_without_the_policy_it_keeps_its_place() -> None:
    one = World(site(1), RATES)
    one.submit(1, by_deadline(1000, duration=100, start=200))
    assert not one.submit(2, reservation(200, 1, 100)).accepted


def test_one_that_would_be_late_keeps_its_place_and_nothing_changes() -> None:
    one = World(site(1), BY_SLACK)
    one.submit(1, by_deadline(390, duration=100, start=200))
    before = one.schedule()
    assert not one.submit(2, reservation(200, 1, 100)).accepted
    assert one.schedule().startswith(before)
    one.run()
    assert runs_of(one[1]) == [(200, 300)]


def test_one_that_has_begun_is_left_alone() -> None:
    one = World(site(1), BY_SLACK)
    one.submit(1, by_deadline(1000, duration=100))
    one.run(10)
    assert not one.submit(2, reservation(50, 1, 100)).accepted


def test_the_one_with_most_slack_gives_way() -> None:
    one = World(site(2), BY_SLACK)
    one.submit(1, by_deadline(600, duration=100, start=200))
    one.submit(2, by_deadline(900, duration=100, start=200))
    one.submit(3, reservation(200, 1, 100))
    assert runs_of(one[1]) == [(200, 300)]
    assert runs_of(one[2]) == [(300, 400)]


def test_best_effort_gives_way_with_it() -> None:
    one = World(site(2), BY_SLACK)
    one.submit(1, best_effort(1, 1000))
    one.submit(2, by_deadline(2000, duration=100, start=200))
    assert one.submit(3, reservation(200, 2, 100)).accepted
    one.run()
    one.audit_end()
    assert runs_of(one[1])[0] == (0, 190)
    assert one[2].status is LeaseStatus.DONE


def test_the_question_is_answered_as_the_request_is() -> None:
    one = World(site(1), BY_SLACK)
    one.submit(1, by_deadline(1000, duration=100, start=200))
    before = one.schedule()
    said = one.calendar.when(reservation(200, 1, 100), 0)
    assert one.schedule() == before
    assert (said.status, said.start, said.end) == (LeaseStatus.SCHEDULED, 200, 300)


def test_who_was_suspended_already_is_spared_where_another_was_not() -> None:
    one = World(site(2), replace(RATES, preemption="least-suspended"))
    one.submit(1, best_effort(1, 2000))
    one.run(10)
    one.submit(2, best_effort(1, 2000))
    one.run(20)
    one.submit(8, reservation(200, 1, 50))
    one.run(400)
    assert (one[1].suspensions, one[2].suspensions) == (0, 1)
    one.submit(9, reservation(600, 1, 50))
    one.run(700)
    assert (one[1].suspensions, one[2].suspensions) == (1, 1)


every_policy = st.builds(
    lambda base, preemption, selection, order, backfill: replace(
        base,
        preemption=preemption,
        host_selection=selection,
        order=order,
        backfill_order=backfill,
        rekey_s=30,
        half_life_s=200,
    ),
    drawn.settings,
    st.sampled_from(["deadline", "deadline", "least-suspended", "cheapest"]),
    st.sampled_from(["longest", "tightest", "first", "greedy", "cheapest", "packed"]),
    st.sampled_from(["fcfs", "aging", "fair-share", "expansion-factor", "wfp"]),
    st.sampled_from(["shortest", "aging", "fair-share", "expansion-factor", "wfp"]),
)


@given(st.data(), drawn.sites(), every_policy)
@examples(100)
def test_with_every_policy_promises_are_kept_and_all_work_is_done(
    data: st.DataObject, on: Site, settings: Settings
) -> None:
    one = Story(data, World(on, settings), troubles=False).tell(12)
    one.audit_end()
    for booking in one.calendar.bookings.values():
        assert booking.status in (LeaseStatus.DONE, LeaseStatus.REJECTED, LeaseStatus.CANCELLED)


@given(st.data(), drawn.sites(), every_policy)
@examples(60)
def test_with_every_policy_nobody_is_forgotten_through_losses_and_changes(
    data: st.DataObject, on: Site, settings: Settings
) -> None:
    one = Story(data, World(on, settings)).tell(12)
    one.audit_end()
    for booking in one.calendar.bookings.values():
        assert booking.status.final
        if booking.status is LeaseStatus.FAILED:
            assert booking.kind is not LeaseKind.BEST_EFFORT


@given(st.data(), drawn.sites(), every_policy)
@examples(40)
def test_usage_is_what_the_runs_were(data: st.DataObject, on: Site, settings: Settings) -> None:
    one = Story(data, World(on, settings)).tell(8)
    bookings = one.calendar.bookings.values()
    totals = one.calendar.usage()
    ran = [
        ((run.vm_end - run.vm_start), booking)
        for booking in bookings
        for run in booking.runs
        if run.stage is Stage.OVER
    ]
    assert sum(total.node_s for total in totals.values()) == sum(s * b.node_count for s, b in ran)
    cpu = sum(total.cpu_s for total in totals.values())
    assert cpu == pytest.approx(sum(seconds * booking.cpu_pct for seconds, booking in ran) / 100)
