"""What each kind of lease is promised, and how the queue, suspension and resumption go."""

import pytest

from orrery.core.model.lease import LeaseStatus as S
from orrery.core.model.lease import NodeSet, Terms
from orrery.sched.leases.booking import Ending
from orrery.sched.leases.settings import (
    Backfilling,
    Exclusion,
    Migration,
    Settings,
    Suspension,
)
from orrery.sched.leases.site import Site
from orrery.sched.leases.timeline import StepKind
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

RATE = 102.4
"""MiB/s: a VM of 1024 MiB is saved in 10 s."""


def settings(**changes: object) -> Settings:
    known: dict[str, object] = {"suspend_rate": RATE, "resume_rate": RATE}
    return Settings(**(known | changes))  # type: ignore[arg-type]


# --- kinds ----------------------------------------------------------------------------------------


def test_a_best_effort_lease_starts_at_once_where_there_is_room_and_waits_where_there_is_none() -> (
    None
):
    world = World(site(2))
    world.submit_all([best_effort(2), best_effort(1)])
    assert world[1].status is S.ACTIVE
    assert world[2].status is S.SCHEDULED  # the first that waits holds a reservation
    world.run()
    assert runs_of(world[1]) == [(0, 100)]
    assert runs_of(world[2]) == [(100, 200)]


def test_a_reservation_runs_at_exactly_its_time_and_is_refused_when_it_cannot() -> None:
    world = World(site(2))
    assert world.submit(1, reservation(500, 2)).start == 500
    refused = world.submit(2, reservation(550))
    assert refused.status is S.REJECTED
    assert refused.reason == "not enough is free at that time, nor can enough leases give way"
    world.run()
    assert runs_of(world[1]) == [(500, 600)]


def test_a_reservation_in_the_past_is_refused_with_by_how_much() -> None:
    world = World(site(1)).run(100)
    answer = world.submit(1, reservation(90))
    assert answer.status is S.REJECTED
    assert "10 s ago" in (answer.reason or "")


def test_an_immediate_lease_starts_now_or_is_refused() -> None:
    world = World(site(2))
    assert world.submit(1, immediate(2)).start == 0
    refused = world.submit(2, immediate())
    assert refused.status is S.REJECTED
    assert refused.reason == "not enough is free now for its whole duration"


def test_an_immediate_lease_is_never_planned_into_a_gap_that_is_too_short() -> None:
    world = World(site(1))
    world.submit(1, reservation(50))
    assert world.submit(2, immediate(duration=51)).status is S.REJECTED
    assert world.submit(3, immediate(duration=50)).start == 0
    world.run()
    assert runs_of(world[3]) == [(0, 50)]


def test_an_immediate_lease_does_not_displace_others() -> None:
    world = World(site(1))
    world.submit(1, best_effort())
    assert world.submit(2, immediate()).status is S.REJECTED
    assert world[1].status is S.ACTIVE


def test_a_lease_larger_than_the_site_is_refused_whatever_its_kind() -> None:
    world = World(site(2))
    for lease_id, terms in enumerate((best_effort(3), reservation(9, 3), immediate(3)), 1):
        answer = world.submit(lease_id, terms)
        assert answer.status is S.REJECTED
        assert answer.reason == "it asks for 3 nodes; the whole site has room for 2 such"


def test_nodes_that_differ_are_refused_when_they_do_not_fit_together() -> None:
    world = World(site(2))
    terms = Terms(nodes=(nodes(2), nodes(1, memory=512)), duration=10)
    answer = world.submit(1, terms)
    assert answer.status is S.REJECTED
    assert answer.reason == "its 3 nodes do not fit on the whole site together"


# --- backfilling ----------------------------------------------------------------------------------


def with_backfilling(how: Backfilling, count: int = 1) -> World:
    """Four hosts, three of them taken for 100 s; 2 and 3 do not fit, 4 does."""
    world = World(
        site(4),
        settings(
            backfilling=how,
            backfilling_reservations=count,
            suspension=Suspension.NONE,
            backfill_order="fcfs",
        ),
    )
    world.submit_all(
        [best_effort(3), best_effort(2), best_effort(4), best_effort(1, 50), best_effort(1, 150)]
    )
    return world


def test_without_backfilling_nobody_overtakes() -> None:
    world = with_backfilling(Backfilling.OFF)
    assert world[4].status is S.QUEUED
    world.run()
    starts = [runs_of(world[n])[0][0] for n in (1, 2, 3, 4, 5)]
    assert starts == [0, 100, 200, 300, 300]


def test_aggressive_backfilling_protects_the_first_that_waits() -> None:
    world = with_backfilling(Backfilling.AGGRESSIVE)
    assert runs_of(world[2]) == [(100, 200)]
    assert not world[3].runs
    assert runs_of(world[4]) == [(0, 50)]
    assert not world[5].runs  # it is after lease 4, and could end only after 100
    world.run(50)
    assert runs_of(world[5]) == [(50, 200)]  # on the host that lease 2 leaves
    world.run()
    assert runs_of(world[2]) == [(100, 200)]


def test_conservative_backfilling_gives_everybody_a_reservation() -> None:
    world = with_backfilling(Backfilling.CONSERVATIVE)
    assert [bool(world[n].runs) for n in (2, 3, 4, 5)] == [True] * 4
    assert runs_of(world[3]) == [(200, 300)]
    assert runs_of(world[5]) == [(50, 200)]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_intermediate_backfilling_gives_so_many_reservations(count: int) -> None:
    world = with_backfilling(Backfilling.INTERMEDIATE, count)
    assert len(world.calendar.line.futures) == count


def test_with_suspension_a_long_lease_fills_the_time_before_a_reservation_in_part() -> None:
    world = World(site(1))
    world.submit(1, reservation(100, duration=50))
    world.submit(2, best_effort(duration=200))
    world.run()
    assert runs_of(world[2]) == [(0, 90), (160, 270)]
    assert world[2].suspensions == 1


# --- order ----------------------------------------------------------------------------------------


def test_the_queue_goes_by_priority_then_by_time_then_by_id() -> None:
    world = World(site(1), settings(backfilling=Backfilling.OFF))
    world.submit(1, best_effort())
    world.submit(2, best_effort())
    world.submit(3, best_effort())
    world.submit(4, best_effort(priority=1))
    world.run()
    assert [runs_of(world[n])[0][0] for n in (4, 2, 3)] == [100, 200, 300]


def test_a_lease_that_was_suspended_keeps_its_place_in_the_queue() -> None:
    world = World(site(1), settings(backfilling=Backfilling.OFF))
    world.submit(1, best_effort(duration=200))
    world.run(50)
    world.submit(2, best_effort())
    world.submit(3, reservation(100))
    world.run()
    assert runs_of(world[1])[1][0] == 210  # resumed right after the reservation
    assert runs_of(world[2])[0][0] == world[1].ended


def test_backfilling_takes_the_shortest_first() -> None:
    world = World(site(2), settings(suspension=Suspension.NONE, backfill_order="shortest"))
    world.submit_all([best_effort(1), best_effort(2), best_effort(1, 90), best_effort(1, 30)])
    assert runs_of(world[4]) == [(0, 30)]
    assert not world[3].runs


def test_backfilling_goes_by_arrival_where_nobody_may_be_suspended() -> None:
    world = World(site(2), settings(suspension=Suspension.NONE))
    world.submit_all([best_effort(1), best_effort(2), best_effort(1, 90), best_effort(1, 30)])
    assert runs_of(world[3]) == [(0, 90)]
    assert not world[4].runs


# --- suspension -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "count", "suspended"),
    [
        (Suspension.ALL, 1, True),
        (Suspension.ALL, 2, True),
        (Suspension.SERIAL_ONLY, 1, True),
        (Suspension.SERIAL_ONLY, 2, False),
        (Suspension.NONE, 1, False),
    ],
)
def test_who_is_suspended(how: Suspension, count: int, suspended: bool) -> None:
    world = World(site(2), settings(suspension=how))
    world.submit(1, best_effort(count, 300))
    world.submit(2, reservation(100, 2))
    world.run()
    first, second = world[1].runs
    assert first.ending is (Ending.SUSPEND if suspended else Ending.KILL)
    assert first.vm_end == (90 if suspended else 100)
    length = second.vm_end - second.vm_start
    assert length == (210 if suspended else 300)


def test_the_work_of_a_lease_that_cannot_be_suspended_is_lost_when_its_time_has_come() -> None:
    world = World(site(1), settings(suspension=Suspension.NONE))
    world.submit(1, best_effort(duration=300))
    world.submit(2, reservation(1000))
    world.submit(3, best_effort(duration=900, preemptible=False))
    world.run()
    assert runs_of(world[1]) == [(0, 300)]  # it was over before
    assert runs_of(world[3]) == [(1100, 2000)]  # no start into a gap that is too short


@pytest.mark.parametrize(
    ("exclusion", "vms_on_a_host", "seconds"),
    [
        (Exclusion.LOCAL, 1, 10),
        (Exclusion.LOCAL, 2, 20),
        (Exclusion.GLOBAL, 1, 40),
        (Exclusion.GLOBAL, 2, 40),
    ],
)
def test_suspensions_that_share_a_disk_go_one_after_another(
    exclusion: Exclusion, vms_on_a_host: int, seconds: int
) -> None:
    count = 4 // vms_on_a_host
    world = World(
        site(count, cpu=100 * vms_on_a_host, memory=1024 * vms_on_a_host),
        settings(exclusion=exclusion),
    )
    world.submit(1, best_effort(4, 1000))
    terms = Terms(nodes=(nodes(count, cpu=100 * vms_on_a_host),), duration=50, start=500)
    world.submit(2, terms)
    assert world[1].runs[0].vm_end == 500 - seconds
    world.run()
    assert runs_of(world[1])[1] == (550 + seconds, 550 + seconds + 500 + seconds)


def test_overhead_is_added_for_each_vm_and_fixed_times_replace_rates() -> None:
    world = World(site(3), settings(overhead_s=2, fixed_suspend_s=4, fixed_resume_s=5))
    world.submit(1, best_effort(3, 1000))
    world.submit(2, reservation(500, 3))
    world.run()
    assert runs_of(world[1]) == [(0, 490), (611, 1121)]


def test_suspending_may_take_no_time_at_all() -> None:
    world = World(site(1), settings(fixed_suspend_s=0, fixed_resume_s=0))
    world.submit(1, best_effort(duration=100))
    world.submit(2, reservation(50))
    world.run()
    assert runs_of(world[1]) == [(0, 50), (150, 200)]


def test_nodes_without_memory_are_suspended_at_once() -> None:
    world = World(site(1))
    world.submit(1, best_effort(duration=100, memory=0))
    world.submit(2, reservation(50))
    world.run()
    assert runs_of(world[1]) == [(0, 50), (150, 200)]


# --- thresholds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("gap", "starts"), [(19, 129), (20, 0)])
def test_a_run_before_a_reservation_must_be_worth_its_suspension(gap: int, starts: int) -> None:
    """(1 + factor) times the suspension of 10 s: 20 s."""
    world = World(site(1))
    world.submit(1, reservation(gap, duration=110))
    world.submit(2, best_effort(duration=300))
    world.run()
    assert runs_of(world[2])[0][0] == starts


def test_after_a_suspension_the_resumption_counts_as_well() -> None:
    world = World(site(1))
    world.submit(1, best_effort(duration=300))
    world.submit(2, reservation(100, duration=100))
    world.submit(3, reservation(239, duration=100))
    world.submit(4, reservation(379, duration=100))
    world.run()
    assert runs_of(world[1])[:2] == [(0, 90), (349, 369)]  # 39 s are too few, 40 s are enough


def test_a_fixed_threshold_replaces_the_computed_one() -> None:
    world = World(site(1), settings(fixed_threshold_s=80))
    world.submit(1, reservation(79))
    world.submit(2, best_effort(duration=300))
    assert runs_of(world[2])[0][0] == 179


def test_a_cut_never_falls_into_the_shutdown() -> None:
    world = World(site(1), settings(shutdown_s=30))
    world.submit(1, reservation(200))
    world.submit(2, best_effort(duration=180))
    world.run()
    assert runs_of(world[2])[0][0] >= 300


# --- boot and shutdown ----------------------------------------------------------------------------


def test_boot_and_shutdown_have_time_of_their_own() -> None:
    world = World(site(1), settings(boot_s=20, shutdown_s=7))
    world.submit(1, reservation(100, duration=50))
    (run,) = world[1].runs
    assert (run.start, run.vm_start, run.vm_end, run.end) == (80, 100, 150, 157)
    refused = world.submit(2, reservation(176, duration=50))
    assert refused.status is S.REJECTED
    assert world.submit(3, reservation(177, duration=50)).accepted
    world.run()
    begun = {(step.kind, step.at) for step in world.steps if step.run.booking.id == 1}
    assert {(StepKind.START, 80), (StepKind.ACTIVE, 100), (StepKind.STOP, 150)} <= begun


def test_a_reservation_for_now_is_refused_when_its_vms_need_time_to_boot() -> None:
    world = World(site(1), settings(boot_s=20))
    refused = world.submit(1, reservation(10))
    assert refused.status is S.REJECTED
    assert "its VMs need time to start" in (refused.reason or "")


def test_nothing_is_planned_sooner_than_the_lead_time() -> None:
    world = World(site(1), settings(lead_s=15))
    world.submit(1, best_effort())
    assert runs_of(world[1]) == [(15, 115)]


# --- migration ------------------------------------------------------------------------------------


def suspended_while_another_host_is_free(migration: Migration) -> World:
    """Lease 1 is suspended on host 0, which is then reserved for long; host 1 is free."""
    world = World(site(2), settings(migration=migration, migration_mbit=107.3741824))
    world.submit(1, Terms(nodes=(nodes(1),), duration=300))
    world.submit(2, reservation(0, 1, 150))
    world.submit(3, reservation(100, 2, 50))
    world.submit(4, reservation(150, 1, 1000))
    assert world[1].runs[0].hosts != world[2].runs[0].hosts
    return world


def test_a_suspended_lease_resumes_where_its_memory_lies_unless_it_may_migrate() -> None:
    world = suspended_while_another_host_is_free(Migration.NO)
    world.run()
    assert len({run.hosts for run in world[1].runs}) == 1


@pytest.mark.parametrize(
    ("migration", "seconds"), [(Migration.YES, 80), (Migration.NO_TRANSFER, 0)]
)
def test_a_migration_takes_as_long_as_the_busiest_link(migration: Migration, seconds: int) -> None:
    """1024 MiB at 107.37 Mbit/s (12.8 MiB/s) are 80 s, planned before the resumption."""
    world = World(site(2), settings(migration=migration, migration_mbit=107.3741824))
    world.submit(1, best_effort(duration=300))
    world.submit(2, reservation(100, 2, 50))
    here = world[1].runs[0].hosts[0]
    world.run(100)
    world.submit(3, reservation(150, 1, 1000))
    taken = world[3].runs[0].hosts[0]
    world.run(150)
    run = world[1].runs[-1]
    if taken == here:
        assert run.hosts != (here,)
        assert run.migration_s == seconds
        assert run.vm_start == 150 + seconds + 10
    else:
        assert run.migration_s == 0


def test_nodes_that_can_stay_where_their_memory_lies_do_not_migrate() -> None:
    world = World(site(3), settings(migration_mbit=107.3741824))
    world.submit(1, best_effort(3, 300))
    world.submit(2, reservation(100, 3, 50))
    world.run()
    assert world[1].runs[0].hosts == world[1].runs[1].hosts
    assert world[1].runs[1].migration_s == 0


# --- several resources ----------------------------------------------------------------------------


def test_several_vms_share_a_host_as_cpu_and_memory_allow() -> None:
    world = World(site(1, cpu=400, memory=2048))
    world.submit_all([best_effort(2, cpu=100), best_effort(1, cpu=100), best_effort(1, cpu=300)])
    assert [world[n].status for n in (1, 2)] == [S.ACTIVE, S.SCHEDULED]
    world.run()
    assert runs_of(world[2]) == [(100, 200)]


def test_all_nodes_of_a_lease_start_and_stop_together() -> None:
    world = World(Site(hosts=(host(1, 100, 1024), host(2, 300, 4096))))
    world.submit(1, best_effort(4, 50))
    (run,) = world[1].runs
    assert sorted(run.hosts) == [0, 1, 1, 1]
    world.submit(2, best_effort(1, 10))
    world.run()
    assert runs_of(world[2]) == [(50, 60)]


def test_nodes_that_differ_go_where_they_fit() -> None:
    world = World(Site(hosts=(host(1, 100, 1024), host(2, 400, 8192, gpu=1))))
    terms = Terms(
        nodes=(
            nodes(1),
            nodes(1, 400, 4096),
        ),
        duration=50,
    )
    world.submit(1, terms)
    assert world[1].runs[0].hosts == (0, 1)


def test_devices_are_counted_like_cpu_and_memory() -> None:
    world = World(Site(hosts=(host(1, 400, 4096, gpu=2), host(2, 400, 4096))))
    gpu = NodeSet(count=1, capacity=nodes(1).capacity, other=(("gpu", 1),))
    for lease_id in (1, 2, 3):
        world.submit(lease_id, Terms(nodes=(gpu,), duration=100))
    assert [world[n].status for n in (1, 2, 3)] == [S.ACTIVE, S.ACTIVE, S.SCHEDULED]
    assert {world[n].runs[0].hosts for n in (1, 2, 3)} == {(0,)}


def test_what_no_host_has_is_refused_by_name() -> None:
    answer = World(site(1)).submit(1, Terms(nodes=(nodes(1, gpu=1, fpga=2),), duration=1))
    assert answer.status is S.REJECTED
    assert answer.reason == "no host offers fpga, gpu"


# --- deadlines ------------------------------------------------------------------------------------


def test_a_deadline_lease_runs_in_one_piece_where_that_is_in_time() -> None:
    world = World(site(1))
    world.submit(1, reservation(50))
    assert world.submit(2, by_deadline(300)).start == 150
    world.run()
    assert runs_of(world[2]) == [(150, 250)]


def test_a_deadline_lease_never_starts_before_its_start() -> None:
    world = World(site(1))
    assert world.submit(1, by_deadline(300, start=120)).start == 120


def test_a_deadline_lease_is_split_where_no_single_run_is_in_time() -> None:
    world = World(site(1))
    world.submit(1, reservation(80, duration=50))
    assert world.submit(2, by_deadline(210)).accepted
    world.run()
    assert runs_of(world[2]) == [(0, 70), (140, 170)]
    assert world[2].status is S.DONE


@pytest.mark.parametrize("why", ["not preemptible", "no suspension"])
def test_a_deadline_lease_that_may_not_be_suspended_is_not_split(why: str) -> None:
    suspension = Suspension.NONE if why == "no suspension" else Suspension.ALL
    world = World(site(1), settings(suspension=suspension))
    world.submit(1, reservation(80, duration=50))
    preemptible = None if why == "no suspension" else False
    answer = world.submit(2, by_deadline(210, preemptible=preemptible))
    assert answer.status is S.REJECTED
    assert answer.reason == "it cannot be complete by its deadline"


def test_a_deadline_that_leaves_too_little_time_is_refused() -> None:
    answer = World(site(1)).submit(1, by_deadline(99))
    assert answer.status is S.REJECTED
    assert answer.reason == "its duration does not fit between its start and its deadline"


def test_a_deadline_lease_with_slack_makes_room_for_one_without() -> None:
    world = World(site(1), settings(suspension=Suspension.NONE))
    world.submit(1, by_deadline(1000, start=50))
    assert runs_of(world[1]) == [(50, 150)]
    assert world.submit(2, by_deadline(160, start=50)).accepted
    world.run()
    assert runs_of(world[2]) == [(50, 150)]
    assert runs_of(world[1]) == [(150, 250)]


def test_a_deadline_lease_that_does_not_fit_leaves_the_others_as_they_were() -> None:
    world = World(site(1), settings(suspension=Suspension.NONE))
    world.submit(1, by_deadline(220, start=50))
    world.submit(2, by_deadline(260, start=50))
    before = [runs_of(world[n]) for n in (1, 2)]
    assert world.submit(3, by_deadline(160, start=50)).status is S.REJECTED
    assert [runs_of(world[n]) for n in (1, 2)] == before
    world.run()
    assert [world[n].status for n in (1, 2)] == [S.DONE, S.DONE]


def test_best_effort_gives_way_to_a_deadline_that_is_near() -> None:
    world = World(site(1))
    world.submit(1, best_effort(duration=1000))
    world.run(100)
    assert world.submit(2, by_deadline(230)).accepted
    world.run()
    assert runs_of(world[1])[0] == (0, 120)
    assert runs_of(world[2]) == [(130, 230)]


def test_vms_that_share_a_host_need_longer_to_be_up() -> None:
    """Three on one host, 4 s for the first and 2.5 s for each further one: up when promised."""
    world = World(site(1, cpu=300, memory=3072), settings(boot_s=4, boot_each_s=2.5))
    world.submit(1, reservation(100, 3))
    (run,) = world[1].runs
    assert (run.start, run.vm_start) == (91, 100)
