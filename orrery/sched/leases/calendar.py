"""The lease scheduler as one object: requests and events in, a plan and its steps out.

Pure and deterministic: no clock, no randomness; the same calls in the same order give the same
schedule. Simulation and the running engine use the very same object; they differ only in who says
that an operation has ended: the plan itself (`automatic`), or whoever carries it out.
"""

from collections.abc import Callable

from msgspec import Struct

from orrery.core.model.lease import LeaseKind, LeaseStatus, Terms
from orrery.sched.leases.booking import Booking, Stage
from orrery.sched.leases.cycle import may_start, run_cycle
from orrery.sched.leases.exact import reserve_exactly
from orrery.sched.leases.policies.order import ORDERS
from orrery.sched.leases.progress import finish_early, progress
from orrery.sched.leases.settings import Backfilling, Settings
from orrery.sched.leases.site import Site
from orrery.sched.leases.soon import accept, immediate, start_soon
from orrery.sched.leases.timeline import Step, Timeline


class Answer(Struct, frozen=True):
    """What became of a request."""

    status: LeaseStatus
    reason: str | None = None
    start: int | None = None
    """When its VMs are planned to run."""
    end: int | None = None
    price: float | None = None

    @property
    def accepted(self) -> bool:
        return not self.status.final


class Calendar:
    """All leases of a site, and when and where they run."""

    def __init__(
        self, site: Site, settings: Settings, start: int = 0, *, automatic: bool = True
    ) -> None:
        self.line = Timeline(site, settings, start)
        self.automatic = automatic
        self._dirty = False

    @property
    def bookings(self) -> dict[int, Booking]:
        return self.line.bookings

    # --- requests ---------------------------------------------------------------------------------

    def submit(
        self,
        lease_id: int,
        terms: Terms,
        now: int,
        *,
        user: int = 0,
        submitted: int | None = None,
    ) -> Answer:
        """Decide on a new lease; best-effort leases are queued and looked at by `advance`."""
        line = self.line
        line.table.trim(now)
        booking = Booking(
            lease_id, terms, line.groups(terms), now if submitted is None else submitted, user
        )
        booking.order = ORDERS[line.settings.order](booking)
        line.bookings[lease_id] = booking
        booking.become(LeaseStatus.PENDING)
        line.changed.add(lease_id)
        reason = self._never_fits(booking)
        if reason is None:
            reason = PLANNERS[booking.kind](self, booking, now)
        if reason is not None:
            booking.reason = reason
            booking.become(LeaseStatus.REJECTED)
        return self.answer(booking)

    def _never_fits(self, booking: Booking) -> str | None:
        """Why even the empty site could not take it."""
        unknown = self.line.unknown_resources(booking.terms)
        if unknown:
            return f"no host offers {', '.join(unknown)}"
        for group in booking.groups:
            room = self.line.table.view(group.shape).full.bit_count()
            if room < group.count:
                return f"it asks for {group.count} nodes; the whole site has room for {room} such"
        return None

    def _best_effort(self, booking: Booking, now: int) -> str | None:
        """Into the queue; at once tried when nothing else is to be looked at."""
        line = self.line
        line.enqueue(booking)
        if self._dirty:
            return None
        if line.settings.backfilling is Backfilling.OFF:
            self._dirty = line.queue.head() is booking
        elif len(line.futures) < line.futures_allowed:
            self._dirty = True
        elif may_start(line, booking, now) and start_soon(line, booking, now):
            line.queue.remove(booking)
        return None

    def _reservation(self, booking: Booking, now: int) -> str | None:
        assert booking.start is not None
        reason = reserve_exactly(self.line, booking, booking.start, now)
        self._dirty = self._dirty or reason is None
        return reason

    def _immediate(self, booking: Booking, now: int) -> str | None:
        run = immediate(self.line, booking, now)
        if run is None:
            return "not enough is free now for its whole duration"
        accept(self.line, booking, run)
        return None

    def answer(self, booking: Booking) -> Answer:
        run = booking.run
        start = None if run is None else run.vm_start
        end = None if run is None else booking.runs[-1].vm_end
        return Answer(booking.status, booking.reason, start, end, booking.price)

    # --- time -------------------------------------------------------------------------------------

    def advance(self, now: int) -> list[Step]:
        """Everything that is due by now, then a look at the queue; the steps of it, in order."""
        line = self.line
        line.table.trim(now)
        while True:
            run = line.due(now)
            if run is not None:
                progress(line, run, now)
                self._dirty = self._dirty or run.stage in SHIFTS
            elif self._dirty or line.gain:
                self._dirty = False
                run_cycle(line, now)
            else:
                break
        steps, line.steps = line.steps, []
        return steps

    def next_time(self) -> int | None:
        """When `advance` has something to do again."""
        return self.line.next_time()

    def finish(self, lease_id: int, now: int) -> None:
        """The VMs of a running lease ended by themselves."""
        run = self.line.bookings[lease_id].run
        assert run is not None and run.stage is Stage.RUNNING
        finish_early(self.line, run, now)
        self._dirty = True


SHIFTS = frozenset({Stage.OVER, Stage.PREPARING, Stage.RUNNING})
"""Stages after which another look at the queue may help: hosts are free, or a reservation of the
queue has begun and another lease may have one."""

PLANNERS: dict[LeaseKind, Callable[[Calendar, Booking, int], str | None]] = {
    LeaseKind.BEST_EFFORT: Calendar._best_effort,
    LeaseKind.RESERVATION: Calendar._reservation,
    LeaseKind.IMMEDIATE: Calendar._immediate,
}
