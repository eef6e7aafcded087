"""Questions that change nothing: what would become of a request, and what could be had instead."""

import heapq
from collections.abc import Iterator

from msgspec.structs import replace

from orrery.core.model.lease import LeaseKind, LeaseStatus, NodeSet, Terms
from orrery.sched.leases import interrupt, moving
from orrery.sched.leases.answer import Answer, Offer
from orrery.sched.leases.booking import Booking, Stage
from orrery.sched.leases.exact import booting_s, find_exactly, set_price
from orrery.sched.leases.placing import length
from orrery.sched.leases.policies.admission import refusal
from orrery.sched.leases.preempt import Room, candidates
from orrery.sched.leases.shapes import LIMIT
from orrery.sched.leases.soon import earliest_run, immediate
from orrery.sched.leases.timeline import Timeline

MOST_STARTS = 16
"""Times that one search for another start looks at."""

NOBODY = -1

NOTHING = Terms(nodes=(), duration=0)
"""The terms on record of a lease whose own mean nothing."""

LATEST = 1 << 50
"""No lease reaches so far."""


def when(line: Timeline, terms: Terms, now: int, user: int) -> Answer:
    """The answer that a request would get now. For best effort: the earliest time at which it
    could run on the present plans, the queue before it not counted."""
    missing = senseless(terms)
    if missing is not None:
        return Answer(LeaseStatus.REJECTED, missing)
    booking = _asking(line, terms, now, user)
    missing = never_fits(line, booking) or refusal(booking, line, now)
    if missing is not None:
        return Answer(LeaseStatus.REJECTED, missing)
    line.market.set_price(booking)
    if booking.kind is LeaseKind.BEST_EFFORT:
        return _soonest(line, booking, now)
    found = PLANNED_AS[booking.kind](line, booking, now)
    line.changed.discard(NOBODY)
    if isinstance(found, str):
        return Answer(LeaseStatus.REJECTED, found)
    return Answer(LeaseStatus.SCHEDULED, None, *found, booking.price)


def _exactly(line: Timeline, booking: Booking, now: int) -> tuple[int, int] | str:
    assert booking.start is not None
    opening = find_exactly(line, booking, booking.start, now)
    if isinstance(opening, str):
        if moving.could_reserve(line, booking, now):
            return booking.start, booking.start + booking.remaining
        return opening
    set_price(line, booking, opening.giving_way)
    return booking.start, booking.start + booking.remaining


def _now(line: Timeline, booking: Booking, now: int) -> tuple[int, int] | str:
    run = immediate(line, booking, now)
    line.preparation.release(booking, now)
    return NOT_NOW if run is None else (run.vm_start, run.vm_end)


NOT_NOW = "not enough is free now for its whole duration"

PLANNED_AS = {
    LeaseKind.RESERVATION: _exactly,
    LeaseKind.IMMEDIATE: _now,
    LeaseKind.DEADLINE: interrupt.would_run,
}
"""When the VMs of a lease of each kind but best effort would run."""


def senseless(terms: Terms) -> str | None:
    """Why terms mean nothing, whatever the site: which of them, and its value."""
    if terms.node_count < 1 or any(nodes.count < 1 for nodes in terms.nodes):
        return f"nodes: {terms.node_count} is no number of nodes: ask for 1 or more"
    for nodes in terms.nodes:
        c = nodes.capacity
        amounts = [("cpu_pct", c.cpu_pct), ("memory_mib", c.memory_mib), ("disk_mib", c.disk_mib)]
        for name, amount in [*amounts, *nodes.other]:
            if not 0 <= amount < LIMIT:
                return f"{name}: {amount} is no amount: ask for 0 to {LIMIT - 1}"
        if not any(amount for _, amount in [*amounts, *nodes.other]):
            return "nodes: they ask for nothing: give them CPU or memory"
    return _senseless_times(terms)


def _senseless_times(terms: Terms) -> str | None:
    if not 1 <= terms.duration < LATEST:
        return f"duration: {terms.duration:g} is no number of seconds: ask for 1 or more"
    for name, time in (("start", terms.start), ("deadline", terms.deadline)):
        if time is not None and not -LATEST < time < LATEST:
            return f"{name}: {time:g} is no time: give seconds"
    return None


def _asking(line: Timeline, terms: Terms, now: int, user: int) -> Booking:
    return Booking(NOBODY, terms, line.groups(terms), now, user)


def never_fits(line: Timeline, booking: Booking) -> str | None:
    """Why even the empty site could not take it."""
    unknown = line.unknown_resources(booking.terms)
    if unknown:
        return f"no host offers {', '.join(unknown)}"
    for group in booking.groups:
        room = line.table.view(group.shape).full.bit_count()
        if room < group.count:
            return f"it asks for {group.count} nodes; the whole site has room for {room} such"
    if len(booking.groups) > 1 and not _fit_together(line, booking):
        return f"its {booking.node_count} nodes do not fit on the whole site together"
    return None


def _fit_together(line: Timeline, booking: Booking) -> bool:
    """Whether nodes that differ fit on the empty site, placed as they always are."""
    free = list(line.table.capacities)
    for group in booking.groups:
        view = line.table.view(group.shape)
        left = group.count
        for host, capacity in enumerate(free):
            count = min(left, view.count(capacity))
            free[host] = capacity - count * group.shape
            left -= count
        if left:
            return False
    return True


def _soonest(line: Timeline, booking: Booking, now: int) -> Answer:
    run = immediate(line, booking, now) or earliest_run(line, booking, now)
    line.preparation.release(booking, now)
    if run is None:
        missing = "no time at which it could run is known yet"
        return Answer(LeaseStatus.QUEUED, missing, price=booking.price)
    end = run.vm_start + booking.remaining
    return Answer(LeaseStatus.QUEUED, None, run.vm_start, end, booking.price)


def _starts(line: Timeline, booking: Booking, first: int) -> Iterator[int]:
    """A time, and those after it at which more could be had: when what never gives way ends."""
    before = booting_s(line, booking)
    yield first
    ends = {
        run.end
        for other in line.live.values()
        if other.kind is not LeaseKind.BEST_EFFORT or not other.preemptible
        for run in other.runs
        if run.stage is not Stage.OVER and run.end > first - before
    }
    for time in heapq.nsmallest(MOST_STARTS, ends):
        yield time + before


def alternatives(line: Timeline, terms: Terms, now: int, user: int) -> list[Offer]:
    """Another start, fewer nodes, a shorter time: each the nearest to what was asked for."""
    if senseless(terms) is not None or line.unknown_resources(terms):
        return []
    booking = _asking(line, terms, now, user)
    if never_fits(line, booking) is not None:
        fewer = _fewer_on_empty_site(line, terms)
        nearest = alternatives(line, fewer, now, user)[:1] if fewer is not None else []
        return [replace(offer, what="fewer nodes") for offer in nearest]
    settings = line.settings
    soonest = now + max(settings.lead_s + booting_s(line, booking), settings.least_notice_s)
    start = soonest if booking.start is None else max(booking.start, soonest)
    found = (
        _later(line, booking, start, now),
        _fewer(line, booking, start, now),
        _shorter(line, booking, start, now),
    )
    return [offer for offer in found if offer is not None and _is_let_in(line, offer, now, user)]


def _is_let_in(line: Timeline, offer: Offer, now: int, user: int) -> bool:
    return refusal(_asking(line, offer.terms, now, user), line, now) is None


def _fewer_on_empty_site(line: Timeline, terms: Terms) -> Terms | None:
    if len(terms.nodes) != 1:
        return None
    view = line.table.view(line.groups(terms)[0].shape)
    return _with_nodes(terms, view.full.bit_count())


def _with_nodes(terms: Terms, count: int) -> Terms | None:
    if count < 1:
        return None
    nodes: tuple[NodeSet, ...] = (replace(terms.nodes[0], count=count),)
    return replace(terms, nodes=nodes)


def _offer(terms: Terms, start: int, what: str) -> Offer:
    exact = replace(terms, start=float(start), immediate=False, deadline=None)
    return Offer(exact, start, start + int(terms.duration), what)


def _later(line: Timeline, booking: Booking, start: int, now: int) -> Offer | None:
    """The first start that is possible: when enough may give way, or when enough is free."""
    for time in _starts(line, booking, start):
        if not isinstance(find_exactly(line, booking, time, now), str):
            return _offer(booking.terms, time, "later")
    run = earliest_run(line, booking, max(now, start), whole=True)
    line.preparation.release(booking, now)
    return None if run is None else _offer(booking.terms, run.vm_start, "later")


def _fewer(line: Timeline, booking: Booking, start: int, now: int) -> Offer | None:
    """As many nodes as can be had at that time if all that may give way do."""
    if len(booking.terms.nodes) != 1:
        return None
    at = start - booting_s(line, booking)
    end = at + length(line, booking)
    view = line.table.view(booking.groups[0].shape)
    room = Room(line, at, end)
    try:
        for _, run in candidates(line, booking, at, end, now):
            room.take(run)
        count = room.nodes(view)
    finally:
        room.close()
    terms = _with_nodes(booking.terms, count) if count < booking.node_count else None
    return None if terms is None else _offer(terms, start, "fewer nodes")


def _shorter(line: Timeline, booking: Booking, start: int, now: int) -> Offer | None:
    """Until the first time at which its hosts are promised to others: the longest that can be."""
    whole = booking.remaining
    begins = sorted(
        {
            run.start - line.settings.shutdown_s - start
            for other in line.live.values()
            for run in other.runs
            if run.stage is Stage.PLANNED and start < run.start < start + whole
        },
        reverse=True,
    )
    for seconds in begins[:MOST_STARTS]:
        if seconds <= 0:
            break
        booking.remaining = seconds
        if not isinstance(find_exactly(line, booking, start, now), str):
            terms = replace(booking.terms, duration=float(seconds))
            return _offer(terms, start, "shorter")
    return None
