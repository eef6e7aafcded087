"""The one writer: takes what waits, decides it, commits it in one transaction, publishes, answers.

All changes go through here, whether a user asked or a driver reported. Nothing outside has happened
before the commit that demands it, and nobody is told of a change before it is durable.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.decide import decide, expand
from orrery.core.errors import Refused, Unavailable
from orrery.core.messages import Command, Decision, Message, Record
from orrery.core.model.action import Action
from orrery.core.model.kinds import Kind
from orrery.core.model.view import KIND_OF, Object
from orrery.engine.view import State
from orrery.ports.clock import Clock
from orrery.ports.store import Batch, Store

log = logging.getLogger(__name__)

Request = tuple[Message, asyncio.Future[int | None]]


class Commit(Struct, frozen=True):
    """What a commit made true: given to every listener, in order."""

    put: Sequence[Object]
    deleted: Sequence[tuple[Kind, int]]
    actions: Sequence[Action]
    settled: Sequence[tuple[Kind, int]]
    records: Sequence[Record]


Listener = Callable[[Commit], None]
"""Called on the loop after each commit; must not block."""


class Changes:
    """What the messages of one batch add up to; of several changes of one object the last one
    counts."""

    def __init__(self) -> None:
        self.put: dict[tuple[Kind, int], Object] = {}
        self.deleted: dict[tuple[Kind, int], None] = {}
        self.actions: dict[tuple[Kind, int], Action] = {}
        self.settled: dict[tuple[Kind, int], None] = {}
        self.records: list[Record] = []

    def add(self, decision: Decision) -> None:
        for obj in decision.put:
            key = (KIND_OF[type(obj)], obj.id)
            self.put[key] = obj
            self.deleted.pop(key, None)
        for key in decision.delete:
            self.deleted[key] = None
            self.put.pop(key, None)
        for key in decision.settled:
            self.settled[key] = None
            self.actions.pop(key, None)
        for action in decision.actions:
            self.actions[action.key] = action
            self.settled.pop(action.key, None)
        self.records.extend(decision.records)

    def __bool__(self) -> bool:
        return bool(self.put or self.deleted or self.actions or self.settled or self.records)


class Writer:
    """`working` is what decisions are made on; `published` what everybody else reads.

    They may be one object when the store commits without yielding to the loop (SQLite): then nobody
    can look between decision and commit. Otherwise `published` follows after the commit.
    """

    def __init__(
        self,
        store: Store,
        working: State,
        published: State,
        clock: Clock,
        *,
        queue_limit: int = 1000,
        batch_limit: int = 256,
    ) -> None:
        self._store = store
        self._working = working
        self._published = published
        self._clock = clock
        self._queue: asyncio.Queue[Request] = asyncio.Queue(queue_limit)
        self._batch_limit = batch_limit
        self._next_ids = dict(working.next_ids)
        self._listeners: list[Listener] = []
        self._stopped = False

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def submit(self, message: Message) -> int | None:
        """The message's result once it is durable.

        Raises:
            Refused: the core refuses it, or the engine is stopping.
        """
        if self._stopped:
            raise Unavailable("the engine is stopping: try again when it is back")
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        await self._queue.put((message, future))
        return await future

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                await self._serve(await self._next_batch())
        finally:
            self._stopped = True
            self._refuse_waiting()

    async def _next_batch(self) -> list[Request]:
        batch = [await self._queue.get()]
        while len(batch) < self._batch_limit and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch

    async def _serve(self, requests: list[Request]) -> None:
        changes = Changes()
        answers: list[tuple[asyncio.Future[int | None], int | None]] = []
        decisions: list[Decision] = []
        for message, future in requests:
            try:
                made = self._decide(message)
            except Refused as refusal:
                _answer(future, refusal)
                continue
            for decision in made:
                changes.add(decision)
            decisions.extend(made)
            answers.append((future, made[0].result if made else None))
        if changes:
            try:
                await self._commit(changes, decisions)
            except BaseException:
                for future, _ in answers:
                    _answer(future, Unavailable("the engine could not store the change and stops"))
                raise
        for future, result in answers:
            if not future.done():
                future.set_result(result)

    def _decide(self, message: Message) -> list[Decision]:
        """Decide each part on the state that the parts before it leave."""
        now = self._clock.now()
        made = []
        for part in expand(message):
            decision = self._decide_part(part, now)
            self._working.apply(decision)
            made.append(decision)
        return made

    def _decide_part(self, part: Message, now: float) -> Decision:
        """Nothing is applied yet: what goes wrong over a command costs only its caller.

        A broken invariant, or an error over an event, is the engine's own and ends it.
        """
        try:
            return decide(part, self._working, now)
        except (Refused, AssertionError):
            raise
        except Exception as error:
            if not isinstance(part, Command):
                raise
            log.exception("%s cannot be decided", type(part).__name__)
            raise Refused(f"Internal error: {type(error).__name__}: {error}") from error

    async def _commit(self, changes: Changes, decisions: list[Decision]) -> None:
        batch = Batch(
            put=tuple(changes.put.values()),
            delete=tuple(changes.deleted),
            put_actions=tuple(changes.actions.values()),
            delete_actions=tuple(changes.settled),
            records=changes.records,
            next_ids=self._new_ids(),
        )
        last = await self._store.commit(batch)
        if self._published is not self._working:
            for decision in decisions:
                self._published.apply(decision)
        first = last - len(changes.records) + 1
        commit = Commit(
            put=batch.put,
            deleted=batch.delete,
            actions=batch.put_actions,
            settled=batch.delete_actions,
            records=[replace(r, seq=first + i) for i, r in enumerate(changes.records)],
        )
        for listener in self._listeners:
            listener(commit)

    def _new_ids(self) -> dict[Kind, int]:
        fresh = {
            kind: number
            for kind, number in self._working.next_ids.items()
            if self._next_ids.get(kind) != number
        }
        self._next_ids.update(fresh)
        return fresh

    def _refuse_waiting(self) -> None:
        while not self._queue.empty():
            _, future = self._queue.get_nowait()
            _answer(future, Unavailable("the engine is stopping: try again when it is back"))


def _answer(future: asyncio.Future[int | None], refusal: Refused) -> None:
    """The caller may have gone away meanwhile."""
    if not future.done():
        future.set_exception(refusal)
