"""Sweeps on a real Dask cluster of this machine, and on Ray where it is installed."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from orrery.core.errors import InvalidInput
from orrery.simulate.leases import backends
from orrery.simulate.leases.job import Job
from orrery.simulate.leases.outcome import Row
from orrery.simulate.leases.sweep import Sweep, run_sweep

MEASURED = ("name", "leases", "mean_wait_s", "mean_bounded_slowdown", "utilization", "suspensions")
JOBS = [
    Job(name=f"run{number}", workload="synthetic:40,8,20", settings={"backfilling": str(number)})
    for number in range(4)
]


def measured(rows: list[Row]) -> list[list[object]]:
    return [[row[name] for name in MEASURED] for row in rows]


@pytest.fixture
def dask() -> Iterator[str]:
    distributed = pytest.importorskip("distributed", reason="pip install 'orrery[dask]'")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield str(cluster.scheduler_address).replace("tcp://", "dask://")


@pytest.mark.slow
def test_a_dask_cluster_gives_what_this_machine_gives(dask: str) -> None:
    here = run_sweep(Sweep(jobs=JOBS)).rows
    assert measured(run_sweep(Sweep(jobs=JOBS, cluster=dask)).rows) == measured(here)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="pip install 'orrery[ray]'")
def test_ray_gives_what_this_machine_gives() -> None:
    import ray

    here = run_sweep(Sweep(jobs=JOBS)).rows
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        there = run_sweep(Sweep(jobs=JOBS, cluster="ray://initialized")).rows
    finally:
        ray.shutdown()
    assert measured(there) == measured(here)


def test_a_cluster_whose_library_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(place: str, contents: object) -> backends.Backend:
        raise ImportError("No module named 'ray'")

    monkeypatch.setitem(backends.CLUSTERS, "ray", missing)
    with pytest.raises(InvalidInput, match=r"pip install 'orrery\[ray\]'"):
        backends.backend("ray://host:1", 1, {})


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_told() -> None:
    pytest.importorskip("distributed", reason="pip install 'orrery[dask]'")
    with pytest.raises(InvalidInput, match="does not answer"):
        backends.backend("dask://127.0.0.1:9", 1, {})
