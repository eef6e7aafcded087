"""The rows of the JSON API about leases."""

from orrery.api import lease_resources as out
from orrery.api.bodies import Change, Created
from orrery.api.lease_bodies import ActOnLease, LeaseTermsIn, RequestLease, written
from orrery.api.route import Call, Query, Route
from orrery.api.rows import PAGE, change, flag_of, get, number_in, page_of, post
from orrery.core.errors import InvalidInput
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import Lease, LeaseStatus
from orrery.core.moments import parse_duration, parse_moment
from orrery.service import lease_calendar, leases, objects
from orrery.service.lease_request import EPOCH, request_of

TAG = "leases"
DAY_S = 86_400.0

LEASE_PAGE = (
    *PAGE,
    Query("status", str, "current (all that are not over), any, or a status's name", "current"),
    Query("kind", str, "best-effort, reservation, immediate or deadline", ""),
    Query("search", str, "part of a name", ""),
)
SPAN = (
    Query("from", float, "seconds since the epoch; left out: now"),
    Query("until", float, "seconds since the epoch; left out: a day later"),
)
PAST = (
    Query("owner", str, PAGE[0].help, "all"),
    Query("from", float, "seconds since the epoch; left out: the beginning"),
    Query("until", float, "seconds since the epoch; left out: now"),
)


RECORD = (Query("record", bool, "delete the record of a lease that is over", False),)


async def list_leases(call: Call) -> list[out.LeaseOut]:
    """Lists leases."""
    flag, offset, _ = page_of(call)
    view = call.engine.view
    wanted = leases.LeaseFilter(flag=flag, status=status_of(call.query["status"]))
    found = [lease for lease in leases.listing(view, call.actor, wanted) if is_wanted(lease, call)]
    page = found[offset : offset + call.query["limit"]]
    return [out.lease_out(lease, view) for lease in page]


def is_wanted(lease: Lease, call: Call) -> bool:
    kind, search = call.query["kind"], call.query["search"].casefold()
    return kind in ("", lease.terms.kind.value) and search in lease.name.casefold()


def status_of(text: str) -> int:
    if text in ("current", "any"):
        return leases.NOT_OVER if text == "current" else leases.ANY_STATUS
    name = text.upper().replace("-", "_")
    number = LeaseStatus[name] if name in LeaseStatus.__members__ else number_in(text)
    if number is None:
        known = ", ".join(LeaseStatus.__members__)
        raise InvalidInput("status", text, f"is not current, any, or one of {known}")
    return int(number)


async def show_lease(call: Call) -> out.LeaseDetail:
    """Shows one lease with its plan, also when it is over."""
    return out.lease_detail(leases.get(call.engine.view, call.actor, call.oid), call.engine.view)


async def request_lease(call: Call) -> out.VerdictOut:
    """Asks for a lease: accepted, or refused with the reason and what could be had."""
    given: RequestLease = call.body
    wanted = request_of(call.engine, call.actor, written(given))
    return told(call, await leases.request(call.engine, call.actor, wanted))


def told(call: Call, verdict: leases.Verdict) -> out.VerdictOut:
    return out.verdict_out(verdict, call.engine.view)


async def ask_when(call: Call) -> out.VerdictOut:
    """Says what would become of a request now; nothing is promised by it."""
    given: LeaseTermsIn = call.body
    wanted = request_of(call.engine, call.actor, written(given))
    return told(call, leases.when(call.engine, call.actor, wanted.terms))


async def act_on_lease(call: Call) -> out.VerdictOut:
    """Does an action: cancel, extend, shorten, move, top or accept."""
    given: ActOnLease = call.body
    engine, actor, oid = call.engine, call.actor, call.oid
    if given.action == "accept":
        return told(call, await leases.accept(engine, actor, oid))
    if given.action in ("extend", "shorten"):
        change = leases.extend if given.action == "extend" else leases.shorten
        return told(call, await change(engine, actor, oid, seconds_of(given)))
    if given.action == "move":
        return told(call, await leases.move(engine, actor, oid, start_of(call)))
    if given.action == "top":
        if given.priority is None:
            raise InvalidInput("priority", "", "is missing: top needs one")
        return told(call, await leases.top(engine, actor, oid, given.priority))
    if given.action == "cancel":
        await leases.cancel(engine, actor, oid, reason=given.reason)
        return told(call, standing(call))
    remedy = "is none of cancel, extend, shorten, move, top, accept"
    raise InvalidInput("action", given.action, remedy)


def standing(call: Call) -> leases.Verdict:
    """How a lease is, in the form of an answer."""
    lease = leases.get(call.engine.view, call.actor, call.oid)
    return leases.Verdict(
        lease_id=lease.id, accepted=True, status=lease.status, reason=lease.reason
    )


def seconds_of(given: ActOnLease) -> float:
    if given.seconds is None:
        raise InvalidInput("seconds", "", f"are missing: {given.action} needs a length of time")
    text = f"{given.seconds:f}" if isinstance(given.seconds, float) else given.seconds
    return parse_duration(text, "seconds")


def start_of(call: Call) -> float:
    given: ActOnLease = call.body
    if given.start is None:
        raise InvalidInput("start", "", "is missing: move needs one")
    text = str(given.start)
    if EPOCH.fullmatch(text):
        return float(text)
    return parse_moment(text, call.engine.clock.now(), utc_offset_s=given.utc_offset_s)


async def end_lease(call: Call) -> Created:
    """Cancels a lease that stands; it stays readable. Deletes the record of one that is over."""
    if call.query["record"]:
        return Created(await objects.delete(call.engine, call.actor, Kind.LEASE, call.oid))
    return Created(await leases.cancel(call.engine, call.actor, call.oid))


async def show_calendar(call: Call) -> out.CalendarOut:
    """Shows what each host is promised to, by which lease, for what."""
    now = call.engine.clock.now()
    since = now if call.query["from"] is None else call.query["from"]
    until = since + DAY_S if call.query["until"] is None else call.query["until"]
    view = call.engine.view
    return out.calendar_out(lease_calendar.calendar(view, call.actor, now, since, until), view)


async def show_usage(call: Call) -> list[out.LeaseUsageOut]:
    """Shows what each user asked for and had in an interval."""
    now, view = call.engine.clock.now(), call.engine.view
    since = 0.0 if call.query["from"] is None else call.query["from"]
    until = now if call.query["until"] is None else call.query["until"]
    found = lease_calendar.usage(view, call.actor, now, since, until, flag_of(call))
    return [out.usage_out(one, view) for one in found]


ROUTES: tuple[Route, ...] = (
    get("/leases", list_leases, list[out.LeaseOut], TAG, LEASE_PAGE),
    post("/leases", request_lease, RequestLease, TAG, answer=out.VerdictOut),
    post("/leases/when", ask_when, LeaseTermsIn, TAG, status=200, answer=out.VerdictOut),
    get("/leases/calendar", show_calendar, out.CalendarOut, TAG, SPAN),
    get("/leases/usage", show_usage, list[out.LeaseUsageOut], TAG, PAST),
    get("/leases/{id}", show_lease, out.LeaseDetail, TAG),
    post("/leases/{id}/actions", act_on_lease, ActOnLease, TAG, status=200, answer=out.VerdictOut),
    Route(
        method="PATCH",
        path="/leases/{id}",
        run=change(Kind.LEASE),
        answer=Created,
        tag=TAG,
        body=Change,
    ),
    Route(
        method="DELETE", path="/leases/{id}", run=end_lease, answer=Created, tag=TAG, query=RECORD
    ),
)
