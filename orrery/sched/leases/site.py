"""The hosts that leases are planned on."""

from msgspec import Struct

from orrery.core.capacity import Capacity


class SiteHost(Struct, frozen=True, kw_only=True):
    """One host with what it offers to leases."""

    id: int
    name: str
    capacity: Capacity
    other: tuple[tuple[str, int], ...] = ()
    """Further resources (devices, network) by name."""
    cost: float = 0.0
    """What an hour of it costs, in whatever unit: for policies that prefer cheap hosts."""


class Site(Struct, frozen=True, kw_only=True):
    """Hosts in order of their ids: that order decides ties."""

    hosts: tuple[SiteHost, ...]
