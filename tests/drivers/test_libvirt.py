"""The libvirt driver on the libvirt and QEMU of this machine, with guests of one boot sector."""

import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import msgspec
import pytest

from orrery.agent_check import check
from orrery.core.messages import Done, Failed, Outcome, Unknown
from orrery.drivers.libvirt import savefile
from orrery.drivers.libvirt.binding import libvirt
from orrery.drivers.libvirt.faults import NotConnected, Overdue, outcome_of
from orrery.drivers.libvirt.hypervisor import LibvirtHypervisor
from orrery.drivers.libvirt.inventory import Identity, read_identity
from orrery.drivers.libvirt.probe import LETTER, boot_sector, device_warning, probe
from orrery.ports.driver import Domain, DomainDisk, DomainRef, Inventory

URI = "qemu:///system"
ENGINE = UUID("2d6d2f3a-93b3-5a5c-9f5e-6f1f0d3c7a11")
HALTING = bytes.fromhex("fabaf803b048eef4ebfd")
"""cli; mov dx, 0x3f8; mov al, 'H'; out dx, al; hlt; jump back to hlt: prints H and idles."""

real = pytest.mark.real
Body = Callable[[LibvirtHypervisor], Awaitable[None]]


# --- without a host -------------------------------------------------------------------------------


def test_a_call_that_was_not_sent_failed_and_may_be_repeated() -> None:
    outcome = outcome_of(NotConnected("down"), "create one-1")
    assert outcome == Failed("create one-1: down", retryable=True)


def test_a_call_that_did_not_return_is_unknown() -> None:
    assert isinstance(outcome_of(Overdue("no answer"), "create one-1"), Unknown)


def test_an_error_nobody_foresaw_is_unknown() -> None:
    assert isinstance(outcome_of(KeyError("x"), "create one-1"), Unknown)


def test_an_error_of_libvirt_failed() -> None:
    with pytest.raises(libvirt.libvirtError) as caught:
        libvirt.open("test:///default").lookupByName("nobody")
    assert isinstance(outcome_of(caught.value, "state"), Failed)


def test_a_domain_of_somebody_else_has_no_owner() -> None:
    xml = libvirt.open("test:///default").lookupByName("test").XMLDesc()
    assert read_identity(xml) == Identity(owner=None, vm_id=None, taps=("testnet0",))


def test_a_save_file_is_whole_only_with_libvirts_last_word(tmp_path: Path) -> None:
    path = tmp_path / "save"
    assert not savefile.is_whole(path)
    path.write_bytes(b"LibvirtQemudPart" + bytes(200))
    assert not savefile.is_whole(path)
    path.write_bytes(b"LibvirtQemudSave" + bytes(200))
    assert savefile.is_whole(path)


def test_a_save_file_is_adopted_in_its_head_only(tmp_path: Path) -> None:
    old, new = str(uuid5(ENGINE, "old")), str(uuid5(ENGINE, "new"))
    xml = f"<domain><uuid>{old}</uuid></domain>\0<cookie>{old}</cookie>\0".encode()
    memory = b"memory " + old.encode()
    path = tmp_path / "save"
    path.write_bytes(savefile.HEAD.pack(savefile.WHOLE, 2, len(xml), 1, 0, 0) + xml + memory)
    for _ in range(2):
        savefile.adopt(path, new)
        text = path.read_bytes()[savefile.HEAD.size :]
        assert text == xml.replace(old.encode(), new.encode()) + memory


def test_a_host_that_is_not_there_fails_calls_without_blocking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orrery.drivers.libvirt.connection.OPEN_DEADLINE_S", 0.5)

    async def main() -> None:
        hypervisor = LibvirtHypervisor("qemu:///system?socket=/no/such/socket", "qemu")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(hypervisor.run())
            outcome = await hypervisor.state(DomainRef(uuid=str(ENGINE), name="one-1"))
            task.cancel()
        assert isinstance(outcome, Failed)
        assert outcome.retryable
        assert "/no/such/socket" in outcome.message

    asyncio.run(main())


# --- on this machine ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon() -> None:
    """A running libvirtd that is not slowed down by the way the machine is set up."""
    assert device_warning() is None, device_warning()
    start_libvirtd()


@pytest.fixture
def place(daemon: None) -> Iterator[Path]:
    """A directory that QEMU's own user may enter."""
    path = Path(tempfile.mkdtemp(prefix="orrery-test-", dir="/var/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture
def guest(place: Path) -> Iterator[Domain]:
    """A guest that prints H on its console and idles; gone after the test, whatever its uuid."""
    disk = place / "disk.0"
    disk.write_bytes((HALTING.ljust(510, b"\0") + b"\x55\xaa").ljust(1 << 20, b"\0"))
    name = f"orrery-test-{os.getpid()}"
    yield Domain(
        uuid=str(uuid5(ENGINE, name)),
        name=name,
        engine_id=str(ENGINE),
        vm_id=7,
        memory_mib=16,
        vcpus=1,
        cpu_pct=10,
        disks=(
            DomainDisk(path=str(disk), format="raw", device="disk", bus="virtio", target="vda"),
        ),
        console_log=str(place / "console.log"),
        features={"acpi": "yes", "apic": "yes"},
    )
    left = [d for d in libvirt.open(URI).listAllDomains() if d.name() == name]
    for domain in left:
        domain.destroy()


Event = tuple[str | None, str, str | None]


class Events:
    """What the driver said of domains, and a way to wait for more."""

    def __init__(self) -> None:
        self.seen: list[Event] = []
        self._more = asyncio.Event()

    def __call__(self, uuid: str | None, name: str | None, event: str, reason: str | None) -> None:
        self.seen.append((uuid, event, reason))
        self._more.set()

    async def wait_for(self, event: Event, times: int = 1) -> None:
        while self.seen.count(event) < times:
            self._more.clear()
            await self._more.wait()


def with_hypervisor(body: Body, events: Events | None = None, mode: str = "qemu") -> None:
    async def main() -> None:
        hypervisor = LibvirtHypervisor(URI, mode, events or Events())
        async with asyncio.TaskGroup() as group:
            task = group.create_task(hypervisor.run())
            try:
                async with asyncio.timeout(90):
                    await body(hypervisor)
            finally:
                task.cancel()

    asyncio.run(main())


def ref_of(domain: Domain) -> DomainRef:
    return DomainRef(uuid=domain.uuid, name=domain.name)


def started(domain: Domain) -> Outcome:
    return Done({"deploy_id": domain.uuid})


def qemu_pid(domain: Domain) -> int:
    return int(Path(f"/run/libvirt/qemu/{domain.name}.pid").read_text())


async def inventory(hypervisor: LibvirtHypervisor) -> Inventory:
    outcome = await hypervisor.inventory()
    assert isinstance(outcome, Done), outcome
    return msgspec.convert(outcome.result, Inventory)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


@real
def test_a_domain_is_created_once_seen_and_destroyed(guest: Domain) -> None:
    async def body(hypervisor: LibvirtHypervisor) -> None:
        assert await hypervisor.create(guest) == started(guest)
        first = qemu_pid(guest)
        assert await hypervisor.create(guest) == started(guest)
        assert qemu_pid(guest) == first
        assert await hypervisor.state(ref_of(guest)) == Done({"state": "running"})
        await inventory(hypervisor)
        found = await inventory(hypervisor)
        (mine,) = [d for d in found.domains if d.uuid == guest.uuid]
        assert (mine.owner, mine.vm_id, mine.name) == (str(ENGINE), 7, guest.name)
        assert mine.values["MEMORY"] == 16384
        assert {"CPU", "NETRX", "DISKRDBYTES"} <= mine.values.keys()
        assert found.facts["ACCELERATION"] == "tcg"
        assert found.total.cpu_pct >= 100
        assert 0 < found.free.memory_mib <= found.total.memory_mib
        assert await hypervisor.destroy(ref_of(guest)) == Done()
        assert await hypervisor.destroy(ref_of(guest)) == Done()
        assert await hypervisor.state(ref_of(guest)) == Done({"state": "absent"})

    with_hypervisor(body)


@real
def test_the_console_is_a_terminal_and_a_file(guest: Domain) -> None:
    async def body(hypervisor: LibvirtHypervisor) -> None:
        assert await hypervisor.create(guest) == started(guest)
        log = Path(guest.console_log or "")
        await until(lambda: log.exists() and log.read_bytes() == b"H")
        xml = libvirt.open(URI).lookupByName(guest.name).XMLDesc()
        assert "<console type='pty' tty='/dev/pts/" in xml

    with_hypervisor(body)


@real
def test_a_domain_of_that_name_with_another_uuid_is_in_the_way(guest: Domain) -> None:
    other = msgspec.structs.replace(guest, uuid=str(uuid5(ENGINE, "other")))

    async def body(hypervisor: LibvirtHypervisor) -> None:
        assert await hypervisor.create(guest) == started(guest)
        outcome = await hypervisor.create(other)
        assert isinstance(outcome, Failed)
        assert guest.uuid in outcome.message
        assert not outcome.retryable
        assert await hypervisor.state(ref_of(other)) == Done({"state": "absent"})

    with_hypervisor(body)


@real
def test_a_domain_that_cannot_start_fails_and_leaves_nothing(guest: Domain) -> None:
    disk = msgspec.structs.replace(guest.disks[0], path="/no/such/disk")
    broken = msgspec.structs.replace(guest, disks=(disk,))

    async def body(hypervisor: LibvirtHypervisor) -> None:
        outcome = await hypervisor.create(broken)
        assert isinstance(outcome, Failed)
        assert "/no/such/disk" in outcome.message
        assert await hypervisor.state(ref_of(broken)) == Done({"state": "absent"})

    with_hypervisor(body)


@real
def test_raw_that_is_not_xml_fails(guest: Domain) -> None:
    async def body(hypervisor: LibvirtHypervisor) -> None:
        outcome = await hypervisor.create(msgspec.structs.replace(guest, raw="<open>"))
        assert isinstance(outcome, Failed)
        assert "RAW/DATA" in outcome.message

    with_hypervisor(body)


@real
def test_a_saved_domain_is_restored_under_its_next_uuid(guest: Domain, place: Path) -> None:
    path = place / "checkpoint"
    again = msgspec.structs.replace(guest, uuid=str(uuid5(ENGINE, "next")))

    async def body(hypervisor: LibvirtHypervisor) -> None:
        assert await hypervisor.create(guest) == started(guest)
        assert await hypervisor.save(ref_of(guest), str(path)) == Done()
        assert await hypervisor.save(ref_of(guest), str(path)) == Done()
        assert await hypervisor.state(ref_of(guest)) == Done({"state": "absent"})
        assert await hypervisor.restore(again, str(path)) == started(again)
        assert await hypervisor.restore(again, str(path)) == started(again)
        assert await hypervisor.state(ref_of(again)) == Done({"state": "running"})
        assert {p.name for p in place.iterdir()} == {"disk.0", "console.log", "checkpoint"}

    with_hypervisor(body)


@real
def test_a_save_whose_end_nobody_saw_is_finished_by_repeating_it(
    guest: Domain, place: Path
) -> None:
    path = place / "checkpoint"

    async def body(hypervisor: LibvirtHypervisor) -> None:
        await hypervisor.create(guest)
        await hypervisor.save(ref_of(guest), str(path))
        path.rename(place / "checkpoint.partial")
        assert await hypervisor.save(ref_of(guest), str(path)) == Done()
        assert path.exists()
        path.rename(place / "checkpoint.partial")
        assert await hypervisor.restore(guest, str(path)) == started(guest)

    with_hypervisor(body)


@real
def test_a_save_that_fails_leaves_the_domain_running(guest: Domain) -> None:
    async def body(hypervisor: LibvirtHypervisor) -> None:
        await hypervisor.create(guest)
        outcome = await hypervisor.save(ref_of(guest), "/no/such/directory/checkpoint")
        assert isinstance(outcome, Failed)
        assert await hypervisor.state(ref_of(guest)) == Done({"state": "running"})

    with_hypervisor(body)


@real
def test_what_is_not_there_cannot_be_saved_restored_or_rebooted(guest: Domain, place: Path) -> None:
    async def body(hypervisor: LibvirtHypervisor) -> None:
        for outcome in (
            await hypervisor.save(ref_of(guest), str(place / "checkpoint")),
            await hypervisor.restore(guest, str(place / "checkpoint")),
            await hypervisor.reboot(ref_of(guest)),
            await hypervisor.reset(ref_of(guest)),
        ):
            assert isinstance(outcome, Failed)
            assert guest.name in outcome.message

    with_hypervisor(body)


@real
def test_a_guest_that_does_not_listen_is_not_shut_down(guest: Domain) -> None:
    async def body(hypervisor: LibvirtHypervisor) -> None:
        assert await hypervisor.shutdown(ref_of(guest), 1) == Done()
        await hypervisor.create(guest)
        outcome = await hypervisor.shutdown(ref_of(guest), 1)
        assert isinstance(outcome, Failed)
        assert "still runs after 1 s" in outcome.message
        assert await hypervisor.state(ref_of(guest)) == Done({"state": "running"})

    with_hypervisor(body)


@real
def test_a_shutdown_ends_when_the_domain_does(guest: Domain) -> None:
    async def body(hypervisor: LibvirtHypervisor) -> None:
        await hypervisor.create(guest)
        async with asyncio.TaskGroup() as group:
            shutdown = group.create_task(hypervisor.shutdown(ref_of(guest), 60))
            await hypervisor.destroy(ref_of(guest))
        assert shutdown.result() == Done()

    with_hypervisor(body)


@real
def test_a_guest_is_rebooted_and_reset_in_its_process(guest: Domain, place: Path) -> None:
    async def body(hypervisor: LibvirtHypervisor) -> None:
        await hypervisor.create(guest)
        log = place / "console.log"
        await until(lambda: log.exists() and log.read_bytes() == b"H")
        assert await hypervisor.reboot(ref_of(guest)) == Done()
        assert await hypervisor.reset(ref_of(guest)) == Done()
        await until(lambda: log.read_bytes() == b"HH")

    with_hypervisor(body)


@real
def test_a_killed_qemu_is_told_and_gone_from_the_inventory(guest: Domain) -> None:
    events = Events()

    async def body(hypervisor: LibvirtHypervisor) -> None:
        await hypervisor.create(guest)
        os.kill(qemu_pid(guest), signal.SIGKILL)
        await events.wait_for((guest.uuid, "stopped", "failed"))
        found = await inventory(hypervisor)
        assert guest.uuid not in {d.uuid for d in found.domains}
        assert await hypervisor.state(ref_of(guest)) == Done({"state": "absent"})

    with_hypervisor(body, events)


@real
@pytest.mark.slow
def test_a_stuck_qemu_does_not_hold_up_the_others(guest: Domain) -> None:
    async def body(hypervisor: LibvirtHypervisor) -> None:
        await hypervisor.create(guest)
        await inventory(hypervisor)
        os.kill(qemu_pid(guest), signal.SIGSTOP)
        for _ in range(3):
            async with asyncio.timeout(10):
                found = await inventory(hypervisor)
            assert guest.uuid in {d.uuid for d in found.domains}
        assert await hypervisor.destroy(ref_of(guest)) == Done()

    with_hypervisor(body)


@real
@pytest.mark.slow
def test_a_restart_of_libvirtd_is_survived(guest: Domain) -> None:
    events = Events()

    async def body(hypervisor: LibvirtHypervisor) -> None:
        await hypervisor.create(guest)
        before = qemu_pid(guest)
        await asyncio.to_thread(restart_libvirtd)
        await events.wait_for((None, "connected", None), times=2)
        assert await hypervisor.state(ref_of(guest)) == Done({"state": "running"})
        assert guest.uuid in {d.uuid for d in (await inventory(hypervisor)).domains}
        assert qemu_pid(guest) == before
        assert await hypervisor.destroy(ref_of(guest)) == Done()

    with_hypervisor(body, events)


def restart_libvirtd() -> None:
    if Path("/run/systemd/system").exists():
        subprocess.run(["systemctl", "restart", "libvirtd"], check=True)
        return
    pid = int(Path("/run/libvirtd.pid").read_text())
    process = os.pidfd_open(pid)
    signal.pidfd_send_signal(process, signal.SIGTERM)
    assert select.select([process], [], [], 20)[0], f"libvirtd (pid {pid}) did not end"
    os.close(process)
    start_libvirtd()


def start_libvirtd() -> None:
    if Path("/run/systemd/system").exists():
        subprocess.run(["systemctl", "start", "libvirtd"], check=True)
        return
    for program in ("virtlogd", "libvirtd"):
        if not Path(f"/run/{program}.pid").exists():
            subprocess.run([f"/usr/sbin/{program}", "-d"], check=True)
    deadline = time.monotonic() + 20
    while not answers():
        assert time.monotonic() < deadline, "libvirtd does not answer"
        time.sleep(0.05)


def answers() -> bool:
    try:
        libvirt.open(URI).close()
    except libvirt.libvirtError:
        return False
    return True


# --- KVM or not -----------------------------------------------------------------------------------


@real
def test_the_probe_guest_writes_its_letter_on_a_processor_that_works(place: Path) -> None:
    disk = place / "probe"
    disk.write_bytes(boot_sector())
    command = ["qemu-system-x86_64", "-accel", "tcg", "-m", "16", "-display", "none"]
    command += ["-nodefaults", "-serial", "stdio", "-drive", f"file={disk},format=raw,if=ide"]
    qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert qemu.stdout is not None
        assert qemu.stdout.read(1) == LETTER
    finally:
        qemu.kill()
        qemu.wait()


@real
@pytest.mark.slow
def test_the_probe_decides_and_says_why(daemon: None) -> None:
    found = probe(libvirt.open(URI), URI)
    assert found.kind in ("kvm", "tcg")
    assert found.reason


def test_a_remote_host_is_not_probed() -> None:
    assert probe(None, "qemu+ssh://elsewhere/system").kind == "tcg"


# --- as a process ---------------------------------------------------------------------------------


@real
@pytest.mark.slow
def test_the_driver_process_keeps_the_contract(
    daemon: None, capsys: pytest.CaptureFixture[str]
) -> None:
    serve: list[Any] = [sys.executable, "-m", "orrery", "driver", "serve"]
    assert check([*serve, "--hypervisor", "qemu", "--uri", URI]) == 0, capsys.readouterr().out
