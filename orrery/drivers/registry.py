"""Which driver a name means: an explicit map, and what other packages register. Imports no driver.

Another package adds one with an entry point in the group `orrery.drivers`, named by kind and name:
`[project.entry-points."orrery.drivers"]`, `"hypervisor.mine" = "package.module:factory"`.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

GROUP = "orrery.drivers"

BUILT_IN = {
    "hypervisor.kvm": "orrery.drivers.libvirt.hypervisor:kvm",
    "hypervisor.qemu": "orrery.drivers.libvirt.hypervisor:qemu",
    "hypervisor.xen": "orrery.drivers.libvirt.hypervisor:xen",
    "storage.fs": "orrery.drivers.storage.files:FileStorage",
    "network.linux": "orrery.drivers.network.linux:LinuxNetwork",
}
"""Factories: hypervisor(uri, on_event), storage(), network(state_dir)."""


class NoSuchDriver(LookupError):
    """The name means nothing: lists those that do."""


def factory(kind: str, name: str) -> Callable[..., Any]:
    """What makes the driver `name` of that kind (hypervisor, storage, network)."""
    wanted = f"{kind}.{name}"
    if wanted in BUILT_IN:
        module, _, attribute = BUILT_IN[wanted].partition(":")
        found: Callable[..., Any] = getattr(import_module(module), attribute)
        return found
    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    if wanted in others:
        loaded: Callable[..., Any] = others[wanted].load()
        return loaded
    known = sorted(n.removeprefix(f"{kind}.") for n in (*BUILT_IN, *others) if n.startswith(kind))
    raise NoSuchDriver(f"{kind}: {name!r} is not known; use one of {', '.join(known)}")
