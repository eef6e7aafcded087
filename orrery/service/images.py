"""Use cases of images and datastores."""

import posixpath

from orrery.core.access import require, require_create
from orrery.core.errors import InvalidInput, NotAuthorized
from orrery.core.messages import (
    Actor,
    AllocateDatastore,
    AllocateImage,
    EnableImage,
    SetImagePersistent,
)
from orrery.core.model.kinds import Kind
from orrery.core.model.storage import Datastore, Image
from orrery.core.model.view import View
from orrery.core.status import Right
from orrery.core.template import Template
from orrery.service.engine import Engine
from orrery.service.listing import ALL, select
from orrery.service.objects import ask, created, parse_template, permitted, pick

SAFE_DIRS = "/var/tmp"  # noqa: S108 - the default of OpenNebula's SAFE_DIRS, not a file of ours
"""Where local files may be registered from, unless the datastore's SAFE_DIRS says otherwise."""

REMOTE = ("http://", "https://")


async def allocate(engine: Engine, actor: Actor, text: str, datastore_id: int) -> int:
    """Register an image: takes CREATE on images and USE on the datastore."""
    require_create(actor, Kind.IMAGE)
    datastore = pick(engine.view.datastores, Kind.DATASTORE, datastore_id)
    require(actor, Right.USE, datastore)
    template = parse_template(text)
    if not actor.is_admin:
        refuse_reach(actor, template, datastore)
    command = AllocateImage(
        cause=engine.new_cause(), actor=actor, template=template, datastore_id=datastore_id
    )
    return await created(engine, command)


def refuse_reach(actor: Actor, template: Template, datastore: Datastore) -> None:
    """An image must not be a way to read the engine's own files.

    Raises:
        NotAuthorized: SOURCE is set.
        InvalidInput: PATH is a local file outside of the datastore's safe directories.
    """
    if template.get("SOURCE"):
        raise NotAuthorized(
            f"User [{actor.uid}] : Image Template includes a restricted attribute SOURCE."
        )
    path = template.get("PATH") or ""
    if not path or path.startswith(REMOTE):
        return
    safe = (datastore.template.get("SAFE_DIRS") or SAFE_DIRS).split()
    clean = posixpath.normpath(path.removeprefix("file://"))
    if not any(clean.startswith(posixpath.normpath(place) + "/") for place in safe):
        raise InvalidInput(
            "PATH", path, f"lies outside of the safe directories: put the file in {', '.join(safe)}"
        )


async def enable(engine: Engine, actor: Actor, image_id: int, *, enabled: bool) -> int:
    permitted(engine, actor, Right.MANAGE, Kind.IMAGE, image_id)
    command = EnableImage(cause=engine.new_cause(), actor=actor, image_id=image_id, enable=enabled)
    return await ask(engine, command, image_id)


async def set_persistent(engine: Engine, actor: Actor, image_id: int, *, persistent: bool) -> int:
    permitted(engine, actor, Right.MANAGE, Kind.IMAGE, image_id)
    command = SetImagePersistent(
        cause=engine.new_cause(), actor=actor, image_id=image_id, persistent=persistent
    )
    return await ask(engine, command, image_id)


async def allocate_datastore(engine: Engine, actor: Actor, text: str, cluster_id: int = -1) -> int:
    require_create(actor, Kind.DATASTORE)
    cluster = pick(engine.view.clusters, Kind.CLUSTER, max(cluster_id, 0))
    require(actor, Right.ADMIN, cluster)
    command = AllocateDatastore(
        cause=engine.new_cause(), actor=actor, template=parse_template(text), cluster_id=cluster.id
    )
    return await created(engine, command)


def get(view: View, actor: Actor, image_id: int) -> Image:
    image = pick(view.images, Kind.IMAGE, image_id)
    require(actor, Right.USE, image)
    return image


def listing(
    view: View, actor: Actor, flag: int = ALL, start: int = -1, end: int = -1
) -> list[Image]:
    return select(view.images, actor, flag, start, end)


def get_datastore(view: View, actor: Actor, datastore_id: int) -> Datastore:
    datastore = pick(view.datastores, Kind.DATASTORE, datastore_id)
    require(actor, Right.USE, datastore)
    return datastore


def list_datastores(view: View, actor: Actor) -> list[Datastore]:
    return select(view.datastores, actor)
