"""A real engine on this machine's libvirt, driven from outside as a user would."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import xmlrpc.client
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from orrery.core.status import VmStatus
from orrery.drivers.libvirt.probe import boot_sector

DEADLINE_S = 60.0
MIB = 1 << 20


class EngineDied(AssertionError):
    """The engine is gone though nobody killed it."""


class RealSite:
    """One home directory, and the engine that runs on it (or does not)."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.prefix = f"t{os.getpid() % 10_000}"
        self.process: subprocess.Popen[bytes] | None = None
        self.log = home.with_suffix(".log")

    # --- the engine -------------------------------------------------------------------------------

    def start(self, *, die_at: tuple[int, str] | None = None) -> None:
        """Start it and wait until it serves; with `die_at` it kills itself at that commit."""
        module = (
            ["tests.real.dying_engine", str(die_at[0]), die_at[1]]
            if die_at
            else ["orrery", "serve"]
        )
        command = [sys.executable, "-m", *module, *self._options()]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=log, stdout=log
            )
        self.wait(self._serves, "the engine to serve")

    def _options(self) -> list[str]:
        return [
            "--home",
            str(self.home),
            "--listen",
            f"127.0.0.1:{self.port}",
            "--name-prefix",
            self.prefix,
            "--monitor-period-s",
            "2",
            "--shutdown-timeout-s",
            "30",
        ]

    def _serves(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise EngineDied(f"exit {self.process.returncode}: {self.tail()}")
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{self.port}/healthz"
            return bool(urllib.request.urlopen(url, timeout=2).status == 200)
        return False

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text().splitlines()[-lines:])

    def kill(self) -> None:
        """SIGKILL, as the kernel would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def wait_for_death(self) -> None:
        assert self.process is not None
        self.process.wait(DEADLINE_S)
        assert self.process.returncode == -signal.SIGKILL, self.tail()
        self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(DEADLINE_S)
            self.process = None

    # --- its API ----------------------------------------------------------------------------------

    def call(self, method: str, *arguments: Any) -> Any:
        """A one.* call.

        Raises:
            AssertionError: the engine refuses it.
            OSError, ProtocolError: no answer.
        """
        session = (self.home / "one_auth").read_text().strip()
        proxy = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{self.port}/RPC2")
        answer: Any = getattr(proxy, method)(session, *arguments)
        assert answer[0], answer[1]
        return answer[1]

    def tree(self, method: str, *arguments: Any) -> ElementTree.Element:
        return ElementTree.fromstring(self.call(method, *arguments))

    def status(self, vm_id: int) -> VmStatus:
        vm = self.tree("one.vm.info", vm_id)
        return VmStatus(number(vm, "STATE") << 8 | number(vm, "LCM_STATE"))

    def wait(self, condition: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}\n{self.tail()}"
            time.sleep(0.05)

    def reach(self, vm_id: int, *statuses: VmStatus, seconds: float = DEADLINE_S) -> None:
        names = " or ".join(s.name for s in statuses)
        self.wait(lambda: self.status(vm_id) in statuses, f"VM {vm_id} to be {names}", seconds)

    # --- furniture --------------------------------------------------------------------------------

    def add_host(self, vm_mad: str = "qemu") -> None:
        self.call("one.host.allocate", "localhost", vm_mad, vm_mad, -1)
        self.wait(lambda: self.host_state() == 2, "the host to be monitored")

    def host_state(self) -> int:
        return number(self.tree("one.host.info", 1), "STATE")

    def add_image(self, name: str, path: Path) -> None:
        image_id = self.call("one.image.allocate", f'NAME="{name}" PATH="{path}"', 1)
        self.wait(
            lambda: number(self.tree("one.image.info", image_id), "STATE") == 1, f"image {name}"
        )

    def tiny_image(self) -> Path:
        """A disk that boots, writes one letter to its serial port and halts."""
        path = self.home.with_suffix(".img")
        path.write_bytes(boot_sector().ljust(MIB, b"\0"))
        return path

    # --- what is really there ---------------------------------------------------------------------

    def domains(self) -> list[str]:
        """Names of this engine's domains as libvirt has them, whatever their state."""
        listed = run("virsh", "-q", "list", "--all", "--uuid").split()
        engine = str(self.home)
        return [uuid for uuid in listed if engine in description(uuid)]

    def directories(self) -> list[str]:
        return sorted(path.name for path in (self.home / "datastores/0").iterdir())

    def console(self, vm_id: int) -> str:
        path = self.home / f"datastores/0/{vm_id}/console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def clean(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        for uuid in self.domains():
            subprocess.run(["virsh", "-q", "destroy", uuid], check=False, capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)
        for path in (self.log, self.home.with_suffix(".img")):
            path.unlink(missing_ok=True)


def description(uuid: str) -> str:
    """A domain's XML; empty when it has gone since it was listed."""
    shown = subprocess.run(["virsh", "dumpxml", uuid], check=False, capture_output=True, text=True)
    return shown.stdout


def number(element: ElementTree.Element, name: str) -> int:
    return int(element.findtext(name) or -1)


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def real_site() -> Iterator[RealSite]:
    """A site in a directory that hypervisors can reach, gone afterwards."""
    parent = Path("/var/lib")
    home = Path(tempfile.mkdtemp(prefix="orrery-test-", dir=parent))
    home.chmod(0o711)
    site = RealSite(home)
    try:
        yield site
    finally:
        site.clean()


def missing() -> Sequence[str]:
    """What this machine lacks for tests with real guests."""
    lacks = [] if os.getuid() == 0 else ["root"]
    lacks += [
        tool for tool in ("virsh", "qemu-img", "qemu-system-x86_64") if not shutil.which(tool)
    ]
    if (
        not lacks
        and subprocess.run(["virsh", "-q", "list"], check=False, capture_output=True).returncode
    ):
        lacks.append("a running libvirtd (tools/libvirtd start)")
    return lacks
