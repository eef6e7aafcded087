"""What a row of the JSON API's table is, and how a request becomes a call of it. Knows no
resource.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request

from orrery.core.errors import InvalidInput, NotAuthenticated, Reason
from orrery.core.messages import Actor
from orrery.service.engine import Engine, Journal, Monitoring
from orrery.service.sessions import REFUSAL, Sessions
from orrery.service.users import TokenFactory


class Services(Struct, frozen=True):
    """What the routes work with."""

    engine: Engine
    sessions: Sessions
    monitoring: Monitoring
    journal: Journal
    make_token: TokenFactory


class Query(Struct, frozen=True):
    """One parameter of the query string."""

    name: str
    type: type
    help: str
    default: Any = None


class Call(Struct, frozen=True):
    """One request, authenticated and checked."""

    services: Services
    actor: Actor
    oid: int
    """The id in the path; -1 where there is none."""
    query: Mapping[str, Any]
    body: Any

    @property
    def engine(self) -> Engine:
        return self.services.engine


Run = Callable[[Call], Awaitable[object]]


class Route(Struct, frozen=True, kw_only=True):
    """One row: `answer` and `body` are the types from which the API's description is made."""

    method: str
    path: str
    run: Run
    answer: Any
    tag: str
    body: Any = None
    query: tuple[Query, ...] = ()
    status: int = 200

    @property
    def help(self) -> str:
        return summary_of(self.run)

    @property
    def operation(self) -> str:
        """A name that is unique in the description."""
        words = [word for word in self.path.strip("/").split("/") if not word.startswith("{")]
        one = ["one"] if "{id}" in self.path else []
        return "_".join([self.method.lower(), *one, *words])


def summary_of(run: Callable[..., object]) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((run.__doc__ or "").partition("\n\n")[0].split())


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was wrong, why, and what to do instead."""

    reason: str
    message: str
    field: str | None = None
    remedy: str | None = None


class ErrorOut(Struct, frozen=True):
    error: Problem


STATUS: dict[Reason, int] = {
    Reason.INVALID: 400,
    Reason.WRONG_STATE: 409,
    Reason.IN_USE: 409,
    Reason.NOT_FOUND: 404,
    Reason.EXISTS: 409,
    Reason.NO_CAPACITY: 409,
    Reason.NOT_AUTHENTICATED: 401,
    Reason.NOT_AUTHORIZED: 403,
    Reason.QUOTA: 403,
    Reason.LOCKED: 409,
    Reason.UNAVAILABLE: 503,
    Reason.INTERNAL: 500,
}
"""The one place where reasons become HTTP's codes."""


async def authenticate(request: Request, sessions: Sessions) -> Actor:
    """The caller, from basic credentials or a bearer token.

    Raises:
        NotAuthenticated, Unavailable.
    """
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    peer = "" if request.client is None else request.client.host
    if scheme.lower() == "bearer" and value:
        return await sessions.authenticate_token(value.strip(), peer)
    if scheme.lower() != "basic":
        raise NotAuthenticated(REFUSAL)
    try:
        session = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise NotAuthenticated(REFUSAL) from None
    return await sessions.authenticate(session, peer)


def read_query(route: Route, request: Request) -> dict[str, Any]:
    """The query's parameters, converted; unknown ones are refused, since they are mistyped ones.

    Raises:
        InvalidInput: which one, and what it has to be.
    """
    known = {query.name: query for query in route.query}
    values = {query.name: query.default for query in route.query}
    for name, text in request.query_params.items():
        query = known.get(name)
        if query is None:
            options = ", ".join(known) or "none"
            raise InvalidInput(name, text, f"is no parameter of {route.path}: it takes {options}")
        values[name] = convert(name, text, query.type)
    return values


def convert(name: str, text: str, kind: type) -> Any:
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(name, text, f"is not of type {kind.__name__} ({error})") from None


def read_body(route: Route, body: bytes) -> Any:
    """The body as the route's type.

    Raises:
        InvalidInput: the field and what it has to be.
    """
    if route.body is None:
        return None
    try:
        return msgspec.json.decode(body or b"{}", type=route.body)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at ")
        field = place.strip("`").removeprefix("$").lstrip(".") or "body"
        raise InvalidInput(field, "", f"is not as described: {text}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput("body", "", f"is not JSON: {error}") from None
