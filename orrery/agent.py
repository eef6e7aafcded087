"""The driver program: serves hypervisor, storage and network of one host on its standard streams.

Runs where the drivers' libraries are, which may be the far end of an ssh pipe. Knows no engine: it
does what it is told and ends when its input does.
"""

import argparse
import asyncio
import contextlib
import os
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from orrery.core.messages import Failed, Outcome, Unknown
from orrery.drivers import wire
from orrery.drivers.registry import NoSuchDriver, factory

NONE = "none"
"""Name of no driver: the port is not served."""

MAX_CALLS = 64
"""Calls served at a time; further ones wait in the pipe."""

DEFAULT_STATE = Path("/run/orrery")


def serve(argv: list[str]) -> int:
    """`orrery driver serve`: until standard input ends."""
    options = _options(argv)
    if not (_is_pipe(0) and _is_pipe(1)):
        sys.stderr.write("orrery driver: standard input and output must be pipes or sockets\n")
        return 2
    streams = _take_standard_streams()
    try:
        code = asyncio.run(Agent(options).run(*streams))
    except (NoSuchDriver, ImportError) as error:
        sys.stderr.write(f"orrery driver: {error}\n")
        code = 2
    sys.stderr.flush()
    # A call may be blocked in a library for ever, and its thread would keep the process.
    os._exit(code)


class Agent:
    """Drivers by port, and the pipe to whoever uses them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._ports: dict[str, Any] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._free = asyncio.Semaphore(MAX_CALLS)

    async def run(self, source: int, sink: int) -> int:
        """Serve the two file descriptors."""
        self._writer = await _open_writer(sink)
        try:
            self._ports = self._build()
        except (NoSuchDriver, ImportError) as error:
            self._say(wire.LogLine(level="error", text=str(error)))
            raise
        served = [name for name in wire.METHODS if self._method(name) is not None]
        names = {port: getattr(self._options, port) for port in self._ports}
        self._say(
            wire.Hello(protocol=wire.PROTOCOL, name="orrery", methods=served, capabilities=names)
        )
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(port.run())
                for port in self._ports.values()
                if hasattr(port, "run")
            ]
            calls: set[asyncio.Task[None]] = set()
            async for line in _lines(await _open_reader(source)):
                await self._free.acquire()
                task = group.create_task(self._serve(line))
                calls.add(task)
                task.add_done_callback(calls.discard)
            for task in (*background, *calls):
                task.cancel()
        return 0

    def _build(self) -> dict[str, Any]:
        options = self._options
        arguments: dict[str, tuple[Any, ...]] = {
            "hypervisor": (options.uri, self._hint),
            "storage": (),
            "network": (options.state_dir / "network",),
        }
        return {
            port: factory(port, getattr(options, port))(*made_of)
            for port, made_of in arguments.items()
            if getattr(options, port) != NONE
        }

    async def _serve(self, line: bytes) -> None:
        try:
            call = wire.decode_call(line)
            self._say(wire.answer(call.id, await self._outcome(call)))
            await self._drain()
        except wire.BadMessage as error:
            self._say(wire.LogLine(level="error", text=f"not a call: {error}"))
        finally:
            self._free.release()

    async def _outcome(self, call: wire.Call) -> Outcome:
        named = wire.METHODS.get(call.method)
        function = self._method(call.method)
        if named is None or function is None:
            return Failed(f"{call.method!r} is not served here; the hello says what is")
        try:
            arguments = wire.decode_arguments(named, call.arguments)
        except wire.BadMessage as error:
            return Failed(f"arguments: {error}")
        if named.progress is not None:
            arguments[named.progress] = self._progress_of(call.id)
        return await self._perform(call, function, arguments)

    def _method(self, name: str) -> Any:
        """None where nobody serves it: drivers may leave out what is optional."""
        port, _, method = name.partition(".")
        return getattr(self._ports.get(port), method, None)

    async def _perform(self, call: wire.Call, function: Any, arguments: dict[str, Any]) -> Outcome:
        try:
            async with asyncio.timeout(call.deadline_s):
                outcome: Outcome = await function(**arguments)
                return outcome
        except TimeoutError:
            return Unknown(f"{call.method}: still going on after {call.deadline_s:g} s")
        except Exception as error:  # a driver's mistake must not end the others' calls
            return Unknown(f"{call.method}: {type(error).__name__}: {error}")

    def _progress_of(self, call_id: int) -> Any:
        """Drivers report from their threads; the pipe belongs to the loop's."""
        loop = asyncio.get_running_loop()

        def report(fraction: float) -> None:
            message = wire.Fraction(id=call_id, fraction=min(max(fraction, 0.0), 1.0))
            loop.call_soon_threadsafe(self._say, message)

        return report

    def _hint(self, uuid: str | None, name: str | None, event: str, reason: str | None) -> None:
        self._say(wire.Hint(uuid=uuid, name=name, event=event, reason=reason))

    async def _drain(self) -> None:
        """Wait until the other side has read on: answers may be large."""
        if self._writer is not None:
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()

    def _say(self, message: Any) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(wire.encode(message))


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("orrery driver serve", description=serve.__doc__)
    parser.add_argument("--hypervisor", default=NONE, help="kvm, qemu, xen or none")
    parser.add_argument("--uri", default="qemu:///system", help="libvirt URI of the host")
    parser.add_argument("--storage", default=NONE, help="fs or none")
    parser.add_argument("--network", default=NONE, help="linux or none")
    parser.add_argument("--state-dir", type=Path, default=DEFAULT_STATE, help="drivers' own files")
    return parser.parse_args(argv)


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def _take_standard_streams() -> tuple[int, int]:
    """Standard input and output for us alone: no library and no child may read or write there."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


async def _open_reader(source: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=wire.MAX_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(source, "rb", 0)
    )
    return reader


async def _open_writer(sink: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(sink, "wb", 0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Lines until the end, or until one that is too long: nothing after it makes sense."""
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        if line.strip():
            yield line
