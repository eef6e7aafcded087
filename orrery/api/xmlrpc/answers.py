"""Remembers whole answers about pools, as long as nothing that they could show has changed.

Keyed by who asks, so that it never shows anybody what another may see; bounded in bytes.
"""

from collections import OrderedDict
from collections.abc import Mapping

from msgspec import Struct

from orrery.api.xmlrpc.method import Api, Method
from orrery.api.xmlrpc_codec import Value
from orrery.core.messages import Actor

BYTES_KEPT = 96 * 1024 * 1024

Key = tuple[str, int, tuple[int, ...], tuple[Value, ...]]
Moment = tuple[int, int]
"""The state's revision and the monitoring numbers': a later answer may differ only when one did."""


class Kept(Struct, frozen=True):
    moment: Moment
    answer: bytes


class Answers:
    """The newest answers first; the oldest go when there are too many bytes."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._bytes = 0

    def find(self, row: Method, actor: Actor, arguments: Mapping[str, Value]) -> bytes | None:
        """The answer given before, if it would be the same now."""
        if not row.is_pool:
            return None
        key = key_of(row, actor, arguments)
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.moment != self._moment():
            self._forget(key)
            return None
        self._kept.move_to_end(key)
        return kept.answer

    def keep(
        self, row: Method, actor: Actor, arguments: Mapping[str, Value], answer: bytes
    ) -> None:
        if not row.is_pool or len(answer) > BYTES_KEPT // 2:
            return
        key = key_of(row, actor, arguments)
        self._forget(key)
        self._kept[key] = Kept(self._moment(), answer)
        self._bytes += len(answer)
        while self._bytes > BYTES_KEPT:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.answer)

    def _moment(self) -> Moment:
        return (self._api.engine.view.revision, self._api.monitoring.revision)


def key_of(row: Method, actor: Actor, arguments: Mapping[str, Value]) -> Key:
    """Pools take numbers and texts, so the arguments can be part of a key."""
    return (row.name, actor.uid, actor.gids, tuple(arguments.values()))
