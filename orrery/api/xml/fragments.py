"""Remembers, per object, its XML already escaped for XML-RPC: an object is serialised once per
change.

An entry is good as long as the object is the very same and what its XML shows of other objects
is equal.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from orrery.api.xmlrpc_codec import escape
from orrery.core.model.kinds import Entity
from orrery.service.engine import Values

E = TypeVar("E", bound=Entity)
F = TypeVar("F")

Pieces = tuple[bytes, ...]

MAX_ENTRIES = 250_000


def escaped(document: str) -> bytes:
    """A piece of an answer, ready to be joined."""
    return escape(document).encode()


class Known(Struct):
    obj: Entity
    facts: object
    pieces: Pieces


class Numbers(Struct):
    """Monitoring numbers of one VM: the time of the poll, and the element."""

    values: Values
    polled: bytes
    element: bytes


class Fragments:
    """Escaped pieces by (form, id)."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, int], Known] = {}
        self._numbers: dict[int, Numbers] = {}

    def of(self, form: str, obj: E, facts: F, render: Callable[[E, F], tuple[str, ...]]) -> Pieces:
        """The pieces of an object in one form; `render` is called only when something changed."""
        entry = self._entries.get((form, obj.id))
        if entry is not None and entry.obj is obj and entry.facts == facts:
            return entry.pieces
        pieces = tuple([escaped(piece) for piece in render(obj, facts)])
        if len(self._entries) >= MAX_ENTRIES:
            self._entries.clear()
        self._entries[form, obj.id] = Known(obj, facts, pieces)
        return pieces

    def numbers(
        self, vm_id: int, values: Values, render: Callable[[Values | None], str]
    ) -> Numbers:
        """The numbers of a VM; a new sample is a new mapping, so identity tells."""
        known = self._numbers.get(vm_id)
        if known is not None and known.values is values:
            return known
        polled = str(int(values.get("TIMESTAMP", 0))).encode()
        fresh = Numbers(values, polled, escaped(render(values)))
        if len(self._numbers) >= MAX_ENTRIES:
            self._numbers.clear()
        self._numbers[vm_id] = fresh
        return fresh


class Entry(Struct, Generic[E]):
    """One object on a shelf: its form in cuts, and the pieces with monitoring numbers between.

    The cuts are good while the object and its facts are the same; the facts cannot have changed
    while the names' revision stands.
    """

    obj: E
    facts: object
    cuts: Pieces
    names_revision: int = -1
    sample: object = None
    """The sample whose numbers are in the pieces."""
    pieces: Pieces = ()


class Shelf(Generic[E]):
    """One form of all objects of a kind, cut where monitoring numbers go."""

    def __init__(self, render: Callable[[E, F], tuple[str, ...]], no_numbers: bytes) -> None:
        self._render: Callable[[E, object], tuple[str, ...]] = render  # type: ignore[assignment]
        self.no_numbers = no_numbers
        self.entries: dict[int, Entry[E]] = {}

    def cut(self, obj: E, facts: object) -> Entry[E]:
        """The entry of an object; rendered again only when it or its facts changed."""
        entry = self.entries.get(obj.id)
        if entry is not None and entry.obj is obj and entry.facts == facts:
            return entry
        cuts = tuple([escaped(piece) for piece in self._render(obj, facts)])
        if len(self.entries) >= MAX_ENTRIES:
            self.entries.clear()
        entry = self.entries[obj.id] = Entry(obj, facts, cuts)
        return entry
