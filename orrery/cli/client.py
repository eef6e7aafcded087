"""Calls the engine: XML-RPC for objects, the JSON API for logs and events. Shows nothing."""

import http.client
import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from orrery.cli.access import Access
from orrery.cli.failure import CommandFailed, Refused, Unreachable
from orrery.cli.tree import Json, parse
from orrery.cli.xmlrpc_wire import WireError, decode_response, encode_call

CALL_TIMEOUT_S = 60.0
STREAM_TIMEOUT_S = 60.0
"""The engine sends a comment more often than this on a silent stream."""
IDLE_S_MAX = 2.0
"""An idle connection is not used again after this: servers close theirs after some seconds."""
ANSWER_BYTES_MAX = 1 << 30

Value = bool | int | str
Parameter = Value | list[int]


class Client:
    """One engine, one user. The connection is kept between calls."""

    def __init__(self, access: Access) -> None:
        self.access = access
        parts = urlsplit(access.endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CommandFailed(
                f"endpoint: {access.endpoint!r} is not an address: use http://HOST:2633/RPC2"
            )
        self.base = f"{parts.scheme}://{parts.netloc}"
        self.path = parts.path
        self.connection = self.connect(CALL_TIMEOUT_S)
        self.used_at = monotonic()

    def connect(self, timeout_s: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.access.endpoint)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        return kind(parts.hostname or "localhost", parts.port, timeout=timeout_s)

    @property
    def session(self) -> str:
        if self.access.session is None:
            raise CommandFailed(
                "no credentials: put user:password into ~/.one/one_auth (or a file named by "
                "ONE_AUTH), or use --user and --password"
            )
        return self.access.session

    def call(self, method: str, *parameters: Parameter) -> Value:
        """The result of an XML-RPC method; raises Refused with the engine's reason."""
        body = encode_call(method, (self.session, *parameters))
        status, answer = self.post(body)
        if status != 200:
            raise CommandFailed(f"{self.access.endpoint} answered HTTP {status} to {method}")
        try:
            decoded = decode_response(answer)
        except WireError as error:
            raise CommandFailed(f"{method}: {error}") from error
        return checked(decoded)

    def number(self, method: str, *parameters: Parameter) -> int:
        """A call that answers an id."""
        return int(self.call(method, *parameters))

    def tree(self, method: str, *parameters: Parameter) -> Element:
        """A call that answers XML."""
        return parse(self.text(method, *parameters))

    def text(self, method: str, *parameters: Parameter) -> str:
        """A call that answers text."""
        return str(self.call(method, *parameters))

    def post(self, body: bytes) -> tuple[int, bytes]:
        with self.reachable():
            self.refresh()
            self.connection.request("POST", self.path, body, {"Content-Type": "text/xml"})
            response = self.connection.getresponse()
            return response.status, response.read(ANSWER_BYTES_MAX)

    def refresh(self) -> None:
        """Leave a connection that the engine may be closing: a request must never be sent twice."""
        now = monotonic()
        if now - self.used_at > IDLE_S_MAX:
            self.connection.close()
        self.used_at = now

    def get(self, path: str) -> tuple[int, bytes, str]:
        """Status, body and content type of a path of the HTTP API."""
        with self.reachable():
            self.refresh()
            self.connection.request("GET", path, headers=self.basic())
            response = self.connection.getresponse()
            kind = response.headers.get_content_type()
            return response.status, response.read(ANSWER_BYTES_MAX), kind

    def get_json(self, path: str) -> Json:
        status, body, _ = self.get(path)
        try:
            answer: Json = json.loads(body)
        except ValueError as error:
            raise CommandFailed(f"{self.base}{path} answered HTTP {status}, not JSON") from error
        if status != 200:
            raise CommandFailed(problem(answer) or f"{self.base}{path} answered HTTP {status}")
        return answer

    def stream(self, path: str, after: str | None = None) -> Iterator[str]:
        """Lines of a stream of server-sent events behind an id, until the engine closes it."""
        connection = self.connect(STREAM_TIMEOUT_S)
        headers = {**self.basic(), "Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = after
        with self.reachable():
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                raise CommandFailed(f"{self.base}{path} answered HTTP {response.status}")
            while line := response.readline():
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        connection.close()

    def basic(self) -> dict[str, str]:
        return {"Authorization": "Basic " + b64encode(self.session.encode()).decode()}

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """Turns what the network says into one line with a remedy."""
        try:
            yield
        except TimeoutError as error:
            self.connection.close()
            raise Unreachable(f"the engine at {self.base} does not answer in time") from error
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unreachable(
                f"no engine at {self.base} ({reason}): start one with 'orrery serve', "
                "try 'orrery up', or name another with --endpoint"
            ) from error


def checked(answer: object) -> Value:
    """The value in OpenNebula's envelope, or its refusal."""
    if not isinstance(answer, list) or len(answer) < 2:
        raise CommandFailed("the answer is not OpenNebula's: is the endpoint an engine's /RPC2?")
    if answer[0] is True:
        value = answer[1]
        if not isinstance(value, bool | int | str):
            raise CommandFailed("the answer holds neither a number nor a text")
        return value
    raise Refused(plain(str(answer[1])))


def plain(message: str) -> str:
    """The engine's message on one line, without the name of the method."""
    text = " ".join(message.split())
    if text.startswith("[one.") and "] " in text:
        return text.partition("] ")[2]
    return text


def problem(answer: Json) -> str | None:
    """The message in an error of the JSON API."""
    if not isinstance(answer, dict):
        return None
    error = answer.get("error", answer)
    found = error.get("message") if isinstance(error, dict) else error
    return found if isinstance(found, str) else None
