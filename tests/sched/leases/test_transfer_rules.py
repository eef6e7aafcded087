"""When and where images are sent for leases, rule by rule. A transfer takes 100 s."""

import pytest

from orrery.core.model.lease import LeaseStatus
from orrery.sched.leases.settings import Backfilling
from orrery.sched.leases.timeline import StepKind
from tests.sched.leases.imaging import Imaging, sent, terms, transfer_settings

# --- best effort: first come, first served --------------------------------------------------------


def test_a_lease_starts_when_its_image_has_come() -> None:
    site = Imaging(transfer_settings())
    lease = site.ask(terms("a"))
    assert sent(lease) == [(0, 100)]
    assert lease.run is not None and lease.run.start == 100


def test_one_repository_serves_one_image_after_another() -> None:
    site = Imaging(transfer_settings())
    first, second = site.ask(terms("a")), site.ask(terms("b"))
    assert (sent(first), sent(second)) == ([(0, 100)], [(100, 200)])


def test_with_two_channels_two_images_come_at_once() -> None:
    site = Imaging(transfer_settings(channels=2))
    first, second, third = (site.ask(terms(image)) for image in "abc")
    assert (sent(first), sent(second), sent(third)) == ([(0, 100)], [(0, 100)], [(100, 200)])


def test_multicast_takes_as_long_for_any_number_of_hosts() -> None:
    site = Imaging(transfer_settings())
    assert sent(site.ask(terms("a", nodes=4))) == [(0, 100)]


def test_unicast_takes_as_long_as_there_are_hosts() -> None:
    site = Imaging(transfer_settings(multicast=False))
    lease = site.ask(terms("a", nodes=3))
    assert sent(lease) == [(0, 300)]
    assert lease.run is not None and lease.run.start == 300


def test_a_lease_joins_a_transfer_of_its_image_that_has_not_begun() -> None:
    site = Imaging(transfer_settings())
    site.ask(terms("b"))
    first, second = site.ask(terms("a")), site.ask(terms("a"))
    assert sent(first) == sent(second) == [(100, 200)]
    (transfer,) = site.transfers.repository.of("a")
    assert transfer.hosts.bit_count() == 2


def test_a_transfer_that_has_begun_cannot_be_joined() -> None:
    site = Imaging(transfer_settings())
    site.ask(terms("a"))
    assert sent(site.ask(terms("a"), now=10)) == [(100, 200)]


@pytest.mark.parametrize("no", ["multicast", "piggyback"])
def test_without_piggybacking_every_lease_has_its_own_transfer(no: str) -> None:
    site = Imaging(
        transfer_settings(multicast=no != "multicast", piggyback=no != "piggyback", channels=1)
    )
    site.ask(terms("b"))
    first, second = site.ask(terms("a")), site.ask(terms("a"))
    assert (sent(first), sent(second)) == ([(100, 200)], [(200, 300)])


def test_images_without_a_name_are_not_shared() -> None:
    site = Imaging(transfer_settings())
    site.ask(terms("b"))
    first, second = site.ask(terms(None)), site.ask(terms(None))
    assert (sent(first), sent(second)) == ([(100, 200)], [(200, 300)])


def test_a_lease_without_an_image_waits_for_nothing() -> None:
    site = Imaging(transfer_settings())
    site.ask(terms("a"))
    lease = site.ask(terms(None, mib=0))
    assert (sent(lease), lease.status) == ([], LeaseStatus.ACTIVE)


def test_an_immediate_lease_starts_as_soon_as_its_image_can_be_there() -> None:
    site = Imaging(transfer_settings())
    site.ask(terms("b"))
    lease = site.ask(terms("a", immediate=True))
    assert lease.run is not None and lease.run.start == 200


def test_nothing_is_sent_before_a_decision_can_arrive() -> None:
    site = Imaging(transfer_settings(lead_s=30))
    assert sent(site.ask(terms("a"))) == [(30, 130)]


# --- promises: just in time -----------------------------------------------------------------------


def test_the_image_of_a_reservation_comes_as_late_as_possible() -> None:
    site = Imaging(transfer_settings())
    lease = site.ask(terms("a", start=1000))
    assert sent(lease) == [(900, 1000)]


def test_a_reservation_uses_the_gap_before_the_first_planned_transfer() -> None:
    """Haizea's defect 5."""
    site = Imaging(transfer_settings())
    site.ask(terms("a", start=200))
    second = site.ask(terms("b", start=200))
    assert sent(second) == [(0, 100)]


def test_a_reservation_is_refused_when_its_image_cannot_be_there() -> None:
    site = Imaging(transfer_settings())
    assert site.ask(terms("a", start=99)).status is LeaseStatus.REJECTED
    site.ask(terms("a", start=150))
    late = site.ask(terms("b", start=200))
    assert late.status is LeaseStatus.REJECTED
    assert late.reason is not None and "image" in late.reason
    assert late.transfers == []


def test_a_question_gets_the_answer_that_the_request_would_get() -> None:
    site = Imaging(transfer_settings())
    site.ask(terms("a", start=150))
    before = site.transfers.repository.version
    assert not site.calendar.when(terms("b", start=200), 0).accepted
    assert site.calendar.when(terms("b", start=250), 0).accepted
    assert site.calendar.when(terms("b"), 0).start == 250
    assert site.transfers.repository.next() is not None
    assert [len(line) for line in site.transfers.repository.channels] == [1]
    assert before <= site.transfers.repository.version


def test_two_reservations_of_one_image_share_the_transfer_that_is_latest() -> None:
    site = Imaging(transfer_settings())
    first, second = site.ask(terms("a", start=500)), site.ask(terms("a", start=500))
    assert sent(first) == sent(second) == [(400, 500)]


def test_best_effort_sends_around_the_transfer_of_a_reservation() -> None:
    site = Imaging(transfer_settings())
    site.ask(terms("a", start=250))
    assert sent(site.ask(terms("b"))) == [(0, 100)]
    assert sent(site.ask(terms("c"))) == [(250, 350)]


def test_a_deadline_lease_has_its_image_just_in_time() -> None:
    """Haizea's defect 8: there deadline leases and transfers together stopped the scheduler."""
    site = Imaging(transfer_settings())
    lease = site.ask(terms("a", start=500, deadline=3000))
    assert lease.run is not None and lease.run.start == 500
    assert sent(lease) == [(400, 500)]
    site.run_to(4000)
    assert lease.status is LeaseStatus.DONE


def test_a_deadline_that_leaves_no_time_for_the_image_is_refused() -> None:
    site = Imaging(transfer_settings())
    assert site.ask(terms("a", deadline=1099)).status is LeaseStatus.REJECTED
    assert site.ask(terms("a", deadline=1100)).run is not None


def test_the_transfer_of_a_reservation_moves_with_it() -> None:
    site = Imaging(transfer_settings())
    lease = site.ask(terms("a", start=500))
    assert site.calendar.move(lease.id, 800, 0).accepted
    assert sent(lease) == [(700, 800)]
    assert not site.calendar.move(lease.id, 50, 0).accepted
    assert sent(lease) == [(700, 800)]
    assert [len(line) for line in site.transfers.repository.channels] == [1]


# --- giving up ------------------------------------------------------------------------------------


def test_what_nobody_needs_any_more_is_not_sent() -> None:
    site = Imaging(transfer_settings())
    lease = site.ask(terms("a", start=500))
    site.calendar.cancel(lease.id, 10)
    assert site.transfers.repository.next() is None
    assert lease.transfers == []


def test_a_transfer_stays_as_long_as_somebody_has_joined_it() -> None:
    site = Imaging(transfer_settings())
    site.ask(terms("b"))
    owner, guest = site.ask(terms("a")), site.ask(terms("a"))
    site.calendar.cancel(owner.id, 10)
    assert sent(guest) == [(100, 200)]
    site.calendar.cancel(guest.id, 10)
    assert site.transfers.repository.of("a") == []


def test_a_transfer_under_way_is_finished_though_its_lease_was_cancelled() -> None:
    site = Imaging(transfer_settings(cache_mib=None))
    lease = site.ask(terms("a"))
    site.run_to(10)
    site.calendar.cancel(lease.id, 10)
    site.run_to(50)
    assert sent(site.ask(terms("b"), now=50)) == [(100, 200)]
    site.run_to(100)
    assert site.transfers.copies.cached("a")


def test_a_lease_planned_again_on_its_hosts_uses_the_images_that_are_there() -> None:
    """Haizea's defect 10: there they were thrown away and sent once more."""
    site = Imaging(transfer_settings(), hosts=1)
    running = site.ask(terms("a", duration=2000))
    waiting = site.ask(terms("b"))
    site.run_to(500)
    assert sent(waiting) == [(100, 200)]
    assert waiting.run is not None and waiting.run.start == 2100
    assert waiting.status is LeaseStatus.READY
    site.calendar.finish(running.id, 500)
    site.run_to(500)
    assert waiting.run.start == 500
    assert sent(waiting) == [(100, 200)]


def test_a_lease_planned_again_while_its_image_is_on_the_way_waits_for_that() -> None:
    site = Imaging(transfer_settings(), hosts=1)
    running = site.ask(terms("a", duration=2000))
    site.run_to(150)
    waiting = site.ask(terms("b"), now=150)
    site.run_to(160)
    assert waiting.status is LeaseStatus.PREPARING
    site.calendar.finish(running.id, 160)
    site.run_to(160)
    assert waiting.run is not None and waiting.run.start == 250
    assert (sent(waiting), waiting.status) == ([(150, 250)], LeaseStatus.PREPARING)


# --- caches ---------------------------------------------------------------------------------------


def test_an_image_in_the_cache_is_not_sent_again() -> None:
    site = Imaging(transfer_settings(cache_mib=1000), hosts=1)
    first = site.ask(terms("a"))
    site.run_to(1100)
    assert first.status is LeaseStatus.DONE
    second = site.ask(terms("a"), now=1200)
    assert (sent(second), second.run and second.run.start) == ([], 1200)


def test_without_caches_every_lease_has_its_image_sent() -> None:
    site = Imaging(transfer_settings(), hosts=1)
    site.ask(terms("a"))
    assert sent(site.ask(terms("a"), now=1200)) == [(1200, 1300)]


def test_a_reservation_goes_where_its_image_is() -> None:
    site = Imaging(transfer_settings(cache_mib=1000))
    site.ask(terms("b"))
    first = site.ask(terms("a"))
    assert first.run is not None
    here = first.run.hosts
    site.run_to(1300)
    lease = site.ask(terms("a", start=1350), now=1300)
    assert (sent(lease), lease.run and lease.run.hosts) == ([], here)


def test_only_hosts_without_the_image_have_it_sent() -> None:
    site = Imaging(transfer_settings(cache_mib=1000, multicast=False), hosts=3)
    site.ask(terms("a"))
    site.run_to(1200)
    lease = site.ask(terms("a", nodes=3, start=2000), now=1200)
    assert sent(lease) == [(1800, 2000)]


def test_a_cached_image_that_a_reservation_counts_on_stays() -> None:
    site = Imaging(transfer_settings(cache_mib=1000), hosts=1)
    site.ask(terms("a"))
    site.run_to(1200)
    promised = site.ask(terms("a", start=5000), now=1200)
    other = site.ask(terms("b"), now=1200)
    site.run_to(5000)
    assert (other.status, promised.status) == (LeaseStatus.DONE, LeaseStatus.ACTIVE)
    assert promised.transfers == []
    assert site.transfers.copies.images(0) == ["a"]


def test_hosts_to_which_the_image_comes_for_others_can_be_used_once_it_is_there() -> None:
    site = Imaging(transfer_settings(cache_mib=None), hosts=2)
    site.ask(terms("a", nodes=2, duration=500))
    site.ask(terms("b", start=5000), now=10)
    lease = site.ask(terms("a", start=700), now=20)
    assert lease.transfers == [(0, 100, lease.run.hosts)] if lease.run else False


# --- what is told ---------------------------------------------------------------------------------


def test_a_lease_is_preparing_while_its_image_comes_and_then_ready() -> None:
    site = Imaging(transfer_settings())
    lease = site.ask(terms("a", start=1000))
    seen = []
    for now in (899, 900, 999, 1000):
        site.run_to(now)
        seen.append(lease.status)
    S = LeaseStatus  # noqa: N806
    assert seen == [S.SCHEDULED, S.PREPARING, S.PREPARING, S.ACTIVE]


def test_a_best_effort_lease_that_must_wait_is_ready_when_its_image_is_there() -> None:
    site = Imaging(transfer_settings(backfilling=Backfilling.CONSERVATIVE), hosts=1)
    site.ask(terms("a"))
    lease = site.ask(terms("b"))
    seen = []
    for now in (99, 150, 200):
        site.run_to(now)
        seen.append(lease.status)
    assert seen == [LeaseStatus.SCHEDULED, LeaseStatus.PREPARING, LeaseStatus.READY]


def test_each_transfer_is_one_step_with_its_image_and_hosts() -> None:
    site = Imaging(transfer_settings())
    site.ask(terms("b"))
    site.ask(terms("a", nodes=2))
    site.ask(terms("a"))
    site.run_to(150)
    steps = [step for step in site.steps if step.kind is StepKind.TRANSFER]
    told = [(s.at, s.transfer.image, s.transfer.hosts.bit_count()) for s in steps if s.transfer]
    assert told == [(0, "b", 1), (100, "a", 3)]


def test_disk_use_is_that_of_the_images_on_each_host() -> None:
    site = Imaging(transfer_settings(), hosts=2)
    site.ask(terms("a", nodes=2, duration=500))
    site.run_to(99)
    assert sum(site.transfers.disk_mib().values()) == 0
    site.run_to(100)
    assert dict(site.transfers.disk_mib()) == {0: 1000, 1: 1000}
    site.run_to(600)
    assert dict(site.transfers.disk_mib()) == {0: 0, 1: 0}


def test_images_that_are_in_use_are_not_given_back_with_a_plan_for_later() -> None:
    site = Imaging(transfer_settings(cache_mib=1000), hosts=1)
    lease = site.ask(terms("a"))
    site.run_to(200)
    site.transfers.set_aside(lease, 200)
    assert site.transfers.copies.in_use(0) == ["a"]
    assert site.transfers.book(lease, (0,), 5000, 200)
    assert sent(lease) == [(0, 100)]
