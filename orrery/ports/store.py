"""What the engine asks of a database: load everything once, then one transaction per batch."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from orrery.core.messages import Record
from orrery.core.model.action import Action
from orrery.core.model.kinds import Kind
from orrery.core.model.view import Object


class Loaded(Struct, frozen=True, kw_only=True):
    """The whole state as it was committed last."""

    engine_id: str
    objects: tuple[Object, ...]
    actions: tuple[Action, ...]
    next_ids: Mapping[Kind, int]


class Batch(Struct, frozen=True, kw_only=True):
    """One transaction. An action put replaces the unfinished action of its subject."""

    put: Sequence[Object] = ()
    delete: Sequence[tuple[Kind, int]] = ()
    put_actions: Sequence[Action] = ()
    delete_actions: Sequence[tuple[Kind, int]] = ()
    records: Sequence[Record] = ()
    next_ids: Mapping[Kind, int] = {}


class Store(Protocol):
    """Durable state. `commit` returns only when the batch survives a power cut."""

    async def open(self, engine_id: str) -> None:
        """Open (and migrate, if it is older) the database; a new one gets this engine id.

        Raises:
            Refused: another engine holds it, or a newer version of the program wrote it.
        """
        ...

    async def load(self) -> Loaded: ...

    async def commit(self, batch: Batch) -> int:
        """Write all of it or nothing; returns the seq of the last record."""
        ...

    async def records(
        self, after: int, limit: int, *, kind: Kind | None = None, subject_id: int | None = None
    ) -> list[Record]:
        """Records with seq > after, oldest first."""
        ...

    async def prune_records(self, before: float) -> int:
        """Forget records older than `before`; returns how many. Numbers are never given again."""
        ...

    async def close(self) -> None: ...


class Sample(Struct, frozen=True):
    """One monitoring sample of a VM or host: numbers by OpenNebula's names (CPU, MEMORY, NETRX
    ...)."""

    kind: Kind
    id: int
    at: float
    values: dict[str, float]


class Series(Protocol):
    """Monitoring data, kept apart from the state: losing the last seconds of it is no loss."""

    async def append(self, samples: Sequence[Sample]) -> None: ...

    async def read(self, kind: Kind, ids: Sequence[int] | None, since: float) -> list[Sample]: ...

    async def prune(self, before: float) -> None: ...
