"""Transfers that fail, or that nobody waits for any longer; and what a new scheduler is told of
images on hosts.
"""

from orrery.core.model.lease import LeaseStatus
from orrery.sched.leases import unsent
from orrery.sched.leases.repository import Transfer
from tests.sched.leases.imaging import LENGTH_S, Imaging, sent, terms, transfer_settings

WHY = "image a could not be brought to host h0: the link is cut"


def real(**settings: object) -> Imaging:
    return Imaging(transfer_settings(**settings), automatic=False)  # type: ignore[arg-type]


def only(site: Imaging) -> Transfer:
    [transfer] = site.transfers.under_way()
    return transfer


def fail(site: Imaging, now: int, *, there: int = 0, again: bool = True) -> None:
    unsent.fail(site.calendar.line, only(site), there, WHY, now, again=again)
    site.run_to(now)


# --- failures -------------------------------------------------------------------------------------


def test_best_effort_gets_another_transfer() -> None:
    site = real()
    lease = site.ask(terms("a"))
    fail(site, 30)
    assert lease.reason == f"{WHY}: it is tried again"
    assert lease.status is LeaseStatus.PREPARING
    assert lease.run is not None and lease.run.start == 30 + LENGTH_S
    assert (only(site).start, only(site).end) == (30, 130)


def test_a_promise_gets_another_transfer_if_there_is_time() -> None:
    site = real()
    lease = site.ask(terms("a", start=1000))
    site.run_to(900)
    fail(site, 900)
    assert lease.reason == f"{WHY}: it is tried again"
    assert (only(site).start, only(site).end) == (900, 1000)
    fail(site, 910)
    assert lease.reason == f"{WHY}: its VMs take it from its datastore"
    site.run_to(1000)
    assert lease.run is not None and lease.run.start == 1000
    assert lease.status is LeaseStatus.READY


def test_what_has_come_to_some_hosts_is_sent_to_the_others_only() -> None:
    site = real(cache_mib=2000)
    lease = site.ask(terms("a", nodes=3))
    assert only(site).hosts == 0b111
    fail(site, 30, there=0b011)
    assert only(site).hosts == 0b100
    assert site.transfers.copies.cached("a") == 0b011
    site.calendar.transferred(only(site).id, 130)
    site.run_to(130)
    assert lease.run is not None and lease.run.hosts == (0, 1, 2)


def test_what_was_tried_often_enough_is_done_without() -> None:
    site = real()
    lease = site.ask(terms("a"))
    fail(site, 30, again=False)
    assert site.transfers.under_way() == []
    assert site.transfers.is_there(lease)
    site.run_to(LENGTH_S)
    assert lease.run is not None and lease.run.start == LENGTH_S
    assert lease.status is LeaseStatus.READY
    assert lease.reason == f"{WHY}: its VMs take it from its datastore"


# --- late -----------------------------------------------------------------------------------------


def test_a_promise_waits_for_its_image_for_a_moment_only() -> None:
    site = real(cache_mib=2000)
    lease = site.ask(terms("a", start=200))
    site.run_to(200)
    line = site.calendar.line
    at = unsent.next_start(line)
    assert at is not None and 200 < at < 210
    assert not unsent.start_without(line, at - 1)
    assert unsent.start_without(line, at)
    site.run_to(at)
    site.calendar.started(lease.id, at)
    assert lease.status is LeaseStatus.ACTIVE
    assert unsent.next_start(line) is None
    site.calendar.transferred(only(site).id, 400)
    assert site.transfers.copies.images(0) == ["a"]


# --- after a restart ------------------------------------------------------------------------------


def test_what_is_found_is_used_the_newest_first() -> None:
    site = real(cache_mib=2000)
    for used, image in ((10, "a"), (20, "b"), (30, "c")):
        site.transfers.found(image, 1000, 0, used)
    assert site.transfers.copies.images(0) == ["b", "c"]
    lease = site.ask(terms("b"), now=50)
    assert lease.run is not None
    assert (lease.run.start, lease.run.hosts) == (50, (0,))
    assert site.transfers.needed() == {"b": 1, "c": 1}


def test_a_transfer_under_way_goes_on_and_is_joined() -> None:
    site = real(cache_mib=2000)
    site.transfers.goes_on("a", 1000, (0, 100), 0b1, 30)
    lease = site.ask(terms("a"), now=30)
    assert sent(lease) == [(0, 100)]
    assert lease.run is not None and lease.run.start == 100
    site.calendar.transferred(only(site).id, 80)
    assert site.transfers.is_there(lease)


def test_a_transfer_that_is_overdue_at_the_restart_is_waited_for() -> None:
    site = real()
    site.transfers.goes_on("a", 1000, (0, 100), 0b1, 500)
    site.transfers.goes_on("b", 1000, (0, 100), 0b1, 500)
    transfer = only(site)  # the one channel has no room for the other
    assert (transfer.image, transfer.end) == ("a", 501)


def test_copies_under_disks_stay_whatever_comes() -> None:
    site = real(cache_mib=1000)
    site.transfers.found("a", 1000, 0, 10)
    lease = site.ask(terms("a", duration=5000), now=10)
    site.run_to(10)
    fresh = real(cache_mib=1000)
    fresh.transfers.found("a", 1000, 0, 10)
    fresh.transfers.uses(lease, 0b11)
    fresh.transfers.found("b", 1000, 0, 20)
    assert fresh.transfers.copies.images(0) == ["a"]
    assert fresh.transfers.needed() == {"a": 0b11}
    fresh.transfers.forget("a", 0)
    assert fresh.transfers.copies.images(0) == ["a"]
    fresh.transfers.release(lease, 30)
    fresh.transfers.forget("a", 0)
    assert fresh.transfers.needed() == {}
