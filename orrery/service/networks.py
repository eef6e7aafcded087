"""Use cases of virtual networks and security groups."""

from orrery.core.access import require, require_create
from orrery.core.errors import InvalidInput
from orrery.core.messages import (
    Actor,
    AddAddressRange,
    AllocateNetwork,
    AllocateSecurityGroup,
    HoldAddress,
    RemoveAddressRange,
)
from orrery.core.model.kinds import Kind
from orrery.core.model.network import SecurityGroup, VirtualNetwork
from orrery.core.model.view import View
from orrery.core.status import Right
from orrery.core.template import Template, write
from orrery.service.engine import Engine
from orrery.service.listing import ALL, select
from orrery.service.objects import ask, created, parse_template, permitted, pick


async def allocate(engine: Engine, actor: Actor, text: str, cluster_id: int = -1) -> int:
    """A virtual network; cluster -1 is the default one."""
    require_create(actor, Kind.NETWORK)
    cluster = pick(engine.view.clusters, Kind.CLUSTER, max(cluster_id, 0))
    require(actor, Right.ADMIN, cluster)
    command = AllocateNetwork(
        cause=engine.new_cause(), actor=actor, template=parse_template(text), cluster_id=cluster.id
    )
    return await created(engine, command)


async def add_range(engine: Engine, actor: Actor, network_id: int, text: str) -> int:
    permitted(engine, actor, Right.ADMIN, Kind.NETWORK, network_id)
    command = AddAddressRange(
        cause=engine.new_cause(),
        actor=actor,
        network_id=network_id,
        template=parse_template(text),
    )
    await engine.submit(command)
    return network_id


async def remove_range(engine: Engine, actor: Actor, network_id: int, ar_id: int) -> int:
    permitted(engine, actor, Right.ADMIN, Kind.NETWORK, network_id)
    command = RemoveAddressRange(
        cause=engine.new_cause(), actor=actor, network_id=network_id, ar_id=ar_id
    )
    await engine.submit(command)
    return network_id


async def hold(engine: Engine, actor: Actor, network_id: int, text: str, *, held: bool) -> int:
    """Hold an address back from VMs, or release it: LEASES=[IP=...] or LEASES=[MAC=...]."""
    permitted(engine, actor, Right.MANAGE, Kind.NETWORK, network_id)
    address = address_in(parse_template(text))
    command = HoldAddress(
        cause=engine.new_cause(), actor=actor, network_id=network_id, address=address, held=held
    )
    return await ask(engine, command, network_id)


def address_in(template: Template) -> str:
    lease = template.vector("LEASES") or {}
    address = lease.get("IP") or lease.get("MAC")
    if not address:
        raise InvalidInput("LEASES", write(template), "names no address: give LEASES=[IP=...]")
    return address


async def allocate_security_group(engine: Engine, actor: Actor, text: str) -> int:
    require_create(actor, Kind.SECURITY_GROUP)
    command = AllocateSecurityGroup(
        cause=engine.new_cause(), actor=actor, template=parse_template(text)
    )
    return await created(engine, command)


def get(view: View, actor: Actor, network_id: int) -> VirtualNetwork:
    network = pick(view.networks, Kind.NETWORK, network_id)
    require(actor, Right.USE, network)
    return network


def listing(
    view: View, actor: Actor, flag: int = ALL, start: int = -1, end: int = -1
) -> list[VirtualNetwork]:
    return select(view.networks, actor, flag, start, end)


def get_security_group(view: View, actor: Actor, group_id: int) -> SecurityGroup:
    group = pick(view.security_groups, Kind.SECURITY_GROUP, group_id)
    require(actor, Right.USE, group)
    return group


def list_security_groups(
    view: View, actor: Actor, flag: int = ALL, start: int = -1, end: int = -1
) -> list[SecurityGroup]:
    return select(view.security_groups, actor, flag, start, end)
