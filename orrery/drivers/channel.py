"""The engine's end of a driver process: starts it, keeps it running, speaks the ports through it.

A driver that dies makes its calls unknown, nothing else. Knows the protocol (`drivers.wire`) and no
driver.
"""

import asyncio
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from orrery.core.messages import Done, Failed, Outcome, Unknown
from orrery.drivers import wire
from orrery.ports.driver import HostDrivers, Hypervisor, Network, Progress, Storage

DEADLINES_S: Mapping[str, float] = {
    "hypervisor.create": 150.0,
    "hypervisor.restore": 960.0,
    "hypervisor.save": 960.0,
    "hypervisor.destroy": 90.0,
    "hypervisor.inventory": 120.0,  # the first one waits for the KVM probe
    "storage.place": 3600.0,
    "storage.register": 6 * 3600.0,
    "storage.stage": 3600.0,
    "storage.remove": 600.0,
    "network.apply": 120.0,
    "network.clear": 120.0,
}
OPTIONAL: Mapping[str, str] = {"storage.stage": "stage"}
"""Methods that a driver may leave out, and the capability of hosts whose driver has them."""

OTHER_DEADLINE_S = 60.0
BEYOND_TIMEOUT_S = 60.0
"""A call that is given `timeout_s` may need so much more to tell how it went."""
GRACE_S = 5.0
"""The driver watches the deadline itself and knows more; this side waits a little longer."""

READY_S = 30.0
"""How long a call waits for a driver that is not there: it may be starting."""
HELLO_S = 30.0
LEAVE_S = 5.0
"""How long a driver may take to end once its input is closed."""
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
HEALTHY_S = 60.0
"""A driver that ran so long is started again without delay."""
MAX_CALLS = 64

OnHint = Callable[[wire.Hint], None]
OnLog = Callable[[str, str], None]
"""(level, text)."""


def ignore_hint(hint: wire.Hint) -> None:
    """For those who poll."""


def ignore_log(level: str, text: str) -> None:
    """For those who do not care."""


def no_cause() -> str:
    """For calls nobody asked for."""
    return ""


class Channel:
    """One driver process. `run` is a task for the parent's TaskGroup; calls wait until it is ready.

    `cause` is asked at each call for the id of what started it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        on_hint: OnHint = ignore_hint,
        on_log: OnLog = ignore_log,
        cause: Callable[[], str] = no_cause,
        deadlines_s: Mapping[str, float] = DEADLINES_S,
        grace_s: float = GRACE_S,
        ready_s: float = READY_S,
    ) -> None:
        self.command = tuple(command)
        self.problem = "not started yet"
        self.hello: wire.Hello | None = None
        self._last_error: str | None = None
        self._on_hint = on_hint
        self._on_log = on_log
        self._cause = cause
        self._deadlines_s = deadlines_s
        self._grace_s = grace_s
        self._ready_s = ready_s
        self._ready = asyncio.Event()
        self._free = asyncio.Semaphore(MAX_CALLS)
        self._writer: asyncio.StreamWriter | None = None
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}
        self._progress: dict[int, Progress] = {}

    def drivers(self) -> HostDrivers:
        """The three ports, spoken through the process."""
        return HostDrivers(
            cast(Hypervisor, PortProxy(self, "hypervisor")),
            cast(Storage, PortProxy(self, "storage")),
            cast(Network, PortProxy(self, "network")),
        )

    async def run(self) -> None:
        """Keep a driver running: for ever."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            await self._live()
            failures = 0 if loop.time() - began > HEALTHY_S else failures + 1
            if failures:
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S)) - 1])

    async def call(self, named: wire.Method, arguments: dict[str, Any]) -> Outcome:
        """One call: its outcome, or Unknown when the deadline passes or the driver dies."""
        progress = arguments.pop(named.progress, None) if named.progress else None
        deadline_s = self._deadline_s(named.name, arguments)
        sent = False
        try:
            async with asyncio.timeout(deadline_s + self._grace_s), self._free:
                async with asyncio.timeout(self._ready_s):
                    await self._ready.wait()
                if self.hello is None or named.name not in self.hello.methods:
                    return Failed(f"{named.name}: not served by {self.command[0]}")
                sent = True
                outcome = await self.ask(named, arguments, deadline_s, progress)
                return self._with_capabilities(named, outcome)
        except TimeoutError:
            if sent:
                return Unknown(f"{named.name}: no answer within {deadline_s:g} s")
            return Failed(f"{named.name}: driver not ready ({self.problem})", retryable=True)

    def _with_capabilities(self, named: wire.Method, outcome: Outcome) -> Outcome:
        """An inventory is of the host: what else its driver serves is a capability of it."""
        if named.name != "hypervisor.inventory" or not isinstance(outcome, Done):
            return outcome
        told = outcome.result.get("capabilities")
        if self.hello is None or not isinstance(told, list):
            return outcome
        more = [word for method, word in OPTIONAL.items() if method in self.hello.methods]
        return Done({**outcome.result, "capabilities": [*told, *more]})

    def _deadline_s(self, name: str, arguments: Mapping[str, Any]) -> float:
        timeout_s = arguments.get("timeout_s")
        if isinstance(timeout_s, int | float):
            return timeout_s + BEYOND_TIMEOUT_S
        return self._deadlines_s.get(name, OTHER_DEADLINE_S)

    async def ask(
        self,
        named: wire.Method,
        arguments: dict[str, Any],
        deadline_s: float,
        progress: Progress | None = None,
    ) -> Outcome:
        """A call to a driver that is ready, whether it serves the method or not; waits for ever."""
        if self._writer is None:
            return Failed(f"{named.name}: driver not ready ({self.problem})", retryable=True)
        self._last_id += 1
        call_id = self._last_id
        line = wire.encode_call(call_id, self._cause(), named, arguments, deadline_s)
        if len(line) > wire.MAX_LINE:
            return Failed(
                f"{named.name}: {len(line)} bytes do not fit a message: give paths instead"
            )
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = future
        if progress is not None:
            self._progress[call_id] = progress
        try:
            await self.send_raw(line)
            return await future
        finally:
            self._waiting.pop(call_id, None)
            self._progress.pop(call_id, None)

    async def send_raw(self, line: bytes) -> None:
        """Write a line, whatever is in it, to a driver that is ready."""
        if self._writer is None:
            return
        self._writer.write(line)
        with suppress(ConnectionError):  # then the reader sees the end, and settles all calls
            await self._writer.drain()

    # --- one life of the process ------------------------------------------------------------------

    async def _live(self) -> None:
        self._last_error = None
        try:
            process = await self._started()
        except OSError as error:
            self._trouble(f"cannot be started: {error}")
            return
        try:
            reader = await self._open(process)
            await self._greet(reader)
            while True:
                self._take(await _line(reader))
        except TimeoutError:
            self._trouble(f"no hello within {HELLO_S:.0f} s")
        except (EOFError, wire.BadMessage) as error:
            self._trouble(self._last_error or str(error))
        finally:
            await self._end(process)

    async def _started(self) -> "subprocess.Popen[bytes]":
        starting = asyncio.ensure_future(asyncio.to_thread(self._start))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.to_thread(_reap, await starting)  # a thread cannot be cancelled
            raise

    def _start(self) -> "subprocess.Popen[bytes]":
        # In a session of its own: an interrupt from the terminal is for the engine, which ends it.
        return subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )

    async def _open(self, process: "subprocess.Popen[bytes]") -> asyncio.StreamReader:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=wire.MAX_LINE)
        protocol = asyncio.StreamReaderProtocol(reader)
        await loop.connect_read_pipe(lambda: protocol, process.stdout)
        transport, flow = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), process.stdin
        )
        self._writer = asyncio.StreamWriter(transport, flow, None, loop)
        return reader

    async def _greet(self, reader: asyncio.StreamReader) -> None:
        async with asyncio.timeout(HELLO_S):
            while not isinstance(message := await self._next(reader), wire.Hello):
                self._react(message)
        if message.protocol != wire.PROTOCOL:
            raise wire.BadMessage(
                f"it speaks protocol {message.protocol}, not {wire.PROTOCOL}: use matching versions"
            )
        self.hello = message
        self._last_error = None
        self._ready.set()

    async def _next(self, reader: asyncio.StreamReader) -> wire.FromDriver:
        return wire.decode_from_driver(await _line(reader))

    def _take(self, line: bytes) -> None:
        """One line; a driver that writes nonsense beside its messages is told of and borne."""
        try:
            self._react(wire.decode_from_driver(line))
        except wire.BadMessage as error:
            self._on_log("warning", f"{self.command[0]}: not a message: {error}")

    def _react(self, message: wire.FromDriver) -> None:
        match message:
            case wire.Answer(id=call_id):
                future = self._waiting.get(call_id)
                if future is not None and not future.done():
                    future.set_result(wire.outcome_of(message))
            case wire.Fraction(id=call_id, fraction=fraction):
                if call_id in self._progress:
                    self._progress[call_id](fraction)
            case wire.Hint():
                self._on_hint(message)
            case wire.LogLine(level=level, text=text):
                self._last_error = text if level == "error" else self._last_error
                self._on_log(level, text)
            case wire.Hello():
                self._on_log("warning", f"{self.command[0]}: a second hello")

    def _trouble(self, text: str) -> None:
        self.problem = text
        self._on_log("error", f"driver {self.command[0]}: {text}")

    async def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """Nobody may wait for this process any more, and it may not outlive us."""
        self._ready.clear()
        self.hello = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for future in self._waiting.values():
            if not future.done():
                future.set_result(Unknown(f"the driver ended during the call ({self.problem})"))
        await asyncio.to_thread(_reap, process)


class PortProxy:
    """A port whose methods are calls; which methods there are says `wire.METHODS`."""

    def __init__(self, channel: Channel, port: str) -> None:
        self._channel = channel
        self._port = port

    def __getattr__(self, name: str) -> Callable[..., Any]:
        named = wire.METHODS.get(f"{self._port}.{name}")
        if named is None:
            raise AttributeError(f"{self._port} has no method {name}")

        async def call(*args: Any, **kwargs: Any) -> Outcome:
            bound = named.signature.bind(*args, **kwargs)
            return await self._channel.call(named, dict(bound.arguments))

        return call


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        raise EOFError("it ended") from None
    except asyncio.LimitOverrunError:
        raise wire.BadMessage(f"a line of more than {wire.MAX_LINE} bytes") from None


def _reap(process: "subprocess.Popen[bytes]") -> None:
    for ask in (None, process.terminate, process.kill):
        if ask is not None:
            ask()
        with suppress(subprocess.TimeoutExpired):
            process.wait(LEAVE_S)
            return
