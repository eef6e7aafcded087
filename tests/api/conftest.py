"""The application on a small engine, called without a socket or (for real clients) through one."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import uvicorn

from orrery.api.body import ASGIApp
from orrery.api.http import build
from orrery.api.rpc_protocol import RpcProtocol
from tests.api.world import World


@dataclass
class Answer:
    """What an ASGI application sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Web:
    """Calls the application as a server would."""

    app: ASGIApp
    peer: str = "192.0.2.1"
    headers: dict[str, str] = field(default_factory=dict)

    async def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        query: str = "",
    ) -> Answer:
        sent: list[dict[str, Any]] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        given = {"content-length": str(len(body)), **self.headers, **(headers or {})}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "headers": [(k.encode(), v.encode()) for k, v in given.items()],
            "client": (self.peer, 4711),
            "server": ("localhost", 2633),
        }
        await self.app(scope, receive, send)
        return Answer(
            sent[0]["status"],
            {k.decode(): v.decode() for k, v in sent[0]["headers"]},
            b"".join(message.get("body", b"") for message in sent[1:]),
        )


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def web(world: World) -> Web:
    return Web(build(world.parts()))


Serve = Callable[[World], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Runs the application in a real server on a free port; returns its address."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(world: World) -> str:
        app = build(world.parts())
        config = uvicorn.Config(
            app,
            http=partial(RpcProtocol, begin=app.rpc.begin, body_limit=app.body_limit),  # type: ignore[arg-type]
            port=0,
            log_level="error",
            loop="asyncio",
            lifespan="off",
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def anyio_backend() -> str:
    """Coroutines as tests run on asyncio, through the plug-in that comes with Starlette."""
    return "asyncio"
