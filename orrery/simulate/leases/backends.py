"""Where simulations run: all cores of this machine, or a Dask or Ray cluster.

Clusters need Orrery on their machines; contents of files are sent along once.
"""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, Protocol, cast

from orrery.core.errors import InvalidInput
from orrery.simulate.leases.job import Job, try_job
from orrery.simulate.leases.outcome import Row

FORM = "is no cluster: give dask://HOST:PORT or ray://HOST:PORT"


class Backend(Protocol):
    """Takes jobs and gives promises of their results."""

    def submit(self, job: Job) -> "Future[Row]": ...

    def close(self) -> None:
        """Give up what has not begun."""
        ...


def backend(address: str | None, jobs: int, contents: Mapping[str, bytes]) -> Backend:
    """The cluster at an address; without one the cores of this machine.

    Raises:
        InvalidInput: the address is none, or its library is missing, or nobody answers.
    """
    if address is None:
        return Local(jobs)
    kind, _, place = address.partition("://")
    opened = CLUSTERS.get(kind)
    if opened is None or not place:
        raise InvalidInput("cluster", address, FORM)
    try:
        return opened(place, contents)
    except ImportError as error:
        remedy = f"needs a library: pip install 'orrery[{kind}]' ({error})"
        raise InvalidInput("cluster", address, remedy) from error
    except (OSError, RuntimeError, ValueError) as error:  # TimeoutError and ConnectionError too
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise InvalidInput("cluster", address, f"does not answer: {first}") from error


class Local:
    """Processes of this machine; they read the files themselves."""

    def __init__(self, jobs: int) -> None:
        # Forked children would inherit whatever threads of this process hold.
        context = get_context("spawn")
        self._pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=live_with_parent)

    def submit(self, job: Job) -> "Future[Row]":
        return self._pool.submit(try_job, job)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def live_with_parent() -> None:
    """What a worker does first. Ctrl-C reaches every process of a terminal: it has nothing to say
    about it. And when its parent was killed, nobody else would end it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=end_after_parent, daemon=True).start()


def end_after_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class Dask:
    """The workers of a Dask scheduler."""

    def __init__(self, place: str, contents: Mapping[str, bytes]) -> None:
        distributed: Any = import_module("distributed")
        self._client = distributed.Client(f"tcp://{place}", timeout="10s", set_as_default=False)
        # A dict would be taken apart into its values: as one object it keeps its names.
        (self._contents,) = self._client.scatter([dict(contents)], broadcast=True)
        self._executor = self._client.get_executor(pure=False)

    def submit(self, job: Job) -> "Future[Row]":
        return cast("Future[Row]", self._executor.submit(try_job, job, self._contents))

    def close(self) -> None:
        self._executor.shutdown(wait=False)
        self._client.close()


class Ray:
    """The workers of a Ray cluster."""

    def __init__(self, place: str, contents: Mapping[str, bytes]) -> None:
        ray: Any = import_module("ray")
        self._ray = ray
        if not ray.is_initialized():
            ray.init(address=f"ray://{place}", log_to_driver=False)
        self._contents = ray.put(dict(contents))
        self._task: Any = ray.remote(try_job)

    def submit(self, job: Job) -> "Future[Row]":
        return cast("Future[Row]", self._task.remote(job, self._contents).future())

    def close(self) -> None:
        self._ray.shutdown()


CLUSTERS: dict[str, Callable[[str, Mapping[str, bytes]], Backend]] = {"dask": Dask, "ray": Ray}
