"""What every store promises: whole batches or nothing, and all of it again after a restart."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orrery.core.errors import Unavailable
from orrery.core.messages import Record
from orrery.core.model.action import Action, ActionKind
from orrery.core.model.host import Cluster
from orrery.core.model.kinds import Kind
from orrery.core.model.users import Group
from orrery.core.model.view import KIND_OF, Object
from orrery.ports.store import Batch, Loaded, Store
from orrery.store import schema
from orrery.store.sqlite import SqliteStore
from tests.store.objects import any_object, any_of

T = TypeVar("T")
Open = Callable[[], Store]
"""Opens the store once more, as after a restart; the one before is closed first."""

STORES: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda place: SqliteStore(place / "engine.db"),
    "sqlite-virtual-time": lambda place: SqliteStore(place / "engine.db", durable=False),
}


def run(awaitable: Awaitable[T]) -> T:
    async def wait() -> T:
        return await awaitable

    return asyncio.run(wait())


@pytest.fixture(params=STORES)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    opened: list[Store] = []

    def again() -> Store:
        while opened:
            run(opened.pop().close())
        store = STORES[request.param](tmp_path)
        run(store.open("engine-1"))
        opened.append(store)
        return store

    yield again
    while opened:
        run(opened.pop().close())


def cluster(number: int, name: str = "c") -> Cluster:
    return Cluster(id=number, name=name)


def action(subject_id: int, gen: int = 1, kind: ActionKind = ActionKind.VM_BOOT) -> Action:
    return Action(
        kind=kind, subject_kind=Kind.VM, subject_id=subject_id, gen=gen, due_at=5.5, cause="t"
    )


def record(at: float, subject_id: int = 1, kind: Kind = Kind.VM) -> Record:
    return Record(
        kind="x.y", subject_kind=kind, subject_id=subject_id, at=at, cause="t", body={"at": at}
    )


def seqs(records: list[Record]) -> list[int]:
    return [one.seq for one in records]


# --- open -----------------------------------------------------------------------------------------


def test_a_new_store_is_empty_and_knows_its_engine(reopen: Open) -> None:
    loaded = run(reopen().load())
    assert loaded == Loaded(engine_id="engine-1", objects=(), actions=(), next_ids={})
    assert run(reopen().records(0, 10)) == []


def test_the_engines_id_is_given_once(tmp_path: Path) -> None:
    for name in ("first", "second"):
        store = SqliteStore(tmp_path / "engine.db")
        run(store.open(name))
        assert run(store.load()).engine_id == "first"
        run(store.close())


# --- objects --------------------------------------------------------------------------------------


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(wanted=st.tuples(*[any_object(kind) for kind in Kind]))
def test_what_was_put_is_loaded(reopen: Open, wanted: tuple[Object, ...]) -> None:
    store = reopen()
    old = [(KIND_OF[type(obj)], obj.id) for obj in run(store.load()).objects]
    run(store.commit(Batch(delete=old)))
    run(store.commit(Batch(put=wanted)))
    assert run(reopen().load()).objects == wanted


def test_objects_are_loaded_by_kind_and_id(reopen: Open) -> None:
    objects: list[Object] = [Group(id=3, name="g"), cluster(9), cluster(2), Group(id=1, name="g")]
    run(reopen().commit(Batch(put=objects)))
    loaded = run(reopen().load()).objects
    assert [(type(obj), obj.id) for obj in loaded] == [
        (Group, 1),
        (Group, 3),
        (Cluster, 2),
        (Cluster, 9),
    ]


def test_the_last_put_counts_and_what_is_deleted_is_gone(reopen: Open) -> None:
    store = reopen()
    run(store.commit(Batch(put=[cluster(1, "old"), cluster(2)])))
    run(store.commit(Batch(put=[cluster(1, "new")], delete=[(Kind.CLUSTER, 2)])))
    assert run(reopen().load()).objects == (cluster(1, "new"),)


def test_to_delete_what_is_not_there_is_nothing(reopen: Open) -> None:
    run(reopen().commit(Batch(delete=[(Kind.VM, 5)], delete_actions=[(Kind.VM, 5)])))
    assert run(reopen().load()).objects == ()


def test_ids_are_not_given_again_after_a_delete_and_a_restart(reopen: Open) -> None:
    run(reopen().commit(Batch(put=[cluster(7)], next_ids={Kind.CLUSTER: 8, Kind.VM: 3})))
    run(reopen().commit(Batch(delete=[(Kind.CLUSTER, 7)])))
    assert run(reopen().load()).next_ids == {Kind.CLUSTER: 8, Kind.VM: 3}
    run(reopen().commit(Batch(next_ids={Kind.CLUSTER: 9})))
    assert run(reopen().load()).next_ids == {Kind.CLUSTER: 9, Kind.VM: 3}


# --- outbox ---------------------------------------------------------------------------------------


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(wanted=any_of(Action))
def test_any_action_is_loaded_as_it_was_put(reopen: Open, wanted: Action) -> None:
    store = reopen()
    old = [one.key for one in run(store.load()).actions]
    run(store.commit(Batch(delete_actions=old)))
    run(store.commit(Batch(put_actions=[wanted])))
    assert run(reopen().load()).actions == (wanted,)


def test_an_action_replaces_the_one_before_it_of_the_same_subject(reopen: Open) -> None:
    store = reopen()
    run(store.commit(Batch(put_actions=[action(1), action(2)])))
    newer = action(1, gen=2, kind=ActionKind.VM_DESTROY)
    run(store.commit(Batch(put_actions=[newer])))
    assert set(run(reopen().load()).actions) == {newer, action(2)}


def test_a_settled_action_leaves_the_outbox(reopen: Open) -> None:
    store = reopen()
    run(store.commit(Batch(put_actions=[action(1), action(2)])))
    run(store.commit(Batch(delete_actions=[(Kind.VM, 1), (Kind.IMAGE, 2)])))
    assert run(reopen().load()).actions == (action(2),)


# --- records --------------------------------------------------------------------------------------


def test_records_are_numbered_in_order_and_read_from_a_cursor(reopen: Open) -> None:
    store = reopen()
    assert run(store.commit(Batch(records=[record(1), record(2)]))) == 2
    assert run(store.commit(Batch(records=[record(3)]))) == 3
    store = reopen()
    assert run(store.commit(Batch(put=[cluster(1)]))) == 3
    assert [one.body["at"] for one in run(store.records(0, 10))] == [1.0, 2.0, 3.0]
    assert seqs(run(store.records(1, 10))) == [2, 3]
    assert seqs(run(store.records(0, 2))) == [1, 2]
    assert run(store.records(3, 10)) == []


def test_records_of_one_kind_or_object_are_found(reopen: Open) -> None:
    store = reopen()
    records = [record(1, 1), record(2, 2), record(3, 1, Kind.HOST), record(4, 1)]
    run(store.commit(Batch(records=records)))
    assert seqs(run(store.records(0, 10, kind=Kind.VM))) == [1, 2, 4]
    assert seqs(run(store.records(0, 10, kind=Kind.VM, subject_id=1))) == [1, 4]
    assert seqs(run(store.records(1, 10, kind=Kind.VM, subject_id=1))) == [4]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    wanted=st.dictionaries(st.text(max_size=3).filter(lambda t: t.isprintable()), st.integers(0, 9))
)
def test_a_record_is_read_as_it_was_written(reopen: Open, wanted: dict[str, int]) -> None:
    store = reopen()
    written = Record(
        kind="vm.x", subject_kind=Kind.VM, subject_id=1, at=1.25, cause="c", body={**wanted}
    )
    last = run(store.commit(Batch(records=[written])))
    (read,) = run(store.records(last - 1, 1))
    assert (read.kind, read.at, read.cause, read.body) == ("vm.x", 1.25, "c", wanted)


def test_old_records_are_forgotten_and_numbers_go_on(reopen: Open) -> None:
    store = reopen()
    run(store.commit(Batch(records=[record(1), record(2), record(3)])))
    assert run(store.prune_records(3)) == 2
    assert run(store.prune_records(3)) == 0
    assert seqs(run(store.records(0, 10))) == [3]
    assert run(store.commit(Batch(records=[record(4)]))) == 4


def test_numbers_go_on_even_when_all_records_are_forgotten(reopen: Open) -> None:
    store = reopen()
    run(store.commit(Batch(records=[record(1), record(2)])))
    run(store.prune_records(100))
    assert run(reopen().commit(Batch(records=[record(3)]))) == 3


# --- whole or not at all --------------------------------------------------------------------------

UNSTORABLE: dict[str, Object] = {
    "text that is no UTF-8": cluster(5, "\ud800"),
    "an id that no column holds": cluster(1 << 70),
}


@pytest.mark.parametrize("bad", UNSTORABLE)
def test_an_error_in_the_middle_leaves_nothing(reopen: Open, bad: str) -> None:
    store = reopen()
    run(store.commit(Batch(put=[cluster(1)], put_actions=[action(1)], next_ids={Kind.VM: 1})))
    before = run(store.load())
    spoiled = Batch(
        put=[cluster(2), UNSTORABLE[bad], cluster(3)],
        delete=[(Kind.CLUSTER, 1)],
        delete_actions=[(Kind.VM, 1)],
        records=[record(1)],
        next_ids={Kind.VM: 9},
    )
    with pytest.raises((UnicodeError, OverflowError)):
        run(store.commit(spoiled))
    assert run(store.load()) == before
    run(store.commit(Batch(put=[cluster(4)])))
    assert run(reopen().load()).objects == (cluster(1), cluster(4))
    assert run(reopen().records(0, 10)) == []


def test_a_late_error_leaves_nothing_either(reopen: Open) -> None:
    store = reopen()
    body = {"text": "\udfff"}
    late = Record(kind="x", subject_kind=Kind.VM, subject_id=1, at=1, cause="t", body={**body})
    with pytest.raises(UnicodeError):
        run(store.commit(Batch(put=[cluster(1)], put_actions=[action(1)], records=[late])))
    loaded = run(reopen().load())
    assert (loaded.objects, loaded.actions) == ((), ())


# --- the database file ----------------------------------------------------------------------------


def test_a_second_engine_is_kept_out_in_words(tmp_path: Path) -> None:
    first, second = (SqliteStore(tmp_path / "engine.db") for _ in range(2))
    run(first.open("a"))
    with pytest.raises(Unavailable, match=r"engine\.db is in use by another engine: stop it"):
        run(second.open("b"))
    run(first.commit(Batch(put=[cluster(1)])))
    run(first.close())
    run(second.open("b"))
    assert run(second.load()).objects == (cluster(1),)
    run(second.close())


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    store = SqliteStore(path)
    run(store.open("a"))
    run(store.close())
    set_version(path, "99")
    with pytest.raises(Unavailable, match=r"newer version \(schema 99, this one knows 3\)"):
        run(SqliteStore(path).open("a"))
    set_version(path, str(schema.VERSION))
    run(store.open("a"))
    run(store.close())


def set_version(path: Path, version: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (version,))
    db.close()


def test_an_older_database_is_migrated_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "engine.db")
    run(store.open("a"))
    run(store.commit(Batch(put=[cluster(1)])))
    run(store.close())
    newer = schema.VERSION + 1
    monkeypatch.setitem(schema.MIGRATIONS, newer, ("CREATE TABLE broken (", "CREATE TABLE x (y)"))
    monkeypatch.setattr(schema, "VERSION", newer)
    with pytest.raises(sqlite3.OperationalError):
        run(store.open("a"))
    monkeypatch.setitem(schema.MIGRATIONS, newer, ("CREATE TABLE extra (id INTEGER)",))
    for _ in range(2):
        run(store.open("b"))
        loaded = run(store.load())
        assert (loaded.engine_id, loaded.objects) == ("a", (cluster(1),))
        run(store.close())


def test_a_database_from_before_leases_gets_a_table_for_them(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    store = SqliteStore(path)
    run(store.open("a"))
    run(store.commit(Batch(put=[cluster(1)])))
    run(store.close())
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE lease")
        db.execute("DROP TABLE staged_image")
    db.close()
    set_version(path, "1")
    run(store.open("b"))
    assert run(store.load()).objects == (cluster(1),)


def test_a_database_from_before_caches_gets_a_table_for_copies(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    store = SqliteStore(path)
    run(store.open("a"))
    run(store.commit(Batch(put=[cluster(1)])))
    run(store.close())
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE staged_image")
    db.close()
    set_version(path, "2")
    run(store.open("b"))
    assert run(store.load()).objects == (cluster(1),)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    path.write_text("my diary" * 100)
    with pytest.raises(Unavailable, match="is not a database"):
        run(SqliteStore(path).open("a"))
    assert path.read_text() == "my diary" * 100


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no/engine\.db cannot be made"):
        run(SqliteStore(tmp_path / "no" / "engine.db").open("a"))


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "engine.db")
    run(store.open("a"))
    run(store.commit(Batch(put=[cluster(1)])))
    files = list(tmp_path.iterdir())
    assert len(files) > 1
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    run(store.close())


def test_a_store_may_be_closed_twice(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "engine.db")
    run(store.open("a"))
    run(store.close())
    run(store.close())
