"""Which objects a pool shows: filter flags, ranges and pages as OpenNebula's API has them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

from orrery.core.access import visible
from orrery.core.errors import InvalidInput
from orrery.core.messages import Actor
from orrery.core.model.kinds import Entity, Owned

T = TypeVar("T", bound=Entity)

PRIMARY_GROUP = -4
MINE = -3
ALL = -2
MINE_AND_GROUPS = -1

Keep = Callable[[Entity], bool]


def select(
    pool: Mapping[int, T], actor: Actor, flag: int = ALL, start: int = -1, end: int = -1
) -> list[T]:
    """The objects of a pool that the caller may see, chosen by flag, cut by range or page.

    Raises:
        InvalidInput: no such filter flag.
    """
    return list(cut(chosen(pool.values(), actor, flag), start, end))


def chosen(objects: Iterable[T], actor: Actor, flag: int) -> Iterator[T]:
    """Those the flag asks for and the caller may see, in the order given."""
    wanted = asked_for(actor, flag)
    if actor.is_admin and flag == ALL:
        return iter(objects)
    return (obj for obj in objects if wanted(obj) and visible(actor, obj))


def asked_for(actor: Actor, flag: int) -> Keep:
    """What a filter flag means, as a condition."""
    if flag < PRIMARY_GROUP:
        raise InvalidInput(
            "Incorrect filter_flag", str(flag), "is not -4, -3, -2, -1 or the id of a user"
        )
    if flag == ALL:
        return lambda obj: True
    if flag == PRIMARY_GROUP:
        return lambda obj: isinstance(obj, Owned) and obj.gid == actor.gids[0]
    if flag == MINE_AND_GROUPS:
        return lambda obj: (
            isinstance(obj, Owned) and (obj.uid == actor.uid or obj.gid in actor.gids)
        )
    uid = actor.uid if flag == MINE else flag
    return lambda obj: isinstance(obj, Owned) and obj.uid == uid


def cut(objects: Iterator[T], start: int, end: int) -> Iterator[T]:
    """`end` below -1: a page of -end objects from offset `start`; else a range of ids."""
    if end < -1:
        first = max(start, 0)
        return islice(objects, first, first - end)
    if start < 0:
        return objects
    if end < 0:
        return (obj for obj in objects if obj.id >= start)
    return (obj for obj in objects if start <= obj.id <= end)
