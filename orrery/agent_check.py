"""The contract check for anybody's driver: `orrery driver check PROGRAM...`. Knows no driver.

Asks what the engine will ask and names each promise that is not kept.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec.structs import replace

from orrery.core.messages import Done, Failed, Outcome, Unknown
from orrery.core.status import DomainState
from orrery.drivers import wire
from orrery.drivers.channel import Channel
from orrery.ports.driver import Domain, DomainRef, ImagePlan, Inventory, StagePlan

ANSWER_S = 10.0
START_S = 120.0
SHUTDOWN_S = 1.0

DOMAIN = Domain(
    uuid="4f7272e2-7900-5000-8000-0000000c4ec0",
    name="deaf-orrery-check",
    engine_id="00000000-0000-5000-8000-000000000000",
    vm_id=0,
    memory_mib=16,
    vcpus=1,
    cpu_pct=10,
)
REF = DomainRef(uuid=DOMAIN.uuid, name=DOMAIN.name)

USAGE = """usage: orrery driver check PROGRAM [ARGUMENT...]

Starts the driver PROGRAM and checks that it keeps the protocol. Where it serves hypervisor.create,
a domain of 16 MiB without disks is started and destroyed.
"""


class Broken(Exception):
    """A promise that is not kept: the message says what was seen and what is right."""


def check(argv: list[str]) -> int:
    """`orrery driver check`: exit 0 when all promises are kept, 1 when not, 2 on wrong usage."""
    if not argv or argv[0].startswith("-"):
        sys.stderr.write(USAGE)
        return 2
    return asyncio.run(_check(argv))


async def _check(argv: list[str]) -> int:
    async with _channel(argv) as channel:
        checks = CHECKS
        try:
            await _says_hello(channel)
        except Broken as error:
            _tell("says hello", str(error))
            return 1
        _tell("says hello", None)
        broken = 0
        for name, needs, promise in checks:
            if channel.hello is not None and not set(needs) <= set(channel.hello.methods):
                _tell(name, None, "not served")
                continue
            problem = await _kept(promise, channel)
            broken += problem is not None
            _tell(name, problem)
    left = await asyncio.to_thread(_ends_with_its_input, argv)
    _tell("ends with its input", left)
    return 1 if broken or left else 0


@asynccontextmanager
async def _channel(argv: list[str]) -> AsyncIterator[Channel]:
    channel = Channel(argv, on_log=lambda level, text: print_log(level, text))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(channel.run())
        try:
            yield channel
        finally:
            running.cancel()


def print_log(level: str, text: str) -> None:
    """What the driver says beside its answers."""
    sys.stderr.write(f"  [{level}] {text}\n")


async def _kept(promise: Callable[[Channel], Awaitable[None]], channel: Channel) -> str | None:
    try:
        await promise(channel)
    except Broken as error:
        return str(error)
    return None


# --- promises -------------------------------------------------------------------------------------


async def _says_hello(channel: Channel) -> None:
    for _ in range(int(ANSWER_S / 0.05)):
        if channel.hello is not None:
            return
        await asyncio.sleep(0.05)
    raise Broken(
        f"no hello of protocol {wire.PROTOCOL} within {ANSWER_S:.0f} s ({channel.problem})"
    )


async def _refuses_unknown_methods(channel: Channel) -> None:
    named = msgspec.structs.replace(wire.METHODS["storage.usage"], name="hypervisor.no_such_method")
    outcome = await _ask(channel, named, {"directory": "/"})
    if not isinstance(outcome, Failed):
        raise Broken(f"a method that it does not know must fail, got {outcome}")


async def _survives_garbage(channel: Channel) -> None:
    before = channel.hello
    for line in (b"this is no JSON\n", b"{}\n", b'{"id": "x"}\n', b"\xff\xfe\n", b"[1]\n"):
        await channel.send_raw(line)
    await _refuses_unknown_methods(channel)
    if channel.hello is not before:
        raise Broken("it ended on a line that is not a call; it must log and go on")


async def _refuses_wrong_arguments(channel: Channel) -> None:
    named = msgspec.structs.replace(wire.METHODS["storage.usage"], name="hypervisor.state")
    outcome = await _ask(channel, named, {"directory": "/"})
    if not isinstance(outcome, Failed):
        raise Broken(f"arguments that do not fit the method must fail, got {outcome}")


async def _takes_inventory(channel: Channel) -> None:
    outcome = await _hypervisor(channel, "inventory", START_S)
    if not isinstance(outcome, Done):
        raise Broken(f"inventory must be done, got {outcome}")
    try:
        msgspec.convert(outcome.result, Inventory)
    except msgspec.ValidationError as error:
        raise Broken(f"the inventory has not the right form: {error}") from error


async def _creates_and_destroys(channel: Channel) -> None:
    await _expect(channel, "destroy", "absent is done", ref=REF)
    await _in_state(channel, DomainState.ABSENT)
    await _expect(channel, "create", "the domain starts", domain=DOMAIN)
    await _expect(channel, "create", "a repeated create is done", domain=DOMAIN)
    await _in_state(channel, DomainState.RUNNING)
    await _expect(channel, "destroy", "the domain stops", ref=REF)
    await _expect(channel, "destroy", "a repeated destroy is done", ref=REF)
    await _in_state(channel, DomainState.ABSENT)


async def _keeps_deadlines(channel: Channel) -> None:
    await _expect(channel, "create", "the domain starts", domain=DOMAIN)
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcome = await _hypervisor(channel, "shutdown", ANSWER_S, ref=REF, timeout_s=SHUTDOWN_S)
    took = loop.time() - began
    await _expect(channel, "destroy", "the domain stops", ref=REF)
    if isinstance(outcome, Unknown):
        raise Broken(f"shutdown did not answer within {ANSWER_S:.0f} s: {outcome.message}")
    if isinstance(outcome, Failed) and took < SHUTDOWN_S * 0.9:
        raise Broken(
            f"shutdown gave up after {took:.1f} s, before its {SHUTDOWN_S:.0f} s were over"
        )


async def _stages_images(channel: Channel) -> None:
    """An empty image is made where the driver runs; nothing of it is left."""
    home = f"{tempfile.gettempdir()}/orrery-check-{os.getpid()}"
    source, target = f"{home}/image", f"{home}/cache/copy"
    made = ImagePlan(origin=None, target=source, format="raw", size_mib=1, checksum=None)
    plan = StagePlan(source=source, target=target, size_mib=1)
    absent = replace(plan, source=f"{home}/absent")
    try:
        await _stored(channel, "register", "an empty image is made", plan=made)
        outcome = await _storage(channel, "stage", plan=absent)
        if not isinstance(outcome, Failed):
            raise Broken(f"stage: of a source that is not there it must fail, got {outcome}")
        await _copied(channel, target, there=False)
        await _stored(channel, "stage", "the image is copied", plan=plan)
        await _copied(channel, target, there=True)
        await _stored(channel, "stage", "a repeated stage is done", plan=plan)
        await _stored(channel, "discard", "the copy is removed", path=target)
        await _copied(channel, target, there=False)
    finally:
        await _storage(channel, "remove", directory=home)


async def _copied(channel: Channel, path: str, *, there: bool) -> None:
    outcome = await _storage(channel, "exists", path=path)
    if not isinstance(outcome, Done) or outcome.result.get("exists") is not there:
        raise Broken(f"exists: of the copy it must say {there}, got {outcome}")


def _ends_with_its_input(argv: list[str]) -> str | None:
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # the hello: it has started
        process.communicate(timeout=ANSWER_S)
    except subprocess.TimeoutExpired:
        return f"it still runs {ANSWER_S:.0f} s after its standard input was closed"
    finally:
        process.kill()
        process.wait()
    return None


CREATE = ("hypervisor.create", "hypervisor.destroy", "hypervisor.state")

STAGE = tuple(f"storage.{name}" for name in ("stage", "register", "exists", "discard", "remove"))

CHECKS: tuple[tuple[str, tuple[str, ...], Callable[[Channel], Awaitable[None]]], ...] = (
    ("refuses unknown methods", (), _refuses_unknown_methods),
    ("survives garbage", (), _survives_garbage),
    ("refuses wrong arguments", ("hypervisor.state",), _refuses_wrong_arguments),
    ("takes inventory", ("hypervisor.inventory",), _takes_inventory),
    ("creates and destroys, twice each", CREATE, _creates_and_destroys),
    ("stages images, twice each", STAGE, _stages_images),
    ("keeps deadlines", (*CREATE, "hypervisor.shutdown"), _keeps_deadlines),
)
"""Name, methods without which it is not asked, promise."""


# --- asking ---------------------------------------------------------------------------------------


async def _ask(channel: Channel, named: wire.Method, arguments: dict[str, Any]) -> Outcome:
    try:
        async with asyncio.timeout(START_S):
            return await channel.ask(named, arguments, ANSWER_S)
    except TimeoutError:
        return Unknown(f"no answer within {ANSWER_S:.0f} s")


async def _hypervisor(channel: Channel, name: str, deadline_s: float, **arguments: Any) -> Outcome:
    return await _call(channel, f"hypervisor.{name}", deadline_s, arguments)


async def _storage(channel: Channel, name: str, **arguments: Any) -> Outcome:
    return await _call(channel, f"storage.{name}", START_S, arguments)


async def _call(
    channel: Channel, method: str, deadline_s: float, arguments: dict[str, Any]
) -> Outcome:
    try:
        async with asyncio.timeout(deadline_s):
            return await channel.ask(wire.METHODS[method], arguments, deadline_s)
    except TimeoutError:
        return Unknown(f"no answer within {deadline_s:.0f} s")


async def _stored(channel: Channel, name: str, promise: str, **arguments: Any) -> None:
    outcome = await _storage(channel, name, **arguments)
    if not isinstance(outcome, Done):
        raise Broken(f"{name}: {promise}, got {outcome}")


async def _expect(channel: Channel, name: str, promise: str, **arguments: Any) -> None:
    outcome = await _hypervisor(channel, name, START_S, **arguments)
    if not isinstance(outcome, Done):
        raise Broken(f"{name}: {promise}, got {outcome}")


async def _in_state(channel: Channel, state: DomainState) -> None:
    outcome = await _hypervisor(channel, "state", ANSWER_S, ref=REF)
    if not isinstance(outcome, Done) or outcome.result.get("state") != state.value:
        raise Broken(f"state: must be {state.value!r}, got {outcome}")


def _tell(name: str, problem: str | None, note: str = "ok") -> None:
    sys.stdout.write(f"{name}: {note if problem is None else 'BROKEN: ' + problem}\n")
    sys.stdout.flush()
