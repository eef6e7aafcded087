"""/RPC2 straight from the connection: a plain request is answered without a web server between.

Plain is: POST /RPC2 over HTTP/1.1, one Content-Length, nothing that changes how the connection is
read, one request at a time. Whatever else a connection brings, and everything after it, is
uvicorn's: once it is not plain it is never looked at here again, so the two can not disagree on
where a request ends.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from orrery.api.large_answer import LargeAnswer
from orrery.api.xmlrpc.dispatch import Answering
from orrery.api.xmlrpc_codec import PARSE_ERROR, encode_fault

Begin = Callable[[bytes, str], Answering]
"""(body, peer) -> the answer, or what to await for it"""

START = b"POST /RPC2"
HEAD_LIMIT = 8192
BODY_TIMEOUT_S = 60.0
LARGE = 1 << 18
"""From this size on an answer is sent without the transport's copies."""

HEAD = re.compile(rb"POST /RPC2/? HTTP/1\.1\r\n(?:[A-Za-z0-9-]+:[\t\x20-\x7e]*\r\n)+\r\n")
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?=\r\n)")
CLOSE = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*\r\n")
NOT_PLAIN = re.compile(
    rb"\r\n(?:(?:transfer-encoding|content-encoding|expect|upgrade|te|trailer):"
    rb"|connection:(?![ \t]*(?:keep-alive|close)[ \t]*\r\n))"
)

STATUS = b"HTTP/1.1 200 OK\r\ncontent-type: text/xml; charset=utf-8\r\ncontent-length: "


class Shape:
    """What the head of a plain request says."""

    __slots__ = ("begins_at", "close", "ends_at")

    def __init__(self, begins_at: int, ends_at: int, *, close: bool) -> None:
        self.begins_at = begins_at
        self.ends_at = ends_at
        self.close = close


def shape_of(data: bytes, body_limit: int) -> Shape | None:
    """Where the body is, or None when the request is not plain."""
    if not data.startswith(START):
        return None
    head = HEAD.match(data, 0, HEAD_LIMIT)
    if head is None:
        return None
    fields = head.group().lower()
    lengths = LENGTH.findall(fields)
    if fields.count(b"\r\ncontent-length:") != 1 or not lengths or NOT_PLAIN.search(fields):
        return None
    length = int(lengths[0])
    if length > body_limit:
        return None
    end = head.end()
    return Shape(end, end + length, close=CLOSE.search(fields) is not None)


class RpcProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the short way before it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        begin: Begin,
        body_limit: int,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._begin = begin
        self._body_limit = body_limit
        self._is_plain = True
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._shape: Shape | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._large: LargeAnswer | None = None
        self._peer = ""
        self._last = 0.0
        """When something came or went, or when the request began of which a part is here."""
        self._timer: asyncio.TimerHandle | None = None

    # --- the connection ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        self._last = self.loop.time()
        self._timer = self.loop.call_later(self.timeout_keep_alive, self._look_at_the_time)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._large is not None:
            self._large.stop()
            self._large = None
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """What is being done is answered first."""
        if self._is_plain and (self._task is not None or self._large is not None):
            self._closing = True
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """The client does not read: then nothing more is read from it."""
        super().pause_writing()
        if self._is_plain:
            self.flow.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_on()

    def _look_at_the_time(self) -> None:
        """One timer for the life of the connection, not two for each request."""
        now = self.loop.time()
        if self._task is not None or self._large is not None or self._is_sending():
            self._last = now
        allowed = BODY_TIMEOUT_S if self._shape is not None else float(self.timeout_keep_alive)
        left = self._last + allowed - now
        if left > 0:
            self._timer = self.loop.call_later(left, self._look_at_the_time)
        elif self._shape is not None:
            self._close_after_late_body()
        elif not self.transport.is_closing():
            self.transport.close()

    def _close_after_late_body(self) -> None:
        self._shape = None
        text = "The request did not arrive whole in time"
        self._answer(encode_fault(PARSE_ERROR, text), close=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- requests ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if not self._is_plain:
            super().data_received(data)
            return
        if self._shape is None:
            self._last = self.loop.time()
            self._shape = shape_of(data, self._body_limit)
            if self._shape is None:
                self._leave_to_uvicorn(data)
                return
        self._parts.append(data)
        self._size += len(data)
        if self._size >= self._shape.ends_at:
            self._request_is_whole(self._shape)

    def _leave_to_uvicorn(self, data: bytes) -> None:
        self._is_plain = False
        self._stop_timer()
        super().data_received(data)

    def _request_is_whole(self, shape: Shape) -> None:
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size, self._shape = 0, None
        if len(data) > shape.ends_at:  # a pipeline: it is uvicorn that keeps the order
            self._leave_to_uvicorn(data)
            return
        answering = self._begin(data[shape.begins_at :], self._peer)
        if isinstance(answering, bytes):
            self._answer(answering, close=shape.close)
            return
        self.flow.pause_reading()
        task = self.loop.create_task(self._finish(answering, close=shape.close))
        self._task = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _finish(self, answering: Coroutine[Any, Any, bytes], *, close: bool) -> None:
        answer = await answering
        self._task = None
        self._answer(answer, close=close)
        self._read_on()

    def _read_on(self) -> None:
        """The next request, unless this one is still being done or its answer not yet taken."""
        idle = self._task is None and self._large is None
        if self._is_plain and idle and not self.flow.write_paused:
            self.flow.resume_reading()

    # --- answers ----------------------------------------------------------------------------------

    def _answer(self, body: bytes, *, close: bool) -> None:
        if self.transport.is_closing():
            return
        self.server_state.total_requests += 1
        self._last = self.loop.time()
        self._closing = self._closing or close
        head = self._head(len(body))
        if len(body) < LARGE:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            if not self._is_sending():
                self._answer_large(body)
                return
            self.transport.write(body)
        if self._closing:
            self.transport.close()

    def _is_sending(self) -> bool:
        return self.transport.get_write_buffer_size() > 0

    def _answer_large(self, body: bytes) -> None:
        self.flow.pause_reading()
        self._large = LargeAnswer(self.loop, self.transport, body, self._large_ended)
        self._large.start()

    def _large_ended(self, error: OSError | None) -> None:
        self._large = None
        self._last = self.loop.time()
        if error is not None:
            self.transport.abort()
        elif self._closing:
            self.transport.close()
        else:
            self._read_on()

    def _head(self, length: int) -> bytes:
        own = b"".join(
            [b"%s: %s\r\n" % (name, value) for name, value in self.server_state.default_headers]
        )
        closing = b"connection: close\r\n" if self._closing else b""
        return b"%s%d\r\n%s%s\r\n" % (STATUS, length, own, closing)
