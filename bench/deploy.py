"""What the engine adds to the hypervisor's own time to make a guest: a tiny one on this machine.

The same domain is made in turn by the engine (accepted call to RUNNING) and by `virsh create` on a
disk that is there already. RUNNING is waited for on the engine's event stream: asking every few
milliseconds would keep half a core from the guest that is being started. Needs root, libvirt and
QEMU; leaves nothing behind.
"""

import asyncio
import base64
import contextlib
import http.client
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
import time
import uuid
import xml.etree.ElementTree as ET
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.daemon import SESSION, running
from bench.reference import DEPLOY_GOAL_MS
from bench.site import PASSWORD, Site
from bench.table import Row, middle, percentile, skipped
from orrery.core.messages import Done
from orrery.core.model.kinds import Kind
from orrery.drivers.network.linux import LinuxNetwork

SECTION = "Deploy on this machine (QEMU through libvirt, a boot sector that halts)"
WHAT = "engine's overhead over virsh create"
REPETITIONS = 15
BOOT_SECTOR = bytes.fromhex("fabaf803b048eef4ebfd").ljust(510, b"\0") + b"\x55\xaa"
IMAGE_MIB = 16
BRIDGE = "orrbench0"
PREFIX = "bn"
"""Names of the bench's domains and taps: it may run beside an engine."""
SUBNET = "10.213.77"
WAIT_S = 60.0
PAUSE_S = 1.0
"""Before each start: libvirt and the kernel still clear away the guest before it."""

TEMPLATE = 'NAME="bench" CPU="0.1" MEMORY="16" DISK=[IMAGE="tiny"] NIC=[NETWORK="bench"]'
NETWORK = (
    f'NAME="bench" VN_MAD="nat" BRIDGE="{BRIDGE}" GATEWAY="{SUBNET}.1" '
    f'NETWORK_MASK="255.255.255.0" AR=[TYPE="IP4", IP="{SUBNET}.10", SIZE="100"]'
)


def measure(seconds: float) -> Iterator[Row]:
    reason = why_not()
    if reason is not None:
        yield skipped(SECTION, WHAT, reason)
        return
    home = Path(tempfile.mkdtemp(prefix="orrery-bench-", dir="/var/lib"))
    try:
        asyncio.run(first_state().save(home / "orrery.db"))
        engine_ms, virsh_ms = on_home(home)
        yield from rows(engine_ms, virsh_ms, home / "orrery.db")
    finally:
        try:
            clear_network(home)
        finally:
            shutil.rmtree(home, ignore_errors=True)


def first_state() -> Site:
    """Ids of VMs that no killed run has left domains of."""
    site = Site(str(uuid.uuid4()))
    site.state.next_ids[Kind.VM] = 100_000 + secrets.randbelow(900_000)
    return site


def clear_network(home: Path) -> None:
    """Bridge, firewall and DHCP of the engine, by the driver that made them."""
    db = sqlite3.connect(home / "orrery.db")
    [(engine_id,)] = db.execute("SELECT value FROM meta WHERE key = 'engine_id'")
    db.close()
    outcome = asyncio.run(LinuxNetwork(home / "run/1/network").clear(engine_id))
    if not isinstance(outcome, Done):
        raise RuntimeError(f"the bench's network stays: {outcome.message}")


def why_not() -> str | None:
    if os.getuid() != 0:
        return "needs root"
    for program in ("virsh", "qemu-img", "ip"):
        if shutil.which(program) is None:
            return f"needs {program}"
    if virsh("uri").returncode != 0:
        return "libvirtd does not answer: tools/libvirtd start"
    return None


def virsh(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["virsh", "-q", "-c", "qemu:///system", *words], capture_output=True, text=True
    )


def on_home(home: Path) -> tuple[list[float], list[float]]:
    home.chmod(0o711)
    (home / "one_auth").write_text(f"oneadmin:{PASSWORD}\n")
    image = home / "tiny.raw"
    image.write_bytes(BOOT_SECTOR.ljust(IMAGE_MIB << 20, b"\0"))
    image.chmod(0o644)
    settings = {"datastore_driver": "fs", "log_level": "info", "name_prefix": PREFIX}
    with running(home, settings) as engine, contextlib.closing(Records(engine.port)) as records:
        cloud = Cloud(engine.port, records)
        host = cloud.do("host.allocate", "localhost", "kvm", "kvm", 0)
        cloud.wait("host.info", host, "2")
        found = cloud.do("image.allocate", f'NAME="tiny" TYPE="OS" PATH="{image}"', 1)
        cloud.wait("image.info", found, "1")
        cloud.do("vn.allocate", NETWORK, 0)
        try:
            return in_turn(cloud, host, home)
        finally:
            cloud.clean_up()


class Cloud:
    """The engine through its API."""

    def __init__(self, port: int, records: "Records") -> None:
        self._one: Any = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}/RPC2").one
        self.records = records
        self._vms: list[int] = []

    def do(self, method: str, *values: str | int | bool) -> int:
        return int(self.ask(method, *values))

    def ask(self, method: str, *values: str | int | bool) -> str:
        group, _, name = method.partition(".")
        answer = getattr(getattr(self._one, group), name)(SESSION, *values)
        if not answer[0]:
            raise RuntimeError(f"{method}: {answer[1]}")
        return str(answer[1])

    def wait(self, method: str, object_id: int, wanted: str) -> None:
        deadline = time.perf_counter() + WAIT_S
        while (state := ET.fromstring(self.ask(method, object_id)).findtext("STATE")) != wanted:
            if time.perf_counter() > deadline:
                raise RuntimeError(f"{method} {object_id} is in {state}, not {wanted}")
            time.sleep(0.02)

    def new_vm(self) -> int:
        self._vms.append(self.do("vm.allocate", TEMPLATE, True))
        return self._vms[-1]

    def remove(self, vm_id: int) -> None:
        self.do("vm.action", "terminate-hard", vm_id)
        self.records.wait("vm.done", vm_id)
        self._vms.remove(vm_id)

    def clean_up(self) -> None:
        for vm_id in self._vms:
            with contextlib.suppress(RuntimeError, OSError):
                self.do("vm.recover", vm_id, 3)
                self.records.wait("vm.done", vm_id)


class Records:
    """What the engine commits, as its event stream tells it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        credentials = base64.b64encode(SESSION.encode()).decode()
        self._connection.request(
            "GET", "/api/v1/events", headers={"Authorization": f"Basic {credentials}"}
        )
        self._stream = self._connection.getresponse()
        if self._stream.status != http.client.OK:
            raise RuntimeError(f"/api/v1/events: {self._stream.read().decode()}")

    def wait(self, kind: str, vm_id: int) -> None:
        """Read on to that record; the VM's failure, or silence, is an error."""
        for line in self._stream:
            if not line.startswith(b"data: "):
                continue
            record = json.loads(line.removeprefix(b"data: "))
            if record["subject"] != {"kind": "vm", "id": vm_id}:
                continue
            if record["kind"] == kind:
                return
            if record["kind"].endswith("_failure"):
                raise RuntimeError(f"VM {vm_id}: {record['kind']}: {record['body']}")
        raise RuntimeError(f"VM {vm_id}: the event stream ended before {kind}")

    def close(self) -> None:
        self._connection.close()


def in_turn(cloud: Cloud, host: int, home: Path) -> tuple[list[float], list[float]]:
    """Milliseconds of each repetition, by the engine and by virsh."""
    first = cloud.new_vm()
    deployed(cloud, first, host)
    twin = Twin(home, cloud.ask("vm.info", first))
    engine_ms: list[float] = []
    virsh_ms: list[float] = []
    for _ in range(REPETITIONS):
        vm_id = cloud.new_vm()
        time.sleep(PAUSE_S)
        engine_ms.append(deployed(cloud, vm_id, host))
        cloud.remove(vm_id)
        time.sleep(PAUSE_S)
        virsh_ms.append(twin.created())
    cloud.remove(first)
    return engine_ms, virsh_ms


def deployed(cloud: Cloud, vm_id: int, host: int) -> float:
    begun = time.perf_counter()
    cloud.do("vm.deploy", vm_id, host, False, -1)
    cloud.records.wait("vm.running", vm_id)
    return (time.perf_counter() - begun) * 1000


class Twin:
    """The engine's domain under another name, on a disk of its own."""

    def __init__(self, home: Path, vm: str) -> None:
        name = ET.fromstring(vm).findtext("DEPLOY_ID") or ""
        self._name = f"orrery-bench-{uuid.uuid4().hex[:8]}"
        dumped = virsh("dumpxml", name, "--inactive")
        if dumped.returncode != 0:
            raise RuntimeError(dumped.stderr)
        root = ET.fromstring(dumped.stdout)
        self._rename(root)
        self._move_disk(root, home)
        self._path = home / "twin.xml"
        self._path.write_text(ET.tostring(root, encoding="unicode"))

    def _rename(self, root: ET.Element) -> None:
        root.find("name").text = self._name  # type: ignore[union-attr]
        root.find("uuid").text = str(uuid.uuid4())  # type: ignore[union-attr]
        for marks in root.findall("metadata"):  # or the engine would take it for a leftover
            root.remove(marks)
        for interface in root.iter("interface"):
            for target in interface.findall("target"):
                interface.remove(target)
            interface.find("mac").set("address", "02:00:0a:d5:4d:fe")  # type: ignore[union-attr]

    def _move_disk(self, root: ET.Element, home: Path) -> None:
        for place, source in enumerate(root.iterfind("devices/disk/source")):
            disk = home / f"twin-{place}"
            shutil.copy(source.get("file") or "", disk)
            source.set("file", str(disk))
        for log in (*root.iterfind("devices/*/log"), *root.iterfind("devices/serial/source")):
            if log.get("file") or log.get("path"):
                log.set("file" if log.get("file") else "path", str(home / "twin.log"))

    def created(self) -> float:
        begun = time.perf_counter()
        done = virsh("create", str(self._path))
        elapsed = (time.perf_counter() - begun) * 1000
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        virsh("destroy", self._name)
        return elapsed


# --- rows -----------------------------------------------------------------------------------------


def rows(engine_ms: list[float], virsh_ms: list[float], database: Path) -> Iterator[Row]:
    overhead = middle(engine_ms) - middle(virsh_ms)
    yield timing("one.vm.deploy to RUNNING", engine_ms)
    yield timing("virsh create of the same domain", virsh_ms)
    yield Row(
        section=SECTION,
        what=WHAT,
        value=f"{overhead:.0f} ms",
        goal=f"{DEPLOY_GOAL_MS:g} ms",
        met=overhead <= DEPLOY_GOAL_MS,
    )
    for name, values in shares(database).items():
        yield timing(f"of it, by the records: {name}", values)


def timing(what: str, values: list[float]) -> Row:
    return Row(
        section=SECTION,
        what=what,
        median_ms=middle(values),
        p99_ms=percentile(values, 0.99),
    )


def shares(database: Path) -> dict[str, list[float]]:
    """Milliseconds between the records of each VM's start, the first VM left out."""
    db = sqlite3.connect(database)
    found: dict[int, dict[str, float]] = {}
    for vm_id, kind, at in db.execute(
        "SELECT subject_id, kind, at FROM record WHERE subject_kind = 'vm' ORDER BY seq"
    ):
        found.setdefault(vm_id, {})[kind] = at
    db.close()
    spans = {
        "place the disk": ("vm.prolog", "vm.boot"),
        "apply the network, create the domain": ("vm.boot", "vm.running"),
    }
    vms = list(found.values())[1:]
    return {
        name: [(vm[end] - vm[begin]) * 1000 for vm in vms if begin in vm and end in vm]
        for name, (begin, end) in spans.items()
    }
