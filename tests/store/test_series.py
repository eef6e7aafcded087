"""Monitoring series: what was appended is read, by kind, ids and time, until it is pruned."""

import asyncio
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from orrery.core.model.kinds import Kind
from orrery.ports.store import Sample, Series
from orrery.store.series import KEPT_IN_MEMORY, MemorySeries, SqliteSeries

T = TypeVar("T")


def run(awaitable: Awaitable[T]) -> T:
    async def wait() -> T:
        return await awaitable

    return asyncio.run(wait())


@pytest.fixture(params=["memory", "sqlite"])
def series(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Series]:
    if request.param == "memory":
        yield MemorySeries()
        return
    made = SqliteSeries(tmp_path / "series.db")
    yield made
    made.close()


def sample(at: float, number: int = 1, kind: Kind = Kind.VM) -> Sample:
    return Sample(kind, number, at, {"CPU": at * 2, "NETRX": 0.5})


def test_samples_are_read_in_order_with_their_numbers(series: Series) -> None:
    run(series.append([sample(1), sample(2)]))
    run(series.append([sample(3)]))
    assert run(series.read(Kind.VM, None, 0)) == [sample(1), sample(2), sample(3)]


@pytest.mark.parametrize(
    ("kind", "ids", "since", "ats"),
    [
        (Kind.VM, None, 0, [1, 2, 3]),
        (Kind.VM, [1], 0, [1, 3]),
        (Kind.VM, [1, 2], 2, [2, 3]),
        (Kind.VM, [], 0, []),
        (Kind.VM, [9], 0, []),
        (Kind.VM, None, 3, [3]),
        (Kind.VM, None, 4, []),
        (Kind.HOST, None, 0, [4]),
    ],
)
def test_samples_are_chosen_by_kind_ids_and_time(
    series: Series, kind: Kind, ids: list[int] | None, since: float, ats: list[float]
) -> None:
    run(series.append([sample(1), sample(2, 2), sample(3), sample(4, 1, Kind.HOST)]))
    assert sorted(one.at for one in run(series.read(kind, ids, since))) == ats


def test_nothing_is_appended_by_nothing(series: Series) -> None:
    run(series.append([]))
    assert run(series.read(Kind.VM, None, 0)) == []


def test_old_samples_are_pruned(series: Series) -> None:
    run(series.append([sample(1), sample(2), sample(3)]))
    run(series.prune(2))
    assert [one.at for one in run(series.read(Kind.VM, None, 0))] == [2, 3]
    run(series.prune(100))
    assert run(series.read(Kind.VM, None, 0)) == []


def test_memory_keeps_the_newest() -> None:
    series = MemorySeries()
    run(series.append([sample(at) for at in range(KEPT_IN_MEMORY + 5)]))
    kept = run(series.read(Kind.VM, None, 0))
    assert (len(kept), kept[0].at) == (KEPT_IN_MEMORY, 5)


def test_a_file_is_read_again_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "series.db"
    first = SqliteSeries(path)
    run(first.append([sample(1)]))
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    first.close()
    second = SqliteSeries(path)
    assert run(second.read(Kind.VM, [1], 0)) == [sample(1)]
    second.close()
