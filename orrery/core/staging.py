"""The life cycle of a copy of an image in the cache of a host: coming, there, leaving.

Which copies are wanted is for the plan of leases to say; here it is only seen to that none is
brought twice, and that none goes away under a VM.
"""

from typing import Any

from msgspec.structs import replace

from orrery.core.machine import Machine, Row
from orrery.core.messages import (
    NOTHING_TO_DO,
    Decision,
    Done,
    Failed,
    Json,
    Message,
    Record,
    Settled,
    StageImage,
    Unknown,
    UnstageImage,
)
from orrery.core.model.action import Action, ActionKind
from orrery.core.model.host import Host
from orrery.core.model.kinds import Kind
from orrery.core.model.storage import Image, StagedImage
from orrery.core.model.view import View
from orrery.core.status import ImageStatus, ImageType, StagingStatus

S = StagingStatus

DEMANDS = {S.COMING: ActionKind.IMAGE_STAGE, S.LEAVING: ActionKind.IMAGE_UNSTAGE}

CAPABILITY = "stage"
"""Of hosts whose driver can bring images into a cache."""

CACHE = "cache"
"""The directory of copies, beside those of VMs."""


def is_stageable(image: Image) -> bool:
    """Disks of the others are links to the image itself: a copy would serve nobody."""
    ready = image.status is ImageStatus.READY and not image.persistent
    return ready and image.type in (ImageType.OS, ImageType.DATABLOCK)


def is_current(copy: StagedImage, view: View) -> bool:
    """Whether the image is still what was copied."""
    image = view.images.get(copy.image_id)
    return image is not None and image.gen == copy.image_gen


def is_used(copy: StagedImage, view: View) -> bool:
    """Whether disks of VMs on its host may lie on it: only VMs of leases take copies."""
    users = (view.vms[vm_id] for vm_id in view.image_users(copy.image_id))
    return any(vm.host_id == copy.host_id and vm.lease_id is not None for vm in users)


def cache_directory(host: Host, view: View) -> str | None:
    datastore = view.system_datastore(host.cluster_id)
    return None if datastore is None else f"{datastore.base_path}/{CACHE}"


def demanded_action(copy: StagedImage, now: float, cause: str) -> Action | None:
    """The outbox entry that belongs to the copy as it is."""
    kind = DEMANDS.get(copy.status)
    if kind is None:
        return None
    return Action(
        kind=kind,
        subject_kind=Kind.STAGED_IMAGE,
        subject_id=copy.id,
        gen=copy.gen,
        due_at=now,
        cause=cause,
        host_id=copy.host_id,
    )


def record(copy: StagedImage, what: str, message: Message, now: float) -> Record:
    body: dict[str, Json] = {"image": copy.image_id, "host": copy.host_id, "name": copy.name}
    if copy.error is not None:
        body["error"] = copy.error
    return Record(
        kind=f"staged_image.{what}",
        subject_kind=Kind.STAGED_IMAGE,
        subject_id=copy.id,
        at=now,
        cause=message.cause,
        body=body,
    )


def enter(
    copy: StagedImage, status: StagingStatus, message: Message, now: float, **changes: Any
) -> Decision:
    fresh = replace(copy, status=status, gen=copy.gen + 1, **changes)
    action = demanded_action(fresh, now, message.cause)
    return Decision(
        put=(fresh,),
        actions=() if action is None else (action,),
        settled=((Kind.STAGED_IMAGE, copy.id),) if action is None else (),
        records=(record(fresh, status.name.lower(), message, now),),
        result=copy.id,
    )


def gone(copy: StagedImage, m: Message, view: View, now: float) -> Decision:
    key = (Kind.STAGED_IMAGE, copy.id)
    return Decision(delete=(key,), settled=(key,), records=(record(copy, "gone", m, now),))


# --- what is wanted -------------------------------------------------------------------------------


def stage(m: StageImage, view: View, now: float) -> Decision:
    """Bring it, unless it is there or on its way already."""
    image, host = view.images.get(m.image_id), view.hosts.get(m.host_id)
    directory = None if host is None else cache_directory(host, view)
    if image is None or directory is None or not is_stageable(image):
        return NOTHING_TO_DO
    times = {"start": m.start, "end": m.end, "began": now, "ended": None, "seconds": None}
    known = view.staged_image(m.image_id, m.host_id)
    if known is not None:
        if known.status in (S.COMING, S.THERE):
            return NOTHING_TO_DO
        return enter(known, S.COMING, m, now, error=None, mib=m.mib, name=m.name, **times)
    copy = StagedImage(
        id=view.next_id(Kind.STAGED_IMAGE),
        name=m.name,
        status=S.COMING,
        image_id=image.id,
        image_gen=image.gen,
        host_id=m.host_id,
        source=image.source,
        path=f"{directory}/{image.id}.{image.gen}",
        mib=m.mib,
        start=m.start,
        end=m.end,
        began=now,
    )
    return enter(copy, S.COMING, m, now)


def unstage(m: UnstageImage, view: View, now: float) -> Decision:
    """Remove it, unless VMs lie on it; where its host is gone, it is too."""
    copy = view.staged_images.get(m.staged_id)
    if copy is None or copy.status is S.LEAVING or is_used(copy, view):
        return NOTHING_TO_DO
    if copy.host_id not in view.hosts:
        return gone(copy, m, view, now)
    return enter(copy, S.LEAVING, m, now, ended=None)


# --- what came of it ------------------------------------------------------------------------------


def arrived(copy: StagedImage, m: Settled, view: View, now: float) -> Decision:
    assert isinstance(m.outcome, Done)
    seconds = m.outcome.result.get("seconds")
    took = float(seconds) if isinstance(seconds, int | float) else None
    return enter(copy, S.THERE, m, now, ended=now, seconds=took, error=None)


def failed(copy: StagedImage, m: Settled, view: View, now: float) -> Decision:
    """It was not brought, or not removed: the plan of leases says what then."""
    assert not isinstance(m.outcome, Done)
    return enter(copy, S.FAILED, m, now, ended=now, error=m.outcome.message)


MACHINE: Machine[StagingStatus] = Machine(
    "staged image",
    StagingStatus,
    [
        Row((S.COMING,), Done, arrived, (S.THERE,)),
        Row((S.COMING,), Failed, failed, (S.FAILED,)),
        Row((S.COMING,), Unknown, failed, (S.FAILED,)),
        Row((S.LEAVING,), Done, gone, ()),
        Row((S.LEAVING,), Failed, failed, (S.FAILED,)),
        Row((S.LEAVING,), Unknown, failed, (S.FAILED,)),
    ],
)


def event(copy: StagedImage, m: Settled, view: View, now: float) -> Decision:
    return MACHINE.run(copy, type(m.outcome), m, view, now) or NOTHING_TO_DO
