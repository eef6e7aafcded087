"""one.vn.*, one.vnpool.*, one.secgroup.* and one.secgrouppool.*."""

from orrery.api.xmlrpc.method import Api, Code, Creates, Result, method
from orrery.api.xmlrpc.objects import delete, owned
from orrery.core.messages import Actor
from orrery.core.model.kinds import Kind
from orrery.service import networks


async def allocate(api: Api, actor: Actor, *, template: str, cluster: int) -> Result:
    """Makes a virtual network."""
    return await networks.allocate(api.engine, actor, template, cluster)


def info(api: Api, actor: Actor, *, oid: int, decrypt: bool) -> Result:
    """Shows one virtual network with every address in use."""
    return api.documents.network(networks.get(api.engine.view, actor, oid))


async def add_range(api: Api, actor: Actor, *, oid: int, template: str) -> Result:
    """Adds an address range: AR=[...]."""
    return await networks.add_range(api.engine, actor, oid, template)


async def remove_range(api: Api, actor: Actor, *, oid: int, ar: int, force: bool) -> Result:
    """Removes an address range none of whose addresses is in use."""
    return await networks.remove_range(api.engine, actor, oid, ar)


async def hold(api: Api, actor: Actor, *, oid: int, template: str) -> Result:
    """Holds an address back from VMs: LEASES=[IP=...]."""
    return await networks.hold(api.engine, actor, oid, template, held=True)


async def release(api: Api, actor: Actor, *, oid: int, template: str) -> Result:
    """Gives an address that was held back to VMs again."""
    return await networks.hold(api.engine, actor, oid, template, held=False)


def pool_info(api: Api, actor: Actor, *, flag: int, start: int, end: int) -> Result:
    """Lists virtual networks."""
    return api.documents.network_pool(networks.listing(api.engine.view, actor, flag, start, end))


async def group_allocate(api: Api, actor: Actor, *, template: str) -> Result:
    """Makes a security group."""
    return await networks.allocate_security_group(api.engine, actor, template)


def group_info(api: Api, actor: Actor, *, oid: int, decrypt: bool) -> Result:
    """Shows one security group."""
    return api.documents.security_group(networks.get_security_group(api.engine.view, actor, oid))


def group_pool(api: Api, actor: Actor, *, flag: int, start: int, end: int) -> Result:
    """Lists security groups."""
    return api.documents.security_group_pool(
        networks.list_security_groups(api.engine.view, actor, flag, start, end)
    )


METHODS = (
    method(
        "vn.allocate",
        "template:s cluster:i=-1",
        allocate,
        Creates(Code.INTERNAL, "virtual network"),
    ),
    method("vn.info", "oid:i decrypt:b=false", info),
    method("vn.add_ar", "oid:i template:s", add_range),
    method("vn.rm_ar", "oid:i ar:i force:b=false", remove_range),
    method("vn.hold", "oid:i template:s", hold),
    method("vn.release", "oid:i template:s", release),
    method("vn.delete", "oid:i", delete(Kind.NETWORK)),
    *owned("vn", Kind.NETWORK),
    method("vnpool.info", "flag:i start:i end:i", pool_info),
    method(
        "secgroup.allocate",
        "template:s",
        group_allocate,
        Creates(Code.INTERNAL, "security group"),
    ),
    method("secgroup.info", "oid:i decrypt:b=false", group_info),
    method("secgroup.delete", "oid:i", delete(Kind.SECURITY_GROUP)),
    *owned("secgroup", Kind.SECURITY_GROUP),
    method("secgrouppool.info", "flag:i start:i end:i", group_pool),
)
