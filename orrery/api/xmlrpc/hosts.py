"""one.host.*, one.hostpool.*, one.cluster.* and one.clusterpool.*."""

from orrery.api.xmlrpc.method import Api, Code, Creates, Result, method
from orrery.api.xmlrpc.objects import delete, unowned
from orrery.api.xmlrpc.vms import since_seconds
from orrery.core.messages import Actor
from orrery.core.model.kinds import Kind
from orrery.service import hosts
from orrery.service.engine import Sample


async def allocate(
    api: Api, actor: Actor, *, name: str, im_mad: str, vm_mad: str, cluster: int
) -> Result:
    """Adds a host."""
    return await hosts.allocate(api.engine, actor, name, im_mad, vm_mad, cluster)


def info(api: Api, actor: Actor, *, oid: int, decrypt: bool) -> Result:
    """Shows one host."""
    return api.documents.host(hosts.get(api.engine.view, actor, oid))


async def status(api: Api, actor: Actor, *, oid: int, status: int) -> Result:
    """Enables (0), disables (1) or takes offline (2) a host."""
    return await hosts.set_status(api.engine, actor, oid, status)


async def monitoring(api: Api, actor: Actor, *, oid: int) -> Result:
    """Shows the monitoring numbers kept of one host."""
    host = hosts.get(api.engine.view, actor, oid)
    return api.documents.series(await api.monitoring.series(Kind.HOST, [host.id], 0.0))


def pool_info(api: Api, actor: Actor) -> Result:
    """Lists hosts."""
    return api.documents.host_pool(hosts.listing(api.engine.view, actor))


async def pool_monitoring(api: Api, actor: Actor, *, seconds: int) -> Result:
    """Shows the monitoring numbers of hosts: -1 all, 0 the newest, n those of the last n
    seconds.
    """
    ids = [host.id for host in hosts.listing(api.engine.view, actor)]
    if seconds == 0:
        last = ((host, api.monitoring.last_host(host)) for host in ids)
        return api.documents.series(
            Sample(Kind.HOST, host, values.get("TIMESTAMP", 0.0), dict(values))
            for host, values in last
            if values
        )
    since = since_seconds(api, seconds)
    return api.documents.series(await api.monitoring.series(Kind.HOST, ids, since))


async def cluster_allocate(api: Api, actor: Actor, *, name: str) -> Result:
    """Makes a cluster of hosts."""
    return await hosts.allocate_cluster(api.engine, actor, name)


def cluster_info(api: Api, actor: Actor, *, oid: int, decrypt: bool) -> Result:
    """Shows one cluster."""
    return api.documents.cluster(hosts.get_cluster(api.engine.view, actor, oid))


async def cluster_add_host(api: Api, actor: Actor, *, oid: int, host: int) -> Result:
    """Puts a host into a cluster."""
    return await hosts.add_host(api.engine, actor, oid, host)


def cluster_pool(api: Api, actor: Actor) -> Result:
    """Lists clusters."""
    return api.documents.cluster_pool(hosts.list_clusters(api.engine.view, actor))


METHODS = (
    method(
        "host.allocate",
        "name:s im_mad:s vm_mad:s cluster:i=-1",
        allocate,
        Creates(Code.ALLOCATE, "host"),
    ),
    method("host.info", "oid:i decrypt:b=false", info),
    method("host.status", "oid:i status:i", status),
    method("host.delete", "oid:i", delete(Kind.HOST)),
    method("host.monitoring", "oid:i", monitoring),
    *unowned("host", Kind.HOST),
    method("hostpool.info", "", pool_info),
    method("hostpool.monitoring", "seconds:i=-1", pool_monitoring),
    method("cluster.allocate", "name:s", cluster_allocate, Creates(Code.ALLOCATE, "cluster")),
    method("cluster.info", "oid:i decrypt:b=false", cluster_info),
    method("cluster.delete", "oid:i", delete(Kind.CLUSTER)),
    method("cluster.addhost", "oid:i host:i", cluster_add_host),
    *unowned("cluster", Kind.CLUSTER),
    method("clusterpool.info", "", cluster_pool),
)
