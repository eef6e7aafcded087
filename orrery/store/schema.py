"""What the tables look like and how objects become rows. Knows no particular database's driver."""

from collections.abc import Callable
from typing import Any

import msgspec

from orrery.core.messages import Record
from orrery.core.model.action import Action
from orrery.core.model.kinds import Kind
from orrery.core.model.view import CLASS_OF, Object

encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
DECODERS = {kind: msgspec.json.Decoder(cls) for kind, cls in CLASS_OF.items()}
ACTION_DECODER = msgspec.json.Decoder(Action)
BODY_DECODER = msgspec.json.Decoder(dict[str, Any])

VERSION = 3
"""The newest schema version; MIGRATIONS lead to it."""

OBJECT_TABLE = """CREATE TABLE {table} (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    uid INTEGER,
    gid INTEGER,
    status INTEGER,
    gen INTEGER NOT NULL,
    body TEXT NOT NULL
)"""

OTHER_TABLES = (
    """CREATE TABLE action (
    subject_kind TEXT NOT NULL,
    subject_id INTEGER NOT NULL,
    gen INTEGER NOT NULL,
    kind TEXT NOT NULL,
    due_at DOUBLE PRECISION NOT NULL,
    attempt INTEGER NOT NULL,
    cause TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (subject_kind, subject_id)
)""",
    """CREATE TABLE record (
    seq INTEGER PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    cause TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id INTEGER NOT NULL,
    body TEXT NOT NULL
)""",
    "CREATE INDEX record_of_subject ON record (subject_kind, subject_id, seq)",
    "CREATE INDEX record_by_time ON record (at)",
    "CREATE TABLE delivery (consumer TEXT PRIMARY KEY, seq INTEGER NOT NULL)",
)

META_TABLE = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"

LATER = frozenset({Kind.LEASE, Kind.STAGED_IMAGE})
"""Kinds that the first version did not have."""

MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        *(OBJECT_TABLE.format(table=kind.value) for kind in Kind if kind not in LATER),
        *OTHER_TABLES,
    ),
    2: (OBJECT_TABLE.format(table=Kind.LEASE.value),),
    3: (OBJECT_TABLE.format(table=Kind.STAGED_IMAGE.value),),
}
"""Version -> statements that lead to it from the one before; each runs in one transaction."""


def upsert_sql(kind: Kind, mark: str) -> str:
    """Insert or replace one object; `mark` is the database's placeholder."""
    marks = ", ".join([mark] * 7)
    return (
        f"INSERT INTO {kind.value} (id, name, uid, gid, status, gen, body) VALUES ({marks}) "  # noqa: S608
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name, uid = excluded.uid, "
        "gid = excluded.gid, status = excluded.status, gen = excluded.gen, body = excluded.body"
    )


def upsert_action_sql(mark: str) -> str:
    marks = ", ".join([mark] * 8)
    return (
        "INSERT INTO action (subject_kind, subject_id, gen, kind, due_at, attempt, cause, body) "  # noqa: S608 - no input in it
        f"VALUES ({marks}) ON CONFLICT (subject_kind, subject_id) DO UPDATE SET "
        "gen = excluded.gen, kind = excluded.kind, due_at = excluded.due_at, "
        "attempt = excluded.attempt, cause = excluded.cause, body = excluded.body"
    )


def object_row(obj: Object) -> tuple[Any, ...]:
    status = getattr(obj, "status", None)
    return (
        obj.id,
        obj.name,
        getattr(obj, "uid", None),
        getattr(obj, "gid", None),
        None if status is None else status.value,
        obj.gen,
        encode(obj).decode(),
    )


def action_row(action: Action) -> tuple[Any, ...]:
    return (
        action.subject_kind.value,
        action.subject_id,
        action.gen,
        action.kind.value,
        action.due_at,
        action.attempt,
        action.cause,
        encode(action).decode(),
    )


def record_row(record: Record) -> tuple[Any, ...]:
    return (
        record.at,
        record.cause,
        record.kind,
        record.subject_kind.value,
        record.subject_id,
        encode(record.body).decode(),
    )


def record_of(row: tuple[Any, ...]) -> Record:
    """A record from (seq, at, cause, kind, subject_kind, subject_id, body)."""
    seq, at, cause, kind, subject_kind, subject_id, body = row
    return Record(
        seq=seq,
        at=at,
        cause=cause,
        kind=kind,
        subject_kind=Kind(subject_kind),
        subject_id=subject_id,
        body=BODY_DECODER.decode(body),
    )
