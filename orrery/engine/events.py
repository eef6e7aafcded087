"""Delivers records: to streams of API clients and whoever else follows. Slow readers are cut off,
not waited for."""

import asyncio
from collections.abc import AsyncIterator

from orrery.core.messages import Record
from orrery.engine.writer import Commit
from orrery.ports.store import Store

QUEUE_LIMIT = 1000
PAGE = 500


class Hub:
    """One queue per follower, fed after each commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: set[asyncio.Queue[Record | None]] = set()

    @property
    def followers(self) -> int:
        return len(self._queues)

    def on_commit(self, commit: Commit) -> None:
        for queue in list(self._queues):
            for record in commit.records:
                if queue.qsize() >= QUEUE_LIMIT:
                    self._queues.discard(queue)
                    queue.put_nowait(None)
                    break
                queue.put_nowait(record)

    async def follow(self, after: int | None = None) -> AsyncIterator[Record]:
        """Records from now on, or all after `after` first. Ends when the follower reads too slowly.

        Args:
            after: seq of the last record the follower knows; None for only what is new.
        """
        queue: asyncio.Queue[Record | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            last = 0
            if after is not None:
                last = after
                while page := await self._store.records(last, PAGE):
                    for record in page:
                        yield record
                    last = page[-1].seq
            while (fresh := await queue.get()) is not None:
                if fresh.seq > last:
                    yield fresh
        finally:
            self._queues.discard(queue)
