"""Between the scheduler's working record of a lease and what is stored of it: both ways, pure.

The scheduler knows hosts by their index and times as whole seconds, and forgets what is behind; the
stored lease has the ids of hosts, and of every operation when it was planned and when it was.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from orrery.core.model.lease import (
    Lease,
    LeaseOrder,
    Operation,
    OperationKind,
    Run,
)
from orrery.core.promises import is_over
from orrery.sched.leases.booking import Booking, Ending, RunPlan, Stage

ORDER_OF_ENDING = {
    Ending.COMPLETE: LeaseOrder.STOP,
    Ending.SUSPEND: LeaseOrder.SUSPEND,
    Ending.KILL: LeaseOrder.KILL,
}


def order_of(booking: Booking) -> LeaseOrder | None:
    """What the VMs are to do by the stage of the present run."""
    run = booking.run
    if run is None or booking.status.final:
        return None
    if run.stage in (Stage.PREPARING, Stage.RUNNING):
        return LeaseOrder.RUN
    return ORDER_OF_ENDING[run.ending] if run.stage is Stage.ENDING else None


def run_of(plan: RunPlan, host_ids: Sequence[int]) -> Run:
    """A run as planned. The operations at its ends are always there, if need be with no length:
    their actual times are kept with them."""
    nodes = tuple(range(len(plan.hosts)))
    before = OperationKind.RESUME if plan.resumes else OperationKind.BOOT
    after = OperationKind.SUSPEND if plan.ending is Ending.SUSPEND else OperationKind.SHUTDOWN
    moved = plan.start + plan.migration_s
    operations = [
        Operation(kind=before, start=float(moved), end=float(plan.vm_start), nodes=nodes),
        Operation(kind=after, start=float(plan.vm_end), end=float(plan.end), nodes=nodes),
    ]
    if plan.migration_s:
        migration = Operation(
            kind=OperationKind.MIGRATE, start=float(plan.start), end=float(moved), nodes=nodes
        )
        operations.insert(0, migration)
    return Run(
        hosts=tuple(host_ids[index] for index in plan.hosts),
        start=float(plan.start),
        vm_start=float(plan.vm_start),
        vm_end=float(plan.vm_end),
        end=float(plan.end),
        suspends=plan.ending is Ending.SUSPEND,
        resumes=plan.resumes,
        kills=plan.ending is Ending.KILL,
        operations=tuple(operations),
    )


def has_begun(run: Run) -> bool:
    return any(op.began is not None for op in run.operations)


def present(lease: Lease) -> Run | None:
    """The run that has begun and is not over."""
    return next((run for run in lease.runs if has_begun(run) and not is_over(run)), None)


def updated(run: Run, plan: RunPlan, host_ids: Sequence[int], now: float) -> Run:
    """A run as it is planned now, with what has happened so far: when an operation has begun, the
    times it was planned for stay."""
    fresh = run_of(plan, host_ids)
    operations = tuple(
        old if old.began is not None and old.kind is new.kind else new
        for old, new in zip(run.operations, fresh.operations, strict=False)
    )
    fresh = replace(fresh, operations=operations, began=run.began, ended=run.ended)
    return timed(fresh, plan.stage, now)


def timed(run: Run, stage: Stage, now: float) -> Run:
    """The actual times that follow from the stage that was entered now."""
    *first, last = run.operations
    if stage is not Stage.PLANNED:
        first = [op if op.began is not None else replace(op, began=now) for op in first]
    if stage in (Stage.RUNNING, Stage.ENDING, Stage.OVER) and run.began is None:
        first = [op if op.ended is not None else replace(op, ended=now) for op in first]
        run = replace(run, began=now)
    if stage in (Stage.ENDING, Stage.OVER) and run.ended is None:
        last = replace(last, began=now)
        run = replace(run, ended=now)
    if stage is Stage.OVER and last.ended is None:
        last = replace(last, ended=now)
    return replace(run, operations=(*first, last))


def broken_off(run: Run, now: float) -> Run:
    """A run that ended otherwise than any plan said: its hosts were lost, or it was given up."""
    operations = tuple(
        op if op.began is None or op.ended is not None else replace(op, ended=now)
        for op in run.operations
    )
    return replace(run, operations=operations, ended=run.ended or now)


def runs_of(
    lease: Lease,
    booking: Booking,
    current: RunPlan | None,
    host_ids: Sequence[int],
    now: float,
) -> tuple[tuple[Run, ...], RunPlan | None]:
    """All runs of a lease, those behind as they went, and the plan of the one under way.

    Args:
        current: the plan of the stored run that is under way.
    """
    runs = [run for run in lease.runs if is_over(run)]
    under_way = present(lease)
    recorded = current if under_way is not None and current in booking.runs else None
    if under_way is not None:
        if recorded is None:
            runs.append(broken_off(under_way, now))
        else:
            runs.append(updated(under_way, recorded, host_ids, now))
    current = None if recorded is None or recorded.stage is Stage.OVER else recorded
    for plan in booking.runs:
        if plan is not recorded and plan.stage is not Stage.OVER:
            runs.append(timed(run_of(plan, host_ids), plan.stage, now))
            current = current if plan.stage is Stage.PLANNED else plan
    return tuple(runs), current


def stage_of(run: Run) -> Stage:
    """How far a stored run is."""
    if not has_begun(run):
        return Stage.PLANNED
    if is_over(run):
        return Stage.OVER
    if run.ended is not None:
        return Stage.ENDING
    return Stage.PREPARING if run.began is None else Stage.RUNNING


def ending_of(run: Run) -> Ending:
    if run.suspends:
        return Ending.SUSPEND
    return Ending.KILL if run.kills else Ending.COMPLETE
