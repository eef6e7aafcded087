"""Whatever is asked for in whatever order: what must hold of transfers at every moment."""

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from orrery.core.model.lease import LeaseKind, Terms
from orrery.sched.leases.booking import Booking, Stage
from orrery.sched.leases.masks import hosts_in, mask_of
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.timeline import StepKind
from tests.sched.leases.imaging import Imaging, terms, transfer_settings

HOSTS = 4
CACHE_MIB = 2000

SETTINGS = st.builds(
    transfer_settings,
    channels=st.integers(1, 3),
    multicast=st.booleans(),
    piggyback=st.booleans(),
    cache_mib=st.sampled_from([0, CACHE_MIB, None]),
    lead_s=st.sampled_from([0, 7]),
)


class Event(Struct, frozen=True):
    """A request, the early end or the cancellation of a lease, or the loss of a host."""

    wait: int
    what: str
    terms: Terms
    which: int


@st.composite
def requests(draw: st.DrawFn) -> Terms:
    kind = draw(st.sampled_from(["soon", "soon", "now", "at", "by"]))
    after = draw(st.integers(0, 3000))
    duration = draw(st.integers(1, 2000))
    return terms(
        draw(st.sampled_from(["a", "a", "b", "c", None])),
        nodes=draw(st.integers(1, HOSTS)),
        duration=duration,
        start=after if kind == "at" else None,
        deadline=after + duration if kind == "by" else None,
        immediate=kind == "now",
        mib=draw(st.sampled_from([700, 1000])),
    )


WHAT = st.sampled_from(["ask"] * 6 + ["finish", "cancel", "question", "move", "lose"])

EVENTS = st.lists(
    st.builds(Event, st.integers(0, 800), WHAT, requests(), st.integers(0, 9)), max_size=25
)


def later(wanted: Terms, now: int) -> Terms:
    """The same request, made at another time."""
    return terms(
        wanted.image,
        nodes=wanted.node_count,
        duration=int(wanted.duration),
        start=None if wanted.start is None else int(wanted.start) + now,
        deadline=None if wanted.deadline is None else int(wanted.deadline) + now,
        immediate=wanted.immediate,
        mib=wanted.image_mib,
    )


def happen(site: Imaging, event: Event, now: int) -> None:
    calendar = site.calendar
    live = [b for b in calendar.bookings.values() if not b.status.final]
    chosen = live[event.which % len(live)] if live else None
    if event.what == "ask":
        site.ask(later(event.terms, now), now)
    elif event.what == "question":
        calendar.when(later(event.terms, now), now)
    elif event.what == "lose":
        calendar.host_lost(event.which % HOSTS, now)
        calendar.host_back(event.which % HOSTS, now)
    elif chosen is not None and event.what == "cancel":
        calendar.cancel(chosen.id, now)
    elif chosen is not None and event.what == "move" and chosen.kind is LeaseKind.RESERVATION:
        calendar.move(chosen.id, now + event.wait, now)
    elif chosen is not None and chosen.run is not None and chosen.run.stage is Stage.RUNNING:
        calendar.finish(chosen.id, now)


def moments(site: Imaging, events: list[Event]) -> Iterator[int]:
    """Let everything happen, event by event and at last to the end; stops at every time at which
    anything did."""
    now = 0
    for event in events:
        now += event.wait
        yield from through(site, now)
        happen(site, event, now)
        site.run_to(now)
        yield now
    yield from through(site, 1 << 40)


def through(site: Imaging, until: int) -> Iterator[int]:
    while (at := site.calendar.next_time()) is not None and at <= until:
        site.run_to(at)
        yield at


def check(site: Imaging, wanted: Settings, now: int) -> None:
    transfers, lead = site.transfers, wanted.lead_s
    assert len(transfers.repository.channels) == wanted.transfer.channels
    for channel in transfers.repository.channels:
        for before, after in pairwise(channel):
            assert before.end <= after.start
        for transfer in channel:
            assert transfer.has_begun or transfer.start >= now
            assert transfer.end > now
            assert transfer.has_begun or transfer.hosts
    if wanted.transfer.cache_mib is not None:
        assert all(transfers.copies.cached_mib(h) <= wanted.transfer.cache_mib for h in range(4))
    assert all(mib >= 0 for mib in transfers.disk_mib().values())
    for booking in site.calendar.bookings.values():
        check_plan(site, booking, now - lead)


def check_under_way(site: Imaging, told: dict[int, int]) -> None:
    """Nobody joins what is being sent already, and all that is was told."""
    for channel in site.transfers.repository.channels:
        for transfer in channel:
            if transfer.has_begun:
                assert not transfer.hosts & ~told[transfer.id]


def check_plan(site: Imaging, booking: Booking, now: int) -> None:
    """On every host of its next run its image is, or will be in time."""
    run = booking.run
    if run is None or run.resumes or run.stage is not Stage.PLANNED:
        return
    image = booking.id if booking.terms.image is None else booking.terms.image
    copies = site.transfers.copies
    there = copies.cached(image) | copies.own(booking.id)
    for start, end, hosts in booking.transfers:
        if start >= now or end > now:
            assert end <= run.start or not set(hosts) & set(run.hosts)
        there |= mask_of(hosts)
    assert not mask_of(run.hosts) & ~there


def check_start(site: Imaging, booking: Booking, hosts: tuple[int, ...]) -> None:
    image = booking.id if booking.terms.image is None else booking.terms.image
    copies = site.transfers.copies
    assert not mask_of(hosts) & ~(copies.cached(image) | copies.own(booking.id))
    assert site.transfers.is_there(booking)


@settings(max_examples=300, deadline=None)
@given(wanted=SETTINGS, events=EVENTS)
def test_images_are_there_in_time_and_nothing_is_left_behind(
    wanted: Settings, events: list[Event]
) -> None:
    site = Imaging(wanted, HOSTS)
    told: dict[int, int] = {}
    for now in moments(site, events):
        for step in site.steps:
            if step.transfer is not None:
                told[step.transfer.id] = step.transfer.hosts
            if step.kind is StepKind.START and step.run.stage in (Stage.PREPARING, Stage.RUNNING):
                check_start(site, step.run.booking, step.run.hosts)
        site.steps.clear()
        check(site, wanted, now)
        check_under_way(site, told)
    left = [b for b in site.calendar.bookings.values() if not b.status.final]
    for booking in left:
        site.calendar.cancel(booking.id, 1 << 41)
    check_nothing_left(site)


def check_nothing_left(site: Imaging) -> None:
    """Only caches may hold anything, and none of it is used."""
    transfers = site.transfers
    assert transfers.repository.next() is None
    for booking in site.calendar.bookings.values():
        assert transfers.is_there(booking)
        assert not transfers.copies.own(booking.id)
        assert all(end > start for start, end, _ in booking.transfers)
    for host in range(HOSTS):
        assert transfers.disk_mib().get(host, 0) == transfers.copies.cached_mib(host)
        assert not transfers.copies.in_use(host)


@settings(max_examples=50, deadline=None)
@given(wanted=SETTINGS, events=EVENTS)
def test_the_same_events_give_the_same_transfers(wanted: Settings, events: list[Event]) -> None:
    def told() -> list[tuple[int, str, list[int]]]:
        site = Imaging(wanted, HOSTS)
        for _ in moments(site, events):
            pass
        return [
            (step.at, step.kind.value, list(hosts_in(step.transfer.hosts)))
            for step in site.steps
            if step.transfer is not None
        ]

    assert told() == told()
