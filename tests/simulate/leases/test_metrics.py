"""Every metric, on cases worked out by hand."""

import pytest
from msgspec.structs import replace

from orrery.sched.leases.settings import Suspension
from orrery.simulate.leases.metrics import distribution, measure
from orrery.simulate.leases.sources import Overheads, with_overheads
from tests.simulate.leases.small import PREEMPTED, SETTINGS, asked, run, workload

NO_SUSPENSION = replace(SETTINGS, suspension=Suspension.NONE)


def test_a_suspended_lease_and_the_reservation_it_made_room_for() -> None:
    found = measure(run(*PREEMPTED))
    assert (found.leases, found.ar_requested, found.ar_accepted) == (2, 1, 1)
    assert (found.best_effort_requested, found.best_effort_done) == (1, 1)
    assert found.states == {"best-effort": {"done": 1}, "reservation": {"done": 1}}
    assert (found.mean_wait_s, found.all_best_effort_s, found.makespan_s) == (0, 1320, 1320)
    assert found.mean_bounded_slowdown == pytest.approx(1.32)
    assert (found.suspensions, found.suspended_leases, found.migrations) == (1, 1, 0)
    assert (found.kills, found.lost_node_seconds) == (0, 0)


def test_the_time_of_the_site_is_split_without_rest() -> None:
    found = measure(run(*PREEMPTED))
    split = found.utilization_split
    assert split["vm"] == found.utilization == pytest.approx(1300 / 1320)
    assert split["suspend"] == split["resume"] == pytest.approx(10 / 1320)
    assert split["idle"] == pytest.approx(0)
    assert sum(split.values()) == pytest.approx(1)


def test_boot_and_shutdown_are_no_vm_time() -> None:
    found = measure(run(asked(1, 1, 100), settings=replace(SETTINGS, boot_s=20, shutdown_s=5)))
    split = found.utilization_split
    assert found.makespan_s == 125
    assert split["boot"] == pytest.approx(20 / 250)
    assert split["shutdown"] == pytest.approx(5 / 250)
    assert split["vm"] == pytest.approx(100 / 250)
    assert found.mean_wait_s == 20
    assert found.mean_bounded_slowdown == pytest.approx(1.25)


def test_a_suspended_lease_waits_in_the_queue_and_its_memory_on_disk() -> None:
    found = measure(run(*PREEMPTED))
    assert found.mean_queue_length == pytest.approx(300 / 1320)
    assert found.max_queue_length == 1
    assert found.max_disk_mib == 2048
    assert found.mean_disk_mib == pytest.approx(2048 * (810 - 490) / 1320)


def test_work_of_a_run_that_was_stopped_is_lost_and_its_start_is_none() -> None:
    found = measure(run(*PREEMPTED, settings=NO_SUSPENSION))
    assert (found.kills, found.lost_node_seconds) == (1, 2 * 500)
    assert found.mean_wait_s == 800
    assert found.mean_bounded_slowdown == pytest.approx(1.8)
    assert found.all_best_effort_s == 1800


def test_a_reservation_that_was_let_in_and_found_no_room_is_not_accepted() -> None:
    """Haizea counts it as accepted and as rejected."""
    first, second = asked(1, 2, 300, start=500), asked(2, 1, 100, at=10, start=600)
    found = measure(run(first, second))
    assert (found.ar_requested, found.ar_accepted, found.ar_rejected) == (2, 1, 1)


def test_immediate_leases_start_now_or_are_rejected() -> None:
    found = measure(run(asked(1, 2, 100, immediate=True), asked(2, 1, 50, at=10, immediate=True)))
    assert found.immediate_requested == 2
    assert (found.immediate_accepted, found.immediate_rejected) == (1, 1)


def test_deadlines_and_their_slowdown() -> None:
    found = measure(run(asked(1, 2, 100, at=0, start=50, deadline=400)))
    assert (found.deadline_requested, found.deadline_accepted, found.deadline_met) == (1, 1, 1)
    assert found.mean_deadline_slowdown == pytest.approx(1.0)


def test_deadline_slowdown_is_relative_to_what_was_asked_without_overhead() -> None:
    slowed = with_overheads(
        workload(asked(1, 2, 100, start=50, deadline=400)),
        Overheads(slowdown_pct=50, all_kinds=True),
    )
    assert measure(run(*slowed.arrivals)).mean_deadline_slowdown == pytest.approx(1.5)


def test_work_below_ten_seconds_counts_as_ten_and_slowdown_may_be_below_one() -> None:
    found = measure(run(asked(1, 1, 5)))
    assert found.mean_bounded_slowdown == pytest.approx(0.5)


def test_the_real_duration_counts_not_the_requested_one() -> None:
    found = measure(run(asked(1, 2, 1000, real=100), asked(2, 2, 100, at=50)))
    assert found.mean_wait_s == 25
    assert found.mean_bounded_slowdown == pytest.approx((100 / 100 + 150 / 100) / 2)


def test_the_first_completions_can_be_left_out_of_waits() -> None:
    leases = [asked(number, 2, 100) for number in range(1, 5)]
    assert measure(run(*leases)).mean_wait_s == 150
    assert measure(run(*leases), skip_share=0.25).mean_wait_s == 200


def test_users_are_accounted_apart() -> None:
    users = measure(run(*PREEMPTED)).users
    assert list(users) == ["0", "7"]
    assert users["7"].node_seconds == 2000
    assert users["7"].cpu_hours == pytest.approx(2000 / 3600)
    assert (users["0"].leases, users["0"].done, users["0"].mean_wait_s) == (1, 1, None)


def test_an_empty_workload_has_no_means() -> None:
    found = measure(run())
    assert (found.leases, found.mean_wait_s, found.utilization) == (0, None, 0.0)


def test_quantiles_are_values_that_occur() -> None:
    found = distribution([4, 1, 3, 2])
    assert (found.mean, found.median, found.p95, found.largest) == (2.5, 2, 4, 4)
