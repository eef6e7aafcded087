"""The driver protocol: what the ports of `ports.driver` look like as JSON lines. Knows no pipe.

Methods, arguments and types are read from the ports themselves, so a method that is added there is
on the wire at once. docs/reference/driver-protocol.md says the same for drivers in other languages.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Struct

from orrery.core.messages import Done, Failed, Outcome, Unknown
from orrery.ports.driver import Hypervisor, Network, Progress, Storage

PROTOCOL = 1
MAX_LINE = 64 << 20
"""Bytes of one message; a context ISO with its files travels in one."""

PORTS: Mapping[str, type] = {"hypervisor": Hypervisor, "storage": Storage, "network": Network}


class BadMessage(ValueError):
    """A line that is not what it should be: says where and why."""


# --- messages -------------------------------------------------------------------------------------


class Call(Struct, frozen=True, kw_only=True):
    """Engine to driver."""

    id: int
    cause: str
    method: str
    """`hypervisor.create`, `storage.place` ..."""
    arguments: msgspec.Raw
    deadline_s: float
    """Seconds from now; clocks may differ."""


class Hello(Struct, frozen=True, kw_only=True, tag="hello"):
    """First line of a driver."""

    protocol: int
    name: str
    methods: list[str]
    """What it serves; a port that it does not have is left out whole."""
    capabilities: dict[str, str] = {}
    """What else it wants to say of itself; for people."""


class DoneOnWire(Struct, frozen=True, tag="done"):
    """`Done` with a result that is yet to be looked at."""

    result: dict[str, Any] = {}


class Answer(Struct, frozen=True, kw_only=True, tag="answer"):
    """The outcome of a call."""

    id: int
    outcome: DoneOnWire | Failed | Unknown


class Fraction(Struct, frozen=True, kw_only=True, tag="progress"):
    """How far a call is."""

    id: int
    fraction: float


class Hint(Struct, frozen=True, kw_only=True, tag="domain"):
    """Something happened to a domain: look. Without uuid anything may have happened."""

    uuid: str | None = None
    name: str | None = None
    event: str
    reason: str | None = None


class LogLine(Struct, frozen=True, kw_only=True, tag="log"):
    """Something worth telling people."""

    level: Literal["debug", "info", "warning", "error"]
    text: str


FromDriver = Hello | Answer | Fraction | Hint | LogLine

_FROM_DRIVER = msgspec.json.Decoder(FromDriver)
_CALL = msgspec.json.Decoder(Call)


# --- methods --------------------------------------------------------------------------------------


class Method(Struct, frozen=True, kw_only=True):
    """One method of a port as seen on the wire."""

    name: str
    signature: inspect.Signature
    arguments: type[Struct]
    progress: str | None
    """Name of the parameter that takes the progress callback."""


def methods_of(port: str, protocol: type) -> dict[str, Method]:
    """The methods of a port by their full names."""
    found = inspect.getmembers(protocol, inspect.isfunction)
    public = (method(f"{port}.{name}", f) for name, f in found if not name.startswith("_"))
    return {each.name: each for each in public}


def method(name: str, function: Callable[..., Any]) -> Method:
    """A method from its signature; the callback for progress becomes messages of its own."""
    hints = get_type_hints(function)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    progress = [p.name for p in parameters if _takes_progress(hints[p.name])]
    fields: list[Any] = [
        (p.name, hints[p.name])
        if p.default is inspect.Parameter.empty
        else (p.name, hints[p.name], p.default)
        for p in parameters
        if p.name not in progress
    ]
    return Method(
        name=name,
        signature=inspect.Signature(parameters),
        arguments=msgspec.defstruct(name.replace(".", "_"), fields, frozen=True, kw_only=True),
        progress=progress[0] if progress else None,
    )


def _takes_progress(hint: Any) -> bool:
    return hint == Progress or Progress in get_args(hint)


METHODS: dict[str, Method] = {
    name: each for port, p in PORTS.items() for name, each in methods_of(port, p).items()
}


# --- lines ----------------------------------------------------------------------------------------


def encode(message: Struct) -> bytes:
    """One line."""
    return msgspec.json.encode(message) + b"\n"


def encode_call(
    call_id: int, cause: str, named: Method, arguments: Mapping[str, Any], deadline_s: float
) -> bytes:
    """A call as a line; `arguments` without the progress callback."""
    values = named.arguments(**arguments)
    raw = msgspec.Raw(msgspec.json.encode(values))
    call = Call(id=call_id, cause=cause, method=named.name, arguments=raw, deadline_s=deadline_s)
    return encode(call)


def decode_call(line: bytes) -> Call:
    """The call in a line."""
    call: Call = _decode(_CALL, line)
    return call


def decode_arguments(named: Method, raw: msgspec.Raw) -> dict[str, Any]:
    """Checked arguments by name."""
    try:
        values = msgspec.json.decode(raw, type=named.arguments)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"{named.name}: {error}") from error
    return {name: getattr(values, name) for name in values.__struct_fields__}


def decode_from_driver(line: bytes) -> FromDriver:
    """What a driver says."""
    message: FromDriver = _decode(_FROM_DRIVER, line)
    return message


def answer(call_id: int, outcome: Outcome) -> Answer:
    """The message that carries an outcome."""
    carried = DoneOnWire(dict(outcome.result)) if isinstance(outcome, Done) else outcome
    return Answer(id=call_id, outcome=carried)


def outcome_of(message: Answer) -> Outcome:
    """The outcome a message carries."""
    carried = message.outcome
    return Done(carried.result) if isinstance(carried, DoneOnWire) else carried


def _decode(decoder: "msgspec.json.Decoder[Any]", line: bytes) -> Any:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"{error}: {line[:80]!r}") from error
