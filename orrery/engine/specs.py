"""What drivers are told, worked out from the state: the domain, the disks, the whole network of a
host.

Pure: names and paths follow from ids, so that a repeated action meets its own earlier work.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence, Set
from ipaddress import IPv4Address, ip_network
from uuid import UUID, uuid5

from orrery.core.context import context_files
from orrery.core.model.network import SecurityGroup, VirtualNetwork
from orrery.core.model.storage import Image, StagedImage
from orrery.core.model.view import View
from orrery.core.model.vm import Disk, Nic, Vm
from orrery.core.status import StagingStatus, VmStatus
from orrery.ports.driver import (
    Bridge,
    DhcpHost,
    DiskPlan,
    Domain,
    DomainDisk,
    DomainNic,
    DomainRef,
    FilterRule,
    Graphics,
    HostNetwork,
    ImagePlan,
    Port,
    StagePlan,
)

BUSES = {"vd": "virtio", "sd": "scsi", "hd": "ide"}


def domain_uuid(engine_id: str, vm: Vm) -> str:
    """The same for every start on one placement: a repeated create meets the domain it made
    before."""
    return str(uuid5(UUID(engine_id), f"vm/{vm.id}/{vm.deployment}"))


def domain_ref(vm: Vm, view: View) -> DomainRef:
    return DomainRef(uuid=domain_uuid(view.engine_id, vm), name=domain_name(vm, view))


def domain_name(vm: Vm, view: View) -> str:
    """As OpenNebula names them: one-7."""
    return f"{view.name_prefix}-{vm.id}"


# --- places ---------------------------------------------------------------------------------------


def vm_directory(vm: Vm, view: View) -> str:
    """Where the disks of the VM's present stay lie."""
    stay = vm.history[-1]
    return f"{view.datastores[stay.ds_id].base_path}/{vm.id}"


def disk_path(vm: Vm, disk: Disk, view: View) -> str:
    return f"{vm_directory(vm, view)}/disk.{disk.id}"


def context_path(vm: Vm, view: View) -> str:
    return f"{vm_directory(vm, view)}/disk.{len(vm.disks)}"


def checkpoint_path(vm: Vm, view: View) -> str:
    """Where the memory of the VM's present stay is saved."""
    return f"{vm_directory(vm, view)}/checkpoint.{vm.history[-1].seq}"


def saved_path(vm: Vm, view: View) -> str:
    """Where the memory lies that a resume goes on from.

    Named by the stay it was saved in: a checkpoint that should be gone is never taken for a new
    one.
    """
    assert vm.checkpoint is not None, f"VM {vm.id} has no checkpoint"
    return f"{vm_directory(vm, view)}/checkpoint.{vm.checkpoint}"


def console_path(vm: Vm, view: View) -> str:
    return f"{vm_directory(vm, view)}/console.log"


# --- disks ----------------------------------------------------------------------------------------


def disk_plans(vm: Vm, view: View) -> tuple[DiskPlan, ...]:
    plans = [disk_plan(vm, disk, view) for disk in vm.disks]
    context = context_plan(vm, view)
    return tuple(plans) if context is None else (*plans, context)


def disk_plan(vm: Vm, disk: Disk, view: View) -> DiskPlan:
    target = disk_path(vm, disk, view)
    if disk.image_id is None:
        how = "swap" if disk.kind == "swap" else "blank"
        return DiskPlan(how=how, target=target, format=disk.format, size_mib=disk.size_mib)
    source_format = view.images[disk.image_id].format
    how = "link" if disk.persistent or disk.kind == "CDROM" else "clone"
    return DiskPlan(
        how=how,
        target=target,
        source=disk.source,
        source_format=source_format,
        staged=staged_path(vm, disk.image_id, view) if how == "clone" else None,
        format=disk.format,
        size_mib=disk.size_mib if how == "clone" else None,
    )


def staged_path(vm: Vm, image_id: int, view: View) -> str | None:
    """The copy in the cache of its host, for a VM of a lease: the plan of leases keeps it there."""
    copy = None if vm.lease_id is None else view.staged_image(image_id, vm.history[-1].host_id)
    return None if copy is None or copy.status is not StagingStatus.THERE else copy.path


def context_plan(vm: Vm, view: View) -> DiskPlan | None:
    if vm.template.vector("CONTEXT") is None:
        return None
    label, files = context_files(vm, view.networks)
    return DiskPlan(
        how="context",
        target=context_path(vm, view),
        format="raw",
        label=label,
        files={name: base64.b64encode(text.encode()).decode() for name, text in files.items()},
    )


def image_plan(image: Image) -> ImagePlan:
    return ImagePlan(
        origin=image.path or None,
        target=image.source,
        format=image.format or None,
        size_mib=image.size_mib or None,
        checksum=image.checksum,
    )


def stage_plan(copy: StagedImage) -> StagePlan:
    return StagePlan(source=copy.source, target=copy.path, size_mib=copy.mib)


# --- the domain -----------------------------------------------------------------------------------


def domain(vm: Vm, view: View) -> Domain:
    """All the hypervisor needs to know."""
    os = vm.template.vector("OS") or {}
    return Domain(
        uuid=domain_uuid(view.engine_id, vm),
        name=domain_name(vm, view),
        engine_id=view.engine_id,
        vm_id=vm.id,
        memory_mib=vm.capacity.memory_mib,
        vcpus=vm.vcpu,
        cpu_pct=vm.capacity.cpu_pct,
        disks=domain_disks(vm, view),
        nics=tuple(domain_nic(nic, view) for nic in vm.nics),
        boot=boot_order(os, vm.disks),
        arch=os.get("ARCH"),
        machine=os.get("MACHINE"),
        kernel=os.get("KERNEL"),
        initrd=os.get("INITRD"),
        cmdline=os.get("KERNEL_CMD"),
        graphics=graphics(vm),
        console_log=console_path(vm, view),
        features=features(vm),
        inputs=tuple(
            (i["TYPE"], i.get("BUS", "usb")) for i in vm.template.vectors("INPUT") if "TYPE" in i
        ),
        cpu_model=(vm.template.vector("CPU_MODEL") or {}).get("MODEL"),
        raw=raw_xml(vm),
    )


def boot_order(os: Mapping[str, str], disks: Sequence[Disk] = ()) -> tuple[str, ...]:
    """BOOT as in OpenNebula: disk0, nic0 or the hypervisor's words, by comma; disks by default."""
    cdroms = {f"disk{disk.id}" for disk in disks if disk.kind == "CDROM"}
    words = [boot_word(word.strip(), cdroms) for word in os.get("BOOT", "").split(",")]
    return tuple(dict.fromkeys(word for word in words if word)) or ("hd",)


def boot_word(word: str, cdroms: Set[str]) -> str | None:
    if word in ("hd", "fd", "cdrom", "network"):
        return word
    if word.startswith("nic"):
        return "network"
    if word.startswith("disk"):
        return "cdrom" if word in cdroms else "hd"
    return None


def domain_disks(vm: Vm, view: View) -> tuple[DomainDisk, ...]:
    disks = [domain_disk(vm, disk, view) for disk in vm.disks]
    context = vm.template.vector("CONTEXT")
    if context is not None:
        target = context.get("TARGET", "hda")
        disks.append(
            DomainDisk(
                path=context_path(vm, view),
                format="raw",
                device="cdrom",
                bus=BUSES.get(target[:2], "ide"),
                target=target,
                readonly=True,
            )
        )
    return tuple(disks)


def domain_disk(vm: Vm, disk: Disk, view: View) -> DomainDisk:
    extra = dict(disk.extra)
    return DomainDisk(
        path=disk_path(vm, disk, view),
        format=disk.format,
        device="cdrom" if disk.kind == "CDROM" else "disk",
        bus=BUSES.get(disk.target[:2], "virtio"),
        target=disk.target,
        readonly=disk.readonly,
        cache=extra.get("CACHE"),
        io=extra.get("IO"),
        discard=extra.get("DISCARD"),
    )


def domain_nic(nic: Nic, view: View) -> DomainNic:
    network = view.networks.get(nic.network_id)
    mtu = network.template.get("GUEST_MTU") if network is not None else None
    return DomainNic(
        mac=nic.mac,
        bridge=nic.bridge,
        target=nic.target,
        model=nic.model or "virtio",
        mtu=int(mtu) if mtu and mtu.isdigit() else None,
    )


def graphics(vm: Vm) -> Graphics | None:
    wanted = vm.template.vector("GRAPHICS")
    if wanted is None or wanted.get("TYPE", "").lower() not in ("vnc", "spice"):
        return None
    port = wanted.get("PORT", "")
    return Graphics(
        type=wanted["TYPE"].lower(),
        listen=wanted.get("LISTEN") or "127.0.0.1",
        port=int(port) if port.isascii() and port.isdigit() else None,
        password=wanted.get("PASSWD") or None,
        keymap=wanted.get("KEYMAP") or None,
    )


def features(vm: Vm) -> dict[str, str]:
    wanted = vm.template.vector("FEATURES") or {}
    return {"acpi": "yes", "apic": "yes"} | {k.lower(): v.lower() for k, v in wanted.items()}


def raw_xml(vm: Vm) -> str | None:
    parts = [
        raw["DATA"]
        for raw in vm.template.vectors("RAW")
        if raw.get("TYPE", "").lower() in ("kvm", "qemu") and "DATA" in raw
    ]
    return "".join(parts) or None


# --- the network of a host ------------------------------------------------------------------------


def host_network(view: View, host_id: int) -> HostNetwork:
    """The whole intended network of one host: bridges of the networks its VMs use, a port for each
    NIC.

    VMs at rest keep their DHCP entries and lose their ports.
    """
    vms = [view.vms[vm_id] for vm_id in sorted(view.vms_on(host_id))]
    present = [vm for vm in vms if vm.status not in (VmStatus.CLEANUP_DELETE, VmStatus.EPILOG)]
    wired = [(vm, nic) for vm in present for nic in vm.nics if nic.vn_mad != "dummy"]
    networks = sorted({nic.network_id for _, nic in wired} & view.networks.keys())
    return HostNetwork(
        engine_id=view.engine_id,
        bridges=tuple(bridge(view.networks[i], wired, view) for i in networks),
        ports=tuple(port(vm, nic, view) for vm, nic in wired if vm.holds_capacity),
    )


def bridge(network: VirtualNetwork, wired: Iterable[tuple[Vm, Nic]], view: View) -> Bridge:
    nat = network.vn_mad == "nat"
    template = network.template
    hosts = [
        DhcpHost(mac=nic.mac, ip=nic.ip, name=domain_name(vm, view))
        for vm, nic in wired
        if nic.network_id == network.id and nic.ip
    ]
    mtu = template.get("MTU") or ""
    return Bridge(
        name=network.bridge,
        network_id=network.id,
        address=gateway_address(network) if nat else None,
        nat=nat,
        dhcp=nat and (template.get("DHCP") or "YES").upper() != "NO",
        dns=tuple((template.get("DNS") or "").split()),
        hosts=tuple(hosts) if nat else (),
        mtu=int(mtu) if mtu.isdigit() else None,
        phydev=network.phydev,
        adopt=network.vn_mad == "bridge" and network.phydev is None,
    )


def gateway_address(network: VirtualNetwork) -> str | None:
    gateway, mask = network.template.get("GATEWAY"), network.template.get("NETWORK_MASK")
    if not gateway:
        return None
    prefix = ip_network(f"{gateway}/{mask or '255.255.255.0'}", strict=False).prefixlen
    return f"{gateway}/{prefix}"


def port(vm: Vm, nic: Nic, view: View) -> Port:
    network = view.networks.get(nic.network_id)
    template = network.template if network is not None else None
    rules = [
        rule
        for group_id in nic.security_groups
        if (group := view.security_groups.get(group_id)) is not None
        for rule in filter_rules(group, view)
    ]
    return Port(
        target=nic.target,
        vm_id=vm.id,
        bridge=nic.bridge,
        mac=nic.mac,
        ip=nic.ip,
        filter_mac=template is None or (template.get("FILTER_MAC_SPOOFING") or "YES") != "NO",
        filter_ip=template is None or (template.get("FILTER_IP_SPOOFING") or "YES") != "NO",
        rules=tuple(rules),
    )


def filter_rules(group: SecurityGroup, view: View) -> list[FilterRule]:
    rules = []
    for rule in group.template.vectors("RULE"):
        peers = rule_networks(rule, view)
        if "NETWORK_ID" in rule and not peers:
            continue  # a network without addresses, or none at all, has no peers: not everybody
        icmp = rule.get("ICMP_TYPE", "")
        rules.append(
            FilterRule(
                inbound=rule.get("RULE_TYPE", "").upper() == "INBOUND",
                protocol=rule.get("PROTOCOL", "ALL").lower(),
                ports=port_ranges(rule.get("RANGE", "")),
                networks=peers,
                icmp_type=int(icmp) if icmp.isdigit() else None,
            )
        )
    return rules


def port_ranges(text: str) -> tuple[tuple[int, int], ...]:
    ranges = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        first, _, last = part.partition(":")
        ranges.append((int(first), int(last or first)))
    return tuple(ranges)


def rule_networks(rule: Mapping[str, str], view: View) -> tuple[str, ...]:
    """The peers a rule speaks of: IP and SIZE, or all ranges of a virtual network."""
    if "IP" in rule:
        size = int(rule.get("SIZE") or 1)
        first = IPv4Address(rule["IP"])
        return (f"{first}-{first + size - 1}",)
    network_id = rule.get("NETWORK_ID", "")
    network = view.networks.get(int(network_id)) if network_id.isdigit() else None
    if network is None:
        return ()
    return tuple(f"{ar.ip}-{ar.ip_at(ar.size - 1)}" for ar in network.ranges if ar.ip is not None)
