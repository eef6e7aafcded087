"""What kind of host it is, and how loaded. All functions block; none knows of domains."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from orrery.core.capacity import Capacity
from orrery.drivers.libvirt.binding import libvirt

CPUINFO = Path("/proc/cpuinfo")
LINKS = Path("/sys/class/net")
CGROUP1_CPU = Path("/sys/fs/cgroup/cpu")
CGROUP2 = Path("/sys/fs/cgroup/cgroup.controllers")

MAX_SHARES, MAX_WEIGHT = 262144, 10000
"""Largest cpu.shares of control groups version 1, largest cpu.weight of version 2."""


def is_local(uri: str) -> bool:
    """True when the URI names this machine: then its own files tell about the host."""
    return ":///" in uri


def max_shares(uri: str) -> int | None:
    """The largest CPU weight the host takes; None where it has no control group for CPU time."""
    if not is_local(uri):
        return MAX_WEIGHT  # valid in both versions
    if CGROUP2.exists():
        return MAX_WEIGHT if "cpu" in CGROUP2.read_text().split() else None
    return MAX_SHARES if CGROUP1_CPU.exists() else None


def total(raw: Any) -> Capacity:
    """What the host has."""
    return Capacity(cpu_pct=raw.getInfo()[2] * 100, memory_mib=_memory_kib(raw)["total"] // 1024)


def facts(raw: Any, uri: str) -> dict[str, str]:
    """Attributes for REQUIREMENTS and RANK."""
    info, capacity = raw.getInfo(), total(raw)
    kind, version = raw.getType(), _version(raw.getVersion())
    return {
        "ARCH": info[0],
        "HOSTNAME": raw.getHostname(),
        "MODELNAME": (_model_name() if is_local(uri) else None) or _cpu_model(raw) or info[0],
        "CPUSPEED": str(info[3]),
        "TOTALCPU": str(capacity.cpu_pct),
        "TOTALMEMORY": str(capacity.memory_mib * 1024),
        "HYPERVISOR_VERSION": version,
        "LIBVIRT_VERSION": _version(raw.getLibVersion()),
        "VERSION": f"{kind} {version}, libvirt {_version(raw.getLibVersion())}",
    }


def free_memory_kib(raw: Any) -> int:
    """Memory that domains could get: free, and what the kernel gives up for them."""
    numbers = _memory_kib(raw)
    return sum(numbers.get(name, 0) for name in ("free", "buffers", "cached"))


def traffic() -> dict[str, float]:
    """Bytes through this machine's physical links; bridges and taps would count them again."""
    links = [link for link in LINKS.iterdir() if (link / "device").exists()]
    return {
        value: float(sum(int((link / "statistics" / file).read_text()) for link in links))
        for value, file in (("NETRX", "rx_bytes"), ("NETTX", "tx_bytes"))
    }


def _memory_kib(raw: Any) -> dict[str, int]:
    try:
        # Not getInfo and getFreeMemory: they leave out memory that was added while the host ran.
        return dict(raw.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS))
    except libvirt.libvirtError:  # Xen
        return {"total": raw.getInfo()[1] * 1024, "free": raw.getFreeMemory() // 1024}


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _cpu_model(raw: Any) -> str | None:
    root = ET.fromstring(raw.getCapabilities())  # noqa: S314 - written by libvirt
    return root.findtext("host/cpu/model")


def _model_name() -> str | None:
    names = (line for line in CPUINFO.read_text().splitlines() if line.startswith("model name"))
    return next((line.partition(":")[2].strip() for line in names), None)
