"""One connection to libvirt: opened and kept in the background, called through few threads.

Every call blocks in C, cannot be cancelled and may never return: each has a deadline, after which
its outcome is unknown. Knows no driver method.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from orrery.drivers.libvirt.binding import libvirt, start_event_loop
from orrery.drivers.libvirt.faults import NotConnected, NotStarted, Overdue, is_lost

T = TypeVar("T")

OPEN_DEADLINE_S = 10.0
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 5, 3

LIFECYCLE = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: "defined",
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: "undefined",
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "shutdown",
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: "pmsuspended",
    libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
}
STOPPED_REASON = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: "shutdown",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: "destroyed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED: "migrated",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED: "saved",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: "failed",
}

OnEvent = Callable[[str | None, str | None, str, str | None], None]
"""(uuid, name, event, reason), on the loop's thread. No uuid: connected, events may be missing."""


def ignore_event(uuid: str | None, name: str | None, event: str, reason: str | None) -> None:
    """For connections that only ask."""


class Connection:
    """A connection that is there or not; `run` keeps it, `call` uses it."""

    def __init__(self, uri: str, *, workers: int, on_event: OnEvent = ignore_event) -> None:
        self.uri = uri
        self.problem = "not opened yet"
        self._on_event = on_event
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=f"libvirt-{uri}")
        self._raw: Any = None
        self._up = asyncio.Event()
        self._closed = asyncio.Event()

    async def run(self) -> None:
        """Open, wait until it breaks, open again: for ever."""
        start_event_loop()
        failures = 0
        while True:
            try:
                await self._open()
                failures = 0
                await self._closed.wait()
                self._drop("connection lost")
            except (libvirt.libvirtError, TimeoutError) as error:
                self.problem = str(error) or f"no answer within {OPEN_DEADLINE_S:.0f} s"
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1

    async def call(self, function: Callable[[Any], T], deadline_s: float) -> T:
        """The result of `function(connection)` in a thread. Raises what it raises, or a fault."""
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline_s
        raw = await self._connected(deadline_s)
        future: Future[T] = self._pool.submit(function, raw)
        try:
            async with asyncio.timeout_at(end):
                return await asyncio.shield(asyncio.wrap_future(future))
        except libvirt.libvirtError as error:
            if is_lost(error):
                self._close_seen(raw)
            raise
        except TimeoutError:
            if future.cancel():
                raise NotStarted(f"{self.uri}: all threads busy for {deadline_s:.0f} s") from None
            raise Overdue(f"no answer within {deadline_s:.0f} s") from None

    async def _connected(self, deadline_s: float) -> Any:
        try:
            async with asyncio.timeout(min(deadline_s, OPEN_DEADLINE_S)):
                await self._up.wait()
        except TimeoutError:
            raise NotConnected(f"{self.uri}: not connected ({self.problem})") from None
        return self._raw

    async def _open(self) -> None:
        """libvirt.open has no timeout: it gets a thread of its own, which may be given up."""
        loop = asyncio.get_running_loop()
        self._closed.clear()
        future: Future[Any] = Future()
        threading.Thread(target=self._opening, args=(loop, future), daemon=True).start()
        async with asyncio.timeout(OPEN_DEADLINE_S):
            self._raw = await asyncio.wrap_future(future)
        self._up.set()
        self._on_event(None, None, "connected", None)

    def _opening(self, loop: asyncio.AbstractEventLoop, future: "Future[Any]") -> None:
        try:
            raw = libvirt.open(self.uri)
            raw.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
            raw.registerCloseCallback(self._on_close, (loop, raw))
            if self._on_event is not ignore_event:
                raw.domainEventRegisterAny(
                    None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle, loop
                )
        except libvirt.libvirtError as error:
            if not future.cancelled():
                future.set_exception(error)
            return
        if not future.cancelled():
            future.set_result(raw)

    def _drop(self, problem: str) -> None:
        self.problem = problem
        self._up.clear()
        # Closing talks to the other side, so it may block as well.
        threading.Thread(target=_close, args=(self._raw,), daemon=True).start()
        self._raw = None

    # The callbacks below run on libvirt's thread.

    def _on_close(self, _raw: Any, _reason: int, opaque: Any) -> None:
        loop, raw = opaque
        _soon(loop, self._close_seen, raw)

    def _close_seen(self, raw: Any) -> None:
        if raw is self._raw:
            self._closed.set()

    def _on_lifecycle(self, _raw: Any, domain: Any, event: int, detail: int, loop: Any) -> None:
        reason = STOPPED_REASON.get(detail) if event == libvirt.VIR_DOMAIN_EVENT_STOPPED else None
        name = LIFECYCLE.get(event, "other")
        _soon(loop, self._on_event, domain.UUIDString(), domain.name(), name, reason)


def _close(raw: Any) -> None:
    with contextlib.suppress(libvirt.libvirtError):
        raw.unregisterCloseCallback()
        raw.close()


def _soon(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        return  # the loop has ended, and with it everybody who wanted to know
