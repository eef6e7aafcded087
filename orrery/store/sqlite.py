"""The embedded store: one connection reads, writes and checkpoints, on the event loop.

WAL with synchronous=FULL, because effects are released after the commit: what is acknowledged
survives a power cut. One connection in exclusive mode, because the SQLite of Debian 12 can corrupt
a WAL that two connections share while one checkpoints; it also keeps a second engine out.
"""

import sqlite3
from pathlib import Path
from typing import Any

from orrery.core.errors import Unavailable
from orrery.core.messages import Record
from orrery.core.model.kinds import Kind
from orrery.core.model.view import KIND_OF, Object
from orrery.ports.store import Batch, Loaded
from orrery.store import schema

UPSERTS = {kind: schema.upsert_sql(kind, "?") for kind in Kind}
DELETES = {kind: f"DELETE FROM {kind.value} WHERE id = ?" for kind in Kind}  # noqa: S608
UPSERT_ACTION = schema.upsert_action_sql("?")
DELETE_ACTION = "DELETE FROM action WHERE subject_kind = ? AND subject_id = ?"
INSERT_RECORD = (
    "INSERT INTO record (at, cause, kind, subject_kind, subject_id, body) VALUES (?, ?, ?, ?, ?, ?)"
)
SET_META = (
    "INSERT INTO meta (key, value) VALUES (?, ?) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


REMEDIES = (
    ("locked", "is in use by another engine: stop it, or give another --home"),
    ("not a database", "is not a database of this engine: move it away, or give another --home"),
    ("No such file", "cannot be made: its directory does not exist"),
    ("Permission denied", "cannot be opened: this user may not write there"),
)


def private(path: Path) -> None:
    """The file for its owner's eyes, before SQLite makes others with the same mode beside it."""
    path.touch(mode=0o600)
    path.chmod(0o600)


class SqliteStore:
    """`path` is the database file; its directory must exist.

    Under virtual time (`durable=False`) nothing is synced: a simulated crash is no power cut.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._path = path
        self._durable = durable
        self._db: sqlite3.Connection | None = None

    @property
    def db(self) -> sqlite3.Connection:
        assert self._db is not None, "the store is not open"
        return self._db

    async def open(self, engine_id: str) -> None:
        """Open and migrate; a new database gets this engine id.

        Raises:
            Unavailable: another engine holds the file, a newer version wrote it, or it is no
            database at all.
        """
        try:
            private(self._path)
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=0.2)
            self._set_up(engine_id)
        except (OSError, sqlite3.DatabaseError) as error:
            await self.close()
            remedy = next((text for words, text in REMEDIES if words in str(error)), None)
            if remedy is None:
                raise
            raise Unavailable(f"{self._path} {remedy}") from error
        except BaseException:
            await self.close()
            raise

    def _set_up(self, engine_id: str) -> None:
        for pragma in (
            "locking_mode = EXCLUSIVE",
            "journal_mode = WAL",
            f"synchronous = {'FULL' if self._durable else 'OFF'}",
            "temp_store = MEMORY",
            "cache_size = -65536",
        ):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute(schema.META_TABLE)
        version = int(self._meta("schema_version", "0"))
        if version > schema.VERSION:
            self.db.execute("ROLLBACK")
            raise Unavailable(
                f"{self._path} was written by a newer version (schema {version}, this one knows "
                f"{schema.VERSION}): install that version again"
            )
        for number in range(version + 1, schema.VERSION + 1):
            for statement in schema.MIGRATIONS[number]:
                self.db.execute(statement)
        self.db.execute(SET_META, ("schema_version", str(schema.VERSION)))
        if version == 0:
            self.db.execute(SET_META, ("engine_id", engine_id))
        self.db.execute("COMMIT")

    def _meta(self, key: str, default: str) -> str:
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else str(row[0])

    async def load(self) -> Loaded:
        objects: list[Object] = []
        for kind in Kind:
            decode = schema.DECODERS[kind].decode
            rows = self.db.execute(f"SELECT body FROM {kind.value} ORDER BY id")  # noqa: S608
            objects.extend(decode(body) for (body,) in rows)
        actions = tuple(
            schema.ACTION_DECODER.decode(body)
            for (body,) in self.db.execute("SELECT body FROM action")
        )
        next_ids = {
            kind: int(value)
            for kind in Kind
            if (value := self._meta(f"next_id.{kind.value}", "")) != ""
        }
        return Loaded(
            engine_id=self._meta("engine_id", ""),
            objects=tuple(objects),
            actions=actions,
            next_ids=next_ids,
        )

    async def commit(self, batch: Batch) -> int:
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            self._write(batch)
            row = db.execute("SELECT max(seq) FROM record").fetchone()
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return int(row[0] or 0)

    def _write(self, batch: Batch) -> None:
        db = self.db
        for obj in batch.put:
            db.execute(UPSERTS[KIND_OF[type(obj)]], schema.object_row(obj))
        for kind, object_id in batch.delete:
            db.execute(DELETES[kind], (object_id,))
        if batch.delete_actions:
            keys = [(kind.value, object_id) for kind, object_id in batch.delete_actions]
            db.executemany(DELETE_ACTION, keys)
        if batch.put_actions:
            db.executemany(UPSERT_ACTION, map(schema.action_row, batch.put_actions))
        if batch.records:
            db.executemany(INSERT_RECORD, map(schema.record_row, batch.records))
        for kind, number in batch.next_ids.items():
            db.execute(SET_META, (f"next_id.{kind.value}", str(number)))

    async def records(
        self, after: int, limit: int, *, kind: Kind | None = None, subject_id: int | None = None
    ) -> list[Record]:
        sql = (
            "SELECT seq, at, cause, kind, subject_kind, subject_id, body FROM record WHERE seq > ?"
        )
        values: list[Any] = [after]
        if kind is not None:
            sql, values = sql + " AND subject_kind = ?", [*values, kind.value]
        if subject_id is not None:
            sql, values = sql + " AND subject_id = ?", [*values, subject_id]
        rows = self.db.execute(sql + " ORDER BY seq LIMIT ?", [*values, limit])
        return [schema.record_of(row) for row in rows]

    async def prune_records(self, before: float) -> int:
        """The newest record stays whatever its age: its number is where the next ones go on."""
        newest = "(SELECT max(seq) FROM record)"
        sql = f"DELETE FROM record WHERE at < ? AND seq < {newest}"  # noqa: S608 - no input in it
        return self.db.execute(sql, (before,)).rowcount

    async def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
