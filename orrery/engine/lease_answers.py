"""What the scheduler says to what users asked of a lease, as changes of its working record."""

from math import ceil

from msgspec import Struct

from orrery.core.model.lease import Change, ChangeKind, Lease, LeaseStatus
from orrery.sched.leases.booking import RunPlan
from orrery.sched.leases.calendar import Calendar

LEAST_OFFER_S = 1.0


class Note(Struct):
    """What the engine knows of a lease beyond the scheduler's record, until it is stored."""

    attempts: int = 0
    is_reset: bool = False
    """A start has failed: all VMs are stopped before the next try."""
    retry_at: float | None = None
    expires: float | None = None
    """It is an offer, held until then."""
    gathers_until: float | None = None
    """It is planned then: more nodes may come until."""
    verdict: tuple[LeaseStatus, str] | None = None
    """It is over otherwise than the scheduler says."""
    is_answered: bool = False
    """What its user wanted changed is decided."""
    refusal: str | None = None
    current: RunPlan | None = None
    """The plan of the stored run that is under way."""


def note_of(lease: Lease) -> Note:
    gathers = None if lease.gathers_until is None else float(ceil(lease.gathers_until))
    return Note(
        attempts=lease.attempts,
        expires=lease.expires,
        refusal=lease.refusal,
        gathers_until=gathers if lease.status is LeaseStatus.PENDING else None,
    )


def answer_request(calendar: Calendar, lease: Lease, note: Note, now: int) -> None:
    """A new lease: scheduled, queued or refused; or an offer is held in its place."""
    answer = calendar.submit(
        lease.id, lease.terms, now, user=lease.uid, submitted=int(lease.submitted)
    )
    if answer.accepted or lease.hold_offer_s is None:
        return
    for offer in calendar.alternatives(lease.terms, now, lease.uid):
        held = calendar.submit(
            lease.id, offer.terms, now, user=lease.uid, submitted=int(lease.submitted)
        )
        if held.accepted:
            note.expires = now + max(lease.hold_offer_s, LEAST_OFFER_S)
            calendar.bookings[lease.id].reason = f"{answer.reason}: {offer.what} is offered"
            return


def answer_change(calendar: Calendar, lease: Lease, change: Change, note: Note, now: int) -> None:
    """What became of a change is stored with the lease, done or refused."""
    note.is_answered, note.refusal = True, None
    match change.kind:
        case ChangeKind.ACCEPT:
            note.expires = None
            return
        case ChangeKind.TOP:
            calendar.prioritise(lease.id, change.priority, now)
            return
        case ChangeKind.EXTEND:
            answer = calendar.extend(lease.id, ceil(change.seconds), now)
        case ChangeKind.SHORTEN:
            answer = calendar.shorten(lease.id, int(change.seconds), now)
        case ChangeKind.MOVE:
            answer = calendar.move(lease.id, ceil(change.start or 0.0), now)
    note.refusal = None if answer.accepted else answer.reason or "there is no room"
