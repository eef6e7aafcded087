"""Use cases of leases: ask for one, take an offer, change it, read it. The scheduler decides; an
answer is given when what it says is stored.
"""

from msgspec import Struct

from orrery.core.errors import Unavailable
from orrery.core.messages import Actor
from orrery.core.model.lease import Lease, LeaseStatus, Terms
from orrery.core.model.view import View
from orrery.service.engine import Alternative, Engine
from orrery.service.listing import ALL

NOT_OVER = -1
ANY_STATUS = -2


class Repeat(Struct, frozen=True, kw_only=True):
    """A recurring reservation: the first one and `count` - 1 more, each `every_s` later."""

    every_s: float
    count: int


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

    Raises:
        InvalidInput, NotAuthorized, QuotaExceeded: the request itself cannot be.
        Unavailable: no answer within the time allowed; the request stands and is planned later.
    """
    raise Unavailable("leases are not served yet")


async def accept(engine: Engine, actor: Actor, lease_id: int) -> Verdict:
    """Take the counter-offer that is held (status OFFERED)."""
    raise Unavailable("leases are not served yet")


def when(engine: Engine, actor: Actor, terms: Terms) -> Verdict:
    """What would become of a request now, with alternatives where it would be refused."""
    raise Unavailable("leases are not served yet")


def alternatives(engine: Engine, actor: Actor, terms: Terms) -> tuple[Alternative, ...]:
    """The nearest that could be had instead."""
    raise Unavailable("leases are not served yet")


# --- change ---------------------------------------------------------------------------------------


async def cancel(engine: Engine, actor: Actor, lease_id: int, *, reason: str = "") -> int:
    """End a lease in whatever status: its VMs are stopped, its capacity is given back."""
    raise Unavailable("leases are not served yet")


async def extend(engine: Engine, actor: Actor, lease_id: int, seconds: float) -> Verdict:
    """Make it longer; refused without a change where there is no room."""
    raise Unavailable("leases are not served yet")


async def shorten(engine: Engine, actor: Actor, lease_id: int, seconds: float) -> Verdict:
    """Make it shorter; what is over cannot be taken back."""
    raise Unavailable("leases are not served yet")


async def move(engine: Engine, actor: Actor, lease_id: int, start: float) -> Verdict:
    """Another start for a lease that has not begun; refused without a change where there is no
    room."""
    raise Unavailable("leases are not served yet")


async def top(engine: Engine, actor: Actor, lease_id: int, priority: int) -> Verdict:
    """Another priority in the queue: administrators only."""
    raise Unavailable("leases are not served yet")


# --- read -----------------------------------------------------------------------------------------


def get(view: View, actor: Actor, lease_id: int) -> Lease:
    raise Unavailable("leases are not served yet")


def listing(view: View, actor: Actor, wanted: LeaseFilter) -> list[Lease]:
    """Leases by id that the caller may see."""
    raise Unavailable("leases are not served yet")
