"""`orrery up`: an engine with simulated hosts and sample objects, for the first minute of every
newcomer.

Needs neither root nor a hypervisor. What it makes, it makes through the use cases, as a user would.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from orrery.config import Settings, default_home
from orrery.core.errors import Refused
from orrery.core.messages import ENGINE
from orrery.core.status import HostStatus, ImageStatus
from orrery.core.template import parse
from orrery.daemon.serve import run
from orrery.service import hosts, images, networks, templates, vms
from orrery.service.engine import Engine
from orrery.service.vms import Instantiation

HOSTS = ("alpha1", "beta2", "gamma3", "delta4")

IMAGE = 'NAME="debian-12" TYPE="OS" PATH="/usr/share/images/debian-12.qcow2" SIZE="2048"'
NETWORK = """NAME="private" VN_MAD="nat" BRIDGE="orrery0"
AR=[TYPE="IP4", IP="10.20.0.10", SIZE="200"]
GATEWAY="10.20.0.1" NETWORK_MASK="255.255.255.0" DNS="10.20.0.1"
"""
TEMPLATES = (
    """NAME="small" CPU="0.5" VCPU="1" MEMORY="512"
DISK=[IMAGE="debian-12"] NIC=[NETWORK="private"] GRAPHICS=[TYPE="vnc"] CONTEXT=[NETWORK="YES"]
""",
    """NAME="large" CPU="4" VCPU="4" MEMORY="8192" SCHED_RANK="FREE_CPU"
DISK=[IMAGE="debian-12"] NIC=[NETWORK="private"] GRAPHICS=[TYPE="vnc"] CONTEXT=[NETWORK="YES"]
""",
)
POLL_S = 0.1
PATIENCE = 100

VMS = (("web-1", "small"), ("web-2", "small"), ("database", "large"))


def up(argv: list[str]) -> int:
    """`orrery up`: as `orrery serve`, in a home of its own, with something to look at."""
    home = default_home(os.environ, os.getuid()).parent / "orrery-playground"
    defaults = {"home": str(home), "datastore_driver": "sim", "log_level": "warning"}
    return run(argv, "orrery up", defaults, furnish_and_greet)


async def furnish_and_greet(settings: Settings, engine: Engine, url: str) -> None:
    """Sample objects on the first start, and a few words of where to go."""
    if not engine.view.hosts:
        await furnish(engine)
    greet(settings.home, engine, url)


async def furnish(engine: Engine) -> None:
    """Hosts, an image, a network, templates and VMs."""
    for name in HOSTS:
        await hosts.allocate(engine, ENGINE, name, "sim", "sim", 0)
    await images.allocate(engine, ENGINE, IMAGE, 1)
    await networks.allocate(engine, ENGINE, NETWORK, 0)
    ids = {}
    for text in TEMPLATES:
        ids[parse(text).get("NAME")] = await templates.allocate(engine, ENGINE, text)
    await start_vms(engine, ids)


async def start_vms(engine: Engine, ids: dict[str | None, int]) -> None:
    """As soon as hosts and image are ready, so that the VMs spread over all of them."""
    for _ in range(PATIENCE):
        if all(host.status is HostStatus.MONITORED for host in engine.view.hosts.values()) and all(
            image.status is ImageStatus.READY for image in engine.view.images.values()
        ):
            break
        await asyncio.sleep(POLL_S)
    for name, template in VMS:
        with contextlib.suppress(Refused):
            await vms.instantiate(engine, ENGINE, ids[template], Instantiation(name=name))


def greet(home: Path, engine: Engine, url: str) -> None:
    password = (home / "one_auth").read_text().strip().partition(":")[2]
    print(  # noqa: T201 - this is what the user came for
        f"""
Orrery is up, with {len(engine.view.hosts)} simulated hosts and {len(engine.view.vms)} VMs.

  Web page      {url}/
  User          oneadmin
  Password      {password}
  JSON API      {url}/api/v1/openapi.json
  XML-RPC       {url}/RPC2

In another terminal:

  export ONE_AUTH={home}/one_auth ONE_XMLRPC={url}/RPC2
  orrery vm list
  orrery template instantiate small --name my-first-vm
  orrery events --follow

Ctrl-C stops it; everything is kept in {home}.
""",
        flush=True,
        file=sys.stdout,
    )
