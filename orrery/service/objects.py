"""What the use cases of all kinds share: find an object, check the right, rename, update,
chmod, chown, delete.
"""

from collections.abc import Mapping
from typing import TypeVar

from orrery.core.access import changes_admin, check_bits, require
from orrery.core.errors import InvalidInput, NotFound, WrongState
from orrery.core.messages import (
    Actor,
    Chmod,
    Chown,
    Command,
    DeleteObject,
    Rename,
    UpdateTemplate,
)
from orrery.core.model.kinds import Entity, Kind, Owned
from orrery.core.names import check_name, check_user_name
from orrery.core.objects import WORDS, find
from orrery.core.status import Right
from orrery.core.template import Template, parse
from orrery.service.engine import Engine

T = TypeVar("T", bound=Entity)

Bits = tuple[int, int, int, int, int, int, int, int, int]

ADMINISTERED = frozenset({Kind.HOST, Kind.CLUSTER, Kind.GROUP})
"""Kinds whose objects have no owner: changing them takes ADMIN, where owned ones take MANAGE."""

MAX_ID = 1 << 53


def pick(pool: Mapping[int, T], kind: Kind, object_id: int) -> T:
    """The object of that id.

    Raises:
        NotFound: in OpenNebula's words.
    """
    found = pool.get(object_id)
    if found is None:
        shown = object_id if abs(object_id) < MAX_ID else "?"
        raise NotFound(
            f"Error getting {WORDS[kind]} [{shown}].",
            object_kind=kind.name,
            object_id=object_id,
        )
    return found


def permitted(engine: Engine, actor: Actor, right: Right, kind: Kind, object_id: int) -> Entity:
    """The object, if the caller has that right on it.

    Raises:
        NotFound, NotAuthorized.
    """
    found = find(engine.view, kind, object_id)
    require(actor, right, found)
    return found


async def ask(engine: Engine, command: Command, otherwise: int) -> int:
    """Submit a command; its result, or `otherwise` where the core names none."""
    result = await engine.submit(command)
    return otherwise if result is None else result


async def created(engine: Engine, command: Command) -> int:
    """Submit a command that makes an object; its id."""
    result = await engine.submit(command)
    assert result is not None, f"{type(command).__name__} made nothing"
    return result


def parse_template(text: str) -> Template:
    """A submitted template, as text or XML.

    Raises:
        InvalidInput: says where it is wrong.
    """
    return parse(text)


# --- one use case for all kinds -------------------------------------------------------------------


def right_to_change(kind: Kind) -> Right:
    return Right.ADMIN if kind in ADMINISTERED else Right.MANAGE


async def rename(engine: Engine, actor: Actor, kind: Kind, object_id: int, name: str) -> int:
    if kind is Kind.USER:
        check_user_name(name)
    else:
        check_name("NAME", name)
    right = Right.ADMIN if kind is Kind.USER else right_to_change(kind)
    permitted(engine, actor, right, kind, object_id)
    command = Rename(cause=engine.new_cause(), actor=actor, kind=kind, id=object_id, name=name)
    return await ask(engine, command, object_id)


async def update(
    engine: Engine, actor: Actor, kind: Kind, object_id: int, text: str, append: int
) -> int:
    """Replace (0) or merge (1) the user's part of an object's template."""
    if append not in (0, 1):
        raise InvalidInput("Wrong update type", str(append), "is neither 0 (replace) nor 1 (merge)")
    permitted(engine, actor, right_to_change(kind), kind, object_id)
    command = UpdateTemplate(
        cause=engine.new_cause(),
        actor=actor,
        kind=kind,
        id=object_id,
        template=parse_template(text),
        append=append == 1,
    )
    return await ask(engine, command, object_id)


async def chmod(engine: Engine, actor: Actor, kind: Kind, object_id: int, bits: Bits) -> int:
    """Changing an ADMIN bit takes ADMIN on the object, the other bits MANAGE."""
    check_bits(bits)
    found = refuse_unowned(find(engine.view, kind, object_id), kind)
    right = Right.ADMIN if changes_admin(found.permissions, bits) else Right.MANAGE
    require(actor, right, found)
    command = Chmod(cause=engine.new_cause(), actor=actor, kind=kind, id=object_id, bits=bits)
    return await ask(engine, command, object_id)


async def chown(
    engine: Engine, actor: Actor, kind: Kind, object_id: int, uid: int, gid: int
) -> int:
    """-1 keeps. Takes MANAGE on the object and on the new owner, USE on the new group."""
    refuse_unowned(permitted(engine, actor, Right.MANAGE, kind, object_id), kind)
    if uid >= 0:
        permitted(engine, actor, Right.MANAGE, Kind.USER, uid)
    if gid >= 0:
        permitted(engine, actor, Right.USE, Kind.GROUP, gid)
    command = Chown(
        cause=engine.new_cause(),
        actor=actor,
        kind=kind,
        id=object_id,
        uid=uid if uid >= 0 else None,
        gid=gid if gid >= 0 else None,
    )
    return await ask(engine, command, object_id)


async def delete(engine: Engine, actor: Actor, kind: Kind, object_id: int) -> int:
    right = Right.ADMIN if kind is Kind.USER else right_to_change(kind)
    permitted(engine, actor, right, kind, object_id)
    command = DeleteObject(cause=engine.new_cause(), actor=actor, kind=kind, id=object_id)
    return await ask(engine, command, object_id)


def refuse_unowned(found: Entity, kind: Kind) -> Owned:
    if not isinstance(found, Owned):
        raise WrongState(f"{kind.name} [{found.id}] has no owner and no permission bits")
    return found


def not_available(what: str) -> WrongState:
    """A request that OpenNebula knows and this version does not."""
    return WrongState(f"{what} is not available in this version")
