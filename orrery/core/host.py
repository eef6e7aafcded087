"""The life cycle of a host: monitored, failing, disabled, offline. Knows nothing of VMs'
statuses."""

import re

from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.errors import Exists, InUse, InvalidInput, NotFound
from orrery.core.machine import Machine, Row
from orrery.core.messages import (
    NOTHING_TO_DO,
    AllocateHost,
    Decision,
    DeleteObject,
    HostSeen,
    HostSilent,
    Message,
    Record,
    SetHostStatus,
)
from orrery.core.model.host import Host
from orrery.core.model.kinds import Kind
from orrery.core.model.view import View
from orrery.core.names import check_name
from orrery.core.status import HostStatus
from orrery.core.template import Template

S = HostStatus

PATIENCE = 3
"""Monitorings that must fail in a row before a host is in ERROR: one lost answer is no news."""

AMOUNT = re.compile(r"[+-]?[0-9]{1,15}|[+-]?[0-9]{1,4}(\.[0-9]{1,4})?%")
"""Below zero promises VMs more than the host has, as in OpenNebula."""

WANTED = {0: S.INIT, 1: S.DISABLED, 2: S.OFFLINE}
"""The argument of one.host.status."""


def allocate(m: AllocateHost, view: View, now: float) -> Decision:
    """A new host, not yet monitored.

    Raises:
        InvalidInput, Exists, NotFound: nothing was changed.
    """
    check_name("NAME", m.name)
    taken = view.by_name(Kind.HOST, m.name)
    if taken is not None:
        raise Exists(f"NAME is already taken by HOST {taken}.", object_kind="HOST", object_id=taken)
    if m.cluster_id not in view.clusters:
        raise NotFound(f"There is no cluster [{m.cluster_id}]", object_kind="CLUSTER")
    host = Host(
        id=view.next_id(Kind.HOST),
        name=m.name,
        status=S.INIT,
        prev_status=S.INIT,
        im_mad=m.im_mad,
        vm_mad=m.vm_mad,
        cluster_id=m.cluster_id,
    )
    return Decision(put=(host,), records=(record(host, "created", m, now),), result=host.id)


def record(host: Host, what: str, message: Message, now: float) -> Record:
    body = {"name": host.name, "status": host.status.name.lower()}
    if host.error:
        body["error"] = host.error
    return Record(
        kind=f"host.{what}",
        subject_kind=Kind.HOST,
        subject_id=host.id,
        at=now,
        cause=message.cause,
        body={**body},
    )


def enter(host: Host, status: HostStatus, message: Message, now: float) -> Decision:
    """The host in its new status, with its record."""
    fresh = replace(host, status=status, prev_status=host.status, gen=host.gen + 1)
    return Decision(
        put=(fresh,), records=(record(fresh, status.name.lower(), message, now),), result=host.id
    )


def reserved_in(template: Template, total: Capacity) -> Capacity:
    """RESERVED_CPU (hundredths) and RESERVED_MEM (KiB), absolute or as a percentage of the
    whole."""
    return Capacity(
        amount(template, "RESERVED_CPU", total.cpu_pct, 1),
        amount(template, "RESERVED_MEM", total.memory_mib, 1024),
    )


def amount(template: Template, name: str, whole: int, divisor: int) -> int:
    text = (template.get(name) or "").strip()
    if not text:
        return 0
    if not AMOUNT.fullmatch(text):
        raise InvalidInput(name, text, "is not an amount: a whole number or a percentage, like 10%")
    if text.endswith("%"):
        return int(whole * float(text[:-1]) / 100)
    return int(text) // divisor


def seen(host: Host, m: HostSeen, view: View, now: float) -> Decision:
    """It answered. Only a change is written: a thousand hosts that say the same cost nothing."""
    status = S.MONITORED if host.status in (S.INIT, S.ERROR) else host.status
    fresh = replace(
        host,
        status=status,
        prev_status=host.status if status is not host.status else host.prev_status,
        total=m.total,
        reserved=reserved_in(host.template, m.total),
        facts=m.facts,
        capabilities=m.capabilities,
        error=None,
        failures=0,
    )
    if fresh == host:
        return NOTHING_TO_DO
    fresh = replace(fresh, gen=host.gen + 1)
    what = (status.name.lower(),) if status is not host.status else ()
    return Decision(put=(fresh,), records=tuple(record(fresh, w, m, now) for w in what))


def silent(host: Host, m: HostSilent, view: View, now: float) -> Decision:
    """It did not answer: in ERROR when that happened often enough, at once if it never answered."""
    failures = host.failures + 1
    fresh = replace(host, failures=failures, error=m.message)
    if (host.status is S.MONITORED and failures < PATIENCE) or host.status is S.DISABLED:
        return Decision(put=(fresh,))
    if host.status is S.ERROR:
        return NOTHING_TO_DO if host.error == m.message else Decision(put=(fresh,))
    return enter(fresh, S.ERROR, m, now)


def set_status(host: Host, m: SetHostStatus, view: View, now: float) -> Decision:
    """An operator takes it out of use, or into use again: it is looked at first."""
    if m.status not in WANTED:
        raise InvalidInput("STATUS", str(m.status), "is not known: 0 enable, 1 disable, 2 offline")
    wanted = WANTED[m.status]
    if wanted is S.INIT and host.status is S.MONITORED:
        return Decision(result=host.id)
    if wanted is host.status:
        return Decision(result=host.id)
    return enter(host, wanted, m, now)


def delete(host: Host, m: DeleteObject, view: View, now: float) -> Decision:
    """Only without VMs: nobody would look after them."""
    vms = view.vms_on(host.id)
    if vms:
        raise InUse(
            f"Cannot delete host {host.name} [{host.id}]: {len(vms)} VMs are on it, among them VM "
            f"[{min(vms)}]. Terminate or migrate them first",
            object_kind="HOST",
            object_id=host.id,
        )
    return Decision(
        delete=((Kind.HOST, host.id),), records=(record(host, "deleted", m, now),), result=host.id
    )


MACHINE: Machine[HostStatus] = Machine(
    "host",
    HostStatus,
    [
        Row(tuple(HostStatus), SetHostStatus, set_status, tuple(HostStatus)),
        Row((S.INIT, S.ERROR, S.MONITORED), HostSeen, seen, (S.MONITORED,)),
        Row((S.DISABLED,), HostSeen, seen, (S.DISABLED,)),
        Row((S.INIT, S.ERROR), HostSilent, silent, (S.ERROR,)),
        Row((S.MONITORED,), HostSilent, silent, (S.MONITORED, S.ERROR)),
        Row((S.DISABLED,), HostSilent, silent, (S.DISABLED,)),
        Row(tuple(HostStatus), DeleteObject, delete, ()),
    ],
)
