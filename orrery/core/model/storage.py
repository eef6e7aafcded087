"""Datastores and images."""

from orrery.core.model.host import EMPTY
from orrery.core.model.kinds import Entity, Owned
from orrery.core.status import (
    DatastoreStatus,
    DatastoreType,
    ImageStatus,
    ImageType,
    StagingStatus,
)
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


class StagedImage(Entity, frozen=True, kw_only=True):
    """A copy of an image in the cache of a host: on its way there, there, or on its way out. Its
    name is the one by which leases ask for the image."""

    status: StagingStatus
    image_id: int
    image_gen: int
    """The generation of the image that was copied: of a changed one it is no copy."""
    host_id: int
    source: str
    path: str
    mib: int
    start: float
    """From when to when it was planned to be brought."""
    end: float
    began: float
    """When that was really begun, and when it had ended, well or not."""
    ended: float | None = None
    seconds: float | None = None
    """What the copying itself took; None when the driver does not say."""
    error: str | None = None
