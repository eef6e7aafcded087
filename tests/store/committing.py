"""A program that commits numbered batches to a store and says which ones were acknowledged."""

import asyncio
import sys
from pathlib import Path

from orrery.core.messages import Record
from orrery.core.model.host import Cluster
from orrery.core.model.kinds import Kind
from orrery.ports.store import Batch
from orrery.store.sqlite import SqliteStore

PER_BATCH = 3


async def commit_for_ever(path: Path, first: int) -> None:
    store = SqliteStore(path)
    await store.open("id")
    number = first
    while True:
        await store.commit(batch(number))
        print(number, flush=True)
        number += 1


def batch(number: int) -> Batch:
    """Some objects, a record and the next id, all of which tell the batch's number."""
    ids = range(number * PER_BATCH, (number + 1) * PER_BATCH)
    return Batch(
        put=[Cluster(id=i, name=f"batch {number}") for i in ids],
        records=[
            Record(
                kind="cluster.made",
                subject_kind=Kind.CLUSTER,
                subject_id=number,
                at=float(number),
                cause=str(number),
            )
        ],
        next_ids={Kind.CLUSTER: ids.stop},
    )


if __name__ == "__main__":
    asyncio.run(commit_for_ever(Path(sys.argv[1]), int(sys.argv[2])))
