"""What the demo of leases looks at: leases and their plans, what guests say, what libvirt saw."""

import base64
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from demo_session import HOME, SCREEN, Demo, StepFailed, environment, wait_until

Lease = dict[str, Any]

FILL = {"first": 110, "second": 80, "third": 80}
"""Best-effort leases that fill the host, eldest first, with the seconds that each asks for."""
ELDEST, *YOUNGEST = FILL
RESERVED = "class"

GUEST_S = 240.0
"""An emulated guest on a busy machine needs its time."""

COUNT = re.compile(r"COUNT (\d+) ([0-9a-f-]{36})\b")
EVENTS = HOME / "libvirt-events.txt"
EVENT = re.compile(r"^(\S+ \S+): event 'lifecycle' for domain '?([\w-]+)'?: (.+)$", re.MULTILINE)


@dataclass
class Classroom(Demo):
    """And its leases, by their names."""

    prefix: str = "lease"
    began: float = 0.0
    leases: dict[str, int] = field(default_factory=dict)
    watcher_pid: int = 0
    """Of the program that writes down what libvirt says."""
    promised: float = 0.0
    """Start of the reservation."""
    stopped_at: dict[str, int] = field(default_factory=dict)
    """Where the guests of suspended leases stopped counting."""


# --- leases --------------------------------------------------------------------------------------


def answer(demo: Demo, path: str) -> bytes:
    """Of the JSON API: it has fractions of seconds."""
    secret = base64.b64encode((HOME / "one_auth").read_bytes().strip()).decode()
    url = f"http://127.0.0.1:{demo.port}/api/v1{path}"
    asked = urllib.request.Request(url, headers={"Authorization": f"Basic {secret}"})
    with urllib.request.urlopen(asked, timeout=10) as reply:
        found: bytes = reply.read()
    return found


def api(demo: Demo, path: str) -> Any:
    return json.loads(answer(demo, path))


def lease_of(demo: Classroom, name: str) -> Lease:
    found: Lease = api(demo, f"/leases/{demo.leases[name]}")
    return found


def watch(
    demo: Classroom, what: str, timeout_s: float, look: Callable[[dict[str, str]], bool]
) -> None:
    """Print what becomes of the leases as it happens, until their states are as wanted."""
    deadline = time.monotonic() + timeout_s
    known: dict[str, str] | None = None
    while True:
        found = api(demo, "/leases?status=any")
        states = {one["name"]: one["status"].lower().replace("_", "-") for one in found}
        for name, state in states.items():
            if known is not None and known.get(name) != state:
                SCREEN.detail(f"{clock(time.time())}  {name:<10} {state}")
        known = states
        if look(states):
            return
        if failed := [name for name, state in states.items() if state in ("failed", "cancelled")]:
            raise StepFailed(what, f"{', '.join(failed)} failed", "'onelease show' says why")
        if time.monotonic() > deadline:
            shown = ", ".join(f"{name} {state}" for name, state in states.items())
            raise StepFailed(what, f"{shown} after {timeout_s:.0f} s", "read the engine's log")
        time.sleep(0.3)


def vm_of(demo: Classroom, name: str) -> int:
    """The VM of a lease of one node."""
    return int(lease_of(demo, name)["vms"][0])


def operations(lease: Lease, kind: str) -> list[dict[str, Any]]:
    return [op for run in lease["runs"] for op in run["operations"] if op["kind"] == kind]


def last(lease: Lease, kind: str) -> dict[str, Any]:
    found = [op for op in operations(lease, kind) if op["began_at"] is not None]
    if not found:
        raise StepFailed(f"a {kind} of {lease['name']}", "there was none", "'onelease show'")
    return found[-1]


def clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%H:%M:%S}"


def fine(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%H:%M:%S.%f}"[:-4]


# --- guests --------------------------------------------------------------------------------------


def counts(demo: Demo, vm_id: int) -> list[tuple[int, str]]:
    """What a guest has counted, and in which boot: from its serial console."""
    text = answer(demo, f"/vms/{vm_id}/console").decode(errors="replace")
    return [(int(number), boot) for number, boot in COUNT.findall(text)]


def counted(demo: Demo, vm_id: int) -> int:
    found = counts(demo, vm_id)
    return found[-1][0] if found else 0


def wait_for_count(demo: Demo, vm_id: int, above: int = 0) -> None:
    wait_until(
        f"the guest of VM {vm_id} counts on from {above}",
        "look at its console below",
        GUEST_S,
        lambda: counted(demo, vm_id) > above,
    )


# --- libvirt -------------------------------------------------------------------------------------


def follow_libvirt(demo: Classroom) -> None:
    """Let libvirt itself keep a record of what happens to domains."""
    command = ["virsh", "-q", "event", "--event", "lifecycle", "--loop", "--timestamp"]
    with EVENTS.open("ab") as file:
        watcher = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment()
        )
    demo.watcher_pid = watcher.pid
    demo.save()


def stop_following(demo: Classroom) -> None:
    """Also the one that a demo before us has left: its number may be anybody's by now."""
    try:
        if Path(f"/proc/{demo.watcher_pid}/fd/1").readlink() == EVENTS:
            os.kill(demo.watcher_pid, signal.SIGTERM)
    except OSError:
        return  # it has ended


def libvirt_saw(domain: str, what: str) -> float:
    """When libvirt last said so of a domain."""
    for at, name, event in reversed(EVENT.findall(EVENTS.read_text())):
        if name == domain and event == what:
            return datetime.strptime(at, "%Y-%m-%d %H:%M:%S.%f%z").timestamp()
    raise StepFailed(f"libvirt says of {domain}: {what}", "it does not", f"read {EVENTS}")
