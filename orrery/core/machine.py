"""Runs a life cycle that is written as a table: look up (status, stimulus), call the handler, check
the result.

A stimulus is what the table is keyed by: the class of a command, the class of an outcome, or a fact
such as a domain's state. What is not in the table is refused (commands) or ignored on purpose
(events).
"""

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct

from orrery.core.errors import BrokenInvariant
from orrery.core.messages import Decision, Message
from orrery.core.model.view import View

S = TypeVar("S", bound=IntEnum)

Handler = Callable[..., Decision]
"""(object, message, view, now) -> Decision"""


class Row(Struct, Generic[S], frozen=True):
    """One row: in any of `statuses`, on `stimulus`, `handler` decides; it may lead to
    `leads_to`."""

    statuses: tuple[S, ...]
    stimulus: object
    handler: Handler
    leads_to: tuple[S, ...]


class Machine(Generic[S]):
    """A table of rows, looked up by (status, stimulus).

    Raises:
        BrokenInvariant: two rows claim the same pair.
    """

    def __init__(self, name: str, statuses: type[S], rows: Iterable[Row[S]]) -> None:
        self.name = name
        self.statuses = statuses
        self.rows = tuple(rows)
        self._edges: dict[tuple[S, object], Row[S]] = {}
        for row in self.rows:
            for status in row.statuses:
                if (status, row.stimulus) in self._edges:
                    raise BrokenInvariant(f"{name}: two rows for {status.name}, {row.stimulus}")
                self._edges[status, row.stimulus] = row

    def handles(self, status: S, stimulus: object) -> bool:
        return (status, stimulus) in self._edges

    def run(
        self, obj: Any, stimulus: object, message: Message, view: View, now: float
    ) -> Decision | None:
        """The decision, or None when the table has no row for it.

        Raises:
            Refused: the handler refuses the command.
            BrokenInvariant: the handler led somewhere its row does not allow.
        """
        row = self._edges.get((obj.status, stimulus))
        if row is None:
            return None
        decision = row.handler(obj, message, view, now)
        put: tuple[Any, ...] = decision.put
        for changed in put:
            if type(changed) is type(obj) and changed.id == obj.id:
                self._check(row, obj.status, changed.status)
        return decision

    def _check(self, row: Row[S], before: S, after: S) -> None:
        if after not in row.leads_to:
            raise BrokenInvariant(f"{self.name}: {before!r} led to {after!r}, not {row.leads_to}")

    def edges(self) -> Mapping[tuple[S, object], Row[S]]:
        return self._edges
