"""The schedule of a simulation as JSON: `{"leases": [...]}`, one lease a line.

Each lease of the workload has `id`, `kind`, `state`, `runs` (when its VMs ran) and `operations`
(what was done around that). Times are seconds from the start of the workload; `nodes` is the number
of nodes. The same input gives the same bytes.
"""

from typing import TypedDict

import orjson

from orrery.core.model.lease import OperationKind
from orrery.sched.leases.booking import Booking, RunPlan
from orrery.simulate.leases.history import in_order, moved_nodes, runs_of, state_name
from orrery.simulate.leases.run import Result


class RunEntry(TypedDict):
    start: int
    end: int
    nodes: int


class OperationEntry(TypedDict):
    kind: str
    start: int
    end: int
    nodes: int


class LeaseEntry(TypedDict):
    id: int
    kind: str
    state: str
    runs: list[RunEntry]
    operations: list[OperationEntry]


def schedule_json(result: Result) -> bytes:
    """The whole document."""
    lines = [orjson.dumps(lease_entry(booking)) for booking in in_order(result)]
    return b'{"leases":[\n' + b",\n".join(lines) + b"\n]}\n"


def lease_entry(booking: Booking) -> LeaseEntry:
    runs = runs_of(booking)
    operations = [transfer_entry(*transfer) for transfer in booking.transfers]
    operations += [entry for run in runs for entry in operation_entries(run)]
    return {
        "id": booking.id,
        "kind": booking.kind.value,
        "state": state_name(booking.status),
        "runs": [
            {"start": run.vm_start, "end": run.vm_end, "nodes": booking.node_count}
            for run in runs
            if run.vm_start < run.vm_end
        ],
        "operations": sorted(operations, key=lambda one: (one["start"], one["end"])),
    }


def transfer_entry(start: int, end: int, nodes: tuple[int, ...]) -> OperationEntry:
    kind = OperationKind.TRANSFER.value
    return {"kind": kind, "start": start, "end": end, "nodes": len(nodes)}


def operation_entries(run: RunPlan) -> list[OperationEntry]:
    """The start of VMs is none of the format's operations: it shows as the time before a run."""
    return [
        {
            "kind": kind.value,
            "start": start,
            "end": end,
            "nodes": moved_nodes(run) if kind is OperationKind.MIGRATE else run.booking.node_count,
        }
        for kind, start, end in run.operations()
        if kind is not OperationKind.BOOT
    ]
