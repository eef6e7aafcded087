"""What rows of the JSON API's table are made of: pages of lists, and what is alike for all kinds.
Knows no kind of object.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from orrery.api.bodies import Change, Created, bits_of, text_of
from orrery.api.route import Call, Query, Route
from orrery.core.errors import InvalidInput
from orrery.core.model.kinds import Kind
from orrery.service import objects, users
from orrery.service.listing import ALL, MINE, MINE_AND_GROUPS

T = TypeVar("T")

FLAGS = {"all": ALL, "mine": MINE, "groups": MINE_AND_GROUPS}


def page_of(call: Call) -> tuple[int, int, int]:
    """Filter flag, offset and page size as listings take them; `shown` cuts what they give."""
    flag = flag_of(call)
    offset, limit = call.query["offset"], call.query["limit"]
    if offset < 0:
        raise InvalidInput("offset", str(offset), "is negative")
    if not 0 < limit <= MAX_LIMIT:
        raise InvalidInput("limit", str(limit), f"is not 1 to {MAX_LIMIT}")
    return flag, offset, -max(limit, 2)


def flag_of(call: Call) -> int:
    """Whose objects are asked for."""
    owner = call.query["owner"]
    flag = FLAGS.get(owner, number_in(owner))
    if flag is None:
        raise InvalidInput("owner", owner, "is not all, mine, groups or the id of a user")
    return flag


def number_in(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def shown(call: Call, found: list[T]) -> list[T]:
    """At most `limit`: a page of one is not to be had of the listings, whose -1 means no end."""
    return found[: call.query["limit"]]


MAX_LIMIT = 10_000
DEFAULT_LIMIT = 1_000

PAGE = (
    Query(
        "owner",
        str,
        "all (that may be seen), mine, groups (mine and my groups'), or a user's id",
        "all",
    ),
    Query("offset", int, "how many to leave out, in the order of ids", 0),
    Query("limit", int, f"how many at most, up to {MAX_LIMIT}", DEFAULT_LIMIT),
)

# --- change and delete, for all kinds -------------------------------------------------------------


def change(kind: Kind) -> Callable[[Call], Awaitable[Created]]:
    async def run(call: Call) -> Created:
        """Changes password, name, template, permissions and owner, in this order; the first
        refusal ends it.
        """
        given: Change = call.body
        engine, actor, oid = call.engine, call.actor, call.oid
        if given.password is not None:
            await change_password(call, kind, given.password)
        if given.name is not None:
            await objects.rename(engine, actor, kind, oid, given.name)
        if given.template is not None:
            text = text_of(given.template)
            await objects.update(engine, actor, kind, oid, text, int(given.append))
        if given.permissions is not None:
            await objects.chmod(engine, actor, kind, oid, bits_of(given.permissions))
        if given.owner_id is not None or given.group_id is not None:
            uid = -1 if given.owner_id is None else given.owner_id
            gid = -1 if given.group_id is None else given.group_id
            await objects.chown(engine, actor, kind, oid, uid, gid)
        return Created(oid)

    return run


async def change_password(call: Call, kind: Kind, password: str) -> None:
    if kind is not Kind.USER:
        raise InvalidInput("password", "***", "is for users only")
    await users.set_password(call.engine, call.services.sessions, call.actor, call.oid, password)


def delete(kind: Kind) -> Callable[[Call], Awaitable[Created]]:
    async def run(call: Call) -> Created:
        """Deletes the object, unless it is in use."""
        return Created(await objects.delete(call.engine, call.actor, kind, call.oid))

    return run


def get(path: str, run: Any, answer: Any, tag: str, query: tuple[Query, ...] = ()) -> Route:
    return Route(method="GET", path=path, run=run, answer=answer, tag=tag, query=query)


def post(
    path: str, run: Any, body: Any, tag: str, status: int = 201, answer: Any = Created
) -> Route:
    return Route(
        method="POST", path=path, run=run, answer=answer, tag=tag, body=body, status=status
    )


def changes(path: str, kind: Kind, tag: str) -> tuple[Route, Route]:
    """The rows to change and to delete one object."""
    return (
        Route(method="PATCH", path=path, run=change(kind), answer=Created, tag=tag, body=Change),
        Route(method="DELETE", path=path, run=delete(kind), answer=Created, tag=tag),
    )
