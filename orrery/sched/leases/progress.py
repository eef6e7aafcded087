"""A run goes from stage to stage: what each means for its lease."""

from orrery.core.model.lease import LeaseStatus
from orrery.sched.leases.booking import Booking, Ending, RunPlan, Stage
from orrery.sched.leases.timeline import Step, StepKind, Timeline

BEFORE_START = frozenset({LeaseStatus.SCHEDULED, LeaseStatus.PREPARING, LeaseStatus.READY})


def prepare(line: Timeline, now: int) -> None:
    """Images are sent, and arrive: what that means for the leases that wait for them."""
    for news in line.preparation.due(now, automatic=line.automatic):
        booking, run = news.booking, news.booking.run
        line.changed.add(booking.id)
        if run is not None and booking.status in BEFORE_START and run.stage is Stage.PLANNED:
            if booking.status is not news.status:
                booking.become(news.status)
            if news.transfer is not None:
                line.steps.append(Step(news.at, StepKind.TRANSFER, run, news.transfer))


def begin(line: Timeline, run: RunPlan, now: int) -> None:
    """Its hosts are its own: VMs boot, or are brought back."""
    booking = run.booking
    run.stage = Stage.PREPARING
    if booking.future:
        line.no_future(booking)
    if not run.resumes:
        if booking.status is not LeaseStatus.READY:
            booking.become(LeaseStatus.READY)
        line.step(now, StepKind.START, run)
    elif run.migration_s or booking.hosts != run.hosts:
        booking.become(LeaseStatus.MIGRATING)
        line.preparation.moved(booking, run.hosts, now)
        line.step(now, StepKind.MIGRATE, run)
    else:
        booking.become(LeaseStatus.RESUMING)
        line.step(now, StepKind.RESUME, run)
    line.changed.add(booking.id)


def activate(line: Timeline, run: RunPlan, now: int) -> None:
    """The VMs run."""
    booking = run.booking
    run.stage = Stage.RUNNING
    if run.resumes:
        if booking.status is LeaseStatus.MIGRATING:
            booking.become(LeaseStatus.RESUMING)
        booking.become(LeaseStatus.RESUMED_READY)
    booking.become(LeaseStatus.ACTIVE)
    booking.hosts = None
    if booking.first_start is None:
        booking.first_start = run.vm_start
    line.step(now, StepKind.ACTIVE, run)
    line.changed.add(booking.id)


def wind_up(line: Timeline, run: RunPlan, now: int) -> None:
    """The VMs' time is over: they are suspended, shut down or stopped."""
    booking = run.booking
    run.stage = Stage.ENDING
    ran = max(0, run.vm_end - run.vm_start)
    run.vm_start = min(run.vm_start, run.vm_end)  # they may never have come up
    booking.ran += ran
    if line.usage.ages:
        line.usage.add(booking.user, booking.cpu_pct, run.vm_start, run.vm_end)
    booking.served += ran
    booking.remaining = max(0, booking.remaining - ran)
    if run.ending is Ending.SUSPEND:
        booking.become(LeaseStatus.SUSPENDING)
        line.step(now, StepKind.SUSPEND, run)
    else:
        kind = StepKind.STOP if run.ending is Ending.COMPLETE else StepKind.KILL
        line.step(now, kind, run)
    line.changed.add(booking.id)


def end(line: Timeline, run: RunPlan, now: int) -> None:
    """Its hosts are free again: the lease is over, or goes on later."""
    booking = run.booking
    line.over(run)
    if run.ending is Ending.SUSPEND:
        booking.hosts = run.hosts
        booking.suspensions += 1
        booking.become(LeaseStatus.SUSPENDED_PENDING)
        line.step(now, StepKind.SUSPENDED, run)
        goes_on(line, booking)
    elif run.ending is Ending.KILL:
        booking.remaining, booking.served = booking.duration, 0
        line.preparation.set_aside(booking, now)
        starts_afresh(line, booking)
    else:
        done(line, booking, run, now)


def goes_on(line: Timeline, booking: Booking) -> None:
    """A suspended lease waits for its next run, or for one to be planned."""
    if booking.run is not None:
        booking.become(LeaseStatus.SUSPENDED_SCHEDULED)
    else:
        line.enqueue(booking)


def starts_afresh(line: Timeline, booking: Booking) -> None:
    """A lease that was stopped waits for its next run, or for one to be planned."""
    if booking.run is None:
        line.enqueue(booking)
        return
    booking.become(LeaseStatus.QUEUED)
    line.scheduled(booking)


def done(line: Timeline, booking: Booking, run: RunPlan, now: int) -> None:
    booking.become(LeaseStatus.DONE)
    booking.ended = run.end
    line.preparation.release(booking, now)
    line.step(now, StepKind.DONE, run)


NEXT = {
    Stage.PLANNED: begin,
    Stage.PREPARING: activate,
    Stage.RUNNING: wind_up,
    Stage.ENDING: end,
}


def progress(line: Timeline, run: RunPlan, now: int) -> None:
    """Through all stages that are due by now; back on the agenda for the next one."""
    while run.stage is not Stage.OVER and run.next_time <= now and _may_go_on(line, run, now):
        if run.ending is Ending.KILL and run.is_given_up(now):
            wind_up(line, run, now)
        else:
            NEXT[run.stage](line, run, now)
    if run.stage is not Stage.OVER:
        line.put_on_agenda(run)


def _may_go_on(line: Timeline, run: RunPlan, now: int) -> bool:
    """Operations end when planned, or when they are said to have ended."""
    return line.automatic or run.stage not in OPERATING or run.is_given_up(now)


OPERATING = frozenset({Stage.PREPARING, Stage.ENDING})


def finish_early(line: Timeline, run: RunPlan, now: int) -> None:
    """The VMs ended by themselves: the rest of the plan is not needed."""
    booking = run.booking
    for later in [r for r in booking.runs if r.stage is Stage.PLANNED and r is not run]:
        line.drop(later)
    run.vm_end, run.ending = now, Ending.COMPLETE
    end = min(run.end, now + line.settings.shutdown_s)
    if end < run.end:
        line.gain = True
    line.end_at(run, end)
    progress(line, run, now)
