"""Hosts and clusters of hosts."""

from math import sqrt

from msgspec import Struct

from orrery.core.capacity import NOTHING, Capacity
from orrery.core.model.kinds import Entity
from orrery.core.status import HostStatus
from orrery.core.template import Template

EMPTY = Template()

PER_MIB = frozenset({"resume", "suspend", "transfer"})
"""Kinds of operations that take the longer the more there is to write."""


class Measured(Struct, frozen=True, kw_only=True):
    """What was measured of one kind of operation, recent measurements weighing more: seconds, or
    seconds per MiB."""

    kind: str
    mean: float
    variance: float
    count: int

    @property
    def deviation(self) -> float:
        return sqrt(self.variance)

    @property
    def unit(self) -> str:
        return "s/MiB" if self.kind in PER_MIB else "s"


class Host(Entity, frozen=True, kw_only=True):
    """A machine (or a cloud account) that runs VMs; `facts` are what its driver last reported."""

    status: HostStatus
    prev_status: HostStatus
    im_mad: str
    vm_mad: str
    cluster_id: int
    total: Capacity = NOTHING
    """What the machine has."""
    reserved: Capacity = NOTHING
    """What is kept from VMs (RESERVED_CPU, RESERVED_MEM in the template)."""
    facts: Template = EMPTY
    template: Template = EMPTY
    capabilities: frozenset[str] = frozenset()
    """What its driver can do: suspend, live-migrate, hotplug ... The core asks these, never the
    driver's name."""
    error: str | None = None
    failures: int = 0
    """Monitorings that failed in a row."""
    measured: tuple[Measured, ...] = ()
    """How long boot, suspend and resume of leases take here."""

    @property
    def offered(self) -> Capacity:
        """What VMs may use in all."""
        return self.total - self.reserved


class Cluster(Entity, frozen=True, kw_only=True):
    """OpenNebula's group of hosts; datastores and networks name the clusters they belong to."""

    template: Template = EMPTY
