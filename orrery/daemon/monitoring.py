"""The monitor's samples in the form the APIs ask for, and the numbers for Prometheus."""

import asyncio
import base64
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from orrery.core.errors import Unavailable
from orrery.core.messages import Done, Record
from orrery.core.model.kinds import Kind
from orrery.engine import specs
from orrery.engine.assembly import Engine
from orrery.engine.writer import Commit
from orrery.ports.store import Sample
from orrery.service.engine import Values

PAGE = 1000

DATASTORE_NAMES = {"total_mib": "TOTAL_MB", "free_mib": "FREE_MB", "used_mib": "USED_MB"}


class Monitoring:
    """`service.engine.Monitoring` on a running engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._values: dict[tuple[Kind, int], tuple[Sample, Values]] = {}

    @property
    def revision(self) -> int:
        return self._engine.monitor.revision

    @property
    def vm_samples(self) -> Mapping[int, Sample]:
        return self._engine.monitor.last_of_vms

    def last_vm(self, vm_id: int) -> Values | None:
        return self._last(Kind.VM, vm_id)

    def last_host(self, host_id: int) -> Values | None:
        return self._last(Kind.HOST, host_id)

    def last_datastore(self, datastore_id: int) -> Values | None:
        return self._last(Kind.DATASTORE, datastore_id)

    def _last(self, kind: Kind, object_id: int) -> Values | None:
        """The same mapping as long as the sample is the same: readers remember by identity."""
        sample = self._engine.monitor.last.get((kind, object_id))
        if sample is None:
            return None
        known = self._values.get((kind, object_id))
        if known is not None and known[0] is sample:
            return known[1]
        values = {DATASTORE_NAMES.get(k, k): v for k, v in sample.values.items()}
        values["TIMESTAMP"] = sample.at
        self._values[kind, object_id] = (sample, values)
        return values

    async def series(self, kind: Kind, ids: Sequence[int] | None, since: float) -> list[Sample]:
        return await self._engine.series.read(kind, ids, since)


class Journal:
    """`service.engine.Journal` on a running engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def history(self, kind: Kind, object_id: int) -> list[Record]:
        found: list[Record] = []
        after = 0
        while page := await self._engine.store.records(
            after, PAGE, kind=kind, subject_id=object_id
        ):
            found.extend(page)
            after = page[-1].seq
        return found

    async def console(self, vm_id: int, limit: int) -> bytes:
        vm = self._engine.view.vms[vm_id]
        if vm.host_id is None:
            return b""
        storage = self._engine.fleet.drivers(self._engine.view.hosts[vm.host_id]).storage
        outcome = await storage.read(specs.console_path(vm, self._engine.view), -limit, limit)
        if not isinstance(outcome, Done):
            raise Unavailable(f"The console of VM [{vm_id}] cannot be read: {outcome.message}")
        return base64.b64decode(str(outcome.result["data"]))

    def progress(self, kind: Kind, object_id: int) -> float | None:
        return self._engine.dispatcher.progress.get((kind, object_id))


class Metrics:
    """Counts what goes through the writer, and looks at the state when it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self.commits = 0
        self.records: Tally[str] = Tally()

    def on_commit(self, commit: Commit) -> None:
        self.commits += 1
        for record in commit.records:
            self.records[record.kind] += 1

    def exposition(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Called in a thread: copies what the loop may be changing."""
        state = self._engine.state
        yield by_label(
            "orrery_vms",
            "VMs by status",
            "status",
            (vm.status.name for vm in list(state.vms.values())),
        )
        yield by_label(
            "orrery_hosts",
            "Hosts by status",
            "status",
            (h.status.name for h in list(state.hosts.values())),
        )
        yield by_label(
            "orrery_images",
            "Images by status",
            "status",
            (i.status.name for i in list(state.images.values())),
        )
        yield by_label(
            "orrery_unfinished_actions",
            "Actions in the outbox",
            "kind",
            (action.kind.value for action in list(state.actions.values())),
        )
        yield CounterMetricFamily("orrery_commits", "Transactions committed", value=self.commits)
        records = CounterMetricFamily("orrery_records", "Records written", labels=["kind"])
        for kind, number in list(self.records.items()):
            records.add_metric([kind], number)
        yield records
        yield GaugeMetricFamily(
            "orrery_event_followers", "Open event streams", value=self._engine.hub.followers
        )
        yield from host_capacity(self._engine)


def by_label(name: str, text: str, label: str, values: Iterable[str]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in sorted(Tally(values).items()):
        family.add_metric([value.lower()], number)
    return family


def host_capacity(engine: Engine) -> Iterable[Metric]:
    offered = GaugeMetricFamily(
        "orrery_host_offered",
        "What VMs may use (hundredths of a core, MiB)",
        labels=["host", "resource"],
    )
    held = GaugeMetricFamily("orrery_host_held", "What VMs hold", labels=["host", "resource"])
    for host in list(engine.state.hosts.values()):
        usage = engine.state.host_usage(host.id)
        offered.add_metric([host.name, "cpu"], host.offered.cpu_pct)
        offered.add_metric([host.name, "memory"], host.offered.memory_mib)
        held.add_metric([host.name, "cpu"], usage.cpu_pct)
        held.add_metric([host.name, "memory"], usage.memory_mib)
    yield offered
    yield held


async def prune_records(engine: Engine, kept_s: float, period_s: float = 3600.0) -> None:
    """Until cancelled: forget records that are too old."""
    while True:
        await engine.store.prune_records(engine.clock.now() - kept_s)
        await asyncio.sleep(period_s)
