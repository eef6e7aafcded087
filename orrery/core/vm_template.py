"""Turns a VM template into a VM: every attribute checked before anything is taken.

Nothing here decides where it runs. Errors name the attribute, the value and the remedy.
"""

import re
from decimal import Decimal

from orrery.core.access import initial_permissions
from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput, NotAuthorized
from orrery.core.messages import Actor, AllocateVm, Decision, Record, RequestLease
from orrery.core.model.kinds import Kind
from orrery.core.model.users import ONEADMIN_GID, ONEADMIN_UID, VmTemplate
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.names import check_name
from orrery.core.numbers import whole
from orrery.core.objects import check_expressions
from orrery.core.status import VmStatus
from orrery.core.template import Template, split
from orrery.core.vm_attributes import check_attributes
from orrery.core.vm_disks import build_disks, context_target
from orrery.core.vm_nics import build_nics

KNOWN = frozenset(
    [
        "CPU",
        "VCPU",
        "MEMORY",
        "OS",
        "GRAPHICS",
        "CONTEXT",
        "FEATURES",
        "INPUT",
        "RAW",
        "CPU_MODEL",
        "VIDEO",
        "TOPOLOGY",
        "NIC_DEFAULT",
        "CPU_COST",
        "MEMORY_COST",
        "DISK_COST",
        "EMULATOR",
        "TEMPLATE_ID",
    ]
)
"""Attributes that go to TEMPLATE; DISK and NIC become parts of the VM, the rest is the user's."""

IGNORED = frozenset({"NAME", "VMID", "DISK", "NIC"})

LISTS = {"DISK": "DISK=[IMAGE=debian]", "NIC": "NIC=[NETWORK=private]"}

RESTRICTED = frozenset(
    [
        "CONTEXT/FILES",
        "NIC/MAC",
        "NIC/VLAN_ID",
        "NIC/BRIDGE",
        "NIC/FILTER",
        "NIC_DEFAULT/MAC",
        "NIC_DEFAULT/VLAN_ID",
        "NIC_DEFAULT/BRIDGE",
        "DISK/TOTAL_BYTES_SEC",
        "DISK/TOTAL_IOPS_SEC",
        "DISK/ORIGINAL_SIZE",
        "DISK/SIZE_PREV",
        "DEPLOY_ID",
        "CPU_COST",
        "MEMORY_COST",
        "DISK_COST",
        "PCI",
        "EMULATOR",
        "RAW/DATA",
        "USER_PRIORITY",
        "TOPOLOGY/PIN_POLICY",
        "TOPOLOGY/HUGEPAGE_SIZE",
        "OS/KERNEL",
        "OS/INITRD",
        "DISK/SOURCE",
    ]
)
"""What only members of group oneadmin may set: it reaches past the VM into the host."""

MAX_MEMORY_MIB = 16 * 1024 * 1024
MAX_CPU = 1024
SHARE = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}")
SIZE = re.compile(r"([0-9]+) ?((?:[MGT]B?)?)")
UNITS = {"": 1, "M": 1, "MB": 1, "G": 1024, "GB": 1024, "T": 1024 * 1024, "TB": 1024 * 1024}


def allocate(message: AllocateVm, view: View, now: float) -> Decision:
    """A new VM, PENDING or on hold, with its addresses taken.

    Raises:
        InvalidInput, NotFound, NotAuthorized, NoCapacity: nothing was changed.
    """
    stored = view.templates.get(-1 if message.template_id is None else message.template_id)
    refuse_restricted(own_part(message, stored), message.actor)
    vm = made(message, view, now)
    record = Record(
        kind="vm.created",
        subject_kind=Kind.VM,
        subject_id=vm.id,
        at=now,
        cause=message.cause,
        body={"name": vm.name, "uid": vm.uid, "status": vm.status.name.lower()},
    )
    return Decision(put=(vm,), records=(record,), result=vm.id)


def made(message: AllocateVm, view: View, now: float, lease_id: int | None = None) -> Vm:
    """The VM, with everything checked but whether the caller may set restricted attributes."""
    template, actor = message.template, message.actor
    stored = view.templates.get(-1 if message.template_id is None else message.template_id)
    refuse_bare_lists(template)
    check_attributes(template)
    vm_id = view.next_id(Kind.VM)
    check_expressions(template)
    default = f"{'one' if stored is None else stored.name}-{vm_id}"
    name = message.name or template.get("NAME") or default
    disks = build_disks(template, view, actor)
    nics = build_nics(template, view, actor, vm_id)
    known, others = split(template, KNOWN)
    return Vm(
        id=vm_id,
        name=check_name("NAME", name),
        uid=actor.uid,
        gid=actor.gids[0],
        permissions=initial_permissions(view, actor),
        status=VmStatus.HOLD if message.hold else VmStatus.PENDING,
        prev_status=VmStatus.PENDING,
        capacity=capacity_of(template, sum(d.size_mib for d in disks)),
        vcpu=vcpu_of(template),
        stime=now,
        cause=message.cause,
        template=context_completed(known.without({"TEMPLATE_ID"}), disks_taken(disks)),
        user_template=others.without(IGNORED),
        disks=disks,
        nics=nics,
        template_id=message.template_id,
        lease_id=lease_id,
    )


def own_part(message: AllocateVm | RequestLease, stored: VmTemplate | None) -> Template:
    """What the caller answers for: a template stored by an administrator may say anything."""
    if stored is None or message.extra is None:
        return message.template
    by_admin = stored.uid == ONEADMIN_UID or stored.gid == ONEADMIN_GID
    return message.extra if by_admin else message.template


def disks_taken(disks: tuple[object, ...]) -> frozenset[str]:
    return frozenset(getattr(disk, "target", "") for disk in disks)


def context_completed(known: Template, taken: frozenset[str]) -> Template:
    """CONTEXT says on which device the guest finds it: fixed once, so that it never moves."""
    context = known.vector("CONTEXT")
    if context is None or context.get("TARGET"):
        return known
    pairs = (*context.items(), ("TARGET", context_target(taken)))
    return known.replaced("CONTEXT", pairs)


def refuse_restricted(template: Template, actor: Actor) -> None:
    if actor.is_admin:
        return
    for name, value in template.attributes:
        keys = [name] if isinstance(value, str) else [name, *(f"{name}/{k}" for k, _ in value)]
        for key in keys:
            if key in RESTRICTED:
                raise NotAuthorized(
                    f"User [{actor.uid}] : VM Template includes a restricted attribute {key}."
                )


def refuse_bare_lists(template: Template) -> None:
    """A DISK or NIC written without brackets would be left out silently."""
    for name, example in LISTS.items():
        text = template.get(name)
        if text is not None:
            raise InvalidInput(name, text, f"is no list of attributes: write {example}")


def capacity_of(template: Template, disk_mib: int) -> Capacity:
    return Capacity(cpu_of(template), memory_of(template), disk_mib)


def cpu_of(template: Template) -> int:
    """CPU in hundredths of a core."""
    text = required(template, "CPU", 'like CPU="0.5"')
    cpu = Decimal(text) if SHARE.fullmatch(text) else Decimal(0)
    if not 0 < cpu <= MAX_CPU:
        raise InvalidInput("CPU", text, f"is not a share of CPUs: a number above 0 up to {MAX_CPU}")
    return max(1, int(cpu * 100))


def memory_of(template: Template) -> int:
    """MEMORY in MiB; a suffix G or T is understood."""
    text = required(template, "MEMORY", 'in MiB, like MEMORY="512"')
    found = SIZE.fullmatch(text.upper())
    if found is None:
        raise InvalidInput("MEMORY", text, "is not a size: give whole MiB, like 512")
    memory = (whole(found[1], MAX_MEMORY_MIB) or 0) * UNITS[found[2]]
    if not 0 < memory <= MAX_MEMORY_MIB:
        raise InvalidInput("MEMORY", text, f"is out of range: 1 to {MAX_MEMORY_MIB} MiB")
    return memory


def vcpu_of(template: Template) -> int:
    text = template.get("VCPU")
    if text is None or text == "":
        return 1
    vcpu = whole(text, MAX_CPU)
    if not vcpu:
        raise InvalidInput("VCPU", text, f"is not a number of CPUs: 1 to {MAX_CPU}")
    return vcpu


def required(template: Template, name: str, example: str) -> str:
    value = template.get(name)
    if value is None or not value.strip():
        raise InvalidInput(name, value or "", f"is missing: every VM template needs it, {example}")
    return value.strip()
