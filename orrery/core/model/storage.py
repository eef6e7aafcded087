"""Datastores and images."""

from orrery.core.model.host import EMPTY
from orrery.core.model.kinds import Owned
from orrery.core.status import DatastoreStatus, DatastoreType, ImageStatus, ImageType
from orrery.core.template import Template


class Datastore(Owned, frozen=True, kw_only=True):
    """A place where images (IMAGE, FILE) or running disks (SYSTEM) are kept."""

    type: DatastoreType
    ds_mad: str
    tm_mad: str
    base_path: str
    status: DatastoreStatus = DatastoreStatus.READY
    clusters: tuple[int, ...] = (0,)
    template: Template = EMPTY


class Image(Owned, frozen=True, kw_only=True):
    """An image registered in a datastore."""

    type: ImageType
    status: ImageStatus
    datastore_id: int
    regtime: float
    path: str
    """Where it came from: a path or URL; empty for an empty datablock."""
    source: str
    """Where it lies in the datastore."""
    format: str
    size_mib: int
    persistent: bool = False
    checksum: str | None = None
    """`sha256:<hex>` of the data as fetched; given by the user it is verified."""
    template: Template = EMPTY
    error: str | None = None
