"""The methods that most kinds of objects share: update, rename, chmod, chown, delete."""

from orrery.api.xmlrpc.method import Api, Method, Result, Run, method
from orrery.core.messages import Actor
from orrery.core.model.kinds import Kind
from orrery.service import objects

CHMOD = " ".join(
    f"{who}_{right}:i" for who in ("owner", "group", "other") for right in ("u", "m", "a")
)


def update(kind: Kind) -> Run:
    async def run(api: Api, actor: Actor, *, oid: int, template: str, append: int) -> Result:
        """Replaces (0) or merges (1) the user's attributes."""
        return await objects.update(api.engine, actor, kind, oid, template, append)

    return run


def rename(kind: Kind) -> Run:
    async def run(api: Api, actor: Actor, *, oid: int, name: str) -> Result:
        """Gives the object another name."""
        return await objects.rename(api.engine, actor, kind, oid, name)

    return run


def chmod(kind: Kind) -> Run:
    async def run(api: Api, actor: Actor, *, oid: int, **bits: int) -> Result:
        """Changes permission bits: 1 sets, 0 clears, -1 keeps."""
        owner = (bits["owner_u"], bits["owner_m"], bits["owner_a"])
        group = (bits["group_u"], bits["group_m"], bits["group_a"])
        other = (bits["other_u"], bits["other_m"], bits["other_a"])
        return await objects.chmod(api.engine, actor, kind, oid, (*owner, *group, *other))

    return run


def chown(kind: Kind) -> Run:
    async def run(api: Api, actor: Actor, *, oid: int, uid: int, gid: int) -> Result:
        """Gives the object another owner or group; -1 keeps."""
        return await objects.chown(api.engine, actor, kind, oid, uid, gid)

    return run


def delete(kind: Kind) -> Run:
    async def run(api: Api, actor: Actor, *, oid: int, **_: bool) -> Result:
        """Deletes the object, unless it is in use."""
        return await objects.delete(api.engine, actor, kind, oid)

    return run


def unowned(name: str, kind: Kind) -> tuple[Method, ...]:
    """What can be done with objects that have no owner."""
    return (
        method(f"{name}.update", "oid:i template:s append:i=0", update(kind)),
        method(f"{name}.rename", "oid:i name:s", rename(kind)),
    )


def owned(name: str, kind: Kind) -> tuple[Method, ...]:
    """What can be done with objects that have owner and permissions."""
    return (
        *unowned(name, kind),
        method(f"{name}.chmod", f"oid:i {CHMOD}", chmod(kind)),
        method(f"{name}.chown", "oid:i uid:i gid:i", chown(kind)),
    )
