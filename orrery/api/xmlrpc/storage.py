"""one.image.*, one.imagepool.*, one.datastore.* and one.datastorepool.*."""

from orrery.api.xmlrpc.method import Api, Code, Creates, Result, method
from orrery.api.xmlrpc.objects import delete, owned
from orrery.core.messages import Actor
from orrery.core.model.kinds import Kind
from orrery.service import images


async def allocate(
    api: Api, actor: Actor, *, template: str, datastore: int, unchecked: bool
) -> Result:
    """Registers an image in a datastore."""
    return await images.allocate(api.engine, actor, template, datastore)


def info(api: Api, actor: Actor, *, oid: int, decrypt: bool) -> Result:
    """Shows one image."""
    return api.documents.image(images.get(api.engine.view, actor, oid))


async def enable(api: Api, actor: Actor, *, oid: int, enabled: bool) -> Result:
    """Allows or forbids new uses of an image."""
    return await images.enable(api.engine, actor, oid, enabled=enabled)


async def persistent(api: Api, actor: Actor, *, oid: int, persistent: bool) -> Result:
    """Says whether changes of the disk are kept in the image."""
    return await images.set_persistent(api.engine, actor, oid, persistent=persistent)


def pool_info(api: Api, actor: Actor, *, flag: int, start: int, end: int) -> Result:
    """Lists images."""
    return api.documents.image_pool(images.listing(api.engine.view, actor, flag, start, end))


async def datastore_allocate(api: Api, actor: Actor, *, template: str, cluster: int) -> Result:
    """Adds a datastore."""
    return await images.allocate_datastore(api.engine, actor, template, cluster)


def datastore_info(api: Api, actor: Actor, *, oid: int, decrypt: bool) -> Result:
    """Shows one datastore."""
    return api.documents.datastore(images.get_datastore(api.engine.view, actor, oid))


def datastore_pool(api: Api, actor: Actor) -> Result:
    """Lists datastores."""
    return api.documents.datastore_pool(images.list_datastores(api.engine.view, actor))


METHODS = (
    method(
        "image.allocate",
        "template:s datastore:i unchecked:b=false",
        allocate,
        Creates(Code.ALLOCATE, "image"),
    ),
    method("image.info", "oid:i decrypt:b=false", info),
    method("image.enable", "oid:i enabled:b", enable),
    method("image.persistent", "oid:i persistent:b", persistent),
    method("image.delete", "oid:i force:b=false", delete(Kind.IMAGE)),
    *owned("image", Kind.IMAGE),
    method("imagepool.info", "flag:i start:i end:i", pool_info),
    method(
        "datastore.allocate",
        "template:s cluster:i=-1",
        datastore_allocate,
        Creates(Code.INTERNAL, "datastore"),
    ),
    method("datastore.info", "oid:i decrypt:b=false", datastore_info),
    method("datastore.delete", "oid:i", delete(Kind.DATASTORE)),
    *owned("datastore", Kind.DATASTORE),
    method("datastorepool.info", "", datastore_pool),
)
