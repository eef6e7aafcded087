"""The production fleet: a driver process per host, simulated hosts in this process, images on this
machine."""

import asyncio
import logging
import random
import socket
import sys
from collections.abc import Callable

import structlog

from orrery.config import Settings
from orrery.core.capacity import Capacity
from orrery.core.model.host import Host
from orrery.core.model.storage import Datastore
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.status import StagingStatus, VmStatus
from orrery.daemon.journal import LEVELS
from orrery.drivers.channel import Channel
from orrery.drivers.sim import Faults, SimDomain, World
from orrery.drivers.storage.files import FileStorage
from orrery.engine import specs
from orrery.ports.cause import CAUSE
from orrery.ports.driver import HostDrivers, Storage

SIMULATED = ("sim", "dummy")
LIBVIRT = ("kvm", "qemu", "xen")
LOCAL = ("localhost", "127.0.0.1")

Hint = Callable[[int], None]
"""Told the id of a host on which something happened."""


class Fleet:
    """`engine.fleet.Fleet`. `run` keeps the driver processes alive."""

    def __init__(self, settings: Settings, view: View, hint: Hint) -> None:
        self._settings = settings
        self._view = view
        self._hint = hint
        self.world = make_world(settings)
        self._channels: dict[int, Channel] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._wanted: asyncio.Queue[int] = asyncio.Queue()
        self._files = FileStorage()

    def drivers(self, host: Host) -> HostDrivers:
        if host.vm_mad in SIMULATED:
            return self.world.drivers(host.name)
        if host.vm_mad not in LIBVIRT:
            raise LookupError(
                f"there is no driver {host.vm_mad!r}: use {', '.join((*LIBVIRT, *SIMULATED))}"
            )
        if host.name not in (*LOCAL, socket.gethostname()):
            raise LookupError(
                f"{host.name} is another machine: this version runs real VMs on its own one only "
                "(add it as localhost), simulated ones anywhere"
            )
        channel = self._channels.get(host.id)
        if channel is None:
            channel = self._channels[host.id] = self._open(host)
            self._wanted.put_nowait(host.id)
        return channel.drivers()

    def images(self, datastore: Datastore) -> Storage:
        return self.world.images() if datastore.ds_mad in SIMULATED else self._files

    def forget(self, host_id: int) -> None:
        self._channels.pop(host_id, None)
        task = self._tasks.pop(host_id, None)
        if task is not None:
            task.cancel()

    async def run(self) -> None:
        """Until cancelled: one task for each channel."""
        async with asyncio.TaskGroup() as group:
            while True:
                host_id = await self._wanted.get()
                channel = self._channels.get(host_id)
                if channel is not None:
                    self._tasks[host_id] = group.create_task(
                        channel.run(), name=f"driver of host {host_id}"
                    )

    def _open(self, host: Host) -> Channel:
        command = [sys.executable, "-m", "orrery", "driver", "serve"]
        options = {
            "--hypervisor": host.vm_mad,
            "--uri": host.template.get("LIBVIRT_URI") or self._settings.text("libvirt_uri"),
            "--storage": "fs",
            "--network": "linux",
            "--state-dir": str(self._settings.home / "run" / str(host.id)),
        }
        words = [word for pair in options.items() for word in pair]
        driver_log = structlog.get_logger("orrery.driver").bind(host=host.name)

        def say(level: str, text: str) -> None:
            driver_log.log(LEVELS.get(level, logging.INFO), text)

        return Channel(
            [*command, *words],
            on_hint=lambda _: self._hint(host.id),
            on_log=say,
            cause=CAUSE.get,
        )


# --- the simulated world --------------------------------------------------------------------------


def make_world(settings: Settings) -> World:
    faults = Faults(
        latency_s=(0.001, settings.number("sim_latency_ms") / 1000),
        fail_rate=settings.number("sim_fail_rate"),
        hang_rate=settings.number("sim_hang_rate"),
        late_rate=0.5,
    )
    rng = random.Random(settings.whole("sim_seed"))  # noqa: S311 - a world, not a secret
    rate = settings.number("sim_transfer_rate")
    return World(rng, faults, host_size, transfer_mib_s=rate)


SIZES = (
    Capacity(800, 32768),
    Capacity(1600, 65536),
    Capacity(3200, 131072),
    Capacity(6400, 262144),
)


def host_size(name: str) -> Capacity:
    """Simulated hosts come in a few sizes; a name always means the same one."""
    digits = "".join(c for c in name if c.isdigit())
    return SIZES[int(digits or "1") % len(SIZES)]


RUNS = frozenset(
    {
        VmStatus.RUNNING,
        VmStatus.SAVE_SUSPEND,
        VmStatus.SHUTDOWN,
        VmStatus.SHUTDOWN_POWEROFF,
        VmStatus.UNKNOWN,
    }
)
"""Statuses in which a VM has a domain, as far as anybody knows; in all others it never began, has
ended, or is about to be started by an action that looks first."""


def adopt(world: World, view: View) -> None:
    """Simulated hosts outlive the engine, as real ones do: what the state says was running still
    runs."""
    for host in view.hosts.values():
        if host.vm_mad not in SIMULATED:
            continue
        simulated = world.host(host.name)
        for vm_id in view.vms_on(host.id):
            vm = view.vms[vm_id]
            if vm.status is VmStatus.PROLOG:
                continue
            simulated.files.update(dict.fromkeys(paths(vm, view), 1))
            if vm.status in RUNS:
                domain = sim_domain(vm, view)
                simulated.domains[domain.uuid] = domain
    for copy in view.staged_images.values():
        home = view.hosts.get(copy.host_id)
        is_whole = copy.status in (StagingStatus.THERE, StagingStatus.LEAVING)
        if home is not None and home.vm_mad in SIMULATED and is_whole:
            world.host(home.name).files[copy.path] = copy.mib
    for image in view.images.values():
        world.image_files[image.source] = image.size_mib


def paths(vm: Vm, view: View) -> list[str]:
    made = [plan.target for plan in specs.disk_plans(vm, view)]
    if vm.checkpoint is not None:
        made.append(specs.saved_path(vm, view))
    return [*made, f"{specs.vm_directory(vm, view)}/.made"]


def sim_domain(vm: Vm, view: View) -> SimDomain:
    return SimDomain(
        uuid=specs.domain_uuid(view.engine_id, vm),
        name=specs.domain_name(vm, view),
        owner=view.engine_id,
        vm_id=vm.id,
        cpu_pct=vm.capacity.cpu_pct,
        memory_mib=vm.capacity.memory_mib,
        started_at=0.0,
    )
