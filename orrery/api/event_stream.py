"""/api/v1/events: what has been committed, as server-sent events; each caller sees what it may
see.
"""

import asyncio

import msgspec

from orrery.api.body import Receive, Scope, Send
from orrery.core.access import visible
from orrery.core.errors import NotFound
from orrery.core.messages import Actor, Record
from orrery.core.objects import find
from orrery.service.engine import Engine, Events

HEARTBEAT_S = 15.0
MAX_WAITING = 1000
"""Records kept for a reader; one that falls further behind is disconnected and comes back with
its last id.
"""

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ],
}


class Gone(Exception):
    """The client left, fell behind, or the engine stops."""


class EventStream:
    """One stream to one client."""

    def __init__(self, engine: Engine, events: Events, actor: Actor, after: int | None) -> None:
        self._engine = engine
        self._events = events
        self._actor = actor
        self._after = after
        self._user = engine.view.users.get(actor.uid)
        self._waiting: asyncio.Queue[Record | None] = asyncio.Queue(MAX_WAITING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._collect())
                tasks.create_task(self._pass_on(send))
                tasks.create_task(until_disconnect(receive))
        except* Gone:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _collect(self) -> None:
        """Ends when the engine stops, and when the user changes: who may see what is then asked
        again.
        """
        async for record in self._events.follow(self._after):
            if self._engine.view.users.get(self._actor.uid) is not self._user:
                break
            if not may_see(self._engine, self._actor, record):
                continue
            try:
                self._waiting.put_nowait(record)
            except asyncio.QueueFull:
                raise Gone from None
        await self._waiting.put(None)

    async def _pass_on(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
        while True:
            body = await self._next_chunk()
            await send({"type": "http.response.body", "body": body, "more_body": True})

    async def _next_chunk(self) -> bytes:
        """Everything that waits, or a comment that keeps the connection open."""
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                record = await self._waiting.get()
        except TimeoutError:
            return b": still here\n\n"
        if record is None:
            raise Gone
        chunk = [event_of(record)]
        while not self._waiting.empty():
            record = self._waiting.get_nowait()
            if record is None:
                self._waiting.put_nowait(None)
                break
            chunk.append(event_of(record))
        return b"".join(chunk)


async def until_disconnect(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone


def may_see(engine: Engine, actor: Actor, record: Record) -> bool:
    """Records follow their object: of one that is gone only administrators hear."""
    if actor.is_admin:
        return True
    try:
        found = find(engine.view, record.subject_kind, record.subject_id)
    except NotFound:
        return False
    return visible(actor, found)


def event_of(record: Record) -> bytes:
    body = msgspec.json.encode(
        {
            "seq": record.seq,
            "kind": record.kind,
            "subject": {"kind": record.subject_kind.name.lower(), "id": record.subject_id},
            "at": record.at,
            "cause": record.cause,
            "body": record.body,
        }
    )
    return b"id: %d\nevent: record\ndata: %s\n\n" % (record.seq, body)
