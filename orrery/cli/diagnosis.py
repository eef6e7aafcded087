"""What a check is and what it finds, and how checks look at the machine without changing it."""

import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

COMMAND_S = 10.0


class Level(Enum):
    """Well; works, but know this; does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and the command or the step that mends it."""

    level: Level
    found: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """What the checks are about: this machine, and the engine that is or will be on it."""

    home: Path
    port: int


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the machine; `why` says what does not work without it."""

    name: str
    why: str
    run: Callable[[Machine], Finding]


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended; status None when it is not there or took too long."""

    status: int | None
    output: str

    @property
    def worked(self) -> bool:
        return self.status == 0

    @property
    def first_line(self) -> str:
        return next(iter(self.output.strip().splitlines()), "")


def ok(found: str) -> Finding:
    return Finding(Level.OK, found)


def warn(found: str, remedy: str | None = None) -> Finding:
    return Finding(Level.WARN, found, remedy)


def fail(found: str, remedy: str | None = None) -> Finding:
    return Finding(Level.FAIL, found, remedy)


def ask(command: Sequence[str], timeout_s: float = COMMAND_S) -> Answer:
    """Run a command that only looks; /sbin is searched too, as a user's PATH may lack it."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": path, "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(None, f"{command[0]} did not answer within {timeout_s:.0f} s")
    except OSError as error:
        return Answer(None, f"{command[0]}: {error.strerror}")
    return Answer(done.returncode, done.stdout or done.stderr)


def first_socket(paths: Sequence[str]) -> str | None:
    """The first of these sockets behind which somebody listens."""
    return next((path for path in paths if answers(path)), None)


def answers(path: str) -> bool:
    return refusal(path) is None


def closed_to_us(path: str) -> bool:
    """Somebody may listen there, but only others may ask."""
    return isinstance(refusal(path), PermissionError)


def refusal(path: str) -> OSError | None:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            connection.connect(path)
    except OSError as error:
        return error
    return None
