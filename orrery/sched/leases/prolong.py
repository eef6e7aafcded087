"""Who was to give way need not any more: the run goes on where it is."""

from collections.abc import Iterable

from orrery.sched.leases.booking import Ending, RunPlan, Stage
from orrery.sched.leases.timeline import Timeline

CUTTABLE = frozenset({Stage.PLANNED, Stage.PREPARING, Stage.RUNNING})


def prolong(line: Timeline, hosts: Iterable[int], now: int) -> None:
    """Hosts were given up by a plan: runs on them that were cut for it are made whole again, or
    at least longer, those of the first in the queue's order first."""
    freed = set(hosts)
    cut = [
        booking.run
        for booking in line.live.values()
        if booking.run is not None
        and booking.run.ending is not Ending.COMPLETE
        and booking.runs[-1] is booking.run
        and not freed.isdisjoint(booking.run.hosts)
    ]
    for run in sorted(cut, key=lambda run: run.booking.order):
        if run.stage in CUTTABLE and run.vm_end > now:
            _prolong(line, run)


def _prolong(line: Timeline, run: RunPlan) -> None:
    until = min(line.table.free_until(host, held, run.end) for host, held in run.held)
    vm_end = run.vm_start + run.booking.remaining
    end = vm_end + line.settings.shutdown_s
    if until >= end:
        run.vm_end, run.ending = vm_end, Ending.COMPLETE
        line.end_at(run, end)
    elif until > run.end:
        run.vm_end += until - run.end
        line.end_at(run, until)
