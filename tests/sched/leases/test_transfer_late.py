"""Where transfers are carried out for real: they end when somebody says so, sooner or later."""

from orrery.core.model.lease import LeaseStatus
from orrery.sched.leases.timeline import StepKind
from tests.sched.leases.imaging import Imaging, sent, terms, transfer_settings


def real() -> Imaging:
    return Imaging(transfer_settings(), automatic=False)


def transfer_ids(site: Imaging) -> list[int]:
    return [step.transfer.id for step in site.steps if step.transfer is not None]


def kinds(site: Imaging) -> list[StepKind]:
    return [step.kind for step in site.steps]


def test_a_lease_starts_when_its_image_is_said_to_be_there() -> None:
    site = real()
    lease = site.ask(terms("a"))
    assert kinds(site) == [StepKind.TRANSFER]
    site.calendar.transferred(transfer_ids(site)[0], 90)
    site.run_to(99)
    assert lease.status is LeaseStatus.READY
    site.run_to(100)
    assert kinds(site) == [StepKind.TRANSFER, StepKind.START]
    assert sent(lease) == [(0, 90)]


def test_a_lease_whose_image_is_late_starts_when_it_is_there() -> None:
    site = real()
    lease = site.ask(terms("a"))
    site.run_to(130)
    assert kinds(site) == [StepKind.TRANSFER]
    assert lease.status is LeaseStatus.PREPARING
    site.calendar.transferred(transfer_ids(site)[0], 140)
    site.run_to(140)
    site.calendar.started(lease.id, 145)
    assert lease.run is not None
    assert (lease.run.vm_start, lease.run.vm_end) == (145, 1145)
    assert sent(lease) == [(0, 140)]


def test_a_reservation_whose_image_is_late_starts_late_and_ends_in_time() -> None:
    site = real()
    lease = site.ask(terms("a", start=100))
    site.run_to(150)
    assert kinds(site) == [StepKind.TRANSFER]
    site.calendar.transferred(transfer_ids(site)[0], 150)
    site.run_to(150)
    site.calendar.started(lease.id, 150)
    assert lease.run is not None and lease.run.vm_end == 1100


def test_a_best_effort_lease_whose_image_is_late_leaves_its_hosts_to_others_meanwhile() -> None:
    site = real()
    lease = site.ask(terms("a", nodes=4))
    site.run_to(105)
    other = site.ask(terms(None, mib=0, duration=2), now=105)
    assert other.run is not None and other.run.start == 105
    assert lease.run is not None and lease.run.start == 110


def test_a_promise_whose_image_comes_after_its_time_fails_with_the_reason() -> None:
    site = real()
    lease = site.ask(terms("a", start=100, duration=300))
    site.run_to(450)
    site.calendar.transferred(transfer_ids(site)[0], 450)
    site.run_to(450)
    assert lease.status is LeaseStatus.FAILED
    assert lease.reason is not None and "image" in lease.reason


def test_a_late_transfer_puts_off_those_behind_it_and_the_leases_that_wait_for_them() -> None:
    site = real()
    site.ask(terms("a"))
    second = site.ask(terms("b"))
    site.run_to(100)
    assert sent(second) == [(110, 210)]
    site.run_to(110)
    assert sent(second) == [(121, 221)]
    site.calendar.transferred(transfer_ids(site)[0], 115)
    site.run_to(205)
    assert len(transfer_ids(site)) == 2
    assert kinds(site).count(StepKind.START) == 1
    site.calendar.transferred(transfer_ids(site)[1], 219)
    site.run_to(221)
    assert kinds(site).count(StepKind.START) == 2
    assert second.run is not None and second.run.start == 221


def test_an_arrival_told_twice_or_of_an_unknown_transfer_is_nothing_new() -> None:
    site = real()
    lease = site.ask(terms("a"))
    for _ in range(2):
        site.calendar.transferred(transfer_ids(site)[0], 90)
        site.calendar.transferred(77, 90)
    site.run_to(100)
    assert kinds(site) == [StepKind.TRANSFER, StepKind.START]
    assert sent(lease) == [(0, 90)]


def test_with_a_host_the_images_on_it_are_lost() -> None:
    site = real()
    lease = site.ask(terms("a", nodes=2))
    assert lease.run is not None
    site.calendar.transferred(transfer_ids(site)[0], 50)
    site.calendar.host_lost(lease.run.hosts[0], 60)
    site.run_to(60)
    assert lease.run.start == 160
    assert sent(lease)[-1] == (60, 160)
    assert site.transfers.disk_mib()[0] == 0
