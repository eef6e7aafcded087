"""What the demos work with: their screen, the programs they run, the engine's process."""

import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.argv[0]).name
HOME = Path("/var/lib") / f"orrery-{PROGRAM}"
"""Each demo has its own: they can run at the same time."""
SSH_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "3",
    "StrictHostKeyChecking": "no",
    "UserKnownHostsFile": "/dev/null",
    "IdentitiesOnly": "yes",
    "LogLevel": "ERROR",
    "ServerAliveInterval": "2",
    "ServerAliveCountMax": "2",
}
READY_S = 60.0
GUEST_S = 240.0
"""An emulated guest on a busy machine needs its time."""
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class StepFailed(Exception):
    """A step did not come out as expected: says what was, and what to do."""

    def __init__(self, expected: str, found: str, remedy: str) -> None:
        super().__init__(found)
        self.expected, self.found, self.remedy = expected, found, remedy


@dataclass
class Demo:
    """What a demo has made so far; kept in its home, so that --clean finds it."""

    prefix: str = "demo"
    """Of the names of its domains."""
    port: int = 0
    options: list[str] = field(default_factory=list)
    """What else the engine is started with."""
    engine_pid: int = 0
    bridge: str = ""
    subnet: str = ""
    timings: list[tuple[str, float]] = field(default_factory=list)

    def save(self) -> None:
        (HOME / "demo.json").write_text(json.dumps(asdict(self)))


# --- the screen ----------------------------------------------------------------------------------


class Screen:
    """Lines for people; on a terminal the running step turns."""

    def __init__(self) -> None:
        self.moves = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    def say(self, text: str) -> None:
        if self.moves:
            sys.stdout.write("\r\033[K")
        print(text, flush=True)

    def paint(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.moves else text

    def detail(self, text: str) -> None:
        """What was run, or what it said, below the step."""
        for line in text.rstrip("\n").splitlines():
            self.say(self.paint(f"      {line}", "2"))

    @contextmanager
    def step(self, number: int, total: int, title: str) -> Iterator[None]:
        """Show a step with its duration, while it runs and after."""
        began, over = time.monotonic(), threading.Event()
        label = f"[{number:>2}/{total}] {title}"
        self.say(self.paint(label, "1"))
        turner = threading.Thread(target=self.turn, args=(began, over), daemon=True)
        turner.start()
        try:
            yield
        finally:
            over.set()
            turner.join()
            self.say(f"      {time.monotonic() - began:.1f} s")

    def turn(self, began: float, over: threading.Event) -> None:
        count = 0
        while self.moves and not over.wait(0.1):
            count += 1
            gone = time.monotonic() - began
            sys.stdout.write(f"\r\033[K      {SPINNER[count % len(SPINNER)]} {gone:.0f} s")
            sys.stdout.flush()


SCREEN = Screen()


# --- running programs -------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """The environment of somebody who works with this engine and no other."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ONE_")}
    return {**kept, "ORRERY_HOME": str(HOME), "NO_COLOR": "1"}


def run(
    command: Sequence[str], timeout_s: float = 120.0, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; one that is not there ends with 127, as in a shell."""
    try:
        return subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=environment(),
            check=False,
        )
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: {error.strerror}")


def orrery(*words: str, timeout_s: float = 300.0, quiet: bool = False) -> str:
    """Run our own command line, shown as a user would type it; its output."""
    if not quiet:
        SCREEN.detail("$ " + shlex.join(as_typed(words)))
    done = run([sys.executable, "-m", "orrery", *words], timeout_s)
    if done.returncode != 0:
        raise StepFailed(
            f"'orrery {' '.join(words)}' ends well",
            done.stderr.strip() or f"exit status {done.returncode}",
            "see the engine's log below, and 'orrery doctor'",
        )
    if not quiet:
        SCREEN.detail(done.stderr)
    return done.stdout


def as_typed(words: Sequence[str]) -> list[str]:
    """Leases have a program of their own, as OpenNebula's nouns have."""
    return ["onelease", *words[1:]] if words[0] == "lease" else ["orrery", *words]


def object_of(*words: str) -> Any:
    """The only element of an answer in JSON."""
    return next(iter(json.loads(orrery(*words, "--json", quiet=True)).values()))


def new_id(text: str) -> int:
    """The number in `ID: 7`."""
    return int(text.rpartition(":")[2])


def wait_until(what: str, remedy: str, timeout_s: float, look: Callable[[], bool]) -> None:
    began, pause = time.monotonic(), 0.1
    while not look():
        if time.monotonic() - began > timeout_s:
            raise StepFailed(what, f"not within {timeout_s:.0f} s", remedy)
        time.sleep(pause)
        pause = min(pause * 1.3, 1.0)


def ssh(ip: str, command: str) -> str | None:
    """What a command in the guest says; None when the guest does not let us in."""
    options = [word for name, text in SSH_OPTIONS.items() for word in ("-o", f"{name}={text}")]
    words = ["ssh", *options, "-i", str(HOME / "key"), f"root@{ip}", command]
    try:
        done = run(words, 15.0)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def in_guest(ip: str, command: str, timeout_s: float = GUEST_S) -> str:
    """The same, until the guest answers."""
    found: list[str] = []

    def look() -> bool:
        answer = ssh(ip, command)
        if answer:
            found.append(answer)
        return bool(found)

    SCREEN.detail(f"$ ssh root@{ip} {command}")
    wait_until(
        f"the guest answers ssh at {ip}",
        "look at the console below; 'ip link' must show the network's bridge, and that it is up",
        timeout_s,
        look,
    )
    return found[0]


def answers_ping(ip: str) -> bool:
    return run(["ping", "-c", "1", "-W", "1", ip], 5.0).returncode == 0


# --- the engine's process ------------------------------------------------------------------------


def start_engine(demo: Demo) -> None:
    """Start it in a process group of its own, with its log in its home."""
    command = [sys.executable, "-m", "orrery", "serve", "--home", str(HOME)]
    command += ["--name-prefix", demo.prefix]
    command += ["--listen", f"127.0.0.1:{demo.port}", *demo.options]
    SCREEN.detail("$ " + " ".join(["orrery", *command[3:]]))
    with (HOME / "engine.log").open("ab") as log:
        engine = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment(),
        )
    demo.engine_pid = engine.pid
    demo.save()
    ENGINES[engine.pid] = engine
    wait_until(
        f"the engine answers on port {demo.port}",
        "read its log below",
        READY_S,
        lambda: answers_http(demo.port) or died(engine),
    )


ENGINES: dict[int, "subprocess.Popen[bytes]"] = {}
"""Engines that are our children: they must be waited for."""


def died(engine: "subprocess.Popen[bytes]") -> bool:
    if engine.poll() is None:
        return False
    raise StepFailed("the engine runs", f"it ended with {engine.returncode}", "read its log below")


def answers_http(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_engine(pid: int) -> bool:
    """Whether that process is this demo's engine: a number alone may be anybody's by now."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(HOME).encode() in words and b"serve" in words


def end_engine(demo: Demo, number: signal.Signals) -> None:
    """Send it a signal and wait until it is gone."""
    pid = demo.engine_pid
    if not pid or not is_engine(pid):
        return
    os.kill(pid, number)
    engine = ENGINES.get(pid)
    if engine is not None:
        engine.wait(30)
        return
    wait_until("the engine ends", f"kill {pid}", 30.0, lambda: not is_engine(pid))
