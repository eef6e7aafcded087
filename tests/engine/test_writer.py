"""The writer: group commit, refusals that hurt nobody else, nothing told before it is durable."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from orrery.core.decide import decide
from orrery.core.errors import InvalidInput, NotFound, Refused, Unavailable
from orrery.core.messages import (
    ENGINE,
    AllocateVm,
    ApplyPlan,
    HoldVm,
    PlaceVm,
    Record,
    ReleaseVm,
)
from orrery.core.model.kinds import Kind
from orrery.core.template import parse
from orrery.engine import writer as writer_module
from orrery.engine.view import State
from orrery.engine.writer import Commit, Writer
from orrery.ports.store import Batch, Loaded
from tests.site import ENGINE_ID, NOW, Site

T = TypeVar("T")
TEXT = 'CPU="1" MEMORY="64"'


class StillClock:
    def now(self) -> float:
        return NOW


class Notebook:
    """A store that keeps the batches and can be told to fail or to take its time."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.seq = 0
        self.broken = False
        self.gate: asyncio.Event | None = None

    async def open(self, engine_id: str) -> None: ...

    async def load(self) -> Loaded:
        return Loaded(engine_id=ENGINE_ID, objects=(), actions=(), next_ids={})

    async def commit(self, batch: Batch) -> int:
        if self.gate is not None:
            await self.gate.wait()
        if self.broken:
            raise OSError(28, "No space left on device")
        self.batches.append(batch)
        self.seq += len(batch.records)
        return self.seq

    async def records(
        self, after: int, limit: int, *, kind: Kind | None = None, subject_id: int | None = None
    ) -> list[Record]:
        return []

    async def prune_records(self, before: float) -> int:
        return 0

    async def close(self) -> None: ...


def with_writer(
    story: Callable[[Writer, Notebook], Awaitable[T]], published: State | None = None
) -> tuple[T, State]:
    site = Site().furnished()

    async def main() -> T:
        store = Notebook()
        writer = Writer(store, site.state, published or site.state, StillClock())
        task = asyncio.create_task(writer.run())
        try:
            return await story(writer, store)
        finally:
            task.cancel()
            await asyncio.wait([task])

    return asyncio.run(main()), site.state


def allocate(text: str = TEXT) -> AllocateVm:
    return AllocateVm(cause="t", actor=ENGINE, template=parse(text), hold=False)


def test_what_waits_together_is_committed_together() -> None:
    async def story(writer: Writer, store: Notebook) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(writer.submit(allocate())) for _ in range(50)]
        assert [task.result() for task in tasks] == list(range(50))
        assert len(store.batches) <= 2

    with_writer(story)


def test_a_batch_has_a_limit() -> None:
    async def story(writer: Writer, store: Notebook) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(600):
                group.create_task(writer.submit(allocate()))
        assert max(len(batch.put) for batch in store.batches) <= 256

    with_writer(story)


def test_a_refusal_in_a_batch_changes_nothing_and_hurts_nobody_else() -> None:
    async def story(writer: Writer, store: Notebook) -> None:
        good, bad, missing = await asyncio.gather(
            writer.submit(allocate()),
            writer.submit(allocate('CPU="0" MEMORY="64"')),
            writer.submit(HoldVm(cause="t", actor=ENGINE, vm_id=99)),
            return_exceptions=True,
        )
        assert good == 0
        assert isinstance(bad, InvalidInput)
        assert isinstance(missing, NotFound)
        assert sum(len(batch.put) for batch in store.batches) == 1

    with_writer(story)


def test_of_several_changes_of_one_object_the_last_is_written() -> None:
    async def story(writer: Writer, store: Notebook) -> None:
        await writer.submit(allocate())
        await asyncio.gather(
            writer.submit(HoldVm(cause="t", actor=ENGINE, vm_id=0)),
            writer.submit(ReleaseVm(cause="t", actor=ENGINE, vm_id=0)),
            writer.submit(HoldVm(cause="t", actor=ENGINE, vm_id=0)),
        )
        assert len(store.batches[-1].put) == 1
        assert len(store.batches[-1].records) == 3

    with_writer(story)


def test_nothing_is_published_before_it_is_durable() -> None:
    published = State(ENGINE_ID)

    async def story(writer: Writer, store: Notebook) -> None:
        store.gate = asyncio.Event()
        heard: list[Commit] = []
        writer.listen(heard.append)
        task = asyncio.create_task(writer.submit(allocate()))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
        assert not published.vms
        assert not heard
        store.gate.set()
        assert await task == 0
        assert list(published.vms) == [0]
        assert len(heard) == 1

    with_writer(story, published)


def test_a_store_that_fails_ends_the_writer_and_tells_the_callers() -> None:
    async def main() -> None:
        site = Site().furnished()
        store = Notebook()
        store.broken = True
        writer = Writer(store, site.state, site.state, StillClock())
        running = asyncio.create_task(writer.run())
        with pytest.raises(Unavailable):
            await writer.submit(allocate())
        with pytest.raises(OSError, match="No space left"):
            await running
        with pytest.raises(Unavailable):
            await writer.submit(allocate())

    asyncio.run(main())


def test_records_are_numbered_as_the_store_numbers_them() -> None:
    async def story(writer: Writer, store: Notebook) -> None:
        heard: list[Record] = []
        writer.listen(lambda commit: heard.extend(commit.records))
        await asyncio.gather(*(writer.submit(allocate()) for _ in range(5)))
        assert [record.seq for record in heard] == [1, 2, 3, 4, 5]

    with_writer(story)


def test_each_placement_of_a_plan_sees_what_the_ones_before_it_took() -> None:
    async def story(writer: Writer, store: Notebook) -> None:
        for _ in range(3):
            await writer.submit(allocate('CPU="1" MEMORY="4000"'))
        placements = tuple(PlaceVm(cause="s", vm_id=i, gen=0, host_id=1, ds_id=0) for i in range(3))
        await writer.submit(ApplyPlan(cause="s", placements=placements))

    _, state = with_writer(story)
    assert len(state.vms_on(1)) == 2
    assert set(state.vms_pending()) == {2}


def test_a_caller_that_goes_away_does_not_stop_the_change() -> None:
    async def story(writer: Writer, store: Notebook) -> None:
        task = asyncio.create_task(writer.submit(allocate()))
        await asyncio.sleep(0)
        task.cancel()
        await writer.submit(allocate())
        assert sum(len(batch.put) for batch in store.batches) == 2

    with_writer(story)


def test_an_error_of_ours_over_a_command_costs_only_its_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(message: object, view: object, now: float) -> object:
        if isinstance(message, HoldVm):
            raise KeyError("no such thing")
        return decide(message, view, now)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(writer_module, "decide", broken)

    async def story(writer: Writer, store: Notebook) -> None:
        good, bad = await asyncio.gather(
            writer.submit(allocate()),
            writer.submit(HoldVm(cause="t", actor=ENGINE, vm_id=0)),
            return_exceptions=True,
        )
        assert good == 0
        assert isinstance(bad, Refused)
        assert "Internal error" in str(bad)
        assert await writer.submit(allocate()) == 1

    with_writer(story)
