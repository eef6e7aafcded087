"""Streams of records: from any point on, nothing twice, and nobody waits for a slow reader."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from orrery.core.messages import Record
from orrery.engine.events import QUEUE_LIMIT, Hub
from orrery.engine.writer import Commit
from tests.engine.harness import Cloud, in_cloud


async def take(stream: AsyncIterator[Record], count: int) -> list[Record]:
    return [await anext(stream) for _ in range(count)]


def test_a_follower_sees_what_happens_from_now_on(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        stream = cloud.engine.hub.follow()
        first = asyncio.create_task(take(stream, 4))
        await asyncio.sleep(1)
        vm_id = await cloud.running_vm()
        records = await first
        assert [r.kind for r in records] == ["vm.created", "vm.prolog", "vm.boot", "vm.running"]
        assert {r.subject_id for r in records} == {vm_id}
        assert [r.seq for r in records] == sorted({r.seq for r in records})

    in_cloud(tmp_path, story)


def test_a_follower_that_comes_back_misses_nothing_and_sees_nothing_twice(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        await cloud.running_vm()
        everything = await cloud.engine.store.records(0, 1000)
        known = everything[2].seq
        stream = cloud.engine.hub.follow(known)
        old = await take(stream, len(everything) - 3)
        assert [r.seq for r in old] == [r.seq for r in everything[3:]]
        fresh = asyncio.create_task(take(stream, 1))
        await cloud.new_vm()
        assert (await fresh)[0].seq == everything[-1].seq + 1

    in_cloud(tmp_path, story)


def test_a_reader_that_is_too_slow_is_ended_and_others_go_on(tmp_path: Path) -> None:
    async def story(cloud: Cloud) -> None:
        hub: Hub = cloud.engine.hub
        slow, quick = hub.follow(), hub.follow()
        tasks = [asyncio.create_task(take(s, 1)) for s in (slow, quick)]
        await asyncio.sleep(1)
        await cloud.new_vm()
        await asyncio.gather(*tasks)
        record = (await cloud.engine.store.records(0, 1))[0]
        seq = (await cloud.engine.store.records(0, 1000))[-1].seq
        seen = 0
        for number in range(QUEUE_LIMIT + 500):
            fresh = Record(
                kind=record.kind,
                subject_kind=record.subject_kind,
                subject_id=record.subject_id,
                at=record.at,
                cause=record.cause,
                seq=seq + 1000 + number,
            )
            hub.on_commit(Commit((), (), (), (), (fresh,)))
            seen += len(await take(quick, 1)) if number >= 500 else 0
        rest = [r async for r in slow]
        assert len(rest) <= QUEUE_LIMIT + 10
        assert hub.followers == 1

    in_cloud(tmp_path, story)
