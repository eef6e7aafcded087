"""One XML-RPC request, from body to body: decode, authenticate, bind, run, encode. Knows no
method.

What needs no waiting (a read from memory, by a caller who is known already) is answered without a
task: `begin` gives bytes, or else what to await for them.
"""

import asyncio
import xmlrpc.client
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

import structlog

from orrery.api.xmlrpc import hosts, leases, networks, storage, system, users, vms
from orrery.api.xmlrpc.answers import Answers
from orrery.api.xmlrpc.method import (
    CODES,
    OF_CREATION,
    OF_TEMPLATE,
    Api,
    Code,
    Method,
    Result,
    bind,
    signature_of,
)
from orrery.api.xmlrpc.plain_call import read_call
from orrery.api.xmlrpc_codec import (
    MISSING_PARAMETER,
    NO_SUCH_METHOD,
    WRONG_TYPE,
    Fault,
    Value,
    encode_failure,
    encode_fault,
    encode_success,
    success_from_fragments,
)
from orrery.core.errors import NotFound, Reason, Refused
from orrery.core.messages import Actor

METHODS: Mapping[str, Method] = {
    f"one.{row.name}": row
    for module in (vms, leases, hosts, storage, networks, users, system)
    for row in module.METHODS
}
"""Everything this version does."""

KNOWN: Mapping[str, Method] = {**{f"one.{row.name}": row for row in system.NOT_YET}, **METHODS}
"""With what it answers `not available` to."""

TIMEOUT_S = 60.0

log = structlog.get_logger(__name__)


Answering = bytes | Coroutine[Any, Any, bytes]


class Rpc:
    """Answers requests. Never raises: whatever goes wrong is an answer."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._answers = Answers(api)

    async def answer(self, body: bytes, peer: str = "") -> bytes:
        """The body of the response to a request's body."""
        answering = self.begin(body, peer)
        return answering if isinstance(answering, bytes) else await answering

    def begin(self, body: bytes, peer: str = "") -> Answering:
        """The same, when it can be told at once; otherwise what to await for it."""
        try:
            call = read_call(body)
            if call.method.startswith("system."):
                return introspect(call.method, call.params)
            row = KNOWN.get(call.method)
            if row is None:
                return undefined(call.method)
            session = session_of(row, call.params)
            actor = self._api.sessions.remembered(session) if row.is_immediate else None
            if actor is not None:
                return self._immediate(row, actor, call.params)
            return self._waiting(row, session, call.params, peer)
        except Fault as error:
            return encode_fault(error.code, error.message)

    def _immediate(self, row: Method, actor: Actor, given: Sequence[Value]) -> bytes:
        try:
            return self._read(row, actor, given)
        except Refused as error:
            return failure(row, error)
        except Fault:
            raise
        except Exception:
            return broken(row)

    async def _waiting(self, row: Method, session: str, given: Sequence[Value], peer: str) -> bytes:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                actor = await self._api.sessions.authenticate(session, peer)
                if row.is_immediate:
                    return self._read(row, actor, given)
                arguments = bind(row, given[1:])
                return encode(await row.run(self._api, actor, **arguments))
        except Refused as error:
            return failure(row, error)
        except TimeoutError:
            return internal(row, f"no answer within {TIMEOUT_S:.0f} s; it may still be done: look")
        except Fault as error:
            return encode_fault(error.code, error.message)
        except Exception:
            return broken(row)

    def _read(self, row: Method, actor: Actor, given: Sequence[Value]) -> bytes:
        """The answer of a row that reads nothing but memory."""
        arguments = bind(row, given[1:])
        known = self._answers.find(row, actor, arguments)
        if known is not None:
            return known
        answer = encode(row.run(self._api, actor, **arguments))
        self._answers.keep(row, actor, arguments, answer)
        return answer


def session_of(row: Method, given: Sequence[Value]) -> str:
    """The first parameter."""
    if not given:
        raise Fault(
            MISSING_PARAMETER,
            f"Not enough parameters: one.{row.name} begins with a session string",
        )
    session = given[0]
    if not isinstance(session, str):
        raise Fault(WRONG_TYPE, f"Parameter 1 (session) of one.{row.name} is not of type string")
    return session


def encode(result: Result) -> bytes:
    """An empty text becomes a blank: pyone cannot take an empty one."""
    if isinstance(result, list):
        return success_from_fragments(result)
    return encode_success(" " if result == "" else result)


def failure(row: Method, error: Refused) -> bytes:
    """OpenNebula's array of five."""
    code, text = told(row, error)
    object_id = -1 if error.object_id is None else error.object_id
    return encode_failure(f"[one.{row.name}] {text}", code.value, object_id)


def told(row: Method, error: Refused) -> tuple[Code, str]:
    """Code and text: a method that makes something has its own code for what is wrong with the
    something.
    """
    if row.creates is not None and concerns_creation(error):
        text = error.message
        if row.creates.code is Code.ALLOCATE:
            text = f"Error allocating a new {row.creates.word}. {text}"
        return row.creates.code, text
    if row.name.endswith(".update") and error.reason in OF_TEMPLATE and is_template_error(error):
        return Code.INTERNAL, error.message
    return CODES[error.reason], error.message


def concerns_creation(error: Refused) -> bool:
    """Also when something that a template names is missing, other than the object the call is
    about.
    """
    if error.reason is Reason.NOT_FOUND:
        return isinstance(error, NotFound) and error.object_id is None
    return error.reason in OF_CREATION


def is_template_error(error: Refused) -> bool:
    return not error.message.startswith("Wrong update type")


def broken(row: Method) -> bytes:
    """For the exception being handled, which nobody expected."""
    log.exception("xmlrpc.failed", method=row.name)
    return internal(row, "internal error: the daemon's log says more")


def internal(row: Method, text: str) -> bytes:
    return encode_failure(f"[one.{row.name}] {text}", Code.INTERNAL.value, -1)


# --- introspection --------------------------------------------------------------------------------


def introspect(name: str, given: Sequence[Value]) -> bytes:
    """system.listMethods and its kin; needs no log-in, tells nothing but the table."""
    if name == "system.listMethods":
        return plain([*sorted(METHODS), *INTROSPECTION])
    if name not in INTROSPECTION:
        return undefined(name)
    if not given:
        return encode_fault(MISSING_PARAMETER, f"{name} takes the name of a method")
    asked = given[0]
    row = METHODS.get(asked) if isinstance(asked, str) else None
    if row is None:
        return undefined(str(asked))
    return plain(row.help) if name == "system.methodHelp" else plain([signature_of(row)])


def undefined(name: str) -> bytes:
    return encode_fault(NO_SUCH_METHOD, f"Method {name[:80]!r} not defined")


INTROSPECTION = ("system.listMethods", "system.methodHelp", "system.methodSignature")


def plain(value: str | Iterable[object]) -> bytes:
    """A bare value, not OpenNebula's array."""
    whole = value if isinstance(value, str) else list(value)
    text = xmlrpc.client.dumps((whole,), methodresponse=True)
    return text.encode()
