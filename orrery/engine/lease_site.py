"""Keeps the scheduler of leases told of the hosts: what each offers to leases, which are lost.

Leases may have what VMs without a lease leave them; those in turn leave what leases are promised.
"""

from collections.abc import Iterable

from orrery.core.capacity import Capacity
from orrery.core.model.host import Host
from orrery.core.model.view import View
from orrery.core.status import HostStatus
from orrery.sched.leases.calendar import Calendar
from orrery.sched.leases.site import Site, SiteHost

UNMEASURED_DISK_MIB = 1 << 36
"""Of a host whose disk nobody measures: datastores say what they have."""


class SiteKeeper:
    """What the scheduler was told of each host, so that it is told only news."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._told: dict[int, SiteHost] = {}
        self._lost: set[int] = set()
        self._ids: list[int] = []

    def site(self) -> Site:
        """All hosts that have ever answered, for a new scheduler; those lost now are told next."""
        self._told = {
            host.id: self._offer(host)
            for host in self._view.hosts.values()
            if host.total.cpu_pct > 0
        }
        self._lost = set()
        self._ids = []
        return Site(hosts=tuple(self._told.values()))

    def ids(self, calendar: Calendar) -> list[int]:
        """The id of each host, by the scheduler's index of it."""
        hosts = calendar.line.hosts
        if len(self._ids) != len(hosts):
            self._ids = [host.id for host in hosts]
        return self._ids

    def tell(self, calendar: Calendar, host_ids: Iterable[int], now: int) -> None:
        """Tell what is new of these hosts."""
        for host_id in sorted(set(host_ids)):
            host = self._view.hosts.get(host_id)
            if host is None or host.status is HostStatus.ERROR:
                if host_id in self._told and host_id not in self._lost:
                    self._lost.add(host_id)
                    calendar.host_lost(host_id, now)
            elif host_id in self._told or host.status is HostStatus.MONITORED:
                self._tell_offer(calendar, host, now)

    def _tell_offer(self, calendar: Calendar, host: Host, now: int) -> None:
        offer = self._offer(host)
        known = self._told.get(host.id)
        if known is None:
            self._told[host.id] = offer
            calendar.host_added(offer, now)
            return
        if host.id in self._lost and host.status is HostStatus.MONITORED:
            self._lost.discard(host.id)
            calendar.host_back(host.id, now)
        if offer != known:
            self._told[host.id] = offer
            calendar.host_changed(offer, now)

    def _offer(self, host: Host) -> SiteHost:
        """A host that takes no VMs offers just what leases hold of it already."""
        leased = self._view.leased_usage(host.id)
        ordinary = self._view.host_usage(host.id) - leased
        disk = host.total.disk_mib or UNMEASURED_DISK_MIB
        if host.status in (HostStatus.MONITORED, HostStatus.ERROR):
            left = host.offered - ordinary
        else:
            left = leased
        return SiteHost(
            id=host.id,
            name=host.name,
            capacity=Capacity(max(0, left.cpu_pct), max(0, left.memory_mib), disk),
        )
