"""Which drivers serve which host and datastore. The engine knows no driver by name."""

from typing import Protocol

from orrery.core.model.host import Host
from orrery.core.model.storage import Datastore
from orrery.ports.driver import HostDrivers, Storage


class Fleet(Protocol):
    """Given by the composition root."""

    def drivers(self, host: Host) -> HostDrivers:
        """What serves the host; made on first use, kept while the host exists."""
        ...

    def images(self, datastore: Datastore) -> Storage:
        """What keeps the datastore's images."""
        ...

    def forget(self, host_id: int) -> None:
        """The host is gone: end what served it."""
        ...
