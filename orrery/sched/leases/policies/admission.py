"""Which requests are let in at all: reasons by name. They look at a lease and at what is promised
already, and know nothing of where it could be planned.

Haizea asks `accept_lease` once, before anything is planned; OpenStack Blazar's usage enforcement
asks again when a lease is changed (docs.openstack.org/blazar, admin/usage-enforcement). So is done
here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from orrery.core.model.lease import LeaseKind, Terms
from orrery.sched.leases.booking import Booking, Stage
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.site import SiteHost


class Books(Protocol):
    """What a policy may look at."""

    @property
    def settings(self) -> Settings: ...

    @property
    def hosts(self) -> Sequence[SiteHost]: ...

    @property
    def bookings(self) -> Mapping[int, Booking]:
        """Every lease that was ever asked for, by its id: the one in question among them."""
        ...

    @property
    def live(self) -> Mapping[int, Booking]:
        """Those that hold hosts now or later."""
        ...


Admission = Callable[[Booking, Books, int], str | None]
"""(the lease, the books, now) -> why it is not let in, or None"""


def accept_all(booking: Booking, books: Books, now: int) -> str | None:
    """Everybody (Haizea's `accept-all`)."""
    del booking, books, now
    return None


def no_reservations(booking: Booking, books: Books, now: int) -> str | None:
    """No advance reservations (Haizea's `no-ARs`); all other kinds are let in."""
    del books, now
    if booking.kind is LeaseKind.RESERVATION:
        return "this site takes no advance reservations: ask for best effort or by a deadline"
    return None


def node_time(booking: Booking, books: Books, now: int) -> str | None:
    """nodes x duration <= max-node-time, for each lease."""
    del now
    most = books.settings.max_node_s
    asked = booking.node_count * booking.duration
    if most is None or asked <= most:
        return None
    return (
        f"{booking.node_count} nodes for {booking.duration} s are {asked} node seconds: "
        f"a lease may have {most}"
    )


def notice(booking: Booking, books: Books, now: int) -> str | None:
    """least-notice <= start - now <= most-notice, for reservations that have not begun."""
    if booking.kind is not LeaseKind.RESERVATION or booking.first_start is not None:
        return None
    assert booking.start is not None
    settings, ahead = books.settings, booking.start - now
    if ahead < settings.least_notice_s:
        return f"it is asked for {ahead} s before its start: {settings.least_notice_s} s are needed"
    if settings.most_notice_s is not None and ahead > settings.most_notice_s:
        return (
            f"it is asked for {ahead} s before its start: not before {settings.most_notice_s} s are"
        )
    return None


def reserved_share(booking: Booking, books: Books, now: int) -> str | None:
    """At any time, what reservations hold <= reserved-share x capacity, of CPU and of memory, this
    one with them: so promises leave room for best effort."""
    del now
    share = books.settings.reserved_share
    if booking.kind is not LeaseKind.RESERVATION or share >= 1:
        return None
    assert booking.start is not None
    start, end = booking.start, booking.start + booking.duration
    held = most_held(_spans(books, booking.id), start, end)
    for name, own, others, whole in zip(
        ("CPU", "memory"), demand(booking.terms), held, _whole(books), strict=True
    ):
        if own + others > share * whole:
            return f"reservations may hold {share:.0%} of the {name}: with it they would hold more"
    return None


Span = tuple[int, int, tuple[int, int]]
"""(start, end, (CPU, memory))"""


def _spans(books: Books, without: int) -> Iterator[Span]:
    for other in books.live.values():
        if other.kind is LeaseKind.RESERVATION and other.id != without:
            held = demand(other.terms)
            for run in other.runs:
                if run.stage is not Stage.OVER:
                    yield run.start, run.end, held


def demand(terms: Terms) -> tuple[int, int]:
    """CPU and memory of all nodes."""
    cpu = sum(nodes.count * nodes.capacity.cpu_pct for nodes in terms.nodes)
    memory = sum(nodes.count * nodes.capacity.memory_mib for nodes in terms.nodes)
    return cpu, memory


def _whole(books: Books) -> tuple[int, int]:
    cpu = sum(host.capacity.cpu_pct for host in books.hosts)
    return cpu, sum(host.capacity.memory_mib for host in books.hosts)


def most_held(spans: Iterable[Span], start: int, end: int) -> tuple[int, int]:
    """The most CPU, and the most memory, that is held at any time in [start, end)."""
    changes: list[tuple[int, int, int]] = []
    for begin, until, (cpu, memory) in spans:
        if begin < end and until > start:
            changes.append((max(begin, start), cpu, memory))
            changes.append((until, -cpu, -memory))
    changes.sort()  # what is given back at a time comes first
    cpu = memory = most_cpu = most_memory = 0
    for _, more_cpu, more_memory in changes:
        cpu, memory = cpu + more_cpu, memory + more_memory
        most_cpu, most_memory = max(most_cpu, cpu), max(most_memory, memory)
    return most_cpu, most_memory


def user_nodes(booking: Booking, books: Books, now: int) -> str | None:
    """Nodes in all leases of a user that are promised a time <= user-nodes (as Slurm's
    MaxTRESPerUser). Best effort takes only what is left, and is shared by `order`."""
    del now
    most = books.settings.user_nodes
    if most is None or booking.kind is LeaseKind.BEST_EFFORT:
        return None
    others = sum(
        other.node_count
        for other in books.live.values()
        if other.user == booking.user
        and other.id != booking.id
        and other.kind is not LeaseKind.BEST_EFFORT
    )
    if others + booking.node_count <= most:
        return None
    return (
        f"its user holds {others} nodes: with its {booking.node_count} they would be more than "
        f"the {most} that one user may hold"
    )


def limits(booking: Booking, books: Books, now: int) -> str | None:
    """All of the limits: node-time, notice, reserved-share and user-nodes; those not set let
    everybody in."""
    for rule in (node_time, notice, reserved_share, user_nodes):
        reason = rule(booking, books, now)
        if reason is not None:
            return reason
    return None


ADMISSION: dict[str, Admission] = {
    "accept-all": accept_all,
    "no-ARs": no_reservations,
    "node-time": node_time,
    "notice": notice,
    "reserved-share": reserved_share,
    "user-nodes": user_nodes,
    "limits": limits,
}


def refusal(booking: Booking, books: Books, now: int) -> str | None:
    """Why the site's policy does not let a lease in."""
    return ADMISSION[books.settings.admission](booking, books, now)
