"""Leases as XML: the lease, the answer to a request, the calendar and the accounting. OpenNebula
has none of these: the elements are ours. Times that have not come are 0, as in its documents.
"""

from collections.abc import Iterable

from orrery.api.xml.build import (
    attributes,
    free,
    ids,
    owned,
    permissions,
    seconds,
    text,
    wrapped,
    yes,
)
from orrery.core.capacity import Capacity
from orrery.core.model.lease import Lease, Operation, Run, Terms
from orrery.service.lease_calendar import Calendar, CalendarHost, CalendarLease, LeaseUsage, Slot
from orrery.service.leases import Alternative, Verdict

OwnerNames = tuple[str, str]


def lease(obj: Lease, names: OwnerNames) -> tuple[str]:
    own = owned(obj.id, obj.uid, obj.gid, *names, obj.name)
    start, end = stretch(obj)
    return (
        f"<LEASE>{own}{permissions(obj.permissions)}<STATE>{obj.status.value}</STATE>"
        f"<STATE_STR>{obj.status.name}</STATE_STR><KIND>{obj.terms.kind.value}</KIND>"
        f"<SUBMITTED>{seconds(obj.submitted)}</SUBMITTED><START>{seconds(start)}</START>"
        f"<END>{seconds(end)}</END><FIRST_START>{seconds(obj.first_start)}</FIRST_START>"
        f"<ENDED>{seconds(obj.ended)}</ENDED><SERVED>{obj.served:.0f}</SERVED>"
        f"<SUSPENSIONS>{obj.suspensions}</SUSPENSIONS>{number('PRICE', obj.price)}"
        f"{number('SERIES_ID', obj.series)}<OFFER_EXPIRES>{seconds(obj.expires)}</OFFER_EXPIRES>"
        f"{free('REASON', obj.refusal or obj.reason or '')}{terms('TERMS', obj.terms)}"
        f"{'' if obj.asked is None else terms('ASKED', obj.asked)}{ids('VMS', obj.vms)}"
        f"{wrapped('RUNS', ''.join(map(run, obj.runs)))}"
        f"{transfers(obj)}{templates(obj)}</LEASE>",
    )


def transfers(obj: Lease) -> str:
    """Where images are brought to hosts ahead of leases."""
    return wrapped("TRANSFERS", "".join(map(operation, obj.transfers))) if obj.transfers else ""


def templates(obj: Lease) -> str:
    whole = obj.template
    if obj.template_id is not None:
        whole = whole.replaced("TEMPLATE_ID", str(obj.template_id))
    own = wrapped("USER_TEMPLATE", attributes(obj.user_template))
    return wrapped("TEMPLATE", attributes(whole)) + own


def stretch(obj: Lease) -> tuple[float | None, float | None]:
    """When its VMs run, or ran, from the first start to the last end; None where that is open."""
    if not obj.runs:
        return obj.first_start, obj.ended
    first, last = obj.runs[0], obj.runs[-1]
    start = obj.first_start or (first.vm_start if first.began is None else first.began)
    return start, last.vm_end if last.ended is None else last.ended


def number(name: str, value: float | None) -> str:
    return f"<{name}/>" if value is None else f"<{name}>{value:g}</{name}>"


def terms(name: str, given: Terms) -> str:
    sets = "".join(
        f"<NODE_SET><COUNT>{one.count}</COUNT>{amounts(one.capacity)}"
        f"{''.join(free(*pair) for pair in ((n, str(v)) for n, v in one.other))}</NODE_SET>"
        for one in given.nodes
    )
    return (
        f"<{name}><NODES>{given.node_count}</NODES>{sets}<DURATION>{given.duration:.0f}</DURATION>"
        f"<START>{seconds(given.start)}</START><DEADLINE>{seconds(given.deadline)}</DEADLINE>"
        f"<PREEMPTIBLE>{yes(given.may_be_preempted)}</PREEMPTIBLE>"
        f"{free('IMAGE', given.image or '')}<IMAGE_SIZE>{given.image_mib}</IMAGE_SIZE>"
        f"<PRIORITY>{given.priority}</PRIORITY></{name}>"
    )


def amounts(capacity: Capacity) -> str:
    """CPU in cores, sizes in MiB, as in templates."""
    return (
        f"<CPU>{capacity.cpu_pct / 100:g}</CPU><MEMORY>{capacity.memory_mib}</MEMORY>"
        f"<DISK_SIZE>{capacity.disk_mib}</DISK_SIZE>"
    )


def run(one: Run) -> str:
    return (
        f"<RUN>{ids('HOSTS', one.hosts)}<START>{seconds(one.start)}</START>"
        f"<VM_START>{seconds(one.vm_start)}</VM_START><VM_END>{seconds(one.vm_end)}</VM_END>"
        f"<END>{seconds(one.end)}</END><RESUMES>{yes(one.resumes)}</RESUMES>"
        f"<SUSPENDS>{yes(one.suspends)}</SUSPENDS><BEGAN>{seconds(one.began)}</BEGAN>"
        f"<ENDED>{seconds(one.ended)}</ENDED>{''.join(map(operation, one.operations))}</RUN>"
    )


def operation(one: Operation) -> str:
    return (
        f"<OPERATION><KIND>{one.kind.value}</KIND>{ids('NODE_IDS', one.nodes)}"
        f"<START>{seconds(one.start)}</START><END>{seconds(one.end)}</END>"
        f"<BEGAN>{seconds(one.began)}</BEGAN><ENDED>{seconds(one.ended)}</ENDED></OPERATION>"
    )


# --- answers --------------------------------------------------------------------------------------


def verdict(given: Verdict, agreed: Terms | None) -> str:
    """`agreed` are the terms that the lease has now: those of an offer where one is held."""
    lease_id = -1 if given.lease_id is None else given.lease_id
    offers = "".join(map(alternative, given.alternatives))
    return (
        f"<VERDICT><LEASE_ID>{lease_id}</LEASE_ID><ACCEPTED>{yes(given.accepted)}</ACCEPTED>"
        f"<STATE>{given.status.value}</STATE><STATE_STR>{given.status.name}</STATE_STR>"
        f"{free('REASON', given.reason or '')}<START>{seconds(given.start)}</START>"
        f"<END>{seconds(given.end)}</END>{number('PRICE', given.price)}"
        f"<OFFER_EXPIRES>{seconds(given.offer_expires)}</OFFER_EXPIRES>"
        f"{'' if agreed is None else terms('TERMS', agreed)}{ids('SERIES', given.series)}"
        f"{wrapped('ALTERNATIVES', offers)}</VERDICT>"
    )


def alternative(given: Alternative) -> str:
    return (
        f"<ALTERNATIVE><WHAT>{text(given.what)}</WHAT><START>{seconds(given.start)}</START>"
        f"<END>{seconds(given.end)}</END>{terms('TERMS', given.terms)}</ALTERNATIVE>"
    )


# --- the calendar ---------------------------------------------------------------------------------


def calendar(given: Calendar) -> str:
    inside = [
        f"<NOW>{given.now:.0f}</NOW><SINCE>{given.since:.0f}</SINCE>"
        f"<UNTIL>{given.until:.0f}</UNTIL>",
        *map(calendar_host, given.hosts),
        *map(calendar_lease, given.leases),
        *map(slot, given.slots),
    ]
    return f"<LEASE_CALENDAR>{''.join(inside)}</LEASE_CALENDAR>"


def calendar_host(given: CalendarHost) -> str:
    return (
        f"<HOST><ID>{given.id}</ID><NAME>{text(given.name)}</NAME>"
        f"<OFFERED>{amounts(given.offered)}</OFFERED>"
        f"<ORDINARY>{amounts(given.ordinary)}</ORDINARY></HOST>"
    )


def calendar_lease(given: CalendarLease) -> str:
    return (
        f"<LEASE><ID>{given.id}</ID><NAME>{text(given.name)}</NAME><KIND>{given.kind}</KIND>"
        f"<STATE>{given.status.value}</STATE><STATE_STR>{given.status.name}</STATE_STR>"
        f"<UID>{given.uid}</UID></LEASE>"
    )


def slot(given: Slot) -> str:
    """LEASE_ID is -1 where the caller may not see whose it is."""
    lease_id = -1 if given.lease_id is None else given.lease_id
    return (
        f"<SLOT><HOST_ID>{given.host_id}</HOST_ID><LEASE_ID>{lease_id}</LEASE_ID>"
        f"<KIND>{given.kind}</KIND><START>{given.start:.0f}</START><END>{given.end:.0f}</END>"
        f"<NODES>{given.nodes}</NODES>{amounts(given.capacity)}"
        f"<ACTUAL>{yes(given.actual)}</ACTUAL></SLOT>"
    )


def usage(users: Iterable[tuple[LeaseUsage, str]]) -> str:
    """The accounting of each user, with the user's name."""
    return wrapped("LEASE_USAGE", "".join(used(one, name) for one, name in users))


def used(one: LeaseUsage, name: str) -> str:
    return (
        f"<USER><ID>{one.uid}</ID><NAME>{text(name)}</NAME><LEASES>{one.leases}</LEASES>"
        f"<ACCEPTED>{one.accepted}</ACCEPTED><REJECTED>{one.rejected}</REJECTED>"
        f"<DONE>{one.done}</DONE><NODE_SECONDS>{one.node_s:.0f}</NODE_SECONDS>"
        f"<CPU_SECONDS>{one.cpu_s:.0f}</CPU_SECONDS>"
        f"<MEMORY_GIB_SECONDS>{one.memory_gib_s:.0f}</MEMORY_GIB_SECONDS>"
        f"<SUSPENSIONS>{one.suspensions}</SUSPENSIONS><WAIT>{one.wait_s:.0f}</WAIT></USER>"
    )
