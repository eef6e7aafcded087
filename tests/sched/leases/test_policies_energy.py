"""Empty hosts are powered down and are up again, with their delay, when somebody needs them."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.sched.leases.booking import Stage
from orrery.sched.leases.power import HostStep, HostStepKind
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.site import Site
from tests.sched.leases import drawn
from tests.sched.leases.drawn import Story
from tests.sched.leases.effort import examples
from tests.sched.leases.world import (
    World,
    best_effort,
    by_deadline,
    immediate,
    nodes,
    reservation,
    runs_of,
    site,
)

SAVING = Settings(
    suspend_rate=102.4, resume_rate=102.4, power_down_after_s=50, wake_s=20, keep_awake=0
)


def world(hosts: int = 2, **given: int) -> World:
    return World(site(hosts), replace(SAVING, **given))


def steps(one: World) -> list[tuple[int, str, int]]:
    return [(step.at, step.kind.value, step.host) for step in one.calendar.host_steps()]


def at(one: World, now: int) -> World:
    """Go on to a time and look."""
    one.run(now)
    one.go_on()
    return one


def test_an_empty_host_is_powered_down_after_its_time() -> None:
    one = at(world(), 100)
    assert steps(one) == [(50, "sleep", 1), (50, "sleep", 0)]
    assert one.calendar.hosts_on_s(100) == 100


def test_some_hosts_are_kept_on() -> None:
    one = at(world(3, keep_awake=2), 100)
    assert steps(one) == [(50, "sleep", 2)]


def test_a_host_in_use_stays_on_and_its_idle_time_begins_when_it_is_empty() -> None:
    one = world(1)
    one.submit(1, best_effort(duration=100))
    at(one, 149)
    assert steps(one) == []
    at(one, 150)
    assert steps(one) == [(150, "sleep", 0)]


def test_what_waits_wakes_as_many_hosts_as_it_needs() -> None:
    one = at(world(3), 100)
    steps(one)
    one.submit(1, best_effort(2, 30))
    assert steps(one) == [(100, "wake", 0), (100, "wake", 1)]
    one.run()
    assert runs_of(one[1]) == [(120, 150)]


def test_many_that_wait_wake_hosts_together() -> None:
    one = at(world(3), 100)
    one.submit_all([best_effort(1, 30)] * 3)
    one.run()
    assert [runs_of(one[lease])[0] for lease in (1, 2, 3)] == [(120, 150)] * 3


def test_a_reservation_wakes_its_hosts_just_in_time() -> None:
    one = at(world(2), 100)
    steps(one)
    one.submit(1, reservation(500, 2, 60))
    assert steps(one) == []
    one.run()
    assert steps(one)[:2] == [(480, "wake", 0), (480, "wake", 1)]
    assert runs_of(one[1]) == [(500, 560)]


def test_a_reservation_sooner_than_hosts_wake_is_refused_and_a_later_one_offered() -> None:
    one = at(world(1), 100)
    assert not one.calendar.submit(1, reservation(110), 100).accepted
    (later, *_) = one.calendar.alternatives(reservation(110), 100)
    assert later.start == 120


def test_a_host_that_is_needed_soon_is_not_powered_down() -> None:
    one = world(1)
    one.submit(1, reservation(100, 1, 60))
    at(one, 100)
    assert steps(one) == []


def test_an_immediate_lease_waits_for_its_hosts_to_wake() -> None:
    one = at(world(1), 100)
    answer = one.submit(1, immediate(1, 30))
    assert (answer.accepted, answer.start) == (True, 120)


def test_a_deadline_counts_with_waking() -> None:
    one = at(world(1), 100)
    assert not one.submit(1, by_deadline(145, duration=30)).accepted
    assert one.submit(2, by_deadline(150, duration=30)).start == 120


def test_a_suspended_lease_resumes_on_a_host_that_wakes() -> None:
    one = World(site(1), replace(SAVING, power_down_after_s=5))
    one.submit(1, best_effort(1, 200))
    one.submit(2, reservation(100, 1, 60))
    one.run()
    assert one[1].status is LeaseStatus.DONE
    assert sum(end - start for start, end in runs_of(one[1])) == 200


def test_small_nodes_share_the_host_that_is_on() -> None:
    one = World(site(2), replace(SAVING, host_selection="packed"))
    half = replace(best_effort(duration=1000), nodes=(nodes(1, 50, 512),))
    one.submit(1, half)
    at(one, 60)
    one.submit(2, half)
    assert steps(one) == [(50, "sleep", 1)]
    assert one[2].runs[0].hosts == (0,)


def test_a_host_that_is_off_can_be_lost_and_come_back() -> None:
    one = at(world(2), 100)
    one.lose(0)
    one.submit(1, best_effort(1, 30))
    one.run()
    assert one[1].runs[0].hosts == (1,)
    one.bring_back(0)
    one.submit(2, best_effort(2, 30))
    one.run()
    assert one[2].status is LeaseStatus.DONE


def test_without_the_setting_hosts_are_always_on() -> None:
    one = World(site(2))
    one.run(1000)
    assert one.calendar.host_steps() == []
    assert one.calendar.hosts_on_s(1000) is None


# --- properties -----------------------------------------------------------------------------------

saving = st.builds(
    lambda base, after, wake, keep: replace(
        base, power_down_after_s=after, wake_s=wake, keep_awake=keep
    ),
    drawn.settings,
    st.integers(0, 60),
    st.integers(0, 40),
    st.integers(0, 2),
)


@given(st.data(), drawn.sites(), saving)
@examples(60)
def test_leases_run_only_on_hosts_that_are_up(
    data: st.DataObject, on: Site, settings: Settings
) -> None:
    story = Story(data, World(on, settings))
    one = story.world
    lost = (story.lose, story.bring_back)  # a host that comes back is up, whatever it was before
    story.actions = [action for action in story.actions if action not in lost]
    story.tell(8)
    one.audit_end()
    taken = one.calendar.host_steps()
    ids = [host.id for host in one.calendar.line.hosts]
    for booking in one.calendar.bookings.values():
        for run in booking.runs:
            if run.end > run.start:
                for host in run.hosts:
                    audit_up(taken, ids[host], run.start, run.end, settings.wake_s)


def audit_up(taken: list[HostStep], host: int, start: int, end: int, wake_s: int) -> None:
    """It was not off at any time from so long before the start until the end."""
    slept = None
    for step in taken:
        if step.host != host:
            continue
        if step.kind is HostStepKind.SLEEP:
            assert not start < step.at < end, (host, step, start, end)
            slept = step.at
        elif slept is not None:
            assert step.at >= slept
            assert not (slept < start < step.at + wake_s), (host, slept, step, start)
            slept = None
    if slept is not None:
        assert slept >= end, (host, slept, start)


@given(st.data(), drawn.sites(), saving)
@examples(40)
def test_nobody_waits_for_ever_for_hosts_that_are_off(
    data: st.DataObject, on: Site, settings: Settings
) -> None:
    story = Story(data, World(on, settings))
    story.tell(6)
    for booking in story.world.calendar.bookings.values():
        if not story.world.lost and not story.world.lowered:
            assert booking.status.final, (booking.id, booking.status)
        assert booking.kind is not LeaseKind.BEST_EFFORT or booking.run is None
        assert all(run.stage is Stage.OVER for run in booking.runs)
