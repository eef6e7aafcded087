"""The one ASGI application: /RPC2, /api/v1, /metrics, /healthz and the web page. Everything it
needs is given to it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as HttpRoute

from orrery.api.body import Disconnected, Receive, Scope, Send, TooLarge, read_body
from orrery.api.event_stream import EventStream
from orrery.api.openapi import describe
from orrery.api.rest import ROUTES
from orrery.api.route import (
    STATUS,
    Call,
    ErrorOut,
    Problem,
    Route,
    Services,
    authenticate,
    read_query,
)
from orrery.api.route import (
    read_body as decode_body,
)
from orrery.api.rpc_endpoint import RpcEndpoint
from orrery.api.xml.documents import Documents
from orrery.api.xmlrpc.dispatch import Rpc
from orrery.api.xmlrpc.method import Api
from orrery.core.errors import InvalidInput, NotFound, Reason, Refused, Unavailable
from orrery.service.engine import Engine, Events, Journal, Monitoring
from orrery.service.sessions import Sessions
from orrery.service.users import TokenFactory

MAX_STREAMS = 500
BODY_LIMIT = 16 * 1024 * 1024
API = "/api/v1"

PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
API_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}

JSON = "application/json"

log = structlog.get_logger(__name__)


class Parts(Struct, frozen=True, kw_only=True):
    """All that the application is built from."""

    engine: Engine
    sessions: Sessions
    monitoring: Monitoring
    events: Events
    journal: Journal
    make_token: TokenFactory
    metrics: Callable[[], bytes]
    """The numbers in Prometheus' text form; called in a thread."""
    is_healthy: Callable[[], bool]
    endpoint: str
    """This daemon's address as clients use it, for the zone."""
    version: str
    settings: Mapping[str, str] = {}
    body_limit: int = BODY_LIMIT


class Application:
    """XML-RPC goes straight to its endpoint, everything else through Starlette.

    `rpc` is there for a server that knows a shorter way to it than ASGI.
    """

    def __init__(self, parts: Parts) -> None:
        self.rpc = Rpc(api_of(parts))
        self.body_limit = parts.body_limit
        self._endpoint = RpcEndpoint(self.rpc, parts.body_limit)
        self._web = Starlette(routes=[*api_routes(parts), *plain_routes(parts), *page_routes()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in ("/RPC2", "/RPC2/"):
            await self._endpoint(scope, receive, send)
        else:
            await self._web(scope, receive, send)


def build(parts: Parts) -> Application:
    return Application(parts)


def api_of(parts: Parts) -> Api:
    return Api(
        engine=parts.engine,
        sessions=parts.sessions,
        documents=Documents(parts.engine.view, parts.monitoring),
        monitoring=parts.monitoring,
        make_token=parts.make_token,
        endpoint=parts.endpoint,
        settings=parts.settings,
    )


# --- the JSON API ---------------------------------------------------------------------------------


def api_routes(parts: Parts) -> list[BaseRoute]:
    services = Services(
        parts.engine, parts.sessions, parts.monitoring, parts.journal, parts.make_token
    )
    description = msgspec.json.encode(describe(ROUTES, parts.version))
    by_path: dict[str, dict[str, Route]] = {}
    for row in ROUTES:
        by_path.setdefault(row.path, {})[row.method] = row
    routes: list[BaseRoute] = [
        HttpRoute(
            API + path,
            json_endpoint(rows, services, parts.body_limit),
            methods=list(rows),
        )
        for path, rows in by_path.items()
    ]

    async def openapi(request: Request) -> Response:
        return Response(description, media_type=JSON, headers=API_HEADERS)

    return [
        *routes,
        HttpRoute(f"{API}/openapi.json", openapi),
        HttpRoute(f"{API}/events", Streams(parts)),
    ]


Endpoint = Callable[[Request], Awaitable[Response]]


def json_endpoint(rows: Mapping[str, Route], services: Services, body_limit: int) -> Endpoint:
    """What answers one path: the row of the method, refusals as JSON."""

    async def endpoint(request: Request) -> Response:
        row = rows["GET" if request.method == "HEAD" else request.method]
        try:
            call = await call_of(row, request, services, body_limit)
            return json_response(row.status, await row.run(call))
        except Refused as error:
            return refusal(error)
        except TooLarge:
            return problem(413, "invalid", f"The request is larger than {body_limit} bytes", "body")
        except Disconnected:
            return Response(status_code=400)
        except TimeoutError:
            return problem(408, "unavailable", "The request did not arrive whole in time", "body")
        except Exception:
            log.exception("rest.failed", path=row.path, method=row.method)
            return problem(500, "internal", "Internal error: the daemon's log says more", None)

    return endpoint


async def call_of(row: Route, request: Request, services: Services, body_limit: int) -> Call:
    """The request as a call: who, which object, with what.

    Raises:
        Refused, TooLarge, Disconnected, TimeoutError.
    """
    actor = await authenticate(request, services.sessions)
    body = None
    if row.body is not None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON:
            raise InvalidInput("content-type", kind, f"is not {JSON}: send the body as that")
        body = decode_body(row, await read_body(request.scope, request.receive, body_limit))
    return Call(services, actor, oid_in(request), read_query(row, request), body)


def oid_in(request: Request) -> int:
    """The id in the path; -1 where there is none.

    Raises:
        NotFound: it is no number.
    """
    text: str | None = request.path_params.get("id")
    if text is None:
        return -1
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise NotFound(f"There is no object {text[:40]!r}: ids are numbers")
    return int(text)


def json_response(status: int, value: object, headers: Mapping[str, str] = API_HEADERS) -> Response:
    return Response(msgspec.json.encode(value), status, dict(headers), JSON)


def refusal(error: Refused) -> Response:
    field = remedy = None
    if isinstance(error, InvalidInput):
        field, remedy = error.field, error.remedy
    status = STATUS[error.reason]
    return problem(status, error.reason.value, error.message, field, remedy)


def problem(
    status: int, reason: str, message: str, field: str | None, remedy: str | None = None
) -> Response:
    """No `WWW-Authenticate` on 401: a browser's own log-in box would keep the password for
    other sites' forms.
    """
    body = ErrorOut(Problem(reason=reason, message=message, field=field, remedy=remedy))
    headers = dict(API_HEADERS)
    if status == STATUS[Reason.UNAVAILABLE]:
        headers["retry-after"] = "5"
    return json_response(status, body, headers)


class Streams:
    """/api/v1/events: authenticates, then hands the connection to a stream."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            if self._open >= MAX_STREAMS:
                raise Unavailable(f"{MAX_STREAMS} event streams are open: try again later")
            actor = await authenticate(request, self._parts.sessions)
            after = after_seq(request)
        except Refused as error:
            await refusal(error)(scope, receive, send)
            return
        stream = EventStream(self._parts.engine, self._parts.events, actor, after)
        self._open += 1
        try:
            await stream(scope, receive, send)
        finally:
            self._open -= 1


def after_seq(request: Request) -> int | None:
    """Where to start: the header of a reconnecting reader, or the parameter."""
    text = request.headers.get("last-event-id") or request.query_params.get("after")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInput("after", text, "is not the seq of a record")
    return int(text)


# --- the rest -------------------------------------------------------------------------------------


def plain_routes(parts: Parts) -> list[BaseRoute]:
    async def metrics(request: Request) -> Response:
        body = await asyncio.to_thread(parts.metrics)
        return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def healthz(request: Request) -> Response:
        healthy = parts.is_healthy()
        return Response("ok\n" if healthy else "not healthy\n", 200 if healthy else 503)

    return [HttpRoute("/metrics", metrics), HttpRoute("/healthz", healthz)]


FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/web/style.css": ("style.css", "text/css; charset=utf-8"),
    **{
        f"/web/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8")
        for name in ("app", "api", "chart", "draw", "leases")
    },
    "/web/icon.svg": ("icon.svg", "image/svg+xml"),
}


def page_routes() -> list[BaseRoute]:
    """The page's files, read once: nothing of the file system can be asked for."""
    folder = resources.files("orrery") / "web"
    return [
        HttpRoute(path, file_endpoint((folder / name).read_bytes(), kind))
        for path, (name, kind) in FILES.items()
    ]


def file_endpoint(content: bytes, kind: str) -> Any:
    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=kind, headers=PAGE_HEADERS)

    return endpoint
