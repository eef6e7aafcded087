"""Carries out leases: the task that owns the scheduler of leases.

Woken by commits and by the plan itself, it asks the scheduler what becomes of the leases, stores
that in one transaction, and only then tells the VMs. Nothing is remembered that the stored leases
do not say: after a crash it is built from them, and tells the VMs what is still missing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator

from msgspec.structs import replace

from orrery.core.errors import Refused
from orrery.core.messages import (
    ApplyLeasePlan,
    Message,
    PlanLease,
    SuspendVm,
    VmCommand,
)
from orrery.core.model.host import Host
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import Lease, LeaseOrder, LeaseStatus, Terms
from orrery.core.model.storage import StagedImage
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.engine import lease_orders as orders
from orrery.engine import lease_plan as plans
from orrery.engine.lease_answers import Note, answer_change, answer_request, note_of
from orrery.engine.lease_orders import Fact
from orrery.engine.lease_rates import rates_from
from orrery.engine.lease_restore import restore
from orrery.engine.lease_site import SiteKeeper
from orrery.engine.lease_staging import Staging
from orrery.engine.writer import Commit
from orrery.ports.clock import Clock
from orrery.sched.leases.answer import Answer, Offer
from orrery.sched.leases.booking import Booking, Ending, Stage
from orrery.sched.leases.calendar import Calendar
from orrery.sched.leases.learning import learned
from orrery.sched.leases.settings import Settings

log = logging.getLogger(__name__)

Submit = Callable[[Message], Awaitable[int | None]]

S = LeaseStatus

CAUSE = "leasing"

ATTEMPTS = 3
"""Starts, resumes or suspensions in a row that may fail."""
RETRY_S = 5.0
"""Before what failed is tried again."""
SETTLING_S = 0.05
"""News of VMs seldom comes alone: wait for the rest of it, so that one plan takes in all."""


class Leasing:
    """Give it commits (`on_commit`) and a task (`run`)."""

    def __init__(
        self, view: View, submit: Submit, clock: Clock, settings: Settings, *, learns: bool = True
    ) -> None:
        self._view = view
        self._submit = submit
        self._clock = clock
        self._base = settings
        self._learns = learns
        self._sites = SiteKeeper(view)
        self._staging = Staging(view)
        self._calendar = Calendar(self._sites.site(), settings, automatic=False)
        self._notes: dict[int, Note] = {}
        self._touched: set[int] = set()
        self._hosts: set[int] = set()
        self._unsaved: set[int] = set()
        self._waiting: set[int] = set()
        """Leases whose VMs could not be told something: tried again when something has changed."""
        self._replies: dict[int, set[asyncio.Event]] = {}
        self._wake = asyncio.Event()
        self._is_asked = False
        """Somebody waits for an answer: it is planned at once."""

    # --- questions --------------------------------------------------------------------------------

    def when(self, terms: Terms, uid: int) -> Answer:
        """What would become of a request now."""
        return self._calendar.when(terms, self._now(), uid)

    def alternatives(self, terms: Terms, uid: int) -> list[Offer]:
        """The nearest that could be had instead."""
        return self._calendar.alternatives(terms, self._now(), uid)

    async def answered(self, lease_id: int, timeout_s: float) -> bool:
        """Wait until nothing asked of the lease waits for an answer any more."""
        reply = asyncio.Event()
        waiting = self._replies.setdefault(lease_id, set())
        waiting.add(reply)
        try:
            async with asyncio.timeout(timeout_s):
                while not is_answered(self._view.leases.get(lease_id)):
                    await reply.wait()
                    reply.clear()
        except TimeoutError:
            return False
        finally:
            waiting.discard(reply)
            if not waiting:
                self._replies.pop(lease_id, None)
        return True

    # --- the task ---------------------------------------------------------------------------------

    def on_commit(self, commit: Commit) -> None:
        news = False
        for obj in commit.put:
            if isinstance(obj, Lease):
                self._touched.add(obj.id)
                self._is_asked = self._is_asked or not is_answered(obj)
                for reply in self._replies.get(obj.id, ()):
                    reply.set()
            elif isinstance(obj, Vm):
                self._note_vm(obj)
            elif isinstance(obj, Host):
                self._hosts.add(obj.id)
            elif isinstance(obj, StagedImage):
                self._staging.note(obj)
            else:
                continue
            news = True
        gone = [object_id for kind, object_id in commit.deleted if kind is Kind.HOST]
        self._hosts.update(gone)
        if news or gone:
            self._wake.set()

    def _note_vm(self, vm: Vm) -> None:
        if vm.lease_id is not None:
            self._touched.add(vm.lease_id)
        elif vm.history:
            self._hosts.add(vm.history[-1].host_id)

    async def run(self) -> None:
        """Until cancelled."""
        self._begin()
        while True:
            self._wake.clear()
            self._is_asked = False
            await self._cycle()
            await self._sleep()

    def _begin(self) -> None:
        """From the stored leases: what was under way goes on, what is missing is told again."""
        now = self._now()
        self._notes = {}
        leases = [lease for lease in self._view.leases.values() if not lease.status.final]
        self._calendar = restore(self._sites.site(), self._settings(), leases, self._notes, now)
        self._staging.restore(self._calendar, now)
        self._hosts = set(self._view.hosts)
        self._touched = {
            lease.id
            for lease in self._view.leases.values()
            if not lease.status.final or self._view.lease_vms(lease.id)
        }
        self._unsaved = set(self._notes)

    async def _sleep(self) -> None:
        due = self._next_time()
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - self._clock.now())):
                await self._wake.wait()
                if not self._is_asked:
                    await asyncio.sleep(SETTLING_S)
        except TimeoutError:
            pass

    def _next_time(self) -> float | None:
        """When something is due though nothing happens."""
        planned = (self._calendar.next_time(), self._staging.next_time(self._calendar))
        times: list[float] = [time for time in planned if time is not None]
        for note in self._notes.values():
            due = (note.retry_at, note.expires, note.gathers_until)
            times.extend(time for time in due if time is not None)
        return min(times, default=None)

    def _now(self) -> int:
        return int(self._clock.now())

    def _settings(self) -> Settings:
        if not self._learns:
            return self._base
        return learned(self._base, (host.measured for host in self._view.hosts.values()))

    # --- one cycle --------------------------------------------------------------------------------

    async def _cycle(self) -> None:
        """What happened, what it means for the plan, and what is to be done."""
        now = self._now()
        hosts, self._hosts = self._hosts, set()
        touched = self._touched | self._waiting | set(self._due())
        self._touched = set()
        if hosts:
            self._calendar.use(self._settings())
            self._sites.tell(self._calendar, hosts, now)
            self._staging.tell_hosts(self._calendar, hosts)
        for lease_id in sorted(touched):
            self._look_at(lease_id, now)
        self._staging.tell(self._calendar, now)
        self._calendar.advance(now)
        while self._staging.tell(self._calendar, now):
            self._calendar.advance(now)
        changed = self._calendar.line.changed | self._unsaved | (touched & self._notes.keys())
        self._calendar.line.changed.clear()
        await self._store(sorted(changed))
        await self._carry_out(sorted(changed | touched))

    def _due(self) -> Iterator[int]:
        """Leases for which the time has come to try again, or to end an offer."""
        now = self._clock.now()
        for lease_id, note in self._notes.items():
            if note.retry_at is not None and note.retry_at <= now:
                note.retry_at = None
                yield lease_id
            elif note.gathers_until is not None and note.gathers_until <= now:
                note.gathers_until = None
                yield lease_id
            elif note.expires is not None and note.expires <= now:
                self._give_up(lease_id, S.CANCELLED, "the offer was not taken in time")
                yield lease_id

    def _look_at(self, lease_id: int, now: int) -> None:
        """Take in what was asked of a lease, and how far its VMs are."""
        lease = self._view.leases.get(lease_id)
        booking = self._calendar.bookings.get(lease_id)
        if lease is None or lease.status.final:
            if booking is not None and not booking.status.final:
                self._calendar.cancel(lease_id, now)
            self._notes.pop(lease_id, None)
            return
        note = self._notes.setdefault(lease_id, note_of(lease))
        if booking is None:
            if lease.status is S.PENDING and not is_gathering(lease, now):
                answer_request(self._calendar, lease, note, now)
            return
        if lease.change is not None and not note.is_answered:
            answer_change(self._calendar, lease, lease.change, note, now)
        if lease.vms and note.verdict is None:
            vms = orders.vms_of(lease, self._view)
            self._take_fact(lease, vms, booking, note, now)

    # --- facts ------------------------------------------------------------------------------------

    def _take_fact(
        self, lease: Lease, vms: list[Vm], booking: Booking, note: Note, now: int
    ) -> None:
        """Tell the scheduler how far the VMs of a lease are with what they were told."""
        match orders.fact(lease, vms):
            case Fact.REACHED:
                self._reached(lease, booking, note, now)
            case Fact.ENDED:
                self._ended(lease, booking, now)
            case Fact.FAILED if note.retry_at is None:
                self._failed(lease, booking, note, orders.failure_of(vms))

    def _reached(self, lease: Lease, booking: Booking, note: Note, now: int) -> None:
        calendar, run = self._calendar, booking.run
        if run is None:
            return
        if lease.order is LeaseOrder.KILL and note.is_reset:
            note.is_reset = False
        elif lease.order is LeaseOrder.RUN and run.stage is Stage.PREPARING:
            note.attempts = 0
            (calendar.resumed if run.resumes else calendar.started)(lease.id, now)
        elif run.stage is Stage.ENDING and plans.order_of(booking) is lease.order:
            note.attempts = 0
            over = calendar.suspended if run.ending is Ending.SUSPEND else calendar.stopped
            over(lease.id, now)

    def _ended(self, lease: Lease, booking: Booking, now: int) -> None:
        """All VMs ended by themselves, or were terminated by their user."""
        run = booking.run
        if run is not None and run.stage is Stage.RUNNING:
            self._calendar.finish(lease.id, now)
        elif lease.order is LeaseOrder.SUSPEND:
            self._give_up(lease.id, S.DONE, "its VMs ended while they were suspended")
        else:
            self._give_up(lease.id, S.CANCELLED, "all its VMs were terminated")

    def _failed(self, lease: Lease, booking: Booking, note: Note, why: str) -> None:
        """Once more after a while; a start from nothing, after the rest has been stopped."""
        note.attempts += 1
        log.warning("lease %s: attempt %s failed: %s", lease.id, note.attempts, why)
        booking.reason = why
        if note.attempts < ATTEMPTS:
            note.retry_at = self._clock.now() + RETRY_S * note.attempts
            note.is_reset = lease.order is LeaseOrder.RUN and not _resumes(booking)
        elif lease.order is LeaseOrder.SUSPEND:
            note.attempts = 0
            self._cannot_suspend(lease.id, why)
        else:
            self._give_up(lease.id, S.FAILED, why)

    def _give_up(self, lease_id: int, status: LeaseStatus, reason: str) -> None:
        note = self._notes[lease_id]
        note.verdict, note.retry_at, note.expires = (status, reason), None, None
        self._calendar.cancel(lease_id, self._now())

    # --- store ------------------------------------------------------------------------------------

    async def _store(self, lease_ids: Iterable[int]) -> None:
        """One transaction: what the plan makes of each lease that it changes."""
        self._unsaved = set()
        planned: list[PlanLease] = []
        changes: list[tuple[Lease, Lease]] = []
        for lease_id in lease_ids:
            lease = self._view.leases.get(lease_id)
            booking = self._calendar.bookings.get(lease_id)
            if lease is None or lease.status.final or booking is None:
                continue
            plan = self._planned(lease, booking, self._notes[lease_id])
            if says_something(plan, lease):
                planned.append(plan)
                changes.append((lease, replace(lease, runs=plan.runs)))
        staging = tuple(self._staging.orders(self._calendar, self._now()))
        rates = self._staging.rates(rates_from(changes, self._view, CAUSE))
        if not planned and not rates and not staging:
            return
        await self._submit(
            ApplyLeasePlan(cause=CAUSE, leases=tuple(planned), rates=rates, staging=staging)
        )
        for plan in planned:
            self._after_storing(plan)

    def _after_storing(self, plan: PlanLease) -> None:
        """What was changed meanwhile by somebody else is planned again."""
        lease = self._view.leases.get(plan.lease_id)
        note = self._notes.get(plan.lease_id)
        if lease is None or note is None or lease.status.final:
            return
        if lease.gen == plan.gen + 1:
            note.is_answered = False
        else:
            self._unsaved.add(plan.lease_id)
            self._wake.set()

    def _planned(self, lease: Lease, booking: Booking, note: Note) -> PlanLease:
        before = note.current
        runs, note.current = plans.runs_of(
            lease, booking, note.current, self._sites.ids(self._calendar), self._clock.now()
        )
        status, reason = note.verdict or (booking.status, booking.reason)
        order = LeaseOrder.KILL if note.is_reset else plans.order_of(booking)
        if note.expires is not None and not status.final:
            status, order = S.OFFERED, None
        plan = PlanLease(
            cause=f"lease-{lease.id}" if lease.change is None else lease.change.cause,
            lease_id=lease.id,
            gen=lease.gen,
            status=status,
            terms=booking.terms,
            runs=runs,
            order=None if status.final else order,
            served=float(booking.served),
            suspensions=booking.suspensions,
            attempts=note.attempts,
            first_start=next((run.began for run in runs if run.began is not None), None),
            reason=reason,
            price=booking.price,
            transfers=self._staging.operations(self._calendar, lease, booking),
            expires=note.expires,
            change=None if note.is_answered else lease.change,
            refusal=note.refusal,
        )
        begins = note.current is not None and note.current is not before
        return replace(plan, new_vms=self._new_vms(plan, lease, begins=begins))

    def _new_vms(self, plan: PlanLease, lease: Lease, *, begins: bool) -> tuple[int, ...]:
        fresh = replace(lease, status=plan.status, order=plan.order)
        if plan.status.final or not fresh.is_accepted:
            return ()
        missing = range(len(lease.vms), plan.terms.node_count)
        vms = orders.vms_of(lease, self._view)
        return (*orders.to_be_made_anew(fresh, vms, begins=begins), *missing)

    # --- carry out --------------------------------------------------------------------------------

    async def _carry_out(self, lease_ids: Iterable[int]) -> None:
        """Tell the VMs of these leases what is missing, all at once."""
        async with asyncio.TaskGroup() as group:
            for lease_id in lease_ids:
                lease = self._view.leases.get(lease_id)
                self._waiting.discard(lease_id)
                note = self._notes.get(lease_id)
                if lease is None or (note is not None and is_resting(note, lease)):
                    continue
                for command in orders.commands(lease, self._view):
                    group.create_task(self._tell(lease_id, command), name=f"lease {lease_id}")

    async def _tell(self, lease_id: int, command: VmCommand) -> None:
        try:
            await self._submit(command)
        except Refused as refusal:
            log.info("lease %s: %s", lease_id, refusal.message)
            self._waiting.add(lease_id)
            if isinstance(command, SuspendVm):
                self._cannot_suspend(lease_id, refusal.message)

    def _cannot_suspend(self, lease_id: int, why: str) -> None:
        """A host that cannot suspend at all: those who wait for its room must not wait longer."""
        if lease_id in self._calendar.bookings:
            self._calendar.cannot_suspend(lease_id, why)
            self._unsaved.add(lease_id)
            self._wake.set()


def is_resting(note: Note, lease: Lease) -> bool:
    """A start that failed waits before the next try; to stop what is left does not."""
    return note.retry_at is not None and lease.order is not LeaseOrder.KILL


def _resumes(booking: Booking) -> bool:
    return booking.run is not None and booking.run.resumes


def is_gathering(lease: Lease, now: float) -> bool:
    """Whether more nodes may come, so that it is too early to plan it."""
    return lease.gathers_until is not None and now < lease.gathers_until


def is_answered(lease: Lease | None) -> bool:
    return lease is None or (lease.status is not S.PENDING and lease.change is None)


def says_something(plan: PlanLease, lease: Lease) -> bool:
    """Whether the plan differs from what is stored."""
    same = (
        plan.status is lease.status
        and plan.order is lease.order
        and plan.runs == lease.runs
        and plan.terms == lease.terms
        and plan.change == lease.change
        and (plan.reason, plan.refusal) == (lease.reason, lease.refusal)
        and (plan.attempts, plan.expires) == (lease.attempts, lease.expires)
        and (plan.price, plan.transfers) == (lease.price, lease.transfers)
        and not plan.new_vms
    )
    return not same
