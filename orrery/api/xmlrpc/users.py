"""one.user.*, one.userpool.*, one.group.* and one.grouppool.*."""

from orrery.api.xmlrpc.method import Api, Code, Creates, Result, method
from orrery.api.xmlrpc.objects import delete, update
from orrery.api.xmlrpc_codec import WRONG_TYPE, Fault, Value
from orrery.core.messages import Actor
from orrery.core.model.kinds import Kind
from orrery.service import users


async def allocate(
    api: Api, actor: Actor, *, name: str, password: str, driver: str, groups: tuple[Value, ...]
) -> Result:
    """Makes a user; the first group is the primary one."""
    return await users.allocate(
        api.engine, api.sessions, actor, name, password, driver, group_ids(groups)
    )


def group_ids(given: tuple[Value, ...]) -> tuple[int, ...]:
    gids = tuple(gid for gid in given if isinstance(gid, int) and not isinstance(gid, bool))
    if len(gids) != len(given):
        raise Fault(WRONG_TYPE, "Parameter 5 (groups) of one.user.allocate is not an array of int")
    return gids


def info(api: Api, actor: Actor, *, oid: int, decrypt: bool) -> Result:
    """Shows one user; -1 is the caller."""
    return api.documents.user(users.get(api.engine.view, actor, oid))


async def passwd(api: Api, actor: Actor, *, oid: int, password: str) -> Result:
    """Sets a password, which ends the user's sessions and tokens."""
    return await users.set_password(api.engine, api.sessions, actor, oid, password)


async def login(api: Api, actor: Actor, *, name: str, token: str, valid: int, egid: int) -> Result:
    """Makes a token (valid seconds, -1 for ever) or revokes it (0, empty for all)."""
    return await users.login(api.engine, actor, api.make_token, name, token, valid, egid) or " "


def pool_info(api: Api, actor: Actor) -> Result:
    """Lists users."""
    return api.documents.user_pool(users.listing(api.engine.view, actor))


def group_info(api: Api, actor: Actor, *, oid: int, decrypt: bool) -> Result:
    """Shows one group; -1 is the caller's primary group."""
    return api.documents.group(users.get_group(api.engine.view, actor, oid))


def group_pool(api: Api, actor: Actor) -> Result:
    """Lists groups."""
    return api.documents.group_pool(users.list_groups(api.engine.view, actor))


METHODS = (
    method(
        "user.allocate",
        "name:s password:s driver:s=core groups:a=",
        allocate,
        Creates(Code.INTERNAL, "user"),
    ),
    method("user.info", "oid:i decrypt:b=false", info),
    method("user.passwd", "oid:i password:s", passwd),
    method("user.login", "name:s token:s valid:i egid:i=-1", login),
    method("user.update", "oid:i template:s append:i=0", update(Kind.USER)),
    method("user.delete", "oid:i", delete(Kind.USER)),
    method("userpool.info", "", pool_info),
    method("group.info", "oid:i decrypt:b=false", group_info),
    method("grouppool.info", "", group_pool),
)
