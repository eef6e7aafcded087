"""What every demo sets up on this machine and takes away again: engine, host, network, image."""

import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from demo_session import (
    HOME,
    SCREEN,
    Demo,
    StepFailed,
    end_engine,
    is_engine,
    object_of,
    orrery,
    run,
    start_engine,
    wait_until,
)

ROOT = Path(__file__).resolve().parent.parent
NAME = "demo"
PUBLIC_NAME_SERVER = "9.9.9.9"
"""For machines whose only name server is their own."""


def check_machine(_: Demo) -> None:
    done = run([sys.executable, "-m", "orrery", "doctor", "--json", "--home", str(HOME)])
    try:
        findings = json.loads(done.stdout)
    except ValueError as error:
        raise StepFailed("'orrery doctor' answers", done.stderr[-500:], "make setup") from error
    for one in findings:
        if one["result"] == "fail":
            raise StepFailed(f"{one['check']}: well", one["found"], one["remedy"] or one["why"])
        if one["result"] == "warn":
            SCREEN.detail(f"note: {one['check']}: {one['found']}")


def build_guest(_: Demo) -> None:
    SCREEN.detail("$ tools/guest-image guest.qcow2")
    done = run([sys.executable, str(ROOT / "tools/guest-image"), str(HOME / "guest.qcow2")], 600)
    if done.returncode != 0:
        raise StepFailed("the guest image is built", done.stderr[-800:], "make setup")
    size_mib = (HOME / "guest.qcow2").stat().st_size / 2**20
    SCREEN.detail(f"{size_mib:.0f} MiB, with an ssh server and a serial console")


def start_first(demo: Demo) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        demo.port = probe.getsockname()[1]
    start_engine(demo)


def add_host(_: Demo) -> None:
    orrery("host", "create", "localhost", "--im", "kvm", "--vm", "kvm", "--wait")
    host = object_of("host", "show", "localhost")
    found = host["TEMPLATE"].get("ACCELERATION", "unknown")
    meaning = {"kvm": "guests run at full speed", "tcg": "no usable KVM: guests are emulated"}
    SCREEN.detail(f"acceleration: {found} ({meaning.get(found, 'the driver does not say')})")


def add_network(demo: Demo) -> None:
    network = free_subnet()
    demo.subnet, demo.bridge = str(network), free_bridge()
    demo.save()
    text = "\n".join(
        (
            f'NAME="{NAME}"',
            'VN_MAD="nat"',
            f'BRIDGE="{demo.bridge}"',
            f'GATEWAY="{network[1]}"',
            f'NETWORK_MASK="{network.netmask}"',
            f'DNS="{name_server()}"',
            f'AR=[ TYPE="IP4", IP="{network[10]}", SIZE="100" ]',
            "",
        )
    )
    (HOME / "network.txt").write_text(text)
    SCREEN.detail(f"{network} behind bridge {demo.bridge}, with DHCP and translated addresses")
    orrery("vnet", "create", str(HOME / "network.txt"))


def free_subnet() -> ipaddress.IPv4Network:
    """A private /24 that no address or route of this machine touches."""
    routes = json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]).stdout or "[]")
    taken = [network for route in routes if (network := destination(route)) is not None]
    blocks = ("10.77.0.0/16", "172.30.0.0/16", "192.168.0.0/16", "10.0.0.0/8")
    for block in blocks:
        for network in ipaddress.IPv4Network(block).subnets(new_prefix=24):
            if not any(network.overlaps(one) for one in taken):
                return network
    raise StepFailed("a private /24 is free", "all are in use here", "remove a route: 'ip route'")


def name_server() -> str:
    """One that a guest can reach too: not the machine's own loopback."""
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    words = [line.split() for line in lines if line.startswith("nameserver ")]
    found = [ipaddress.ip_address(one[1].partition("%")[0]) for one in words]
    usable = (one for one in found if one.version == 4 and not one.is_loopback)
    return str(next(usable, PUBLIC_NAME_SERVER))


def destination(route: dict[str, Any]) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(route["dst"], strict=False)
    except ValueError:  # "default"
        return None


def free_bridge() -> str:
    names = {path.name for path in Path("/sys/class/net").iterdir()}
    return next(name for n in range(100) if (name := f"orrdemo{n}") not in names)


def register_image(_: Demo) -> None:
    image = str(HOME / "guest.qcow2")
    orrery("image", "create", "--name", NAME, "--path", image, "--wait", timeout_s=600)


def remove_objects(demo: Demo) -> None:
    """The network's bridge and rules go when no host needs the network any more."""
    for noun in ("template", "vnet", "image"):
        orrery(noun, "delete", NAME)
    wait_for_bridge(demo)
    orrery("host", "delete", "localhost")


def wait_for_bridge(demo: Demo) -> None:
    if demo.bridge:
        what, remedy = f"bridge {demo.bridge} is removed", f"ip link delete {demo.bridge}"
        wait_until(what, remedy, 60.0, lambda: not bridge_exists(demo))


def stop_and_remove(demo: Demo) -> None:
    end_engine(demo, signal.SIGTERM)
    left = leftovers(demo)
    shutil.rmtree(HOME)
    if left:
        raise StepFailed("nothing is left", ", ".join(left), "remove it by hand, and report this")
    SCREEN.detail("nothing is left: no guest, no bridge, no rules, no files")


def leftovers(demo: Demo) -> list[str]:
    """What the engine should have removed and did not."""
    found = [f"bridge {demo.bridge}"] if bridge_exists(demo) else []
    found += [f"domain {name}" for name in domains_of_home()]
    if demo.bridge and demo.bridge in run(["nft", "list", "ruleset"]).stdout:
        found.append(f"nftables rules for {demo.bridge}")
    return [*found, *(f"process {pid}" for pid in processes_of_home())]


def domains_of_home() -> list[str]:
    """Domains whose description names our home: their disks lie there."""
    names = run(["virsh", "-q", "list", "--all", "--name"]).stdout.split()
    return [name for name in names if f"{HOME}/" in run(["virsh", "dumpxml", name]).stdout]


def processes_of_home() -> list[int]:
    """Processes that name our home, other than ourselves."""
    mark = f"{HOME}/".encode()
    files = [file for file in Path("/proc").glob("[0-9]*/cmdline") if mark in read(file)]
    return [int(file.parent.name) for file in files if int(file.parent.name) != os.getpid()]


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


# --- whatever state it is in ----------------------------------------------------------------------


def removals(demo: Demo) -> list[Callable[[], object]]:
    """Of what no VM uses any more."""
    nouns = ("template", "vnet", "image")
    deletes = [partial(orrery, noun, "delete", NAME, quiet=True) for noun in nouns]
    return [*deletes, lambda: wait_for_bridge(demo)]


def clear_by_driver(demo: Demo) -> None:
    """The last resort: ask the network driver itself, by the mark on the bridge."""
    if not demo.bridge or not bridge_exists(demo):
        return
    links = json.loads(run(["ip", "-j", "link", "show", demo.bridge]).stdout or "[{}]")
    engine_id = links[0].get("ifalias", "").removeprefix("orrery:")
    call = {
        "id": 1,
        "cause": "demo",
        "method": "network.clear",
        "arguments": {"engine_id": engine_id},
        "deadline_s": 30,
    }
    program = [sys.executable, "-m", "orrery", "driver", "serve", "--network", "linux"]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        driver.stdin.write(json.dumps(call) + "\n")
        driver.stdin.flush()
        for line in driver.stdout:  # a driver ends when its input does: keep that open until then
            if json.loads(line).get("id") == call["id"]:
                break
        driver.stdin.close()


def bridge_exists(demo: Demo) -> bool:
    return Path(f"/sys/class/net/{demo.bridge}").exists()


def ensure_engine(demo: Demo) -> None:
    """Only an engine can remove what an engine made."""
    if not is_engine(demo.engine_pid):
        start_engine(demo)
