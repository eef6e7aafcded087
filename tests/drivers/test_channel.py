"""Driver processes without libvirt: protocol, the engine's end, the agent, the contract check."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.agent_check import DOMAIN, REF, check
from orrery.core.messages import Done, Failed, Outcome, Unknown
from orrery.drivers import wire
from orrery.drivers.channel import Channel
from orrery.drivers.registry import NoSuchDriver, factory
from orrery.ports.driver import DomainRef, Hypervisor, ImagePlan, Network, Storage

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "driver_example.py"
PROTOCOL = Path(__file__).parents[2] / "docs" / "reference" / "driver-protocol.md"
WAIT_S = 10.0

Body = Callable[[Channel], Awaitable[None]]


@asynccontextmanager
async def running(channel: Channel) -> AsyncIterator[Channel]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(channel.run())
        try:
            async with asyncio.timeout(30):
                yield channel
        finally:
            task.cancel()


def with_channel(body: Body, command: list[str] | None = None, **options: Any) -> None:
    async def main() -> None:
        async with running(Channel(command or example(), **options)) as channel:
            await body(channel)

    asyncio.run(main())


def example(replaced: tuple[str, str] | None = None) -> list[str]:
    """The example driver, with one piece of its source replaced."""
    if replaced is None:
        return [sys.executable, str(EXAMPLE)]
    source = EXAMPLE.read_text()
    assert replaced[0] in source
    return [sys.executable, "-c", source.replace(*replaced)]


CALLED = "outcome = METHODS["
"""Where the example performs a call: what is put before it happens in the middle of one."""


def silent() -> list[str]:
    """A driver that says hello and how it is called, and answers nothing."""
    hello = {"type": "hello", "protocol": 1, "name": "silent", "methods": sorted(wire.METHODS)}
    code = (
        f"import os, sys; print({json.dumps(hello)!r}, flush=True)\n"
        "for line in sys.stdin:"
        ' print(\'{"type": "domain", "event": "%d"}\' % os.getpid(), flush=True)'
    )
    return [sys.executable, "-c", code]


# --- the wire -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("port", "protocol"), wire.PORTS.items())
def test_every_method_of_a_port_is_on_the_wire(port: str, protocol: type) -> None:
    names = {n for n in vars(protocol) if not n.startswith("_")}
    assert {m.partition(".")[2] for m in wire.METHODS if m.startswith(port + ".")} == names


@given(
    name=st.text(),
    cmdline=st.none() | st.text(),
    memory=st.integers(1, 1 << 40),
    inputs=st.booleans(),
)
def test_arguments_survive_the_wire(
    name: str, cmdline: str | None, memory: int, inputs: bool
) -> None:
    domain = msgspec.structs.replace(
        DOMAIN,
        name=name,
        cmdline=cmdline,
        memory_mib=memory,
        inputs=(("tablet", "usb"),) if inputs else (),
    )
    method = wire.METHODS["hypervisor.create"]
    line = wire.encode_call(7, "cause", method, {"domain": domain}, 1.5)
    call = wire.decode_call(line)
    assert line.count(b"\n") == 1
    assert (call.id, call.cause, call.deadline_s) == (7, "cause", 1.5)
    assert wire.decode_arguments(method, call.arguments) == {"domain": domain}


@pytest.mark.parametrize(
    "outcome",
    [
        Done({"a": [1, 2.5, None, {"b": "c"}]}),
        Done(),
        Failed("no", retryable=True),
        Unknown("who knows"),
    ],
)
def test_outcomes_survive_the_wire(outcome: Outcome) -> None:
    message = wire.decode_from_driver(wire.encode(wire.answer(3, outcome)))
    assert isinstance(message, wire.Answer)
    assert wire.outcome_of(message) == outcome


@given(st.binary())
def test_any_line_is_a_message_or_refused(line: bytes) -> None:
    for decode in (wire.decode_call, wire.decode_from_driver):
        try:
            decode(line)
        except wire.BadMessage as error:
            assert str(error)


@pytest.mark.parametrize("name", wire.METHODS)
def test_every_method_and_its_arguments_are_documented(name: str) -> None:
    port, _, method = name.partition(".")
    section = PROTOCOL.read_text().partition(f"### {port}\n")[2].partition("\n#")[0]
    for word in (method, *wire.METHODS[name].arguments.__struct_fields__):
        assert f"`{word}`" in section


# --- the channel ----------------------------------------------------------------------------------


def test_a_domain_lives_through_the_pipe() -> None:
    async def body(channel: Channel) -> None:
        hypervisor: Hypervisor = channel.drivers().hypervisor
        assert await hypervisor.create(DOMAIN) == Done({"deploy_id": DOMAIN.uuid})
        assert await hypervisor.state(REF) == Done({"state": "running"})
        assert await hypervisor.destroy(REF) == Done()
        assert await hypervisor.state(ref=REF) == Done({"state": "absent"})

    with_channel(body)


def test_a_driver_killed_during_a_call_makes_it_unknown_and_is_started_again() -> None:
    pids: list[int] = []
    seen = asyncio.Event()

    def hint(message: wire.Hint) -> None:
        pids.append(int(message.event))
        seen.set()

    async def body(channel: Channel) -> None:
        hypervisor = channel.drivers().hypervisor
        async with asyncio.TaskGroup() as group:
            first = group.create_task(hypervisor.create(DOMAIN))
            await seen.wait()
            seen.clear()
            os.kill(pids[0], signal.SIGKILL)
            outcome = await first
            assert isinstance(outcome, Unknown)
            assert "ended during the call" in outcome.message
            second = group.create_task(hypervisor.create(DOMAIN))
            await seen.wait()
            os.kill(pids[1], signal.SIGKILL)
            assert isinstance(await second, Unknown)
        assert pids[0] != pids[1]

    with_channel(body, silent(), on_hint=hint)


def test_a_call_goes_to_the_driver_started_after_one_died() -> None:
    async def body(channel: Channel) -> None:
        hypervisor = channel.drivers().hypervisor
        assert isinstance(await hypervisor.state(REF), Done)
        # The example ends on a hangup, as a driver on a dead host would.
        assert isinstance(await channel.ask(*unknown_method("die"), WAIT_S), Unknown)
        assert await hypervisor.state(REF) == Done({"state": "absent"})

    die = 'call["method"].endswith("die") and __import__("os")._exit(9)'
    with_channel(body, example((CALLED, f"{die}; {CALLED}")))


def test_no_answer_within_the_deadline_is_unknown() -> None:
    async def body(channel: Channel) -> None:
        outcome = await channel.drivers().hypervisor.create(DOMAIN)
        assert outcome == Unknown("hypervisor.create: no answer within 3 s")

    with_channel(body, silent(), deadlines_s={"hypervisor.create": 3.0}, grace_s=0.1)


def test_a_program_that_cannot_start_fails_calls_retryably() -> None:
    async def body(channel: Channel) -> None:
        outcome = await channel.drivers().hypervisor.state(REF)
        assert isinstance(outcome, Failed)
        assert outcome.retryable
        assert "/no/such/driver" in outcome.message

    with_channel(body, ["/no/such/driver"], ready_s=0.5)


def test_a_driver_that_ends_at_once_is_told_by_its_own_words() -> None:
    async def body(channel: Channel) -> None:
        outcome = await channel.drivers().hypervisor.state(REF)
        assert isinstance(outcome, Failed)
        assert "use one of kvm, qemu, xen" in outcome.message

    with_channel(body, serve("--hypervisor", "nosuch"), ready_s=3)


def test_a_port_the_driver_does_not_have_fails() -> None:
    async def body(channel: Channel) -> None:
        storage: Storage = channel.drivers().storage
        outcome = await storage.usage("/")
        assert isinstance(outcome, Failed)
        assert "not served" in outcome.message

    with_channel(body)


def test_another_protocol_is_refused() -> None:
    logged: list[str] = []
    told = asyncio.Event()

    def log(level: str, text: str) -> None:
        logged.append(text)
        told.set()

    async def body(channel: Channel) -> None:
        await told.wait()
        assert "protocol 2" in logged[0]

    with_channel(body, example(('"protocol": 1', '"protocol": 2')), on_log=log)


def test_events_and_progress_reach_their_callbacks() -> None:
    hints: list[wire.Hint] = []
    fractions: list[float] = []

    async def body(channel: Channel) -> None:
        hypervisor = channel.drivers().hypervisor
        await hypervisor.create(DOMAIN)
        await hypervisor.destroy(REF)
        assert hints == [wire.Hint(uuid=DOMAIN.uuid, name=DOMAIN.name, event="stopped")]
        plan = ImagePlan(origin=None, target="/x", format=None, size_mib=1, checksum=None)
        method = wire.METHODS["storage.register"]
        await channel.ask(method, {"plan": plan}, WAIT_S, fractions.append)
        assert fractions == [0.5]

    half = 'say({"type": "progress", "id": call["id"], "fraction": 0.5})'
    with_channel(body, example((CALLED, f"{half}; {CALLED}")), on_hint=hints.append)


def test_a_message_of_many_megabytes_passes() -> None:
    async def body(channel: Channel) -> None:
        await channel.drivers().hypervisor.state(REF)
        outcome = await channel.ask(*unknown_method("x" * (8 << 20)), WAIT_S)
        assert isinstance(outcome, Failed)
        assert len(outcome.message) > 8 << 20

    with_channel(body)


def test_what_does_not_fit_a_message_is_refused_before_it_is_sent() -> None:
    async def body(channel: Channel) -> None:
        await channel.drivers().hypervisor.state(REF)
        outcome = await channel.ask(*unknown_method("x" * (65 << 20)), WAIT_S)
        assert isinstance(outcome, Failed)
        assert "paths instead" in outcome.message

    with_channel(body)


def test_hundreds_of_calls_at_once_are_answered() -> None:
    async def body(channel: Channel) -> None:
        hypervisor = channel.drivers().hypervisor
        refs = [DomainRef(uuid=str(i), name=str(i)) for i in range(300)]
        outcomes = await asyncio.gather(*(hypervisor.state(ref) for ref in refs))
        assert set(map(str, outcomes)) == {str(Done({"state": "absent"}))}

    with_channel(body)


def unknown_method(argument: str) -> tuple[wire.Method, dict[str, Any]]:
    name = f"hypervisor.{argument}"
    return msgspec.structs.replace(wire.METHODS["storage.usage"], name=name), {"directory": "/"}


# --- the agent ------------------------------------------------------------------------------------


def serve(*options: str) -> list[str]:
    return [sys.executable, "-m", "orrery", "driver", "serve", *options]


def talk(lines: list[str], *options: str) -> tuple[int, list[dict[str, Any]], str]:
    ended = subprocess.run(
        serve(*options),
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


def test_the_agent_serves_what_it_was_given_and_ends_with_its_input(tmp_path: Path) -> None:
    code, said, _ = talk([], "--network", "linux", "--state-dir", str(tmp_path))
    assert code == 0
    assert said[0]["type"] == "hello"
    assert sorted(said[0]["methods"]) == ["network.apply", "network.clear"]
    assert said[0]["capabilities"] == {"network": "linux"}


def test_the_agent_wants_pipes(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        ended = subprocess.run(serve(), stdin=subprocess.PIPE, stdout=file, stderr=subprocess.PIPE)
    assert ended.returncode == 2
    assert b"must be pipes" in ended.stderr


def test_the_agent_names_the_drivers_there_are() -> None:
    code, said, errors = talk([], "--storage", "floppies")
    assert code == 2
    assert "'floppies' is not known; use one of fs" in errors
    assert said[-1]["level"] == "error"


def test_the_agent_answers_calls_it_cannot_serve() -> None:
    async def body(channel: Channel) -> None:
        while channel.hello is None:
            await asyncio.sleep(0.01)
        await channel.send_raw(b"garbage\n")
        outcome = await channel.ask(*unknown_method("state"), WAIT_S)
        assert isinstance(outcome, Failed)
        assert "not served" in outcome.message

    with_channel(body, serve())


def test_the_registry_finds_the_network_driver() -> None:
    assert factory("network", "linux").__name__ == "LinuxNetwork"


def test_an_unknown_driver_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NoSuchDriver, match="use one of kvm, qemu, xen"):
        factory("hypervisor", "bhyve")


@pytest.mark.parametrize("more", [(), ("storage.stage",)])
def test_what_a_driver_may_leave_out_is_a_capability_of_its_host(more: tuple[str, ...]) -> None:
    async def body(channel: Channel) -> None:
        outcome = await channel.drivers().hypervisor.inventory()
        assert isinstance(outcome, Done)
        assert outcome.result["capabilities"] == [name.partition(".")[2] for name in more]

    methods = '"methods": list(METHODS)'
    with_channel(body, example((methods, f"{methods} + {list(more)}")))


# --- the contract check ---------------------------------------------------------------------------


def test_the_example_driver_keeps_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(example()) == 0
    assert "BROKEN" not in capsys.readouterr().out


BREACHES = {
    "says hello": ('"protocol": 1', '"protocol": 2'),
    "refuses unknown methods": ("except Exception", "except ZeroDivisionError"),
    "survives garbage": ("except (ValueError, KeyError, TypeError)", "except ZeroDivisionError"),
    "refuses wrong arguments": ("def state(ref):", "def state(ref={'uuid': 0}, **any):"),
    "takes inventory": ("free=room", "free=1"),
    "creates and destroys": (
        'if domain["uuid"] not in DOMAINS and domain["name"]',
        "if domain['name']",
    ),
    "creates and destroys, twice": ('DOMAINS.pop(ref["uuid"], None)', 'DOMAINS.pop(ref["uuid"])'),
    "keeps deadlines": ("time.sleep(timeout_s)", "time.sleep(3600)"),
    "keeps": ("time.sleep(timeout_s)", "time.sleep(0)"),
    "ends with its input": ("for line in sys.stdin:", "for line in iter(sys.stdin.readline, 1):"),
}
"""The check that must notice, by the beginning of its name, and what breaks the example."""


@pytest.mark.parametrize("named", BREACHES)
def test_a_broken_promise_is_named(
    named: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orrery.agent_check.ANSWER_S", 2.0)
    monkeypatch.setattr("orrery.agent_check.START_S", 2.0)
    assert check(example(BREACHES[named])) == 1
    broken = [line for line in capsys.readouterr().out.splitlines() if "BROKEN" in line]
    assert any(line.startswith(named) for line in broken), broken


def test_ports_are_what_the_engine_sees() -> None:
    drivers = Channel(example()).drivers()
    network: Network = drivers.network
    assert callable(network.apply)
    with pytest.raises(AttributeError):
        network.no_such_method  # type: ignore[attr-defined]  # noqa: B018
