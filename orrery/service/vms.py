"""Use cases of VMs: create, every action, listings. Decides nothing about life cycles: the core
does.
"""

from collections.abc import Callable, Iterator

from msgspec import Struct

from orrery.core.access import require, require_create, visible
from orrery.core.errors import InvalidInput, NotFound, WrongState
from orrery.core.messages import (
    Actor,
    AllocateVm,
    Command,
    DeployVm,
    HoldVm,
    PoweroffVm,
    RebootVm,
    RecoverVm,
    ReleaseVm,
    ResumeVm,
    SuspendVm,
    TerminateVm,
)
from orrery.core.model.kinds import Kind
from orrery.core.model.view import View
from orrery.core.model.vm import HistoryRecord, Vm
from orrery.core.names import check_name
from orrery.core.objects import WORDS
from orrery.core.status import DatastoreType, RecoverOperation, Right, VmStatus
from orrery.core.template import merge
from orrery.service import leases
from orrery.service.engine import Engine
from orrery.service.lease_attribute import lease_wanted
from orrery.service.listing import ALL, chosen, cut
from orrery.service.objects import (
    ask,
    created,
    not_available,
    parse_template,
    permitted,
    pick,
)
from orrery.service.search import matcher

ANY_STATE = -2
NOT_DONE = -1
MAX_IDS = 100_000

MakeAction = Callable[[str, Actor, int], Command]
"""(cause, actor, VM id) -> the command"""

ACTIONS: dict[str, MakeAction] = {
    "hold": lambda c, a, i: HoldVm(cause=c, actor=a, vm_id=i),
    "release": lambda c, a, i: ReleaseVm(cause=c, actor=a, vm_id=i),
    "suspend": lambda c, a, i: SuspendVm(cause=c, actor=a, vm_id=i),
    "resume": lambda c, a, i: ResumeVm(cause=c, actor=a, vm_id=i),
    "poweroff": lambda c, a, i: PoweroffVm(cause=c, actor=a, vm_id=i),
    "poweroff-hard": lambda c, a, i: PoweroffVm(cause=c, actor=a, vm_id=i, hard=True),
    "reboot": lambda c, a, i: RebootVm(cause=c, actor=a, vm_id=i),
    "reboot-hard": lambda c, a, i: RebootVm(cause=c, actor=a, vm_id=i, hard=True),
    "terminate": lambda c, a, i: TerminateVm(cause=c, actor=a, vm_id=i),
    "terminate-hard": lambda c, a, i: TerminateVm(cause=c, actor=a, vm_id=i, hard=True),
}
"""The actions of one.vm.action; all take MANAGE."""

LATER = frozenset({"stop", "undeploy", "undeploy-hard", "resched", "unresched"})
"""Actions of OpenNebula that this version does not have."""


# --- create ---------------------------------------------------------------------------------------


async def allocate(
    engine: Engine, actor: Actor, text: str, *, hold: bool = False, name: str = ""
) -> int:
    """A VM from a template text; the core checks every attribute and every right it needs."""
    require_create(actor, Kind.VM)
    command = AllocateVm(
        cause=engine.new_cause(),
        actor=actor,
        template=parse_template(text),
        hold=hold,
        name=name or None,
    )
    return await made(engine, command)


async def made(engine: Engine, command: AllocateVm) -> int:
    """The VM; as a node of a lease where its template asks for one."""
    wanted = lease_wanted(command.template, engine.clock.now())
    if wanted is None:
        return await created(engine, command)
    return await leases.leased_vm(engine, command, wanted)


class Instantiation(Struct, frozen=True, kw_only=True):
    """How a VM is to differ from its stored template."""

    name: str = ""
    hold: bool = False
    extra: str = ""
    """Template text whose attributes replace those of the stored template."""
    persistent: bool = False


async def instantiate(engine: Engine, actor: Actor, template_id: int, wanted: Instantiation) -> int:
    """A VM from a stored template."""
    template = pick(engine.view.templates, Kind.TEMPLATE, template_id)
    require(actor, Right.USE, template)
    require_create(actor, Kind.VM)
    if wanted.persistent:
        raise not_available("Instantiating as persistent")
    if wanted.name:
        check_name("NAME", wanted.name)
    extra = parse_template(wanted.extra)
    merged = merge(template.template.without({"NAME"}), extra)
    command = AllocateVm(
        cause=engine.new_cause(),
        actor=actor,
        template=merged,
        hold=wanted.hold,
        name=wanted.name or None,
        template_id=template_id,
        extra=extra,
    )
    return await made(engine, command)


# --- change ---------------------------------------------------------------------------------------


async def act(engine: Engine, actor: Actor, action: str, vm_id: int) -> int:
    """One of the actions of one.vm.action, by name."""
    permitted(engine, actor, Right.MANAGE, Kind.VM, vm_id)
    make = ACTIONS.get(action)
    if make is None:
        if action in LATER:
            raise not_available(f'Action "{action}"')
        shown = action if len(action) <= 40 else action[:37] + "..."
        raise WrongState(f'Action "{shown}" is not supported', object_kind="VM", object_id=vm_id)
    return await ask(engine, make(engine.new_cause(), actor, vm_id), vm_id)


async def deploy(
    engine: Engine,
    actor: Actor,
    vm_id: int,
    host_id: int,
    *,
    enforce: bool = False,
    ds_id: int = -1,
) -> int:
    """Placement by hand: takes ADMIN on the VM and MANAGE on the host. `ds_id` -1 leaves the
    choice.
    """
    permitted(engine, actor, Right.ADMIN, Kind.VM, vm_id)
    permitted(engine, actor, Right.MANAGE, Kind.HOST, host_id)
    if ds_id >= 0:
        datastore = pick(engine.view.datastores, Kind.DATASTORE, ds_id)
        require(actor, Right.USE, datastore)
        if datastore.type is not DatastoreType.SYSTEM:
            raise InvalidInput("datastore", datastore.name, "is not a system datastore")
    command = DeployVm(
        cause=engine.new_cause(),
        actor=actor,
        vm_id=vm_id,
        host_id=host_id,
        enforce=enforce,
        ds_id=ds_id if ds_id >= 0 else None,
    )
    return await ask(engine, command, vm_id)


async def recover(engine: Engine, actor: Actor, vm_id: int, operation: int) -> int:
    """An operator says how a stuck action ended, or ends it: takes ADMIN."""
    permitted(engine, actor, Right.ADMIN, Kind.VM, vm_id)
    if operation not in RecoverOperation.__members__.values():
        names = ", ".join(f"{op.value} {op.name.lower()}" for op in RecoverOperation)
        raise InvalidInput("operation", str(operation), f"is none of {names}")
    command = RecoverVm(
        cause=engine.new_cause(),
        actor=actor,
        vm_id=vm_id,
        operation=RecoverOperation(operation),
    )
    return await ask(engine, command, vm_id)


def operation_named(name: str) -> int:
    """The number of a recover operation."""
    for operation in RecoverOperation:
        if operation.name.lower().replace("_", "-") == name:
            return operation.value
    names = ", ".join(op.name.lower().replace("_", "-") for op in RecoverOperation)
    raise InvalidInput("operation", name, f"is none of {names}")


# --- read -----------------------------------------------------------------------------------------


class VmFilter(Struct, frozen=True, kw_only=True):
    """Which VMs: filter flag, range or page, state (-2 any, -1 all but DONE), search text."""

    flag: int = ALL
    start: int = -1
    end: int = -1
    state: int = NOT_DONE
    query: str = ""


def get(view: View, actor: Actor, vm_id: int) -> Vm:
    vm = pick(view.vms, Kind.VM, vm_id)
    require(actor, Right.USE, vm)
    return vm


def listing(view: View, actor: Actor, wanted: VmFilter) -> list[Vm]:
    """VMs by id, cut after all conditions, so that a short page is the last one."""
    found = in_state(chosen(view.vms.values(), actor, wanted.flag), wanted.state)
    if wanted.query:
        fits = matcher(wanted.query)
        found = (vm for vm in found if fits(vm, view))
    return list(cut(found, wanted.start, wanted.end))


def in_state(vms: Iterator[Vm], state: int) -> Iterator[Vm]:
    if state == ANY_STATE:
        return vms
    if state == NOT_DONE:
        return (vm for vm in vms if vm.status is not VmStatus.DONE)
    if state < ANY_STATE:
        raise InvalidInput(
            "state", str(state), "is not -2 (any), -1 (all but DONE) or a state's number"
        )
    return (vm for vm in vms if vm.status.state == state)


def by_ids(view: View, actor: Actor, text: str) -> list[Vm]:
    """The VMs of a list like `1,2,3` that exist and that the caller may see."""
    found = (view.vms.get(vm_id) for vm_id in sorted(set(parse_ids(text))))
    return [vm for vm in found if vm is not None and visible(actor, vm)]


def parse_ids(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > MAX_IDS:
        raise InvalidInput("ids", f"{len(parts)} ids", f"are too many: at most {MAX_IDS}")
    for part in parts:
        if not (part.isascii() and part.isdigit() and len(part) < 16):
            raise InvalidInput("ids", part, 'is not the id of a VM: give a list like "1,2,3"')
    return [int(part) for part in parts]


def stays(
    view: View, actor: Actor, flag: int, since: int, until: int
) -> list[tuple[Vm, HistoryRecord]]:
    """Every stay on a host that overlaps the interval (-1 leaves an end open): what accounting
    is made of.
    """
    return [
        (vm, stay)
        for vm in chosen(view.vms.values(), actor, flag)
        for stay in vm.history
        if (until < 0 or stay.stime <= until)
        and (since < 0 or stay.etime is None or stay.etime >= since)
    ]


def by_name(view: View, actor: Actor, name: str) -> Vm:
    """The VM of that name that the caller may see, if there is just one."""
    found = [vm for vm in chosen(view.vms.values(), actor, ALL) if vm.name == name]
    live = [vm for vm in found if vm.status is not VmStatus.DONE]
    if len(live) != 1:
        count = "no" if not live else f"{len(live)}"
        raise NotFound(f"Error getting {WORDS[Kind.VM]}: {count} live VM has the name {name!r}.")
    return live[0]
