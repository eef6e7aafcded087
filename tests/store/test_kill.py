"""A process killed in the middle of a burst of commits: what it acknowledged is there."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orrery.core.model.kinds import Kind
from orrery.ports.store import Loaded
from orrery.store.sqlite import SqliteStore
from tests.store.committing import PER_BATCH

ROOT = Path(__file__).resolve().parents[2]
KILLS = 4


@contextmanager
def committing(path: Path, first: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.store.committing", str(path), str(first)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def acknowledged(path: Path, first: int, count: int) -> int:
    """Let it commit about so many batches, kill it, and tell the last number it printed."""
    with committing(path, first) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(count)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
        assert child.wait(10) == -signal.SIGKILL
    return int([line for line in lines if line.endswith("\n")][-1])


async def read(path: Path) -> tuple[Loaded, int]:
    """What is loaded, and how many records there are."""
    store = SqliteStore(path)
    await store.open("id")
    try:
        return await store.load(), len(await store.records(0, 1_000_000))
    finally:
        await store.close()


@pytest.mark.parametrize("count", [1, 25])
def test_what_was_acknowledged_survives_a_kill_and_nothing_is_half_there(
    tmp_path: Path, count: int
) -> None:
    path = tmp_path / "engine.db"
    first = 0
    for _ in range(KILLS):
        last = acknowledged(path, first, count)
        loaded, records = asyncio.run(read(path))
        batches = len(loaded.objects) // PER_BATCH
        assert batches in (last + 1, last + 2)  # the one in flight may have been committed
        assert [obj.id for obj in loaded.objects] == list(range(batches * PER_BATCH))
        assert records == batches
        assert loaded.next_ids[Kind.CLUSTER] == batches * PER_BATCH
        first = batches
