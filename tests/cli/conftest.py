"""A recorded engine to talk to: answers from a table, and keeps what it was asked."""

import threading
import xmlrpc.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from orrery.api.xmlrpc.dispatch import METHODS
from orrery.api.xmlrpc.method import bind
from orrery.api.xmlrpc_codec import Value
from orrery.cli.program import run

Answer = Any
SESSION = "oneadmin:secret"


@dataclass
class RecordedEngine:
    """`answers` by method: a value, an exception's (code, text), or a list that is used up."""

    answers: dict[str, Answer] = field(default_factory=dict)
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    endpoint: str = ""

    def call(self, body: bytes) -> bytes:
        parameters, method = xmlrpc.client.loads(body)
        assert parameters[0] == SESSION
        self.calls.append((method, *parameters[1:]))
        given = cast(list[Value], list(parameters[1:]))
        bind(METHODS[str(method)], given)  # the engine knows it and takes these values
        answer = self.answers[str(method)]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        result = (
            [False, answer[1], answer[0], 0, 0] if isinstance(answer, tuple) else [True, answer, 0]
        )
        return xmlrpc.client.dumps((result,), methodresponse=True).encode()

    @property
    def methods(self) -> list[str]:
        return [call[0] for call in self.calls]


def handler_for(engine: RecordedEngine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/RPC2"
            self.reply(
                200, "text/xml", engine.call(self.rfile.read(int(self.headers["Content-Length"])))
            )

        def do_GET(self) -> None:
            engine.headers.append(dict(self.headers))
            kind, body = engine.pages.get(self.path, ("application/json", b'{"error": "none"}'))
            self.reply(200 if self.path in engine.pages else 404, kind, body)

        def reply(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RecordedEngine]:
    """An engine that the environment points to."""
    recorded = RecordedEngine()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(recorded))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    recorded.endpoint = f"http://127.0.0.1:{server.server_address[1]}/RPC2"
    (tmp_path / "one_auth").write_text(SESSION + "\n")
    monkeypatch.setenv("ONE_XMLRPC", recorded.endpoint)
    monkeypatch.setenv("ONE_AUTH", str(tmp_path / "one_auth"))
    yield recorded
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process: `command("onevm", "list")`."""

    def run_command(program: str, *argv: str) -> Result:
        capsys.readouterr()
        status = run(program, list(argv))
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run_command
