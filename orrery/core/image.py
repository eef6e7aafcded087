"""The life cycle of an image: locked while it is fetched, ready, disabled, in error, deleted.

Whether it is *used* is never stored: it follows from the VMs.
"""

from typing import Any

from msgspec.structs import replace

from orrery.core.access import initial_permissions
from orrery.core.errors import Exists, InUse, InvalidInput, NotAuthorized, NotFound, WrongState
from orrery.core.machine import Machine, Row
from orrery.core.messages import (
    NOTHING_TO_DO,
    AllocateImage,
    Decision,
    DeleteObject,
    Done,
    EnableImage,
    Failed,
    Message,
    Record,
    SetImagePersistent,
    Settled,
    Unknown,
)
from orrery.core.model.action import Action, ActionKind
from orrery.core.model.kinds import Kind
from orrery.core.model.storage import Datastore, Image
from orrery.core.model.view import View
from orrery.core.names import check_name
from orrery.core.numbers import whole
from orrery.core.status import DatastoreStatus, DatastoreType, ImageStatus, ImageType
from orrery.core.template import Template

S = ImageStatus

DEMANDS = {S.LOCKED: ActionKind.IMAGE_REGISTER, S.DELETE: ActionKind.IMAGE_DELETE}
FILES = (ImageType.KERNEL, ImageType.RAMDISK, ImageType.CONTEXT)
CONSUMED = frozenset(
    {"NAME", "TYPE", "PATH", "SIZE", "PERSISTENT", "FORMAT", "SOURCE", "CHECKSUM", "MD5", "SHA1"}
)
MAX_SIZE_MIB = 1 << 30


def demanded_action(image: Image, now: float, cause: str) -> Action | None:
    """The outbox entry that belongs to the image as it is."""
    kind = DEMANDS.get(image.status)
    if kind is None:
        return None
    return Action(
        kind=kind,
        subject_kind=Kind.IMAGE,
        subject_id=image.id,
        gen=image.gen,
        due_at=now,
        cause=cause,
    )


def record(image: Image, what: str, message: Message, now: float) -> Record:
    body = {"name": image.name} | ({"error": image.error} if image.error else {})
    return Record(
        kind=f"image.{what}",
        subject_kind=Kind.IMAGE,
        subject_id=image.id,
        at=now,
        cause=message.cause,
        body={**body},
    )


def enter(
    image: Image, status: ImageStatus, message: Message, now: float, **changes: Any
) -> Decision:
    fresh = replace(image, status=status, gen=image.gen + 1, **changes)
    action = demanded_action(fresh, now, message.cause)
    return Decision(
        put=(fresh,),
        actions=() if action is None else (action,),
        settled=((Kind.IMAGE, image.id),) if action is None else (),
        records=(record(fresh, status.name.lower(), message, now),),
        result=image.id,
    )


# --- allocate ------------------------------------------------------------------------------------


def allocate(m: AllocateImage, view: View, now: float) -> Decision:
    """A new image, LOCKED until its data is in the datastore.

    Raises:
        InvalidInput, Exists, NotFound, NotAuthorized, WrongState: nothing was changed.
    """
    template, actor = m.template, m.actor
    datastore = usable_datastore(m.datastore_id, view)
    name = check_name("NAME", template.get("NAME") or "")
    taken = view.by_name(Kind.IMAGE, name, actor.uid)
    if taken is not None:
        raise Exists(f"NAME is already taken by IMAGE {taken}.", object_kind="IMAGE")
    if template.has("SOURCE") and not actor.is_admin:
        raise NotAuthorized(
            f"User [{actor.uid}] : Template includes a restricted attribute SOURCE."
        )
    image_id = view.next_id(Kind.IMAGE)
    kind = type_of(template, datastore)
    image = Image(
        id=image_id,
        name=name,
        uid=actor.uid,
        gid=actor.gids[0],
        permissions=initial_permissions(view, actor),
        type=kind,
        status=S.LOCKED,
        datastore_id=datastore.id,
        regtime=now,
        path=origin_of(template, kind),
        source=f"{datastore.base_path}/{image_id}",
        format=format_of(template),
        size_mib=size_of(template, required=not template.get("PATH")),
        persistent=persistent_of(template, kind),
        checksum=checksum_of(template),
        template=template.without(CONSUMED),
    )
    return created(image, m, now)


def created(image: Image, m: AllocateImage, now: float) -> Decision:
    action = demanded_action(image, now, m.cause)
    assert action is not None  # it is LOCKED
    return Decision(
        put=(image,),
        actions=(action,),
        records=(record(image, "created", m, now),),
        result=image.id,
    )


def usable_datastore(datastore_id: int, view: View) -> Datastore:
    datastore = view.datastores.get(datastore_id)
    if datastore is None:
        raise NotFound(f"Error getting datastore [{datastore_id}].", object_kind="DATASTORE")
    if datastore.type is DatastoreType.SYSTEM:
        raise InvalidInput(
            "DATASTORE", datastore.name, "keeps running disks: register in an image datastore"
        )
    if datastore.status is DatastoreStatus.DISABLED:
        raise WrongState(f"Datastore {datastore.name} [{datastore.id}] is DISABLED")
    return datastore


def type_of(template: Template, datastore: Datastore) -> ImageType:
    default = "KERNEL" if datastore.type is DatastoreType.FILE else "OS"
    text = (template.get("TYPE") or default).upper()
    if text not in ImageType.__members__:
        raise InvalidInput(
            "TYPE", text, f"is not an image type: {', '.join(ImageType.__members__)}"
        )
    kind = ImageType[text]
    if (kind in FILES) is not (datastore.type is DatastoreType.FILE):
        where = "files" if kind in FILES else "image"
        raise InvalidInput(
            "TYPE", text, f"does not go into datastore {datastore.name}: use a {where} datastore"
        )
    return kind


def origin_of(template: Template, kind: ImageType) -> str:
    path = template.get("PATH") or template.get("SOURCE") or ""
    if not path and kind is not ImageType.DATABLOCK:
        raise InvalidInput(
            "PATH", "", "is missing: give a file or an http(s) URL (or TYPE=DATABLOCK and SIZE)"
        )
    if path and not path.startswith(("/", "http://", "https://")):
        raise InvalidInput("PATH", path, "is neither an absolute path nor an http(s) URL")
    if not path.isprintable():
        raise InvalidInput("PATH", path, "contains a control character: remove it")
    return path


def persistent_of(template: Template, kind: ImageType) -> bool:
    wanted = (template.get("PERSISTENT") or "").upper() in ("YES", "1")
    if wanted and kind in FILES:
        raise InvalidInput("PERSISTENT", "YES", f"is for disks, not for {kind.name}: leave it out")
    return wanted


def format_of(template: Template) -> str:
    """Empty until the data is there and has been looked at."""
    text = (template.get("FORMAT") or template.get("DRIVER") or "").lower()
    if text not in ("", "raw", "qcow2"):
        raise InvalidInput("FORMAT", text, "is not known: raw or qcow2")
    return text


def size_of(template: Template, *, required: bool) -> int:
    text = template.get("SIZE")
    if not text:
        if required:
            raise InvalidInput("SIZE", "", "is missing: an empty DATABLOCK needs a size in MiB")
        return 0
    size = whole(text, MAX_SIZE_MIB)
    if not size:
        raise InvalidInput("SIZE", text, f"is not a size: whole MiB, 1 to {MAX_SIZE_MIB}")
    return size


DIGESTS = {"MD5": ("md5", 32), "SHA1": ("sha1", 40), "CHECKSUM": ("sha256", 64)}


def checksum_of(template: Template) -> str | None:
    """`algorithm:hex`; CHECKSUM alone means SHA-256."""
    for name, (algorithm, length) in DIGESTS.items():
        text = template.get(name)
        if not text:
            continue
        digest = text.lower().removeprefix(f"{algorithm}:")
        if len(digest) != length or set(digest) - set("0123456789abcdef"):
            raise InvalidInput(name, text, f"is no {algorithm} digest: {length} hexadecimal digits")
        return f"{algorithm}:{digest}"
    return None


# --- the rest of its life -------------------------------------------------------------------------


def registered(image: Image, m: Settled, view: View, now: float) -> Decision:
    """Its data is in the datastore; size and format are those found there."""
    assert isinstance(m.outcome, Done)
    result = m.outcome.result
    size, form, checksum = result.get("size_mib"), result.get("format"), result.get("checksum")
    return enter(
        image,
        S.READY,
        m,
        now,
        size_mib=size if isinstance(size, int) else image.size_mib,
        format=form if isinstance(form, str) else image.format or "raw",
        checksum=checksum if isinstance(checksum, str) else image.checksum,
        error=None,
    )


def registration_failed(image: Image, m: Settled, view: View, now: float) -> Decision:
    """It was not fetched, or not removed: delete it, if need be again."""
    assert not isinstance(m.outcome, Done)
    return enter(image, S.ERROR, m, now, error=m.outcome.message)


def deleted(image: Image, m: Settled, view: View, now: float) -> Decision:
    """Its data is gone, and so is the image."""
    return Decision(
        delete=((Kind.IMAGE, image.id),),
        settled=((Kind.IMAGE, image.id),),
        records=(record(image, "deleted", m, now),),
    )


def refuse_while_used(image: Image, view: View) -> None:
    users = view.image_users(image.id)
    if users:
        raise InUse(
            f"Image {image.name} [{image.id}] is in use by {len(users)} VMs, among them VM "
            f"[{min(users)}]. Terminate them first",
            object_kind="IMAGE",
            object_id=image.id,
        )


def delete(image: Image, m: DeleteObject, view: View, now: float) -> Decision:
    """Only while no VM uses it. Its data is removed first."""
    refuse_while_used(image, view)
    return enter(image, S.DELETE, m, now)


def enable(image: Image, m: EnableImage, view: View, now: float) -> Decision:
    """Disabled, it is there but given to no VM; only while no VM uses it."""
    wanted = S.READY if m.enable else S.DISABLED
    if image.status is wanted:
        return Decision(result=image.id)
    if not m.enable:
        refuse_while_used(image, view)
    return enter(image, wanted, m, now)


def set_persistent(image: Image, m: SetImagePersistent, view: View, now: float) -> Decision:
    """A persistent image keeps what its VM writes, and has one VM at a time."""
    refuse_while_used(image, view)
    if m.persistent and image.type in FILES:
        raise WrongState(f"An image of type {image.type.name} cannot be persistent")
    if image.persistent is m.persistent:
        return Decision(result=image.id)
    return enter(image, image.status, m, now, persistent=m.persistent)


MACHINE: Machine[ImageStatus] = Machine(
    "image",
    ImageStatus,
    [
        Row((S.LOCKED,), Done, registered, (S.READY,)),
        Row((S.LOCKED,), Failed, registration_failed, (S.ERROR,)),
        Row((S.LOCKED,), Unknown, registration_failed, (S.ERROR,)),
        Row((S.DELETE,), Done, deleted, ()),
        Row((S.DELETE,), Failed, registration_failed, (S.ERROR,)),
        Row((S.DELETE,), Unknown, registration_failed, (S.ERROR,)),
        Row((S.READY, S.DISABLED, S.ERROR, S.LOCKED), DeleteObject, delete, (S.DELETE,)),
        Row((S.READY, S.DISABLED), EnableImage, enable, (S.READY, S.DISABLED)),
        Row((S.READY, S.DISABLED), SetImagePersistent, set_persistent, (S.READY, S.DISABLED)),
    ],
)


def command(image: Image, m: Message, view: View, now: float) -> Decision:
    """Decide a command.

    Raises:
        WrongState: the image's status does not allow it.
    """
    decision = MACHINE.run(image, type(m), m, view, now)
    if decision is None:
        raise WrongState(
            f"Image {image.name} [{image.id}] is {image.status.name}: the action is not available",
            object_kind="IMAGE",
            object_id=image.id,
        )
    return decision


def event(image: Image, m: Settled, view: View, now: float) -> Decision:
    return MACHINE.run(image, type(m.outcome), m, view, now) or NOTHING_TO_DO
