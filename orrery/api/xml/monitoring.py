"""Monitoring numbers as XML: the MONITORING element of VMs and hosts, and MONITORING_DATA."""

from collections.abc import Iterable

from orrery.core.model.kinds import Kind
from orrery.service.engine import Sample, Values

VM_NAMES = (
    "CPU",
    "DISKRDBYTES",
    "DISKRDIOPS",
    "DISKWRBYTES",
    "DISKWRIOPS",
    "ID",
    "MEMORY",
    "NETRX",
    "NETTX",
    "TIMESTAMP",
)
"""In the schema's order."""

CAPACITY = ("FREE_CPU", "FREE_MEMORY", "USED_CPU", "USED_MEMORY")
SYSTEM = ("NETRX", "NETTX")


def number(name: str, value: float) -> str:
    """Only CPU may have decimals: clients refuse them elsewhere."""
    if name == "CPU":
        return f"<CPU>{value:.2f}</CPU>"
    return f"<{name}>{int(value)}</{name}>"


def vm_values(values: Values | None) -> str:
    """The MONITORING element of a VM."""
    if not values:
        return "<MONITORING/>"
    inside = [number(name, values[name]) for name in VM_NAMES if name in values]
    return f"<MONITORING>{''.join(inside)}</MONITORING>"


def host_values(values: Values | None) -> str:
    """The MONITORING element of a host."""
    if not values:
        return "<MONITORING/>"
    head = [number(name, values[name]) for name in ("TIMESTAMP", "ID") if name in values]
    capacity = [number(name, values[name]) for name in CAPACITY if name in values]
    system = [number(name, values[name]) for name in SYSTEM if name in values]
    return (
        f"<MONITORING>{''.join(head)}<CAPACITY>{''.join(capacity)}</CAPACITY>"
        f"<SYSTEM>{''.join(system)}</SYSTEM></MONITORING>"
    )


def data(samples: Iterable[Sample]) -> str:
    """A whole series as one document."""
    inside = []
    for sample in samples:
        values = {"TIMESTAMP": sample.at, "ID": float(sample.id), **sample.values}
        inside.append(host_values(values) if sample.kind is Kind.HOST else vm_values(values))
    return f"<MONITORING_DATA>{''.join(inside)}</MONITORING_DATA>"
