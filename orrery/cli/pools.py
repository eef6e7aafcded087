"""The kinds of objects: how the engine calls and lists them. Knows not how they look."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from orrery.cli.client import Client


@dataclass(frozen=True, slots=True)
class Pool:
    """A kind of object as the engine's methods see it."""

    title: str
    method: str
    """`one.vm`: methods are this, a dot and the verb."""
    element: str
    page: tuple[int, ...] | None = None
    """What follows the filter flag in a call of the pool; None when it takes no arguments."""

    def fetch(self, client: Client, flag: int = -2) -> Element:
        """All objects of the kind that the user may see, or those that the flag selects."""
        if self.page is None:
            return client.tree(f"{self.method}pool.info")
        return client.tree(f"{self.method}pool.info", flag, *self.page)


VM = Pool("virtual machine", "one.vm", "VM", (-1, -1, -1))
LEASE = Pool("lease", "one.lease", "LEASE", (-1, -1, -2))
"""Those that are over too: the last number is the state that is asked for."""
CURRENT_LEASE = Pool("lease", "one.lease", "LEASE", (-1, -1, -1))
TEMPLATE = Pool("template", "one.template", "VMTEMPLATE", (-1, -1))
IMAGE = Pool("image", "one.image", "IMAGE", (-1, -1))
NETWORK = Pool("virtual network", "one.vn", "VNET", (-1, -1))
SECURITY_GROUP = Pool("security group", "one.secgroup", "SECURITY_GROUP", (-1, -1))
HOST = Pool("host", "one.host", "HOST")
CLUSTER = Pool("cluster", "one.cluster", "CLUSTER")
DATASTORE = Pool("datastore", "one.datastore", "DATASTORE")
USER = Pool("user", "one.user", "USER")
GROUP = Pool("group", "one.group", "GROUP")
