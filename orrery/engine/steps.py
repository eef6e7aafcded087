"""What each action consists of: a list of steps, each with a way to do it and to look whether it is
done.

Steps are idempotent. `look` answers Done (the effect is there), Failed (it is not) or Unknown
(cannot tell). `tests/engine/test_steps.py` fails each step and repeats each step of every action in
this table.
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from orrery.core.messages import Done, Failed, Outcome, Unknown
from orrery.core.model.action import Action, ActionKind
from orrery.core.model.kinds import Kind
from orrery.core.model.storage import Image, StagedImage
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.status import DomainState
from orrery.engine import specs
from orrery.engine.fleet import Fleet
from orrery.ports.driver import HostDrivers, Progress, Storage

NetworkApply = Callable[[int], Awaitable[Outcome]]
"""Brings the network of a host up to date with the newest state."""


class VmWork(Struct, frozen=True):
    """An action on a VM, with all that its steps need."""

    action: Action
    vm: Vm
    view: View
    drivers: HostDrivers
    apply_network: NetworkApply
    shutdown_timeout_s: float
    progress: Progress | None = None


class ImageWork(Struct, frozen=True):
    """An action on an image."""

    action: Action
    image: Image
    view: View
    storage: Storage
    progress: Progress | None = None


class StagingWork(Struct, frozen=True):
    """An action on a copy of an image in the cache of a host."""

    action: Action
    copy: StagedImage
    storage: Storage
    """That of the host."""
    progress: Progress | None = None


Work = VmWork | ImageWork | StagingWork


class Step(Struct, frozen=True):
    """A step without `look` is so cheap, or so plainly idempotent, that doing it again is the way
    to look."""

    name: str
    do: Callable[..., Awaitable[Outcome]]
    look: Callable[..., Awaitable[Outcome]] | None = None
    starts: bool = False
    """It makes a domain run: a try that was given up may still do so, later."""


# --- steps of VMs ---------------------------------------------------------------------------------


async def place_disks(w: VmWork) -> Outcome:
    directory = specs.vm_directory(w.vm, w.view)
    return await w.drivers.storage.place(directory, specs.disk_plans(w.vm, w.view))


async def remove_disks(w: VmWork) -> Outcome:
    return await w.drivers.storage.remove(specs.vm_directory(w.vm, w.view))


async def wire(w: VmWork) -> Outcome:
    if w.action.host_id is None or not any(nic.vn_mad != "dummy" for nic in w.vm.nics):
        return Done()
    return await w.apply_network(w.action.host_id)


async def create(w: VmWork) -> Outcome:
    return await w.drivers.hypervisor.create(specs.domain(w.vm, w.view))


async def is_up(w: VmWork) -> Outcome:
    return await in_state(w, DomainState.RUNNING, {"deploy_id": specs.domain_name(w.vm, w.view)})


async def is_down(w: VmWork) -> Outcome:
    return await in_state(w, DomainState.ABSENT, {})


async def in_state(w: VmWork, wanted: DomainState, result: dict[str, str]) -> Outcome:
    seen = await w.drivers.hypervisor.state(specs.domain_ref(w.vm, w.view))
    if not isinstance(seen, Done):
        return Unknown(f"the domain's state is not known: {seen.message}")
    if seen.result.get("state") == wanted.value:
        return Done({**result})
    return Failed(f"the domain is {seen.result.get('state')}")


async def shutdown(w: VmWork) -> Outcome:
    ref = specs.domain_ref(w.vm, w.view)
    return await w.drivers.hypervisor.shutdown(ref, w.shutdown_timeout_s)


async def destroy(w: VmWork) -> Outcome:
    return await w.drivers.hypervisor.destroy(specs.domain_ref(w.vm, w.view))


async def reboot(w: VmWork) -> Outcome:
    return await w.drivers.hypervisor.reboot(specs.domain_ref(w.vm, w.view))


async def reset(w: VmWork) -> Outcome:
    return await w.drivers.hypervisor.reset(specs.domain_ref(w.vm, w.view))


async def save(w: VmWork) -> Outcome:
    ref = specs.domain_ref(w.vm, w.view)
    return await w.drivers.hypervisor.save(ref, specs.checkpoint_path(w.vm, w.view))


async def is_saved(w: VmWork) -> Outcome:
    """Saved is: the domain is gone and its whole memory is in the file (written aside, then
    renamed)."""
    down = await is_down(w)
    if not isinstance(down, Done):
        return down
    found = await w.drivers.storage.exists(specs.checkpoint_path(w.vm, w.view))
    if not isinstance(found, Done):
        return Unknown(f"the checkpoint cannot be looked for: {found.message}")
    return (
        Done() if found.result.get("exists") else Failed("the domain stopped without a checkpoint")
    )


async def restore(w: VmWork) -> Outcome:
    path = specs.saved_path(w.vm, w.view)
    return await w.drivers.hypervisor.restore(specs.domain(w.vm, w.view), path)


async def discard_checkpoint(w: VmWork) -> Outcome:
    return await w.drivers.storage.discard(specs.saved_path(w.vm, w.view))


# --- steps of images ------------------------------------------------------------------------------


async def register(w: ImageWork) -> Outcome:
    return await w.storage.register(specs.image_plan(w.image), w.progress)


async def delete_image(w: ImageWork) -> Outcome:
    return await w.storage.discard(w.image.source)


# --- steps of copies in caches --------------------------------------------------------------------


async def stage(w: StagingWork) -> Outcome:
    return await w.storage.stage(specs.stage_plan(w.copy), w.progress)


async def is_staged(w: StagingWork) -> Outcome:
    """It has its name only when it is whole."""
    found = await w.storage.exists(w.copy.path)
    if not isinstance(found, Done):
        return Unknown(f"the copy cannot be looked for: {found.message}")
    return Done() if found.result.get("exists") else Failed("the copy is not there")


async def unstage(w: StagingWork) -> Outcome:
    return await w.storage.discard(w.copy.path)


PLACE = Step("place disks", place_disks)
REMOVE = Step("remove disks", remove_disks)
WIRE = Step("apply network", wire)
CREATE = Step("create domain", create, look=is_up, starts=True)
DESTROY = Step("destroy domain", destroy, look=is_down)
SHUTDOWN = Step("shut down guest", shutdown, look=is_down)
RESTORE = Step("restore domain", restore, look=is_up, starts=True)
SAVE = Step("save domain", save, look=is_saved)
DISCARD = Step("discard checkpoint", discard_checkpoint)

STEPS: dict[ActionKind, tuple[Step, ...]] = {
    ActionKind.VM_PROLOG: (PLACE,),
    ActionKind.VM_BOOT: (WIRE, CREATE),
    ActionKind.VM_SHUTDOWN: (SHUTDOWN,),
    ActionKind.VM_DESTROY: (DESTROY,),
    ActionKind.VM_REBOOT: (Step("reboot guest", reboot),),
    ActionKind.VM_RESET: (Step("reset domain", reset),),
    ActionKind.VM_SAVE: (SAVE,),
    ActionKind.VM_RESTORE: (WIRE, RESTORE, DISCARD),
    ActionKind.VM_EPILOG: (REMOVE,),
    ActionKind.VM_CLEANUP: (DESTROY, REMOVE),
    ActionKind.IMAGE_REGISTER: (Step("register image", register),),
    ActionKind.IMAGE_DELETE: (Step("delete image", delete_image),),
    ActionKind.IMAGE_STAGE: (Step("stage image", stage, look=is_staged),),
    ActionKind.IMAGE_UNSTAGE: (Step("remove staged image", unstage),),
}


def prepare(
    action: Action,
    view: View,
    fleet: Fleet,
    apply_network: NetworkApply,
    shutdown_timeout_s: float,
    progress: Progress | None = None,
) -> Work | None:
    """What the steps work on; None when the object has moved on and the action means nothing any
    more."""
    if action.subject_kind is Kind.IMAGE:
        image = view.images.get(action.subject_id)
        if image is None or image.gen != action.gen:
            return None
        storage = fleet.images(view.datastores[image.datastore_id])
        return ImageWork(action, image, view, storage, progress)
    if action.subject_kind is Kind.STAGED_IMAGE:
        return prepare_staging(action, view, fleet, progress)
    vm = view.vms.get(action.subject_id)
    host = None if vm is None or vm.host_id is None else view.hosts.get(vm.host_id)
    if vm is None or vm.gen != action.gen or host is None:
        return None
    return VmWork(
        action, vm, view, fleet.drivers(host), apply_network, shutdown_timeout_s, progress
    )


def prepare_staging(
    action: Action, view: View, fleet: Fleet, progress: Progress | None
) -> StagingWork | None:
    copy = view.staged_images.get(action.subject_id)
    host = None if copy is None else view.hosts.get(copy.host_id)
    if copy is None or copy.gen != action.gen or host is None:
        return None
    return StagingWork(action, copy, fleet.drivers(host).storage, progress)
