"""The load: requests made beforehand, sent over raw sockets by a process of its own.

A plan comes as JSON on standard input, the times go out as JSON. One loop over epoll serves all
connections; an answer is read by its Content-Length and looked at no further than its first value,
so the client costs little beside the engine.
"""

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

BUFFER = 1 << 20
LOOKED_AT = 1024
"""Bytes at the beginning of an answer that are enough to tell success."""
OK = b"<boolean>1</boolean>"


@dataclass
class Client:
    """One caller: its requests in order, again from the start when `repeat`."""

    requests: list[bytes]
    repeat: bool
    place: int = 0
    sock: socket.socket | None = None
    missing: int = -1
    head: bytes = b""
    sent_at: float = 0.0

    def next_request(self) -> bytes | None:
        if self.place >= len(self.requests):
            if not self.repeat:
                return None
            self.place = 0
        request = self.requests[self.place]
        self.place += 1
        return request


@dataclass
class Result:
    """What came of it."""

    latencies_ms: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0
    failed: int = 0
    first_failure: str = ""
    bytes_received: int = 0
    cpu_share: float = 0.0
    """Of one core, used by this client: near 1 it measured itself."""

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.elapsed_s


class Load:
    """Drives all clients until `seconds` have passed or their requests are done."""

    def __init__(self, port: int, clients: Sequence[Client], seconds: float, keep: bool) -> None:
        self._port = port
        self._clients = clients
        self._seconds = seconds
        self._keep = keep
        self._poll = select.epoll()
        self._by_fd: dict[int, Client] = {}
        self._buffer = memoryview(bytearray(BUFFER))
        self._result = Result()

    def run(self) -> Result:
        cpu = time.process_time()
        start = time.perf_counter()
        deadline = start + self._seconds
        active = sum(self._begin(client) for client in self._clients)
        while active:
            for fd, _ in self._poll.poll():
                client = self._by_fd[fd]
                if self._read(client) and not self._go_on(client, deadline):
                    active -= 1
        self._result.elapsed_s = time.perf_counter() - start
        self._result.cpu_share = (time.process_time() - cpu) / self._result.elapsed_s
        return self._result

    def _begin(self, client: Client) -> bool:
        request = client.next_request()
        if request is None:
            return False
        client.sent_at = time.perf_counter()
        if client.sock is None:
            client.sock = self._connect(client)
        client.missing, client.head = -1, b""
        client.sock.sendall(request)
        return True

    def _connect(self, client: Client) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._by_fd[sock.fileno()] = client
        self._poll.register(sock.fileno(), select.EPOLLIN)
        return sock

    def _read(self, client: Client) -> bool:
        """Whether the answer is whole now."""
        assert client.sock is not None
        got = client.sock.recv_into(self._buffer)
        if not got:
            raise ConnectionError("the engine closed the connection")
        self._result.bytes_received += got
        if client.missing < 0:
            client.head += self._buffer[:got]
            end = client.head.find(b"\r\n\r\n")
            if end < 0:
                return False
            client.missing = content_length(client.head[:end]) - (len(client.head) - end - 4)
        else:
            client.missing -= got
            if len(client.head) < LOOKED_AT:
                client.head += self._buffer[: min(got, LOOKED_AT)]
        return client.missing <= 0

    def _go_on(self, client: Client, deadline: float) -> bool:
        now = time.perf_counter()
        self._result.latencies_ms.append((now - client.sent_at) * 1000)
        if OK not in client.head[:LOOKED_AT]:
            self._result.failed += 1
            self._result.first_failure = self._result.first_failure or client.head[:1000].decode()
        if not self._keep:
            self._close(client)
        if now < deadline and self._begin(client):
            return True
        self._close(client)
        return False

    def _close(self, client: Client) -> None:
        if client.sock is not None:
            del self._by_fd[client.sock.fileno()]
            client.sock.close()
            client.sock = None


def content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ValueError("the answer has no Content-Length")


# --- requests -------------------------------------------------------------------------------------


def scalar(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return f"<boolean>{int(value)}</boolean>"
    if isinstance(value, int):
        return f"<i4>{value}</i4>"
    text = value.replace("&", "&amp;").replace("<", "&lt;")
    return f"<string>{text}</string>"


def call(session: str, method: str, *values: str | int | bool, keep: bool = True) -> bytes:
    """A whole HTTP request as an XML-RPC client sends it."""
    params = "".join(
        f"<param><value>{scalar(value)}</value></param>" for value in (session, *values)
    )
    body = (
        f"<?xml version='1.0'?>\n<methodCall><methodName>one.{method}</methodName>"
        f"<params>{params}</params></methodCall>"
    ).encode()
    connection = "keep-alive" if keep else "close"
    return (
        f"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\n"
        f"Connection: {connection}\r\nContent-Type: text/xml\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


# --- the process ----------------------------------------------------------------------------------


def run_apart(
    port: int,
    requests: Sequence[Sequence[bytes]],
    seconds: float,
    *,
    repeat: bool = True,
    keep: bool = True,
) -> Result:
    """The load in a process of its own: one client for each list of requests."""
    plan = {
        "port": port,
        "requests": [[request.decode() for request in own] for own in requests],
        "seconds": seconds,
        "repeat": repeat,
        "keep": keep,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(plan).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return Result(**json.loads(done.stdout))


def main() -> None:
    plan: dict[str, Any] = json.load(sys.stdin)
    clients = [
        Client([request.encode() for request in own], plan["repeat"]) for own in plan["requests"]
    ]
    result = Load(plan["port"], clients, plan["seconds"], plan["keep"]).run()
    json.dump(vars(result), sys.stdout)


if __name__ == "__main__":
    main()
