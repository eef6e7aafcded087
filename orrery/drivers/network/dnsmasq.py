"""dnsmasq processes of one engine on this host, one for each bridge with DHCP.

A process is known by the path of its configuration in its command line, never by a number in a file
alone: numbers are used again after a crash. The texts come from `dhcp`.
"""

import os
import signal
import stat
import time
from pathlib import Path, PurePath

from msgspec import Struct

from orrery.drivers.network import dhcp
from orrery.drivers.network.links import Links
from orrery.drivers.network.runner import CommandFailed, Runner
from orrery.ports.driver import Bridge

STOP_S = 5.0


class Plan(Struct, frozen=True):
    """What one server should have on disk."""

    bridge: Bridge
    files: dhcp.DhcpFiles
    conf: str
    hosts: str


class Dnsmasq:
    """Starts, reloads and stops the servers whose files lie in `directory`."""

    def __init__(self, directory: Path, runner: Runner) -> None:
        self._directory = directory.absolute()
        self._runner = runner

    def plan(self, bridges: tuple[Bridge, ...]) -> dict[str, Plan]:
        """Intended files by bridge; raises InvalidInput before anything has been changed."""
        # dnsmasq reads its hosts after giving up root: in a private directory it has to stay.
        user = None if _open_to_all(self._directory) else "root"
        plans = {}
        for bridge in bridges:
            if bridge.dhcp:
                files = dhcp.dhcp_files(self._directory, bridge.name)
                conf, hosts = dhcp.configuration(bridge, files, user), dhcp.hosts_file(bridge)
                plans[bridge.name] = Plan(bridge, files, conf, hosts)
        return plans

    def stop_others(self, plans: dict[str, Plan]) -> list[str]:
        """Stop and forget the servers of bridges that should have none."""
        stale = sorted({path.stem for path in self._directory.glob("*.conf")} - plans.keys())
        for bridge in stale:
            files = dhcp.dhcp_files(self._directory, bridge)
            self._stop(files)
            # The configuration goes last: while it is there, a repeated call finds the rest.
            for path in (files.hosts, files.leases, files.pid, files.index, files.conf):
                Path(path).unlink(missing_ok=True)
        return [f"dnsmasq of {bridge} stopped" for bridge in stale]

    def start(self, plans: dict[str, Plan], facts: Links) -> list[str]:
        """`facts` are of now: the bridges are there."""
        ensured = (self._ensure(plan, facts[name].ifindex) for name, plan in plans.items())
        return [done for done in ensured if done]

    def _ensure(self, plan: Plan, ifindex: int) -> str | None:
        files, name = plan.files, plan.bridge.name
        pid = _pid(files)
        # A server bound to a bridge that was removed and made again hears nothing: the index tells.
        index = str(ifindex)
        if pid is None or _text(files.conf) != plan.conf or _text(files.index) != index:
            self._restart(plan, index)
            return f"dnsmasq of {name} started"
        if _text(files.hosts) == plan.hosts:
            return None
        leases = _text(files.leases)
        if dhcp.valid_leases(leases, plan.bridge) != leases:
            self._restart(plan, index)
            return f"dnsmasq of {name} restarted"
        Path(files.hosts).write_text(plan.hosts)
        os.kill(pid, signal.SIGHUP)
        return f"dnsmasq of {name} reloaded"

    def _restart(self, plan: Plan, index: str) -> None:
        files = plan.files
        self._stop(files)
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        Path(files.conf).write_text(plan.conf)
        Path(files.hosts).write_text(plan.hosts)
        Path(files.leases).write_text(dhcp.valid_leases(_text(files.leases), plan.bridge))
        self._runner.output(("dnsmasq", files.argument))
        Path(files.index).write_text(index)

    def _stop(self, files: dhcp.DhcpFiles) -> None:
        pid = _pid(files)
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while _serves(pid, files):
            if time.monotonic() > deadline:
                raise CommandFailed(f"dnsmasq {pid} did not stop within {STOP_S:g} s")
            time.sleep(0.005)


def _pid(files: dhcp.DhcpFiles) -> int | None:
    noted = _text(files.pid).strip()
    if noted.isdigit() and _serves(int(noted), files):
        return int(noted)
    running = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return next((pid for pid in running if _serves(pid, files)), None)


def _serves(pid: int, files: dhcp.DhcpFiles) -> bool:
    """True for a live dnsmasq of these files; a zombie has no command line."""
    try:
        command, *arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return command.endswith(b"dnsmasq") and os.fsencode(files.argument) in arguments


def _text(path: PurePath) -> str:
    try:
        return Path(path).read_text()
    except FileNotFoundError:
        return ""


def _open_to_all(directory: Path) -> bool:
    """True when any user may look up names in it; directories not made yet will be open."""
    existing = [path for path in (directory, *directory.parents) if path.exists()]
    return all(path.stat().st_mode & stat.S_IXOTH for path in existing)
