"""`orrery serve` that kills itself with SIGKILL just before or just after a chosen commit.

Usage: python -m tests.real.dying_engine NUMBER before|after SERVE-ARGUMENTS...
"""

import os
import signal
import sys

from orrery.core.model.vm import Vm
from orrery.daemon.serve import serve
from orrery.ports.store import Batch
from orrery.store.sqlite import SqliteStore

commit = SqliteStore.commit


def dying_at(number: int, moment: str) -> None:
    """Patch the store: the number-th commit that changes a VM is the last thing done here."""
    seen = 0

    async def commit_and_die(self: SqliteStore, batch: Batch) -> int:
        nonlocal seen
        seen += any(isinstance(obj, Vm) for obj in batch.put)
        last = seen == number and any(isinstance(obj, Vm) for obj in batch.put)
        if last and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await commit(self, batch)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    SqliteStore.commit = commit_and_die  # type: ignore[method-assign] # this process is made to die


if __name__ == "__main__":
    dying_at(int(sys.argv[1]), sys.argv[2])
    sys.exit(serve(sys.argv[3:]))
