"""Checks of what runs guests: KVM, QEMU, libvirt and its daemons."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from orrery.cli.diagnosis import (
    Check,
    Finding,
    Machine,
    ask,
    closed_to_us,
    fail,
    first_socket,
    ok,
    warn,
)

KVM = Path("/dev/kvm")
PROBE_S = 60.0
LIBVIRT_SOCKETS = ("/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock")
LOG_SOCKETS = ("/run/libvirt/virtlogd-sock",)
DISTRIBUTION = "/usr/lib/python3/dist-packages"


def kvm_device(_: Machine) -> Finding:
    if not KVM.exists():
        return warn(
            f"no {KVM}: guests are emulated, about ten times slower",
            "switch on virtualization in the firmware (or nesting in the outer hypervisor), "
            "then 'modprobe kvm_intel' or 'modprobe kvm_amd'",
        )
    if not os.access(KVM, os.R_OK | os.W_OK):
        return warn(f"{KVM} is not ours to open", f"adduser {os.environ.get('USER', 'USER')} kvm")
    return ok(f"{KVM}")


def kvm_works(_: Machine) -> Finding:
    """A device is no proof: a guest must boot with it. The probe starts one, in a child."""
    if not KVM.exists():
        return warn("no device to try", "see the check before")
    answer = ask([sys.executable, "-m", "orrery", "driver", "probe"], PROBE_S)
    try:
        result = json.loads(answer.output)
        acceleration, reason, warning = (result[k] for k in ("acceleration", "reason", "warning"))
    except (ValueError, KeyError, TypeError):
        return warn(f"the probe gave no answer: {answer.first_line}", "orrery driver probe")
    if acceleration == "kvm":
        return warn(warning) if warning else ok(reason)
    return warn(f"{reason}: guests are emulated, about ten times slower")


def qemu(_: Machine) -> Finding:
    machine = platform.machine()
    answer = ask([f"qemu-system-{machine}", "--version"])
    if not answer.worked:
        package = "qemu-system-x86" if machine == "x86_64" else "qemu-system-arm"
        return fail(answer.first_line, f"apt-get install {package} qemu-utils")
    return ok(answer.first_line)


def binding(_: Machine) -> Finding:
    """Looks where the driver looks: in this environment, then among the distribution's packages."""
    code = (
        f"import sys; sys.path.append({DISTRIBUTION!r});import libvirt; print(libvirt.getVersion())"
    )
    answer = ask([sys.executable, "-c", code])
    if not answer.worked:
        return fail(
            f"{sys.executable} cannot import libvirt",
            "apt-get install python3-libvirt, or 'make setup' when this is another Python",
        )
    number = int(answer.first_line)
    return ok(f"libvirt {number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}")


def libvirtd(_: Machine) -> Finding:
    return listening(LIBVIRT_SOCKETS, "libvirtd")


def virtlogd(_: Machine) -> Finding:
    return listening(LOG_SOCKETS, "virtlogd")


def listening(sockets: Sequence[str], name: str) -> Finding:
    """Whether the daemon listens; its socket may be one that only root may knock at."""
    found = first_socket(sockets)
    if found is not None:
        return ok(found)
    if os.geteuid() != 0 and any(closed_to_us(path) for path in sockets):
        return warn("can only be checked as root", "sudo orrery doctor")
    return fail(
        f"nobody listens on {sockets[0]}",
        start_service(name, "apt-get install libvirt-daemon-system"),
    )


def start_service(name: str, install: str) -> str:
    """How to start a daemon here; how to install it when it is not there."""
    if not Path(f"/usr/sbin/{name}").exists():
        return install
    if Path("/run/systemd/system").exists():
        return f"systemctl enable --now {name}"
    return f"{name} -d"


CHECKS = (
    Check("kvm device", "With KVM guests run at full speed, without it emulated.", kvm_device),
    Check("kvm works", "With KVM guests run at full speed, without it emulated.", kvm_works),
    Check("qemu", "QEMU runs the guests of 'kvm' and 'qemu' hosts.", qemu),
    Check("libvirt binding", "The driver of 'kvm' and 'qemu' hosts speaks to libvirt.", binding),
    Check("libvirtd", "libvirt's daemon starts and watches the guests.", libvirtd),
    Check("virtlogd", "It keeps what guests write to their serial consoles.", virtlogd),
)
