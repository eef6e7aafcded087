"""VMs as XML: the full form, the short form of pools, and history records.

Each form is cut where the monitoring numbers go, so that they can change without the rest.
"""

from orrery.api.xml.build import (
    attribute_list,
    attributes,
    free,
    owned,
    permissions,
    seconds,
    sorted_pairs,
    text,
    vector,
    wrapped,
    yes,
)
from orrery.core.model.view import View
from orrery.core.model.vm import Disk, HistoryRecord, Nic, Vm
from orrery.core.template import Pairs

Names = tuple[str, ...]
"""Names of other objects that a VM's XML shows: owner, group, then image and datastore of each
disk, network of each NIC. They are part of what makes a cached form valid."""

Cut = tuple[str, str, str]
"""Before the time of the last poll, before the MONITORING element, after it."""

SCHEMA_ORDER = (
    "AUTOMATIC_DS_REQUIREMENTS AUTOMATIC_NIC_REQUIREMENTS AUTOMATIC_REQUIREMENTS "
    "CLONING_TEMPLATE_ID CONTEXT CPU CPU_COST DISK DISK_COST EMULATOR FEATURES HYPERV_OPTIONS "
    "GRAPHICS VIDEO IMPORTED INPUT MEMORY MEMORY_COST MEMORY_MAX MEMORY_SLOTS MEMORY_RESIZE_MODE "
    "NIC NIC_ALIAS NIC_DEFAULT NUMA_NODE OS PCI QEMU_GA_EXEC RAW SECURITY_GROUP_RULE SNAPSHOT "
    "SPICE_OPTIONS SUBMIT_ON_HOLD TEMPLATE_ID TM_MAD_SYSTEM TOPOLOGY TPM MEMORY_ENCRYPTION VCPU "
    "VCPU_MAX VMGROUP VMID"
)
PLACE = {name: place for place, name in enumerate(SCHEMA_ORDER.split())}
OWN = frozenset({"CPU", "MEMORY", "VCPU", "TEMPLATE_ID", "TM_MAD_SYSTEM", "VMID", "DISK", "NIC"})
"""What is taken from the VM itself, not from its template."""

NO_BACKUPS = "<BACKUPS><BACKUP_CONFIG/><BACKUP_IDS/></BACKUPS>"


def names_of(vm: Vm, view: View) -> Names:
    user, group = view.users.get(vm.uid), view.groups.get(vm.gid)
    names = [
        str(vm.uid) if user is None else user.name,
        str(vm.gid) if group is None else group.name,
    ]
    for disk in vm.disks:
        image = None if disk.image_id is None else view.images.get(disk.image_id)
        store = None if disk.datastore_id is None else view.datastores.get(disk.datastore_id)
        names.append("" if image is None else image.name)
        names.append("" if store is None else store.name)
    for nic in vm.nics:
        network = view.networks.get(nic.network_id)
        names.append("" if network is None else network.name)
    return tuple(names)


def full(vm: Vm, names: Names) -> Cut:
    """As vm.info and vmpool.infoextended show it."""
    own = owned(vm.id, vm.uid, vm.gid, names[0], names[1], vm.name)
    now, before = vm.status, vm.prev_status
    return (
        f"<VM>{own}{permissions(vm.permissions)}<LAST_POLL>",
        f"</LAST_POLL><STATE>{now.state}</STATE><LCM_STATE>{now.lcm_state}</LCM_STATE>"
        f"<PREV_STATE>{before.state}</PREV_STATE><PREV_LCM_STATE>{before.lcm_state}</PREV_LCM_STATE>"
        f"<RESCHED>0</RESCHED><STIME>{seconds(vm.stime)}</STIME><ETIME>{seconds(vm.etime)}</ETIME>"
        f"<DEPLOY_ID>{text(vm.deploy_id or '')}</DEPLOY_ID>",
        f"<SCHED_ACTIONS/><TEMPLATE>{full_template(vm, names)}</TEMPLATE>{user_template(vm)}"
        f"{history_records(vm)}{NO_BACKUPS}</VM>",
    )


def short(vm: Vm, names: Names) -> Cut:
    """As vmpool.info shows it."""
    own = owned(vm.id, vm.uid, vm.gid, names[0], names[1], vm.name)
    now = vm.status
    return (
        f"<VM>{own}<LAST_POLL>",
        f"</LAST_POLL><STATE>{now.state}</STATE><LCM_STATE>{now.lcm_state}</LCM_STATE>"
        f"<RESCHED>0</RESCHED><STIME>{seconds(vm.stime)}</STIME><ETIME>{seconds(vm.etime)}</ETIME>"
        f"<DEPLOY_ID>{text(vm.deploy_id or '')}</DEPLOY_ID>"
        f"<TEMPLATE>{short_template(vm, names)}</TEMPLATE>",
        f"{user_template(vm)}{short_history(vm)}</VM>",
    )


def full_template(vm: Vm, names: Names) -> str:
    items: list[tuple[str, str | Pairs]] = [
        item for item in vm.template.attributes if item[0] not in OWN
    ]
    items += parts(vm, names)
    stay = vm.last_stay
    items.append(("TM_MAD_SYSTEM", "" if stay is None else stay.tm_mad))
    items.append(("VMID", str(vm.id)))
    if vm.template_id is not None:
        items.append(("TEMPLATE_ID", str(vm.template_id)))
    return "".join(attribute_list(items, schema_order))


def schema_order(name: str) -> tuple[int, str]:
    return (PLACE.get(name, len(PLACE)), name)


def parts(vm: Vm, names: Names) -> list[tuple[str, str | Pairs]]:
    """Sizes, disks and NICs, in the order of the short form."""
    items: list[tuple[str, str | Pairs]] = [
        ("CPU", cpu_text(vm)),
        ("MEMORY", str(vm.capacity.memory_mib)),
        ("VCPU", str(vm.vcpu)),
    ]
    first_nic = 2 + 2 * len(vm.disks)
    for place, disk in enumerate(vm.disks):
        image, store = names[2 + 2 * place], names[3 + 2 * place]
        items.append(("DISK", tuple(disk_pairs(disk, image, store))))
    for place, nic in enumerate(vm.nics):
        items.append(("NIC", tuple(nic_pairs(nic, names[first_nic + place]))))
    return items


def cpu_text(vm: Vm) -> str:
    """As the user gave it, as long as that is what the VM has."""
    given = vm.template.get("CPU")
    exact = vm.capacity.cpu_pct / 100
    try:
        if given is not None and float(given) == exact:
            return given
    except ValueError:
        pass
    return f"{exact:g}"


def short_template(vm: Vm, names: Names) -> str:
    inside = [
        free(name, value) if isinstance(value, str) else vector(name, value)
        for name, value in parts(vm, names)
    ]
    graphics = vm.template.vector("GRAPHICS")
    if graphics:
        inside.append(vector("GRAPHICS", graphics.items()))
    return "".join(inside)


def disk_pairs(disk: Disk, image: str, store: str) -> list[tuple[str, str]]:
    """What the user gave, completed by what the core made of it."""
    values = dict(disk.extra)
    values.update(
        CLONE=yes(disk.clone),
        DEV_PREFIX=disk.dev_prefix,
        DISK_ID=str(disk.id),
        DISK_SNAPSHOT_TOTAL_SIZE="0",
        DRIVER=disk.format,
        FORMAT=disk.format,
        ORIGINAL_SIZE=str(disk.original_size_mib),
        READONLY=yes(disk.readonly),
        SAVE=yes(disk.persistent),
        SIZE=str(disk.size_mib),
        TARGET=disk.target,
        TYPE=disk.kind,
    )
    if disk.image_id is not None:
        values.update(IMAGE_ID=str(disk.image_id), SOURCE=disk.source)
        values["IMAGE"] = image or values.get("IMAGE", "")
    if disk.persistent:
        values["PERSISTENT"] = "YES"
    if disk.datastore_id is not None:
        values.update(DATASTORE_ID=str(disk.datastore_id), DATASTORE=store)
    return sorted_pairs(values)


def nic_pairs(nic: Nic, network: str) -> list[tuple[str, str]]:
    values = dict(nic.extra)
    values.update(
        AR_ID=str(nic.ar_id),
        BRIDGE=nic.bridge,
        MAC=nic.mac,
        NETWORK_ID=str(nic.network_id),
        NIC_ID=str(nic.id),
        SECURITY_GROUPS=",".join(map(str, nic.security_groups)),
        TARGET=nic.target,
        VN_MAD=nic.vn_mad,
    )
    values["NETWORK"] = network or values.get("NETWORK", "")
    if nic.ip is not None:
        values["IP"] = nic.ip
    if nic.model is not None:
        values["MODEL"] = nic.model
    return sorted_pairs(values)


def user_template(vm: Vm) -> str:
    """The user's attributes, and what the engine has to say where clients look for it."""
    inside = attributes(vm.user_template.without(ENGINES))
    if vm.error is not None:
        inside += free("ERROR", vm.error)
    if vm.sched_message is not None:
        inside += free("SCHED_MESSAGE", vm.sched_message)
    return wrapped("USER_TEMPLATE", inside)


ENGINES = frozenset({"ERROR", "SCHED_MESSAGE"})


# --- history --------------------------------------------------------------------------------------


def history_records(vm: Vm) -> str:
    return wrapped(
        "HISTORY_RECORDS", "".join([f"<HISTORY>{stay(vm, s)}</HISTORY>" for s in vm.history])
    )


def stay(vm: Vm, record: HistoryRecord) -> str:
    """One stay on a host; -1 and -2 stand for none."""
    r = record
    return (
        f"<OID>{vm.id}</OID><SEQ>{r.seq}</SEQ><HOSTNAME>{text(r.hostname)}</HOSTNAME>"
        f"<HID>{r.host_id}</HID><CID>{r.cluster_id}</CID><STIME>{seconds(r.stime)}</STIME>"
        f"<ETIME>{seconds(r.etime)}</ETIME><VM_MAD>{text(r.vm_mad)}</VM_MAD>"
        f"<TM_MAD>{text(r.tm_mad)}</TM_MAD><DS_ID>{r.ds_id}</DS_ID><PLAN_ID>-2</PLAN_ID>"
        f"<ACTION_ID>-1</ACTION_ID><PSTIME>{seconds(r.pstime)}</PSTIME>"
        f"<PETIME>{seconds(r.petime)}</PETIME><RSTIME>{seconds(r.rstime)}</RSTIME>"
        f"<RETIME>{seconds(r.retime)}</RETIME><ESTIME>{seconds(r.estime)}</ESTIME>"
        f"<EETIME>{seconds(r.eetime)}</EETIME><ACTION>{r.action.value}</ACTION>"
        f"<UID>{-1 if r.uid is None else r.uid}</UID><GID>{-1 if r.gid is None else r.gid}</GID>"
        f"<REQUEST_ID>{text(r.cause or '-1')}</REQUEST_ID>"
    )


def short_history(vm: Vm) -> str:
    """Only the last stay, only what lists show."""
    r = vm.last_stay
    if r is None:
        return "<HISTORY_RECORDS/>"
    return (
        f"<HISTORY_RECORDS><HISTORY><OID>{vm.id}</OID><SEQ>{r.seq}</SEQ>"
        f"<HOSTNAME>{text(r.hostname)}</HOSTNAME><HID>{r.host_id}</HID><CID>{r.cluster_id}</CID>"
        f"<DS_ID>{r.ds_id}</DS_ID><VM_MAD>{text(r.vm_mad)}</VM_MAD><TM_MAD>{text(r.tm_mad)}</TM_MAD>"
        f"<ACTION>{r.action.value}</ACTION></HISTORY></HISTORY_RECORDS>"
    )
