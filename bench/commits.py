"""Durable commands through the writer, against SQLite committing the same rows by itself."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.site import ENGINE_ID, VM, Site
from bench.table import Row, middle, percentile
from orrery.core.messages import ENGINE, HoldVm, ReleaseVm, VmCommand
from orrery.core.model.view import KIND_OF
from orrery.core.model.vm import Vm
from orrery.engine.view import State
from orrery.engine.writer import Commit, Writer
from orrery.store import schema
from orrery.store.sqlite import DELETE_ACTION, INSERT_RECORD, UPSERTS, SqliteStore

CLIENTS = (1, 16, 256)
SECTION = "Durable commands (SQLite, synchronous=FULL, a real file)"


class WallClock:
    def now(self) -> float:
        return time.time()


def measure(seconds: float) -> Iterator[Row]:
    site = Site()
    site.furnish()
    ids = [site.vm(VM.replace("{name}", f"vm-{number}")) for number in range(max(CLIENTS))]
    with tempfile.TemporaryDirectory(prefix="orrery-bench-") as directory:
        path = Path(directory) / "orrery.db"
        asyncio.run(site.save(path))
        found = [asyncio.run(through_writer(path, ids[:clients], seconds)) for clients in CLIENTS]
        raw = by_itself(path, site.state.vms[ids[0]], site, seconds)
    yield Row(section=SECTION, what="SQLite alone, one row set a commit", per_second=raw)
    for clients, latencies, elapsed in found:
        rate = len(latencies) / elapsed
        yield Row(
            section=SECTION,
            what="through the writer",
            clients=clients,
            median_ms=middle(latencies),
            p99_ms=percentile(latencies, 0.99),
            per_second=rate,
            reference=f"{raw:,.0f}/s alone",
            ratio=rate / raw,
        )


async def through_writer(
    path: Path, ids: Sequence[int], seconds: float
) -> tuple[int, list[float], float]:
    """Each client holds and releases its VM, one command after the other."""
    store = SqliteStore(path)
    await store.open(ENGINE_ID)
    loaded = await store.load()
    state = State(loaded.engine_id)
    state.load(loaded.objects, loaded.actions, loaded.next_ids)
    writer = Writer(store, state, state, WallClock())
    heard: list[Commit] = []
    writer.listen(heard.append)
    serving = asyncio.ensure_future(writer.run())
    latencies: list[float] = []
    begun = time.perf_counter()
    deadline = begun + seconds
    async with asyncio.TaskGroup() as group:
        for vm_id in ids:
            group.create_task(client(writer, vm_id, deadline, latencies))
    elapsed = time.perf_counter() - begun
    serving.cancel()
    await asyncio.wait([serving])
    await store.close()
    return len(ids), latencies, elapsed


async def client(writer: Writer, vm_id: int, deadline: float, latencies: list[float]) -> None:
    classes: tuple[type[VmCommand], ...] = (HoldVm, ReleaseVm)
    while time.perf_counter() < deadline:
        for command in classes:
            sent = time.perf_counter()
            await writer.submit(command(cause="bench", actor=ENGINE, vm_id=vm_id))
            latencies.append((time.perf_counter() - sent) * 1000)


def by_itself(path: Path, vm: Vm, site: Site, seconds: float) -> float:
    """Commits a second of what one command writes, rows made beforehand: no decision, no view."""
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
        db.execute(f"PRAGMA {pragma}")
    upsert = UPSERTS[KIND_OF[Vm]]
    row, record = schema.object_row(vm), schema.record_row(site.records[-1])
    count, begun = 0, time.perf_counter()
    while time.perf_counter() < begun + seconds:
        db.execute("BEGIN IMMEDIATE")
        db.execute(upsert, row)
        db.execute(DELETE_ACTION, ("vm", vm.id))
        db.execute(INSERT_RECORD, record)
        db.execute("COMMIT")
        count += 1
    rate = count / (time.perf_counter() - begun)
    db.close()
    return rate
