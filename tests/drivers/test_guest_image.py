"""The small guest disk: built from packages, booted by libvirt, told who it is by a disc."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orrery.drivers.libvirt.binding import libvirt

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real")]

TOOLS = Path(__file__).parents[2] / "tools"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeKeyOfATestOnlyNotUsedAnywhere0000000000"
MAC = "02:00:c0:a8:4d:05"
READY_S = 90.0
DOWN_S = 30.0

OPENNEBULA = {
    "context.sh": f"""
ETH0_MAC='{MAC}'
ETH0_IP='192.168.77.5'
ETH0_MASK='255.255.255.128'
ETH0_GATEWAY='192.168.77.1'
ETH0_DNS='192.168.77.1'
SET_HOSTNAME='from-opennebula'
SSH_PUBLIC_KEY='{KEY} one
{KEY} two'
START_SCRIPT='(cat /root/.ssh/authorized_keys /etc/resolv.conf; ip route) > /dev/console'
"""
}
NOCLOUD = {
    "meta-data": "instance-id: i-1\nlocal-hostname: from-nocloud\n",
    "user-data": f"""#cloud-config
ssh_authorized_keys:
  - {KEY} one
runcmd:
  - cat /root/.ssh/authorized_keys > /dev/console
""",
    "network-config": f"""version: 2
ethernets:
  eth0:
    match: {{macaddress: "{MAC}"}}
    addresses: [192.168.77.5/25]
    gateway4: 192.168.77.1
""",
}
VERSION_1 = f"""
config:
  - type: physical
    name: eth0
    mac_address: '{MAC.upper()}'
    subnets:
      - type: static
        address: 192.168.77.5
        netmask: 255.255.255.128
        gateway: 192.168.77.1
  - type: physical
    name: eth1
    subnets: [{{type: dhcp}}]
  - type: nameserver
    address:
      - 192.168.77.2
"""
VERSION_2 = f"""
network:
  version: 2
  ethernets:
    eth0:
      match:
        macaddress: "{MAC}"
      addresses:
        - 192.168.77.5/25
      routes:
        - to: default
          via: 192.168.77.1
      nameservers: {{search: [a.test], addresses: [192.168.77.2]}}
    eth1:
      dhcp4: true
"""
VERSION_2_JSON = (
    '{"version":2,"ethernets":{"eth0":{"match":{"macaddress":"' + MAC + '"},'
    '"addresses":["192.168.77.5/25"],"gateway4":"192.168.77.1",'
    '"nameservers":{"addresses":["192.168.77.2"]}},"eth1":{"dhcp4":true}}}'
)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that QEMU's own user may enter, unlike pytest's."""
    directory = Path(tempfile.mkdtemp(prefix="orrery-guest-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def image(place: Path) -> Path:
    out = place / "guest.qcow2"
    subprocess.run([sys.executable, str(TOOLS / "guest-image"), str(out)], check=True)
    return out


@pytest.fixture(scope="module")
def hypervisor() -> Iterator[Any]:
    connection = libvirt.open("qemu:///system")
    yield connection
    connection.close()


def test_a_second_build_comes_from_the_cache(image: Path, place: Path) -> None:
    again = place / "again.qcow2"
    command = [sys.executable, str(TOOLS / "guest-image"), str(again)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "from the cache" in done.stdout
    assert again.read_bytes() == image.read_bytes()


def test_guest_obeys_an_opennebula_context(hypervisor: Any, image: Path, place: Path) -> None:
    with guest(hypervisor, image, disc(place, "CONTEXT", OPENNEBULA)) as console:
        text = console.until("GUEST-READY")
        assert "GUEST-READY from-opennebula ip=192.168.77.5 up=" in text
        assert f"{KEY} one" in text
        assert f"{KEY} two" in text
        assert "nameserver 192.168.77.1" in text
        assert "default via 192.168.77.1 dev eth0" in text
        assert "192.168.77.0/25 dev eth0" in text


def test_guest_obeys_a_nocloud_disc(hypervisor: Any, image: Path, place: Path) -> None:
    with guest(hypervisor, image, disc(place, "cidata", NOCLOUD)) as console:
        text = console.until("GUEST-READY")
        assert "GUEST-READY from-nocloud ip=192.168.77.5 up=" in text
        assert f"{KEY} one" in text


def test_power_button_shuts_the_guest_down(hypervisor: Any, image: Path, place: Path) -> None:
    with guest(hypervisor, image, disc(place, "CONTEXT", OPENNEBULA)) as console:
        console.until("GUEST-READY")
        console.domain.shutdown()
        console.until("GUEST-DOWN from-opennebula")
        wait(lambda: not is_running(hypervisor, console.domain), DOWN_S, "the guest to power off")


@pytest.mark.parametrize("text", [VERSION_1, VERSION_2, VERSION_2_JSON])
def test_network_configuration_is_read_in_each_form(text: str) -> None:
    program = TOOLS / "guest/network-config.awk"
    command = ["busybox", "awk", "-f", str(program)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.splitlines()) == [
        "dns 192.168.77.2",
        f"iface eth0 {MAC} 192.168.77.5/25 192.168.77.1 -",
        "iface eth1 - - - dhcp",
    ]


class Console:
    """What a guest has written to its serial port."""

    def __init__(self, domain: Any, file: Path) -> None:
        self.domain = domain
        self._file = file

    def text(self) -> str:
        return self._file.read_text(errors="replace").replace("\r", "")

    def until(self, words: str) -> str:
        wait(lambda: words in self.text(), READY_S, f"{words!r} on the console", self.text)
        return self.text()


@contextlib.contextmanager
def guest(hypervisor: Any, image: Path, iso: Path) -> Iterator[Console]:
    disk, console = iso.with_suffix(".qcow2"), iso.with_suffix(".console")
    overlay = [
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "qcow2",
        "-b",
        str(image),
        str(disk),
    ]
    subprocess.run(overlay, check=True)
    console.touch()
    xml = domain_xml(iso.parent.name + iso.stem, disk, iso, console)
    domain = hypervisor.createXML(xml, libvirt.VIR_DOMAIN_START_AUTODESTROY)
    try:
        yield Console(domain, console)
    finally:
        with contextlib.suppress(libvirt.libvirtError):  # it may have ended by itself
            domain.destroy()


def disc(place: Path, label: str, files: dict[str, str]) -> Path:
    directory = Path(tempfile.mkdtemp(dir=place))
    for name, text in files.items():
        (directory / name).write_text(text)
    iso = directory.with_suffix(".iso")
    command = ["genisoimage", "-quiet", "-V", label, "-J", "-R", "-o", str(iso), str(directory)]
    subprocess.run(command, check=True)
    return iso


def domain_xml(name: str, disk: Path, iso: Path, console: Path) -> str:
    return f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>128</memory>
      <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
      <devices>
        <disk type='file'><driver name='qemu' type='qcow2'/><source file='{disk}'/>
          <target dev='vda' bus='virtio'/></disk>
        <disk type='file' device='cdrom'><driver name='qemu' type='raw'/>
          <source file='{iso}'/><target dev='hda' bus='ide'/><readonly/></disk>
        <interface type='user'><mac address='{MAC}'/><model type='virtio'/></interface>
        <serial type='file'><source path='{console}'/></serial>
      </devices></domain>"""


def is_running(hypervisor: Any, domain: Any) -> bool:
    return domain.name() in {one.name() for one in hypervisor.listAllDomains()}


def wait(condition: Any, limit_s: float, what: str, explain: Any = lambda: "") -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {limit_s:.0f} s for {what}\n{explain()}")
        time.sleep(0.05)
