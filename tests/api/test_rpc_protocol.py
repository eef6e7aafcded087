"""The short way to /RPC2, over real sockets: pieces, pipelines, closings, and what is not plain."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from orrery.api.rpc_protocol import shape_of
from tests.api.world import World

LIMIT = 1 << 20

VERSION = (
    b"<methodCall><methodName>one.system.version</methodName><params><param><value>"
    b"<string>oneadmin:secret</string></value></param></params></methodCall>"
)
CREATE = (
    b"<methodCall><methodName>one.vm.allocate</methodName><params><param><value>"
    b"<string>oneadmin:secret</string></value></param><param><value>"
    b"<string>CPU=1 MEMORY=64</string></value></param></params></methodCall>"
)
NUMBER = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def request(body: bytes = VERSION, *fields: str, path: str = "/RPC2") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


Connect = Callable[[], "Peer"]


class Peer:
    """One connection to a served world."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), 10)
        self._rest = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[bytes, bytes]:
        """Head and body of the next answer."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        found = NUMBER.search(head)
        assert found is not None, head
        while len(self._rest) < int(found[1]):
            self._more()
        body, self._rest = self._rest[: int(found[1])], self._rest[int(found[1]) :]
        return head, body

    def _more(self) -> None:
        got = self.socket.recv(1 << 20)
        assert got, "the server closed the connection"
        self._rest += got

    def is_closed(self) -> bool:
        return self.socket.recv(1) == b""

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def connect(serve: Callable[[World], str], world: World) -> Iterator[Connect]:
    url = serve(world)
    made: list[Peer] = []

    def start() -> Peer:
        made.append(Peer(url))
        return made[-1]

    yield start
    for peer in made:
        peer.close()


def test_a_connection_is_kept_for_call_after_call(connect: Connect) -> None:
    peer = connect()
    for body in (VERSION, CREATE, VERSION, CREATE):
        peer.send(request(body))
        head, answer = peer.answer()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"<boolean>1</boolean>" in answer


def test_a_request_may_come_in_pieces(connect: Connect) -> None:
    peer = connect()
    whole = request()
    head = whole.index(b"\r\n\r\n") + 4
    for start, end in ((0, head), (head, head + 7), (head + 7, len(whole))):
        peer.send(whole[start:end])
        with closing(connect()) as other:
            other.send(request())
            other.answer()
    assert b"<boolean>1</boolean>" in peer.answer()[1]


def test_a_head_in_pieces_is_left_to_the_web_server(connect: Connect) -> None:
    peer = connect()
    whole = request()
    peer.send(whole[:20])
    with closing(connect()) as other:
        other.send(request())
        other.answer()
    peer.send(whole[20:])
    assert b"<boolean>1</boolean>" in peer.answer()[1]


def test_a_pipeline_is_answered_in_order(connect: Connect) -> None:
    peer = connect()
    unknown = VERSION.replace(b"system.version", b"no.such")
    peer.send(request() + request(unknown) + request(CREATE) + request())
    answers = [peer.answer()[1] for _ in range(4)]
    assert [b"faultCode" in answer for answer in answers] == [False, True, False, False]


def test_closes_when_asked_to(connect: Connect) -> None:
    peer = connect()
    peer.send(request(VERSION, "Connection: close"))
    head, answer = peer.answer()
    assert b"connection: close" in head
    assert b"<boolean>1</boolean>" in answer
    assert peer.is_closed()


def test_another_path_on_the_same_connection_is_served(connect: Connect) -> None:
    peer = connect()
    peer.send(request())
    peer.answer()
    peer.send(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
    assert peer.answer()[1] == b"ok\n"
    peer.send(request())
    assert b"<boolean>1</boolean>" in peer.answer()[1]


def test_a_chunked_call_is_served(connect: Connect) -> None:
    peer = connect()
    head = b"POST /RPC2 HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer.send(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(VERSION), VERSION))
    assert b"<boolean>1</boolean>" in peer.answer()[1]


def test_a_client_that_wants_to_be_told_to_continue_is(connect: Connect) -> None:
    peer = connect()
    whole = request(VERSION, "Expect: 100-continue")
    peer.send(whole[: -len(VERSION)])
    assert peer.socket.recv(25, socket.MSG_WAITALL).startswith(b"HTTP/1.1 100")
    peer.send(VERSION)
    assert b"<boolean>1</boolean>" in peer.answer()[1]


def test_a_large_answer_arrives_whole_at_a_slow_reader(connect: Connect, world: World) -> None:
    peer = connect()
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    large = CREATE.replace(b"MEMORY=64", b"MEMORY=64 NOTE=" + b"x" * 300_000)
    for _ in range(8):
        peer.send(request(large))
        peer.answer()
    pool = CREATE.replace(b"vm.allocate", b"vmpool.info")
    whole = b"".join(b"<param><value><i4>%d</i4></value></param>" % n for n in (-2, -1, -1, -1))
    text = b"<param><value><string>CPU=1 MEMORY=64</string></value></param>"
    peer.send(request(pool.replace(text, whole)))
    answer = peer.answer()[1]
    assert len(answer) > 8 * 300_000
    assert answer.endswith(b"</methodResponse>")
    peer.send(request())
    assert b"<boolean>1</boolean>" in peer.answer()[1]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /RPC2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"POST /RPC2 HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"POST /RPC2x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nContent-Length: 3\r\n folded: 1\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nContent-Length: 3\nX: 1\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nContent-Length: 3\r\nConnection: upgrade\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nContent-Length: 3\r\nConnection: keep-alive, close\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nContent-Length: 3\r\nX: \x00\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nContent-Length: 3\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_plain_is_left_to_the_web_server(head: bytes) -> None:
    assert shape_of(head + b"abc", LIMIT) is None


def test_finds_the_body_whatever_the_case_and_order_of_the_fields() -> None:
    head = b"POST /RPC2 HTTP/1.1\r\nCONTENT-length:\t3 \r\nX-a: b\r\nconnection: Keep-Alive\r\n\r\n"
    shape = shape_of(head + b"abc", LIMIT)
    assert shape is not None
    assert (shape.begins_at, shape.ends_at, shape.close) == (len(head), len(head) + 3, False)


def test_a_client_that_leaves_within_a_large_answer_disturbs_nobody(connect: Connect) -> None:
    large = CREATE.replace(b"MEMORY=64", b"MEMORY=64 NOTE=" + b"x" * 900_000)
    peer = connect()
    for _ in range(8):
        peer.send(request(large))
        peer.answer()
    template = b"<param><value><string>CPU=1 MEMORY=64</string></value></param>"
    whole = b"".join(b"<param><value><i4>%d</i4></value></param>" % n for n in (-2, -1, -1, -1))
    pool = CREATE.replace(b"vm.allocate", b"vmpool.info").replace(template, whole)
    for _ in range(3):
        leaver = connect()
        leaver.send(request(pool))
        leaver.socket.recv(1000)
        leaver.close()
    peer.send(request(pool))
    assert peer.answer()[1].endswith(b"</methodResponse>")
