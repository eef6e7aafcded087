"""An engine under test: a process of its own on a filled home, with simulated hosts."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import load
from bench.site import PASSWORD

SESSION = f"oneadmin:{PASSWORD}"
START_TIMEOUT_S = 60.0


class Engine:
    """A running daemon. `start_s` is the time from its start to its first answer."""

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = home
        log = (home / "log").open("ab")
        (home / "endpoint").unlink(missing_ok=True)
        given = {"listen": "127.0.0.1:0", "log_level": "warning", "datastore_driver": "sim"}
        options = [
            word
            for name, value in {**given, **(settings or {})}.items()
            for word in (f"--{name.replace('_', '-')}", value)
        ]
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orrery", "serve", "--home", str(home), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        self.port = self._port()
        self.answers("system.version")
        self.start_s = time.perf_counter() - begun

    def _port(self) -> int:
        path = self.home / "endpoint"
        deadline = time.perf_counter() + START_TIMEOUT_S
        while time.perf_counter() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the engine ended: see {self.home / 'log'}")
            with contextlib.suppress(OSError, ValueError):
                return int(path.read_text().strip().removesuffix("/RPC2").rpartition(":")[2])
            time.sleep(0.005)
        raise RuntimeError(f"the engine did not start: see {self.home / 'log'}")

    def answers(self, method: str, *values: str | int | bool) -> None:
        """One call, in this process; its answer must be a success."""
        client = load.Client([load.call(SESSION, method, *values)], False)
        result = load.Load(self.port, [client], 60.0, True).run()
        if result.failed:
            raise RuntimeError(f"{method}: {result.first_failure}")

    @property
    def rss_mib(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("the kernel does not tell the resident size")

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running(home: Path, settings: Mapping[str, str] | None = None) -> Iterator[Engine]:
    engine = Engine(home, settings)
    try:
        yield engine
    finally:
        engine.stop()


@contextlib.contextmanager
def filled(hosts: int, vms: int) -> Iterator[Path]:
    """A throw-away home on a real disk."""
    home = Path(tempfile.mkdtemp(prefix="orrery-bench-"))
    try:
        subprocess.run(
            [sys.executable, "-m", "bench.site", str(home), str(hosts), str(vms)], check=True
        )
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
