"""What a row of the method table is: a name, typed parameters, the service call. Knows no
method.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from inspect import iscoroutinefunction
from typing import Any

from msgspec import Struct

from orrery.api.xml.documents import Answer, Documents
from orrery.api.xmlrpc_codec import MISSING_PARAMETER, WRONG_TYPE, Fault, Value
from orrery.core.errors import Reason
from orrery.service.engine import Engine, Monitoring
from orrery.service.sessions import Sessions
from orrery.service.users import TokenFactory

Result = int | str | Answer
"""A number, a text, or the fragments of an XML document."""

Run = Callable[..., Any]
"""(api, actor, *, parameters by name) -> Result, or an awaitable of one.

A plain function reads memory and nothing else: it is answered without a task, and a pool's answer
is remembered for as long as nothing changes. A coroutine may wait.
"""


class Api(Struct, frozen=True):
    """What the methods work with."""

    engine: Engine
    sessions: Sessions
    documents: Documents
    monitoring: Monitoring
    make_token: TokenFactory
    endpoint: str
    settings: Mapping[str, str]
    """What system.config shows; holds no secrets."""


class Code(Enum):
    """OpenNebula's error codes."""

    AUTHENTICATION = 0x0100
    AUTHORIZATION = 0x0200
    NO_EXISTS = 0x0400
    ACTION = 0x0800
    RPC_API = 0x1000
    INTERNAL = 0x2000
    ALLOCATE = 0x4000


CODES: dict[Reason, Code] = {
    Reason.INVALID: Code.RPC_API,
    Reason.WRONG_STATE: Code.ACTION,
    Reason.IN_USE: Code.ACTION,
    Reason.NOT_FOUND: Code.NO_EXISTS,
    Reason.EXISTS: Code.INTERNAL,
    Reason.NO_CAPACITY: Code.ACTION,
    Reason.NOT_AUTHENTICATED: Code.AUTHENTICATION,
    Reason.NOT_AUTHORIZED: Code.AUTHORIZATION,
    Reason.QUOTA: Code.AUTHORIZATION,
    Reason.LOCKED: Code.AUTHORIZATION,
    Reason.UNAVAILABLE: Code.INTERNAL,
    Reason.INTERNAL: Code.INTERNAL,
}
"""The one place where reasons become OpenNebula's codes."""

OF_CREATION = frozenset(
    {Reason.INVALID, Reason.WRONG_STATE, Reason.IN_USE, Reason.EXISTS, Reason.NO_CAPACITY}
)
"""Reasons that a method which makes something answers with its own code."""

OF_TEMPLATE = frozenset({Reason.INVALID})
"""A template that cannot be parsed is INTERNAL to OpenNebula where a bad argument is RPC_API."""


class Creates(Struct, frozen=True):
    """A method that makes an object: how its failure is told."""

    code: Code
    word: str


class Type(Enum):
    """The types of parameters, by the letters that signatures are written with."""

    STRING = "s"
    INTEGER = "i"
    BOOLEAN = "b"
    ARRAY = "a"


WORDS = {
    Type.STRING: "string",
    Type.INTEGER: "int",
    Type.BOOLEAN: "boolean",
    Type.ARRAY: "array",
}
"""As XML-RPC names them."""


class Parameter(Struct, frozen=True):
    """One parameter after the session string; `default` None means it must be given."""

    name: str
    type: Type
    default: Value = None


class Method(Struct, frozen=True):
    """One row of the table."""

    name: str
    parameters: tuple[Parameter, ...]
    run: Run
    help: str
    creates: Creates | None = None
    is_immediate: bool = False
    """Answered from memory, without waiting for anything."""

    @property
    def is_pool(self) -> bool:
        return self.is_immediate and "pool." in self.name


def method(name: str, signature: str, run: Run, creates: Creates | None = None) -> Method:
    """A row, its parameters written as `id:i append:i=0`; its help is the first line of `run`'s
    docstring.
    """
    parameters = tuple(parse_parameter(part) for part in signature.split())
    text = " ".join((run.__doc__ or "").partition("\n\n")[0].split())
    return Method(name, parameters, run, text, creates, not iscoroutinefunction(run))


def parse_parameter(written: str) -> Parameter:
    declared, given, default = written.partition("=")
    name, _, letter = declared.partition(":")
    kind = Type(letter)
    if not given:
        return Parameter(name, kind)
    values: dict[Type, Callable[[str], Value]] = {
        Type.STRING: str,
        Type.INTEGER: int,
        Type.BOOLEAN: lambda text: text == "true",
        Type.ARRAY: lambda text: (),
    }
    return Parameter(name, kind, values[kind](default))


def bind(row: Method, given: Sequence[Value]) -> dict[str, Value]:
    """Arguments by name. More than the method takes are ignored, as clients rely on.

    Raises:
        Fault: one is missing or of another type.
    """
    arguments: dict[str, Value] = {}
    for place, parameter in enumerate(row.parameters):
        if place >= len(given):
            if parameter.default is None:
                raise Fault(
                    MISSING_PARAMETER,
                    f"Not enough parameters: parameter {place + 2} ({parameter.name}) of "
                    f"one.{row.name} is missing",
                )
            arguments[parameter.name] = parameter.default
        else:
            arguments[parameter.name] = checked(row, place, parameter, given[place])
    return arguments


def checked(row: Method, place: int, parameter: Parameter, value: Value) -> Value:
    if not fits(parameter.type, value):
        raise Fault(
            WRONG_TYPE,
            f"Parameter {place + 2} ({parameter.name}) of one.{row.name} is not of type "
            f"{WORDS[parameter.type]}",
        )
    return value


def fits(kind: Type, value: Value) -> bool:
    if kind is Type.INTEGER:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is Type.BOOLEAN:
        return isinstance(value, bool)
    return isinstance(value, str if kind is Type.STRING else tuple)


def signature_of(row: Method) -> list[str]:
    """As system.methodSignature has it: the result's type, then the parameters'."""
    return ["array", "string", *(WORDS[parameter.type] for parameter in row.parameters)]
