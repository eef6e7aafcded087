"""The lease scheduler as one object: requests and events in, a plan and its steps out.

Pure and deterministic: no clock, no randomness; the same calls in the same order give the same
schedule. Simulation and the running engine use the very same object; they differ only in who says
that an operation has ended: the plan itself (`automatic`), or whoever carries it out.
"""

from collections.abc import Callable

from msgspec.structs import replace

from orrery.core.model.lease import LeaseKind, LeaseStatus, Terms
from orrery.sched.leases import actual, asking, changes, interrupt, losses, moving
from orrery.sched.leases.answer import Answer, Offer
from orrery.sched.leases.booking import Booking, Ending, RunPlan, Stage
from orrery.sched.leases.cycle import may_start, run_cycle, wake_for_queue
from orrery.sched.leases.deadline import TOO_LATE, plan_by_deadline
from orrery.sched.leases.exact import agree, reserve_exactly
from orrery.sched.leases.market import is_too_dear
from orrery.sched.leases.ordering import look, overtakes, place_of
from orrery.sched.leases.policies.admission import refusal
from orrery.sched.leases.power import HostStep
from orrery.sched.leases.progress import finish_early, prepare, progress
from orrery.sched.leases.settings import Backfilling, Settings
from orrery.sched.leases.site import Site, SiteHost
from orrery.sched.leases.soon import accept, immediate, start_soon
from orrery.sched.leases.timeline import Step, Timeline
from orrery.sched.leases.usage import Total, totals


class Calendar:
    """All leases of a site, and when and where they run."""

    def __init__(
        self, site: Site, settings: Settings, start: int = 0, *, automatic: bool = True
    ) -> None:
        self.line = Timeline(site, settings, start)
        self.line.automatic = automatic
        self._dirty = False
        self._looked_late = start - actual.GRACE_S
        """When operations that are late were last given more time."""

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
        rate: float | None = None,
    ) -> Answer:
        """Decide on a new lease; best-effort leases are queued and looked at by `advance`.

        Args:
            rate: the most that the user pays for a node and an hour, where that is known.
        """
        line = self.line
        line.pass_to(now)
        known = line.bookings.get(lease_id)
        if known is not None and not known.status.final:
            raise ValueError(f"lease {lease_id} is there already: it is {known.status.name}")
        reason = asking.senseless(terms)
        groups = line.groups(terms) if reason is None else []
        asked = terms if reason is None else asking.NOTHING
        booking = Booking(lease_id, asked, groups, now if submitted is None else submitted, user)
        booking.user_rate = rate
        if reason is None:
            place_of(line, booking)
        line.bookings[lease_id] = booking
        booking.become(LeaseStatus.PENDING)
        line.changed.add(lease_id)
        if reason is None:
            reason = asking.never_fits(line, booking)
        if reason is None:
            reason = refusal(booking, line, now)
        if reason is None:
            line.market.asking = booking
            reason = PLANNERS[booking.kind](self, booking, now)
            line.market.asking = None
        if reason is not None:
            booking.reason = reason
            booking.become(
                LeaseStatus.REJECTED_BY_USER if is_too_dear(booking) else LeaseStatus.REJECTED
            )
        line.market.decided(booking)
        return self.answer(booking)

    def _best_effort(self, booking: Booking, now: int) -> str | None:
        """Into the queue; at once tried when nothing else is to be looked at."""
        line = self.line
        reason = agree(line, booking, ())
        if reason is not None:
            return reason
        line.enqueue(booking)
        self._dirty = self._dirty or line.usage.ages or overtakes(line, booking, now)
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
        if (
            reason is not None
            and not is_too_dear(booking)
            and moving.reserve(self.line, booking, now)
        ):
            reason = None
        self._dirty = self._dirty or reason is None
        return reason

    def _by_deadline(self, booking: Booking, now: int) -> str | None:
        reason = agree(self.line, booking, ())
        if reason is not None:
            found = interrupt.would_run(self.line, booking, now)
            if isinstance(found, str):
                booking.price, reason = None, found
            return reason
        reason = plan_by_deadline(self.line, booking, now)
        if reason == TOO_LATE and interrupt.reserve(self.line, booking, now):
            reason = None
        self._dirty = self._dirty or reason is None
        return reason

    def _immediate(self, booking: Booking, now: int) -> str | None:
        run = immediate(self.line, booking, now)
        if run is None:
            return asking.NOT_NOW
        reason = agree(self.line, booking, ())
        if reason is not None:
            self.line.preparation.release(booking, now)
            return reason
        accept(self.line, booking, run)
        return None

    def answer(self, booking: Booking, reason: str | None = None) -> Answer:
        """How a lease stands; with a reason, why a change to it was refused."""
        ahead = [run for run in booking.runs if run.stage is not Stage.OVER]
        start = ahead[0].vm_start if ahead else None
        end = ahead[-1].vm_end if ahead else None
        why = booking.reason if reason is None else reason
        return Answer(booking.status, why, start, end, booking.price, reason is None)

    # --- changes ----------------------------------------------------------------------------------

    def cancel(self, lease_id: int, now: int) -> None:
        """End a lease in whatever status; nothing happens when it is over already."""
        booking = self.line.bookings[lease_id]
        if booking.status.final:
            return
        self.line.pass_to(now)
        changes.withdraw(self.line, booking, LeaseStatus.CANCELLED, now)
        actual.retry_waiting(self.line)

    def extend(self, lease_id: int, seconds: int, now: int) -> Answer:
        """Make a lease longer."""
        return self._change(lease_id, now, lambda b: self._lengthened(b, seconds, 1, now))

    def shorten(self, lease_id: int, seconds: int, now: int) -> Answer:
        """Make a lease shorter."""
        return self._change(lease_id, now, lambda b: self._lengthened(b, seconds, -1, now))

    def _lengthened(self, booking: Booking, seconds: int, sign: int, now: int) -> str | None:
        if not 0 < seconds < asking.LATEST:
            return f"seconds: {seconds} is no length of time: give 1 or more"
        if sign > 0:
            longer = replace(booking.terms, duration=booking.terms.duration + seconds)
            reason = self._not_let_in(booking, longer, now)
            if reason is not None:
                return reason
        reason = changes.set_length(self.line, booking, sign * seconds, now)
        if reason is None:
            self.line.market.longer(booking, sign * seconds)
        return reason

    def _not_let_in(self, booking: Booking, terms: Terms, now: int) -> str | None:
        """Why the site's admission does not take a lease with other terms."""
        other = Booking(booking.id, terms, booking.groups, booking.submitted, booking.user)
        other.first_start = booking.first_start
        return refusal(other, self.line, now)

    def move(self, lease_id: int, start: int, now: int) -> Answer:
        """Plan a lease that has not begun at another time."""
        return self._change(lease_id, now, lambda b: self._moved(b, start, now))

    def _moved(self, booking: Booking, start: int, now: int) -> str | None:
        reason = None
        if booking.kind is LeaseKind.RESERVATION:
            terms = replace(booking.terms, start=float(start))
            reason = self._not_let_in(booking, terms, now)
        return reason or changes.move(self.line, booking, start, now)

    def _change(self, lease_id: int, now: int, change: Callable[[Booking], str | None]) -> Answer:
        self.line.pass_to(now)
        booking = self.line.bookings[lease_id]
        if booking.status.final:
            return self.answer(booking, f"it is {booking.status.name}: it is over")
        reason = change(booking)
        self._dirty = True
        return self.answer(booking, reason)

    def prioritise(self, lease_id: int, priority: int, now: int) -> None:
        """Another priority in the queue: higher goes first."""
        self.line.pass_to(now)
        changes.prioritise(self.line, self.line.bookings[lease_id], priority, now)
        self._dirty = True

    def use(self, settings: Settings) -> None:
        """Go on with other settings: what is planned already stays."""
        reordered = self.line.settings.order != settings.order
        self.line.use(settings)
        if reordered:
            look(self.line, self.line.standing.now)
        self._dirty = True

    # --- hosts ------------------------------------------------------------------------------------

    def host_lost(self, host_id: int, now: int) -> None:
        """A host is gone with what runs on it: its leases are moved, wait again, or fail."""
        self.line.pass_to(now)
        losses.lose(self.line, self.line.index_of[host_id], now)
        actual.retry_waiting(self.line)

    def host_back(self, host_id: int, now: int) -> None:
        """A host that was lost takes leases again."""
        self.line.pass_to(now)
        losses.come_back(self.line, self.line.index_of[host_id], now)

    def host_added(self, host: SiteHost, now: int) -> None:
        """A host that is new, or was never told of."""
        self.line.pass_to(now)
        self.line.add_host(host)
        self.line.gain = True

    def host_changed(self, host: SiteHost, now: int) -> None:
        """A host offers another amount to leases from now on."""
        self.line.pass_to(now)
        line = self.line
        losses.change_offer(line, line.index_of[host.id], line.offered(host), now)

    # --- questions --------------------------------------------------------------------------------

    def when(self, terms: Terms, now: int, user: int = 0) -> Answer:
        """What would become of a request, without making it."""
        self.line.pass_to(now)
        return asking.when(self.line, terms, now, user)

    def alternatives(self, terms: Terms, now: int, user: int = 0) -> list[Offer]:
        """What could be had instead of a request that is refused, nearest first."""
        self.line.pass_to(now)
        return asking.alternatives(self.line, terms, now, user)

    # --- time -------------------------------------------------------------------------------------

    def advance(self, now: int) -> list[Step]:
        """Everything that is due by now, then a look at the queue; the steps of it, in order."""
        line = self.line
        line.pass_to(now)
        if actual.hold_overdue(line, now):
            self._looked_late = now
        while True:
            if line.preparation.managed:
                prepare(line, now)
            run = line.due(now)
            if run is not None:
                self._go_on(run, now)
                self._dirty = self._dirty or run.stage in SHIFTS
            elif self._dirty or line.gain:
                self._dirty = False
                line.pass_to(now)
                run_cycle(line, now)
            else:
                break
        if line.power is not None:
            wake_for_queue(line, now)
        steps, line.steps = line.steps, []
        return steps

    def usage(self) -> dict[int, Total]:
        """What each user had until now; of what runs, only the runs before."""
        return totals(self.line.bookings.values())

    def host_steps(self) -> list[HostStep]:
        """Hosts to power down and up since this was asked last, in order."""
        power = self.line.power
        if power is None:
            return []
        steps, power.steps = power.steps, []
        return steps

    def hosts_on_s(self, now: int) -> int | None:
        """Seconds in which hosts were on, all together; None where none is ever powered down."""
        return None if self.line.power is None else self.line.power.on_s(now)

    def _go_on(self, run: RunPlan, now: int) -> None:
        line = self.line
        if line.automatic or run.stage is Stage.RUNNING:
            progress(line, run, now)
        elif run.stage is Stage.ENDING:
            line.overdue[id(run)] = run
        elif run.stage is Stage.PREPARING:
            actual.late_start(line, run, now)
        elif run.stage is Stage.PLANNED:
            if run.end <= now:
                actual.miss(line, run, now)
            elif actual.is_blocked(line, run):
                actual.wait(line, run, now)
            else:
                progress(line, run, now)

    def next_time(self) -> int | None:
        """When `advance` has something to do again."""
        line = self.line
        if line.automatic and line.power is None and not line.preparation.managed:
            return line.next_time()
        again = self._looked_late + actual.GRACE_S
        late = (max(run.end + 1, again) for run in line.overdue.values())
        power = line.power
        host = None if power is None else power.next_time(naps=not line.automatic)
        times = (line.next_time(), line.preparation.next_time(), host, *late)
        return min((time for time in times if time is not None), default=None)

    # --- what happened ----------------------------------------------------------------------------

    def finish(self, lease_id: int, now: int) -> None:
        """The VMs of a running lease ended by themselves."""
        self._happened(lease_id, Stage.RUNNING, finish_early, now)

    def transferred(self, transfer_id: int, now: int) -> None:
        """The image of a TRANSFER step is on its hosts."""
        self.line.preparation.arrived(transfer_id, now)
        actual.retry_waiting(self.line)

    def started(self, lease_id: int, now: int) -> None:
        """The VMs of a lease have booted."""
        self._happened(lease_id, Stage.PREPARING, actual.up, now)

    def resumed(self, lease_id: int, now: int) -> None:
        """The VMs of a lease are back in memory."""
        self._happened(lease_id, Stage.PREPARING, actual.up, now)

    def suspended(self, lease_id: int, now: int) -> None:
        """The memory of the VMs of a lease is on disk."""
        self._happened(lease_id, Stage.ENDING, actual.down, now)

    def cannot_suspend(self, lease_id: int, why: str) -> None:
        """Its VMs cannot be suspended at all: they are stopped, so that nobody waits for their
        hosts in vain, and begin afresh."""
        booking = self.line.bookings[lease_id]
        if booking.run is not None and booking.run.stage is Stage.ENDING:
            booking.run.ending = Ending.KILL
            booking.reason = f"could not be suspended and starts afresh: {why}"
            self.line.changed.add(lease_id)

    def stopped(self, lease_id: int, now: int) -> None:
        """The VMs of a lease are gone."""
        self._happened(lease_id, Stage.ENDING, actual.down, now)

    def _happened(
        self, lease_id: int, stage: Stage, what: Callable[[Timeline, RunPlan, int], None], now: int
    ) -> None:
        """Told twice, or too late, it changes nothing."""
        self.line.pass_to(now)
        run = self.line.bookings[lease_id].run
        if run is not None and run.stage is stage:
            what(self.line, run, now)
            self._dirty = True


SHIFTS = frozenset({Stage.OVER, Stage.PREPARING, Stage.RUNNING})
"""Stages after which another look at the queue may help: hosts are free, or a reservation of the
queue has begun and another lease may have one."""

PLANNERS: dict[LeaseKind, Callable[[Calendar, Booking, int], str | None]] = {
    LeaseKind.BEST_EFFORT: Calendar._best_effort,
    LeaseKind.RESERVATION: Calendar._reservation,
    LeaseKind.IMMEDIATE: Calendar._immediate,
    LeaseKind.DEADLINE: Calendar._by_deadline,
}
