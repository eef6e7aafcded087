"""Registration of images from a web server, which may be slow, break off or not be there."""

import asyncio
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orrery.core.messages import Done, Failed, Outcome
from orrery.drivers.storage import fetch
from orrery.drivers.storage.files import FileStorage
from tests.drivers.stored import (
    DATA,
    MIB,
    done,
    failed,
    image,
    sha256,
)


class Server(http.server.ThreadingHTTPServer):
    """Serves DATA; breaks off answers as often as told, and notes what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.breaks = 0
        self.ranged = True
        self.asked: list[str | None] = []
        self.stalled = threading.Event()
        self.go_on = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""

    def url(self, path: str = "/image") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/to-file":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        self._send_image()

    def _send_image(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        start = start if self.server.ranged else 0
        self.send_response(206 if start else 200)
        self.send_header("ETag", '"v1"')
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        body = DATA[start:]
        if self.path == "/slow":
            self.wfile.write(body[:MIB])
            body = body[MIB:]
            self.server.stalled.set()
            self.server.go_on.wait(10)
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: len(body) // 3]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetch, "PAUSE_S", 0.0)
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_url_is_fetched_and_progress_told(storage: FileStorage, ds: Path, web: Server) -> None:
    told: list[float] = []
    result = done(storage.register(image(web.url(), ds / "a"), told.append))
    assert result["checksum"] == sha256(DATA)
    assert (ds / "a").read_bytes() == DATA
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_broken_download_is_resumed_where_it_broke(
    storage: FileStorage, ds: Path, web: Server
) -> None:
    web.breaks = 2
    assert done(storage.register(image(web.url(), ds / "a")))["checksum"] == sha256(DATA)
    assert web.asked[0] is None
    assert all(asked is not None for asked in web.asked[1:])
    assert len(web.asked) == 3


def test_server_that_cannot_resume_leaves_nothing_and_may_be_tried_again(
    storage: FileStorage, ds: Path, web: Server
) -> None:
    web.breaks, web.ranged = 1, False
    assert failed(storage.register(image(web.url(), ds / "a"))).retryable
    assert list(ds.iterdir()) == []


def test_server_that_always_breaks_off_is_given_up(
    storage: FileStorage, ds: Path, web: Server
) -> None:
    web.breaks = 1000
    result = failed(storage.register(image(web.url("/never"), ds / "a")))
    assert result.retryable
    assert "closed early" in result.message
    assert list(ds.iterdir()) == []


@pytest.mark.parametrize("path", ["/missing", "/to-file"])
def test_answer_that_is_no_image_is_refused(
    storage: FileStorage, ds: Path, web: Server, path: str
) -> None:
    assert not failed(storage.register(image(web.url(path), ds / "a"))).retryable
    assert list(ds.iterdir()) == []


def test_server_that_is_not_there_may_be_tried_again(storage: FileStorage, ds: Path) -> None:
    assert failed(storage.register(image("http://127.0.0.1:1/x", ds / "a"))).retryable


def test_caller_that_goes_away_takes_the_transfer_with_it(
    storage: FileStorage, ds: Path, web: Server
) -> None:
    async def give_up() -> None:
        call = asyncio.ensure_future(storage.register(image(web.url("/slow"), ds / "a")))
        await asyncio.to_thread(web.stalled.wait, 10)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        web.go_on.set()

    asyncio.run(give_up())
    storage._long.shutdown(wait=True)
    assert list(ds.iterdir()) == []


def test_image_that_an_earlier_call_still_writes_is_left_to_it(
    storage: FileStorage, ds: Path, web: Server
) -> None:
    async def twice() -> tuple[Outcome, Outcome]:
        first = asyncio.ensure_future(storage.register(image(web.url("/slow"), ds / "a")))
        await asyncio.to_thread(web.stalled.wait, 10)
        second = await storage.register(image(web.url(), ds / "a"))
        web.go_on.set()
        return await first, second

    first, second = asyncio.run(twice())
    assert isinstance(first, Done)
    assert isinstance(second, Failed)
    assert second.retryable
