"""Use cases of leases: ask for one, take an offer, change it, read it. The scheduler decides; an
answer is given when what it says is stored.
"""

from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.access import require, require_create
from orrery.core.errors import InvalidInput, NoCapacity, NotAuthorized, Unavailable
from orrery.core.lease_checks import checked
from orrery.core.messages import (
    Actor,
    AllocateLeaseVm,
    AllocateVm,
    CancelLease,
    ChangeLease,
    RequestLease,
)
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import Change, ChangeKind, Lease, LeaseStatus, Terms
from orrery.core.model.view import View
from orrery.core.promises import is_over
from orrery.core.status import Right
from orrery.core.template import Template, merge
from orrery.sched.leases.answer import Offer
from orrery.service.engine import Engine, Planning
from orrery.service.lease_attribute import Wanted
from orrery.service.lease_limits import check_limits
from orrery.service.listing import ALL, chosen, cut
from orrery.service.objects import ask, created, parse_template, permitted, pick

NOT_OVER = -1
ANY_STATUS = -2

MAX_REPEATS = 366


class Repeat(Struct, frozen=True, kw_only=True):
    """A recurring reservation: the first one and `count` - 1 more, each `every_s` later."""

    every_s: float = 0.0
    count: int = 0
    starts: tuple[float, ...] = ()
    """The starts after the first one, where they are not evenly spaced: on working days, or at
    the same time of day across a change of the clocks."""


class Request(Struct, frozen=True, kw_only=True):
    """What a user asks for."""

    terms: Terms
    template: str = ""
    """Template text of each VM; CPU and MEMORY are taken from the terms."""
    template_id: int | None = None
    """A stored VM template that the text is added to."""
    name: str = ""
    hold_offer: bool = False
    """Where the request itself is refused: hold the nearest alternative for a minute."""
    repeat: Repeat | None = None


class Alternative(Struct, frozen=True, kw_only=True):
    """Terms that could be had instead of those refused."""

    what: str
    """later, fewer nodes or shorter."""
    terms: Terms
    start: float
    end: float


class Verdict(Struct, frozen=True, kw_only=True):
    """The answer to a request or to a change of a lease."""

    lease_id: int | None
    """None for what was only asked (`when`)."""
    accepted: bool
    status: LeaseStatus
    reason: str | None = None
    """Why it was refused, or waits."""
    start: float | None = None
    """When the VMs are planned to run; None while it is queued."""
    end: float | None = None
    price: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    """What could be had instead, nearest first; only where it was refused."""
    offer_expires: float | None = None
    """Until when the alternative that the lease now stands for is held (`accept` takes it)."""
    series: tuple[int, ...] = ()
    """All leases of a recurring reservation, this one among them."""


class LeaseFilter(Struct, frozen=True, kw_only=True):
    """Which leases: filter flag, range or page (as of other pools), status."""

    flag: int = ALL
    start: int = -1
    end: int = -1
    status: int = NOT_OVER
    """Haizea's number of a status, -1 all that are not over, -2 any."""


# --- ask ------------------------------------------------------------------------------------------


async def request(engine: Engine, actor: Actor, wanted: Request) -> Verdict:
    """Ask for a lease. The answer is stored before it is given: an accepted lease is a promise.

    Of a recurring one each time is answered for itself; the first that is refused ends the asking,
    and the verdict is that of this one.

    Raises:
        InvalidInput, NotAuthorized, QuotaExceeded: the request itself cannot be.
        Unavailable: no answer within the time allowed; the request stands and is planned later.
    """
    require_create(actor, Kind.LEASE)
    planning(engine)
    if wanted.terms.priority > 0:
        require_admin(actor, "ask for priority")
    template, extra = template_of(engine, actor, wanted)
    made: list[int] = []
    for terms in repeated(wanted):
        check_limits(engine, actor, terms, None)
        command = RequestLease(
            cause=engine.new_cause(),
            actor=actor,
            terms=terms,
            template=template,
            name=wanted.name or None,
            template_id=wanted.template_id,
            extra=extra,
            hold_offer_s=engine.lease_limits.offer_s if wanted.hold_offer else None,
            series=made[0] if made else None,
        )
        made.append(await created(engine, command))
        verdict = await answer(engine, made[-1])
        if not verdict.accepted:
            break
    return replace(verdict, series=tuple(made) if wanted.repeat is not None else ())


async def leased_vm(engine: Engine, command: AllocateVm, wanted: Wanted) -> int:
    """A VM whose template asks for a lease. One of a group is answered before its lease is."""
    require_create(command.actor, Kind.LEASE)
    planning(engine)
    check_limits(engine, command.actor, wanted.terms, None)
    if command.hold:
        raise InvalidInput("hold", "yes", "goes with no lease: the lease says when the VM starts")
    vm_id = await created(
        engine,
        AllocateLeaseVm(
            cause=command.cause,
            actor=command.actor,
            template=command.template,
            hold=False,
            name=command.name,
            template_id=command.template_id,
            extra=command.extra,
            terms=wanted.terms,
            group=wanted.group,
            gather_s=engine.lease_limits.gather_s,
        ),
    )
    lease_id = engine.view.vms[vm_id].lease_id
    assert lease_id is not None  # made for one
    if wanted.group is None:
        verdict = await answer(engine, lease_id)
        if not verdict.accepted:
            raise NoCapacity(f"Lease [{lease_id}] is refused: {verdict.reason}")
    return vm_id


def repeated(wanted: Request) -> Iterator[Terms]:
    """The terms of each time."""
    repeat = wanted.repeat
    if repeat is None:
        yield wanted.terms
        return
    start = wanted.terms.start
    if start is None:
        raise InvalidInput("repeat", "", "needs a start: best-effort leases do not recur")
    for later in (0.0, *distances(repeat, start, wanted.terms.duration)):
        yield shifted(wanted.terms, later)


def distances(repeat: Repeat, start: float, duration: float) -> list[float]:
    """How long after the first one each further one starts."""
    count = len(repeat.starts) + 1 if repeat.starts else repeat.count
    if not 1 <= count <= MAX_REPEATS:
        raise InvalidInput("repeat", str(count), f"is not 1 to {MAX_REPEATS} times")
    if not repeat.starts:
        found = [number * repeat.every_s for number in range(1, count)]
        shortest = repeat.every_s
    else:
        found = [at - start for at in repeat.starts]
        shortest = min(b - a for a, b in pairwise((0.0, *found)))
    if not shortest >= duration:
        remedy = "seconds are less than the duration: give more"
        raise InvalidInput("repeat", f"{shortest:g}", remedy)
    return found


def shifted(terms: Terms, seconds: float) -> Terms:
    assert terms.start is not None  # recurring leases have a start
    deadline = None if terms.deadline is None else terms.deadline + seconds
    return replace(terms, start=terms.start + seconds, deadline=deadline)


def template_of(engine: Engine, actor: Actor, wanted: Request) -> tuple[Template, Template | None]:
    """What the VMs are made of, and the caller's own part of it where the rest is stored."""
    own = parse_template(wanted.template)
    if wanted.template_id is None:
        return own, None
    stored = pick(engine.view.templates, Kind.TEMPLATE, wanted.template_id)
    require(actor, Right.USE, stored)
    return merge(stored.template.without({"NAME"}), own), own


async def accept(engine: Engine, actor: Actor, lease_id: int) -> Verdict:
    """Take the counter-offer that is held (status OFFERED)."""
    return await change(engine, actor, lease_id, Change(kind=ChangeKind.ACCEPT, cause=""))


def when(engine: Engine, actor: Actor, terms: Terms) -> Verdict:
    """What would become of a request now, with alternatives where it would be refused."""
    require_create(actor, Kind.LEASE)
    terms = checked(terms, engine.clock.now())
    found = planning(engine).when(terms, actor.uid)
    return Verdict(
        lease_id=None,
        accepted=found.accepted,
        status=found.status,
        reason=found.reason,
        start=found.start,
        end=found.end,
        price=found.price,
        alternatives=() if found.accepted else alternatives(engine, actor, terms),
    )


def alternatives(engine: Engine, actor: Actor, terms: Terms) -> tuple[Alternative, ...]:
    """The nearest that could be had instead."""
    require_create(actor, Kind.LEASE)
    terms = checked(terms, engine.clock.now())
    return tuple(map(shown, planning(engine).alternatives(terms, actor.uid)))


def shown(offer: Offer) -> Alternative:
    return Alternative(
        what=offer.what, terms=offer.terms, start=float(offer.start), end=float(offer.end)
    )


# --- change ---------------------------------------------------------------------------------------


async def cancel(engine: Engine, actor: Actor, lease_id: int, *, reason: str = "") -> int:
    """End a lease in whatever status: its VMs are stopped, its capacity is given back."""
    permitted(engine, actor, Right.MANAGE, Kind.LEASE, lease_id)
    command = CancelLease(
        cause=engine.new_cause(), actor=actor, lease_id=lease_id, reason=reason or None
    )
    return await ask(engine, command, lease_id)


async def extend(engine: Engine, actor: Actor, lease_id: int, seconds: float) -> Verdict:
    """Make it longer; refused without a change where there is no room."""
    lease = resizable(engine, actor, lease_id, seconds)
    longer = replace(lease.terms, duration=lease.terms.duration + seconds)
    check_limits(engine, actor, longer, lease)
    wanted = Change(kind=ChangeKind.EXTEND, cause="", seconds=seconds)
    return await change(engine, actor, lease_id, wanted)


async def shorten(engine: Engine, actor: Actor, lease_id: int, seconds: float) -> Verdict:
    """Make it shorter; what is over cannot be taken back."""
    lease = resizable(engine, actor, lease_id, seconds)
    if seconds >= lease.terms.duration:
        raise InvalidInput("seconds", f"{seconds:g}", "are its whole duration: cancel it instead")
    wanted = Change(kind=ChangeKind.SHORTEN, cause="", seconds=seconds)
    return await change(engine, actor, lease_id, wanted)


def resizable(engine: Engine, actor: Actor, lease_id: int, seconds: float) -> Lease:
    permitted(engine, actor, Right.MANAGE, Kind.LEASE, lease_id)
    if not 0 < seconds < float("inf"):
        raise InvalidInput("seconds", f"{seconds:g}", "are no length of time: above 0")
    return engine.view.leases[lease_id]


async def move(engine: Engine, actor: Actor, lease_id: int, start: float) -> Verdict:
    """Another start for a lease that has not begun; refused without a change where there is no
    room."""
    permitted(engine, actor, Right.MANAGE, Kind.LEASE, lease_id)
    lease = engine.view.leases[lease_id]
    if not start >= engine.clock.now():
        raise InvalidInput("start", f"{start:.0f}", "is past: give a time to come")
    check_limits(engine, actor, replace(lease.terms, start=start), lease)
    wanted = Change(kind=ChangeKind.MOVE, cause="", start=start)
    return await change(engine, actor, lease_id, wanted)


async def top(engine: Engine, actor: Actor, lease_id: int, priority: int) -> Verdict:
    """Another priority in the queue: administrators only."""
    require_admin(actor, "change the priority of a lease")
    wanted = Change(kind=ChangeKind.TOP, cause="", priority=priority)
    return await change(engine, actor, lease_id, wanted)


def require_admin(actor: Actor, what: str) -> None:
    if not actor.is_admin:
        raise NotAuthorized(
            f"User [{actor.uid}] : Not authorized to {what}: only members of group oneadmin may.",
            object_kind="LEASE",
        )


async def change(engine: Engine, actor: Actor, lease_id: int, wanted: Change) -> Verdict:
    """Ask for a change, and wait for what the scheduler says."""
    permitted(engine, actor, Right.MANAGE, Kind.LEASE, lease_id)
    planning(engine)
    cause = engine.new_cause()
    command = ChangeLease(
        cause=cause, actor=actor, lease_id=lease_id, change=replace(wanted, cause=cause)
    )
    await ask(engine, command, lease_id)
    return await answer(engine, lease_id)


# --- answers --------------------------------------------------------------------------------------


async def answer(engine: Engine, lease_id: int) -> Verdict:
    """What the scheduler says, once it is stored.

    Raises:
        Unavailable: it says nothing within the time allowed; the request stands.
    """
    seconds = engine.lease_limits.answer_s
    if not await planning(engine).answered(lease_id, seconds):
        raise Unavailable(
            f"Lease [{lease_id}] is not answered within {seconds:g} s: it stands, look at it later"
        )
    return verdict_on(engine, pick(engine.view.leases, Kind.LEASE, lease_id))


def verdict_on(engine: Engine, lease: Lease) -> Verdict:
    """A lease as the answer to what was asked of it last."""
    run = next((run for run in lease.runs if not is_over(run)), None)
    refused = lease.status in (LeaseStatus.REJECTED, LeaseStatus.REJECTED_BY_USER)
    offers = planning(engine).alternatives(lease.terms, lease.uid) if refused else ()
    return Verdict(
        lease_id=lease.id,
        accepted=lease.is_accepted and lease.refusal is None,
        status=lease.status,
        reason=lease.refusal or lease.reason,
        start=None if run is None else run.vm_start,
        end=None if run is None else lease.runs[-1].vm_end,
        price=lease.price,
        alternatives=tuple(map(shown, offers)),
        offer_expires=lease.expires if lease.status is LeaseStatus.OFFERED else None,
    )


def planning(engine: Engine) -> Planning:
    """The scheduler of leases.

    Raises:
        Unavailable: this engine has none.
    """
    if engine.planning is None:
        raise Unavailable("This engine plans no leases")
    return engine.planning


# --- read -----------------------------------------------------------------------------------------


def get(view: View, actor: Actor, lease_id: int) -> Lease:
    lease = pick(view.leases, Kind.LEASE, lease_id)
    require(actor, Right.USE, lease)
    return lease


def listing(view: View, actor: Actor, wanted: LeaseFilter) -> list[Lease]:
    """Leases by id that the caller may see."""
    found = in_status(chosen(view.leases.values(), actor, wanted.flag), wanted.status)
    return list(cut(found, wanted.start, wanted.end))


def in_status(leases: Iterator[Lease], status: int) -> Iterator[Lease]:
    if status == ANY_STATUS:
        return leases
    if status == NOT_OVER:
        return (lease for lease in leases if not lease.status.final)
    if status not in LeaseStatus._value2member_map_:
        remedy = "is not -2 (any), -1 (all that are not over) or a status's number"
        raise InvalidInput("status", str(status), remedy)
    return (lease for lease in leases if lease.status.value == status)
