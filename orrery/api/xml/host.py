"""Hosts and clusters as XML. Memory in KiB, CPU in hundredths, as OpenNebula writes them."""

from orrery.api.xml.build import attribute_list, attributes, ids, text, wrapped
from orrery.api.xml.monitoring import host_values
from orrery.core.capacity import Capacity
from orrery.core.model.host import Cluster, Host, Measured
from orrery.core.model.view import View
from orrery.core.template import Pairs
from orrery.service.engine import Values

KIB = 1024

LEASE_OPERATION = "LEASE_OPERATION"
"""One for each kind of operation that leases have had measured on the host."""
MADE = ("ERROR", LEASE_OPERATION)
"""Names under which the engine says something of its own."""

HostFacts = tuple[str, Capacity, tuple[int, ...], int, Values | None]
"""What follows from other objects: cluster's name, usage, VMs, how many of them run, numbers."""

ClusterFacts = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Hosts, datastores and networks of a cluster."""


def host_facts(host: Host, view: View, values: Values | None) -> HostFacts:
    cluster = view.clusters.get(host.cluster_id)
    vms = tuple(sorted(view.vms_on(host.id)))
    running = sum(view.vms[vm].holds_capacity for vm in vms if vm in view.vms)
    name = "" if cluster is None else cluster.name
    return (name, view.host_usage(host.id), vms, running, values)


def host(obj: Host, facts: HostFacts) -> tuple[str]:
    cluster, usage, vms, running, values = facts
    return (
        f"<HOST><ID>{obj.id}</ID><NAME>{text(obj.name)}</NAME><STATE>{obj.status.value}</STATE>"
        f"<PREV_STATE>{obj.prev_status.value}</PREV_STATE><IM_MAD>{text(obj.im_mad)}</IM_MAD>"
        f"<VM_MAD>{text(obj.vm_mad)}</VM_MAD><CLUSTER_ID>{obj.cluster_id}</CLUSTER_ID>"
        f"<CLUSTER>{text(cluster)}</CLUSTER>{share(obj, usage, running)}{ids('VMS', vms)}"
        f"<TEMPLATE>{host_template(obj)}</TEMPLATE>{host_values(values)}</HOST>",
    )


def share(obj: Host, usage: Capacity, running: int) -> str:
    total, offered = obj.total, obj.offered
    return (
        f"<HOST_SHARE><MEM_USAGE>{usage.memory_mib * KIB}</MEM_USAGE>"
        f"<CPU_USAGE>{usage.cpu_pct}</CPU_USAGE><TOTAL_MEM>{total.memory_mib * KIB}</TOTAL_MEM>"
        f"<TOTAL_CPU>{total.cpu_pct}</TOTAL_CPU><MAX_MEM>{offered.memory_mib * KIB}</MAX_MEM>"
        f"<MAX_CPU>{offered.cpu_pct}</MAX_CPU><RUNNING_VMS>{running}</RUNNING_VMS>"
        f"<VMS_THREAD>1</VMS_THREAD><DATASTORES><DISK_USAGE>{usage.disk_mib}</DISK_USAGE>"
        f"<FREE_DISK>{max(total.disk_mib - usage.disk_mib, 0)}</FREE_DISK>"
        f"<MAX_DISK>{total.disk_mib}</MAX_DISK>"
        f"<USED_DISK>{min(usage.disk_mib, total.disk_mib)}</USED_DISK></DATASTORES>"
        f"<PCI_DEVICES/><NUMA_NODES/></HOST_SHARE>"
    )


def host_template(obj: Host) -> str:
    """What the driver reported, overridden by what the operator set; and what was learned here."""
    own = {name for name, _ in obj.template.attributes}
    items = [item for item in obj.facts.attributes if item[0] not in own]
    items += [item for item in obj.template.attributes if item[0] not in MADE]
    items += [(LEASE_OPERATION, measured(one)) for one in obj.measured]
    if obj.error is not None:
        items.append(("ERROR", obj.error))
    return "".join(attribute_list(items))


def measured(one: Measured) -> Pairs:
    """What plans of leases go by."""
    return (
        ("KIND", one.kind),
        ("MEAN", f"{one.mean:.4g}"),
        ("DEVIATION", f"{one.deviation:.4g}"),
        ("UNIT", one.unit),
        ("COUNT", str(one.count)),
    )


def cluster_facts(cluster: Cluster, view: View) -> ClusterFacts:
    return (
        tuple(h.id for h in view.hosts.values() if h.cluster_id == cluster.id),
        tuple(d.id for d in view.datastores.values() if cluster.id in d.clusters),
        tuple(n.id for n in view.networks.values() if cluster.id in n.clusters),
    )


def cluster(obj: Cluster, facts: ClusterFacts) -> tuple[str]:
    hosts, datastores, networks = facts
    return (
        f"<CLUSTER><ID>{obj.id}</ID><NAME>{text(obj.name)}</NAME>{ids('HOSTS', hosts)}"
        f"{ids('DATASTORES', datastores)}{ids('VNETS', networks)}"
        f"{wrapped('TEMPLATE', attributes(obj.template))}</CLUSTER>",
    )
