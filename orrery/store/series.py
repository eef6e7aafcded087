"""Monitoring series: in memory for simulations, in a database file of their own for the daemon.

Kept apart from the state and written with synchronous=NORMAL: losing the last seconds of it is no
loss.
"""

import sqlite3
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from orrery.core.model.kinds import Kind
from orrery.ports.store import Sample
from orrery.store.sqlite import private

KEPT_IN_MEMORY = 10_000
DECODER = msgspec.json.Decoder(dict[str, float])
ENCODER = msgspec.json.Encoder()


class MemorySeries:
    """The newest samples only."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=KEPT_IN_MEMORY)

    async def append(self, samples: Sequence[Sample]) -> None:
        self._samples.extend(samples)

    async def read(self, kind: Kind, ids: Sequence[int] | None, since: float) -> list[Sample]:
        return [
            s
            for s in self._samples
            if s.kind is kind and s.at >= since and (ids is None or s.id in ids)
        ]

    async def prune(self, before: float) -> None:
        while self._samples and self._samples[0].at < before:
            self._samples.popleft()


class SqliteSeries:
    """One row a sample."""

    def __init__(self, path: Path) -> None:
        private(path)
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS sample (kind TEXT NOT NULL, id INTEGER NOT NULL, "
            "at REAL NOT NULL, numbers TEXT NOT NULL) STRICT"
        )
        self._db.execute("CREATE INDEX IF NOT EXISTS sample_of ON sample (kind, id, at)")
        self._db.execute("CREATE INDEX IF NOT EXISTS sample_at ON sample (at)")

    async def append(self, samples: Sequence[Sample]) -> None:
        rows = [(s.kind.value, s.id, s.at, ENCODER.encode(s.values).decode()) for s in samples]
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO sample VALUES (?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")

    async def read(self, kind: Kind, ids: Sequence[int] | None, since: float) -> list[Sample]:
        if ids is None:
            rows = self._db.execute(
                "SELECT id, at, numbers FROM sample WHERE kind = ? AND at >= ? ORDER BY at",
                (kind.value, since),
            ).fetchall()
        else:
            rows = [row for one in ids for row in self._of(kind, one, since)]
        return [Sample(kind, i, at, DECODER.decode(numbers)) for i, at, numbers in rows]

    def _of(self, kind: Kind, one: int, since: float) -> list[tuple[int, float, str]]:
        return self._db.execute(
            "SELECT id, at, numbers FROM sample WHERE kind = ? AND id = ? AND at >= ? ORDER BY at",
            (kind.value, one, since),
        ).fetchall()

    async def prune(self, before: float) -> None:
        self._db.execute("DELETE FROM sample WHERE at < ?", (before,))

    def close(self) -> None:
        self._db.close()
