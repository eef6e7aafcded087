"""one.lease.* and one.leasepool.*: ours, in the manner of OpenNebula's methods.

A request is a VM template with the terms in LEASE=[...]: NODES, CPU, MEMORY, DISK_SIZE, START,
DURATION, DEADLINE, PREEMPTIBLE, IMAGE, PRIORITY; several LEASE_NODES=[COUNT=..., CPU=...] where
nodes differ. An answer is a VERDICT document.
"""

from collections.abc import Mapping

from orrery.api.xml import lease as lease_xml
from orrery.api.xml.documents import whole
from orrery.api.xmlrpc.method import Api, Code, Creates, Result, method
from orrery.api.xmlrpc.objects import delete, owned
from orrery.core.documents import Value, scalar
from orrery.core.errors import InvalidInput, NoCapacity
from orrery.core.lease_checks import MAX_DURATION_S
from orrery.core.messages import Actor
from orrery.core.model.kinds import Kind
from orrery.core.template import parse, write
from orrery.service import lease_calendar, leases
from orrery.service.lease_request import STARTS, Written, request_of

NODES = "LEASE_NODES"
NAMES = ("LEASE", "HAIZEA", NODES, "NAME")
NUMBERS = frozenset({"nodes", "cpu", "count", "priority"})
FLAGS = {"YES": True, "TRUE": True, "NO": False, "FALSE": False}
DAY_S = 86_400
OPEN = -1


def written(text: str, template_id: int, *, hold_offer: bool = False) -> Written:
    """The request in a template."""
    template = parse(text)
    terms = template.vector("LEASE") or template.vector("HAIZEA")
    if terms is None:
        raise InvalidInput("LEASE", "", 'is missing: give LEASE=[NODES="2", DURATION="1h", ...]')
    sets = template.vectors(NODES)
    values = values_of(terms)
    if sets:
        values["nodes"] = [dict(values_of(one)) for one in sets]
    return Written(
        values=values,
        template=write(template.without(NAMES)),
        template_id=None if template_id < 0 else template_id,
        name=template.get("NAME") or "",
        hold_offer=hold_offer,
    )


def values_of(terms: Mapping[str, str]) -> dict[str, Value]:
    """Attributes as a lease file has them."""
    values: dict[str, Value] = {}
    for key, text in terms.items():
        name = key.lower()
        values["disk" if name == "disk_size" else name] = value_of(name, text)
    count, every = values.pop("repeat", None), values.pop("every", None)
    if count is not None:
        values["recurring"] = {"count": scalar(str(count), plain=True), "every": every}
    size = values.pop("image_size", None)
    if size is not None:
        values["image"] = {"name": values.get("image"), "size": size}
    return values


def value_of(name: str, text: str) -> Value:
    if name in NUMBERS:
        return scalar(text.strip(), plain=True)
    if name == "preemptible":
        return FLAGS.get(text.strip().upper(), text)
    if name == "start":
        return text.replace("_", " ")
    if name == "duration" and text.strip().lower() == "unlimited":
        return f"{MAX_DURATION_S:.0f}"
    if name == STARTS:
        return list(text.split(","))
    return text


async def request(
    api: Api, actor: Actor, *, template: str, template_id: int, hold_offer: bool
) -> Result:
    """Asks for a lease with LEASE=[...] in a VM template, added to a stored one; the answer is a
    VERDICT: accepted, or refused with the reason and what could be had.
    """
    given = written(template, template_id, hold_offer=hold_offer)
    wanted = request_of(api.engine, actor, given)
    return told(api, await leases.request(api.engine, actor, wanted))


def told(api: Api, verdict: leases.Verdict) -> Result:
    """A VERDICT document."""
    lease = None if verdict.lease_id is None else api.engine.view.leases.get(verdict.lease_id)
    return whole(lease_xml.verdict(verdict, None if lease is None else lease.terms))


async def allocate(api: Api, actor: Actor, *, template: str, template_id: int) -> Result:
    """Asks for a lease as `request` does; answers its id, and a refusal as an error."""
    wanted = request_of(api.engine, actor, written(template, template_id))
    verdict = await leases.request(api.engine, actor, wanted)
    assert verdict.lease_id is not None
    if not verdict.accepted:
        message = f"Lease [{verdict.lease_id}] is refused: {verdict.reason}"
        raise NoCapacity(message, object_kind="LEASE", object_id=verdict.lease_id)
    return verdict.lease_id


async def when(api: Api, actor: Actor, *, template: str, template_id: int) -> Result:
    """Says what would become of a request now; nothing is promised by it."""
    wanted = request_of(api.engine, actor, written(template, template_id))
    return told(api, leases.when(api.engine, actor, wanted.terms))


def info(api: Api, actor: Actor, *, oid: int, decrypt: bool) -> Result:
    """Shows one lease, also when it is over."""
    return api.documents.lease(leases.get(api.engine.view, actor, oid))


async def cancel(api: Api, actor: Actor, *, oid: int, reason: str) -> Result:
    """Ends a lease in whatever state: its VMs are stopped, its capacity is given back."""
    return await leases.cancel(api.engine, actor, oid, reason=reason)


async def extend(api: Api, actor: Actor, *, oid: int, seconds: int) -> Result:
    """Makes a lease longer; refused without a change where there is no room."""
    return told(api, await leases.extend(api.engine, actor, oid, float(seconds)))


async def shorten(api: Api, actor: Actor, *, oid: int, seconds: int) -> Result:
    """Makes a lease shorter."""
    return told(api, await leases.shorten(api.engine, actor, oid, float(seconds)))


async def move(api: Api, actor: Actor, *, oid: int, start: int) -> Result:
    """Gives a lease that has not begun another start (seconds since the epoch)."""
    return told(api, await leases.move(api.engine, actor, oid, float(start)))


async def top(api: Api, actor: Actor, *, oid: int, priority: int) -> Result:
    """Gives a lease another priority in the queue, higher first; for administrators."""
    return told(api, await leases.top(api.engine, actor, oid, priority))


async def accept(api: Api, actor: Actor, *, oid: int) -> Result:
    """Takes the offer that is held."""
    return told(api, await leases.accept(api.engine, actor, oid))


def pool_info(api: Api, actor: Actor, *, flag: int, start: int, end: int, status: int) -> Result:
    """Lists leases: status -1 all that are not over, -2 any, or a state's number."""
    wanted = leases.LeaseFilter(flag=flag, start=start, end=end, status=status)
    return api.documents.lease_pool(leases.listing(api.engine.view, actor, wanted))


async def pool_calendar(api: Api, actor: Actor, *, since: int, until: int) -> Result:
    """Shows what hosts are promised to, from since (-1: now) to until (-1: a day later)."""
    now = api.engine.clock.now()
    first = now if since == OPEN else float(since)
    last = first + DAY_S if until == OPEN else float(until)
    found = lease_calendar.calendar(api.engine.view, actor, now, first, last)
    return whole(lease_xml.calendar(found))


async def pool_usage(api: Api, actor: Actor, *, flag: int, since: int, until: int) -> Result:
    """Shows what users asked for and had in an interval; -1 leaves an end open."""
    view, now = api.engine.view, api.engine.clock.now()
    last = now if until == OPEN else float(until)
    found = lease_calendar.usage(view, actor, now, float(max(since, 0)), last, flag)
    names = [view.users[one.uid].name if one.uid in view.users else "" for one in found]
    return whole(lease_xml.usage(zip(found, names, strict=True)))


NEW = Creates(Code.ALLOCATE, "lease")

METHODS = (
    method("lease.allocate", "template:s template_id:i=-1", allocate, NEW),
    method("lease.request", "template:s template_id:i=-1 hold_offer:b=false", request, NEW),
    method("lease.when", "template:s template_id:i=-1", when),
    method("lease.info", "oid:i decrypt:b=false", info),
    method("lease.cancel", "oid:i reason:s=", cancel),
    method("lease.extend", "oid:i seconds:i", extend),
    method("lease.shorten", "oid:i seconds:i", shorten),
    method("lease.move", "oid:i start:i", move),
    method("lease.top", "oid:i priority:i", top),
    method("lease.accept", "oid:i", accept),
    method("lease.delete", "oid:i", delete(Kind.LEASE)),
    *owned("lease", Kind.LEASE),
    method("leasepool.info", "flag:i start:i=-1 end:i=-1 status:i=-1", pool_info),
    method("leasepool.calendar", "since:i=-1 until:i=-1", pool_calendar),
    method("leasepool.usage", "flag:i=-2 since:i=-1 until:i=-1", pool_usage),
)
