"""Use cases of hosts and clusters of hosts."""

from orrery.core.access import require, require_create
from orrery.core.errors import InvalidInput
from orrery.core.messages import Actor, AllocateCluster, AllocateHost, SetHostStatus
from orrery.core.model.host import Cluster, Host
from orrery.core.model.kinds import Kind
from orrery.core.model.view import View
from orrery.core.names import check_name
from orrery.core.status import Right
from orrery.service.engine import Engine
from orrery.service.listing import select
from orrery.service.objects import ask, created, not_available, permitted, pick

STATUSES = {0: "enable", 1: "disable", 2: "offline"}


async def allocate(
    engine: Engine, actor: Actor, name: str, im_mad: str, vm_mad: str, cluster_id: int = -1
) -> int:
    """A new host; cluster -1 is the default one. Takes CREATE on hosts and ADMIN on the cluster."""
    require_create(actor, Kind.HOST)
    check_name("NAME", name)
    cluster = pick(engine.view.clusters, Kind.CLUSTER, max(cluster_id, 0))
    require(actor, Right.ADMIN, cluster)
    command = AllocateHost(
        cause=engine.new_cause(),
        actor=actor,
        name=name,
        im_mad=im_mad,
        vm_mad=vm_mad,
        cluster_id=cluster.id,
    )
    return await created(engine, command)


async def set_status(engine: Engine, actor: Actor, host_id: int, status: int) -> int:
    permitted(engine, actor, Right.ADMIN, Kind.HOST, host_id)
    if status not in STATUSES:
        names = ", ".join(f"{number} ({word})" for number, word in STATUSES.items())
        raise InvalidInput("status", str(status), f"is none of {names}")
    command = SetHostStatus(cause=engine.new_cause(), actor=actor, host_id=host_id, status=status)
    return await ask(engine, command, host_id)


async def allocate_cluster(engine: Engine, actor: Actor, name: str) -> int:
    require_create(actor, Kind.CLUSTER)
    check_name("NAME", name)
    command = AllocateCluster(cause=engine.new_cause(), actor=actor, name=name)
    return await created(engine, command)


async def add_host(engine: Engine, actor: Actor, cluster_id: int, host_id: int) -> int:
    """Clients call this after they made a host in its cluster: then there is nothing to do."""
    permitted(engine, actor, Right.ADMIN, Kind.CLUSTER, cluster_id)
    host = pick(engine.view.hosts, Kind.HOST, host_id)
    require(actor, Right.ADMIN, host)
    if host.cluster_id == cluster_id:
        return cluster_id
    raise not_available("Moving a host to another cluster")


def get(view: View, actor: Actor, host_id: int) -> Host:
    host = pick(view.hosts, Kind.HOST, host_id)
    require(actor, Right.USE, host)
    return host


def listing(view: View, actor: Actor) -> list[Host]:
    return select(view.hosts, actor)


def get_cluster(view: View, actor: Actor, cluster_id: int) -> Cluster:
    cluster = pick(view.clusters, Kind.CLUSTER, cluster_id)
    require(actor, Right.USE, cluster)
    return cluster


def list_clusters(view: View, actor: Actor) -> list[Cluster]:
    return select(view.clusters, actor)
