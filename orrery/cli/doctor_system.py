"""Checks of the engine's own ground: Python, clock, home directory, port, credentials."""

import os
import shutil
import socket
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from orrery.cli.diagnosis import Check, Finding, Machine, fail, ok, warn

PYTHON_MIN = (3, 11)
FREE_MIB_MIN = 1024
FREE_MIB_GOOD = 10 * 1024


def python(_: Machine) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON_MIN:
        return fail(version, "install Python 3.11 or later and run 'make setup'")
    return ok(version)


def clock(_: Machine) -> Finding:
    """A clock that is behind our own files is wrong."""
    newest = max(file.stat().st_mtime for file in Path(__file__).parent.glob("*.py"))
    shown = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if time.time() < newest - 86_400:
        return fail(f"{shown}, before this program was installed", "set it: 'date -s ...', or NTP")
    return ok(shown)


def existing(path: Path) -> Path:
    """The directory, or the nearest parent that is there already."""
    return next(one for one in (path, *path.parents) if one.exists())


def space(machine: Machine) -> Finding:
    free = shutil.disk_usage(existing(machine.home)).free >> 20
    shown = f"{free / 1024:.1f} GiB free in {machine.home}"
    if free < FREE_MIB_MIN:
        return fail(shown, "make room, or choose another place: 'orrery serve --home DIR'")
    if free < FREE_MIB_GOOD:
        return warn(shown, "make room, or choose another place: 'orrery serve --home DIR'")
    return ok(shown)


def home(machine: Machine) -> Finding:
    """QEMU runs as a user of its own, which must reach the disks below the home."""
    there = existing(machine.home)
    closed = [one for one in (there, *there.parents) if not one.stat().st_mode & 0o001]
    if closed:
        return fail(
            f"{closed[-1]} lets other users not through",
            f"chmod o+x {closed[-1]}, or another place: 'orrery serve --home DIR'",
        )
    if not os.access(there, os.W_OK):
        return fail(f"{there} is not ours to write", "run as root, or 'orrery serve --home DIR'")
    return ok(f"{machine.home}" if machine.home.is_dir() else f"{machine.home} (not made yet)")


def credentials(machine: Machine) -> Finding:
    file = machine.home / "one_auth"
    if not file.exists():
        return ok("none yet: the first 'orrery serve' makes them")
    mode = file.stat().st_mode & 0o777
    if mode & 0o077:
        return warn(f"{file} can be read by others (mode {mode:o})", f"chmod 600 {file}")
    if not os.access(file, os.R_OK):
        return warn(f"{file} is not ours to read", f"run as its owner: 'sudo cat {file}'")
    return ok(str(file))


def port(machine: Machine) -> Finding:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", machine.port))
        except OSError as error:
            return taken(machine, error)
    return ok(f"{machine.port} is free")


def taken(machine: Machine, error: OSError) -> Finding:
    """Taken by an engine is as it should be."""
    try:
        with urlopen(f"http://127.0.0.1:{machine.port}/healthz", timeout=2) as answer:
            if answer.status == 200:
                return ok(f"an engine answers on {machine.port}")
    except (URLError, OSError, ValueError):
        pass
    return warn(
        f"{machine.port} is taken: {error.strerror}",
        "another port: 'orrery serve --listen 127.0.0.1:PORT'",
    )


CHECKS = (
    Check("python", "The engine needs Python 3.11.", python),
    Check("clock", "Leases, tokens and certificates go by the clock.", clock),
    Check("disk space", "Images and running disks are kept in the home.", space),
    Check("home directory", "QEMU runs as another user and must reach the disks.", home),
    Check("credentials", "The command line logs in with HOME/one_auth.", credentials),
    Check("port", "Clients expect the engine on it.", port),
)
