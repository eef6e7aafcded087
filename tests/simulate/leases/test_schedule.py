"""The schedule as JSON."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orrery.core.model.lease import OperationKind
from orrery.simulate.leases.metrics import measure
from orrery.simulate.leases.run import Result, simulate
from orrery.simulate.leases.schedule import schedule_json
from orrery.simulate.leases.sources import load_workload
from tests.simulate.leases.small import PREEMPTED, SETTINGS, asked, run

KINDS = {"transfer", "suspend", "resume", "migrate", "shutdown"}


def schedule(result: Result) -> list[dict[str, Any]]:
    document = json.loads(schedule_json(result))
    assert list(document) == ["leases"]
    leases: list[dict[str, Any]] = document["leases"]
    return leases


def test_runs_are_when_vms_ran_and_operations_what_was_done_between_them() -> None:
    assert schedule(run(*PREEMPTED)) == [
        {
            "id": 1,
            "kind": "best-effort",
            "state": "done",
            "runs": [
                {"start": 0, "end": 490, "nodes": 2},
                {"start": 810, "end": 1320, "nodes": 2},
            ],
            "operations": [
                {"kind": "suspend", "start": 490, "end": 500, "nodes": 2},
                {"kind": "resume", "start": 800, "end": 810, "nodes": 2},
            ],
        },
        {
            "id": 2,
            "kind": "reservation",
            "state": "done",
            "runs": [{"start": 500, "end": 800, "nodes": 2}],
            "operations": [],
        },
    ]


def test_a_rejected_lease_is_there_and_has_no_runs() -> None:
    found = schedule(run(asked(1, 3, 100), asked(2, 1, 100, start=50)))
    assert found[0] | {"runs": [], "operations": []} == found[0]
    assert (found[0]["id"], found[0]["state"]) == (1, "rejected")


def test_every_kind_has_its_name() -> None:
    found = schedule(
        run(
            asked(1, 1, 10),
            asked(2, 1, 10, start=100),
            asked(3, 1, 10, immediate=True),
            asked(4, 1, 10, start=200, deadline=400),
        )
    )
    kinds = [lease["kind"] for lease in found]
    assert kinds == ["best-effort", "reservation", "immediate", "deadline"]


def test_a_migration_comes_before_the_resumption() -> None:
    """The host on which lease 1 was suspended goes to lease 3."""
    slow = replace(SETTINGS, migration_mbit=8.388608 * 102.4)
    leases = (
        asked(1, 1, 1000),
        asked(2, 2, 100, at=10, start=100),
        asked(3, 1, 800, at=11, start=200),
    )
    found = run(*leases, settings=slow)
    assert schedule(found)[0]["operations"] == [
        {"kind": "suspend", "start": 90, "end": 100, "nodes": 1},
        {"kind": "migrate", "start": 200, "end": 210, "nodes": 1},
        {"kind": "resume", "start": 210, "end": 220, "nodes": 1},
    ]
    assert measure(found).migrations == 1
    assert measure(found).utilization_split["transfer"] == pytest.approx(10 / (2 * 1130))


def test_the_boot_of_vms_is_none_of_the_operations_of_the_format() -> None:
    found = schedule(run(asked(1, 1, 100), settings=replace(SETTINGS, boot_s=20, shutdown_s=5)))
    assert found[0]["runs"] == [{"start": 20, "end": 120, "nodes": 1}]
    assert [one["kind"] for one in found[0]["operations"]] == ["shutdown"]
    assert {kind.value for kind in OperationKind} - {"boot"} == KINDS


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_same_workload_gives_the_same_bytes(seed: int) -> None:
    drawn = load_workload("synthetic:60,6,30").arrivals[: 20 + seed % 40]
    workload = replace(load_workload("synthetic:60,6,30"), arrivals=drawn)
    first, second = simulate(workload, SETTINGS), simulate(workload, SETTINGS)
    assert schedule_json(first) == schedule_json(second)
    assert [lease["id"] for lease in schedule(first)] == [one.lease_id for one in drawn]
