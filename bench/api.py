"""The API under load: single objects, pools, durable changes, start-up and memory."""

import xmlrpc.client
from collections.abc import Callable, Iterator, Sequence

from bench.daemon import SESSION, Engine, filled, running
from bench.load import Result, call, run_apart
from bench.reference import PEER, PEER_START_S, START_GOAL_S
from bench.site import VM
from bench.table import Row, middle, percentile

CLIENTS = (1, 8)
HOSTS = 1_000

Requests = list[list[bytes]]

HELD_VM = VM.replace("{name}", "held")
NOWHERE = HELD_VM + ' SCHED_REQUIREMENTS="NAME = nowhere"'
"""A VM that no host may take: it can be held and released without ever starting."""


def measure(vms: int, seconds: float) -> Iterator[Row]:
    """All rows of one size of site."""
    section = f"API, {HOSTS:,} simulated hosts, {vms:,} VMs"
    with filled(HOSTS, vms) as home:
        with running(home) as engine:
            yield start_row(section, engine, vms)
        with running(home) as engine:
            yield from Api(engine, section, vms, seconds).rows()


def start_row(section: str, engine: Engine, vms: int) -> Row:
    return Row(
        section=section,
        what="start to first answer",
        value=f"{engine.start_s:.2f} s",
        reference=f"{PEER_START_S:g} s with 1,000",
        ratio=PEER_START_S / engine.start_s,
        goal=f"{START_GOAL_S:g} s",
        met=engine.start_s <= START_GOAL_S if vms >= 10_000 else None,
    )


def memory(sizes: Sequence[int]) -> Iterator[Row]:
    """What a VM costs in resident memory, at rest and with its XML remembered."""
    found: dict[int, tuple[float, float]] = {}
    for vms in sizes:
        with filled(HOSTS, vms) as home, running(home) as engine:
            rest = engine.rss_mib
            engine.answers("vmpool.info", -2, -1, -1, -1)
            engine.answers("vmpool.infoextended", -2, -1, -1, -1)
            found[vms] = (rest, engine.rss_mib)
    small, large = min(sizes), max(sizes)
    for place, name in enumerate(("at rest", "all forms of its XML in memory")):
        more = (found[large][place] - found[small][place]) * 1024 / (large - small)
        yield Row(
            section="Memory",
            what=f"per VM, {name}",
            value=f"{more:.1f} KiB",
            note=f"engine of {found[small][place]:.0f} MiB with {small:,} VMs, "
            f"{found[large][place]:.0f} MiB with {large:,}",
        )


class Api:
    """The rows for one running engine."""

    def __init__(self, engine: Engine, section: str, vms: int, seconds: float) -> None:
        self._engine = engine
        self._section = section
        self._vms = vms
        self._seconds = seconds

    def rows(self) -> Iterator[Row]:
        whole: tuple[int, ...] = (-2, -1, -1, -1)
        yield from self._reads("vm.info", "vm.info", (5,))
        yield from self._one_connection_each("vm.info", (5,))
        yield from self._reads("vmpool.info page", "vmpool.info", (-2, 100, -100, -1))
        yield from self._reads("vmpool.info", "vmpool.info", whole)
        yield from self._reads("vmpool.infoextended", "vmpool.infoextended", whole)
        yield from self._reads("hostpool.info", "hostpool.info", ())
        yield from self._changing_reads("vmpool.info", whole)
        yield from self._changes("vm.allocate", self._allocations, None)
        yield from self._hold_and_release()
        yield from self._changes("vm.action terminate", self._terminations, 2000)

    # --- reads

    def _reads(self, name: str, method: str, values: tuple[int, ...]) -> Iterator[Row]:
        self._engine.answers(method, *values)
        for clients in CLIENTS:
            requests = [[call(SESSION, method, *values)]] * clients
            result = run_apart(self._engine.port, requests, self._seconds)
            yield self._row(name, clients, result, name)

    def _one_connection_each(self, method: str, values: tuple[int, ...]) -> Iterator[Row]:
        for clients in CLIENTS:
            requests = [[call(SESSION, method, *values, keep=False)]] * clients
            result = run_apart(self._engine.port, requests, self._seconds, keep=False)
            yield self._row(f"{method}, a connection each", clients, result, None)

    def _changing_reads(self, method: str, values: tuple[int, ...]) -> Iterator[Row]:
        """A change before every read: nothing whole can be remembered."""
        [vm_id] = self._new_vms(1, NOWHERE)
        rename = [call(SESSION, "vm.rename", vm_id, name) for name in ("one", "other")]
        read = call(SESSION, method, *values)
        requests = [[rename[0], read, rename[1], read]]
        result = run_apart(self._engine.port, requests, self._seconds)
        reads = Result(result.latencies_ms[1::2], result.elapsed_s, result.failed)
        yield self._row(f"{method}, a change before each", 1, reads, None)

    # --- changes

    def _hold_and_release(self) -> Iterator[Row]:
        name = "vm.action hold/release"
        for clients in CLIENTS:
            ids = self._new_vms(clients, NOWHERE)
            result = run_apart(self._engine.port, [holds(vm_id) for vm_id in ids], self._seconds)
            yield self._row(name, clients, result, name)
            for vm_id in ids:
                self._engine.answers("vm.action", "terminate", vm_id)

    def _changes(
        self, name: str, make: Callable[[int, int], Requests], count: int | None
    ) -> Iterator[Row]:
        for clients in CLIENTS:
            requests = make(clients, (count or 0) // clients)
            result = run_apart(self._engine.port, requests, self._seconds, repeat=count is None)
            yield self._row(name, clients, result, name)

    def _allocations(self, clients: int, _: int) -> Requests:
        return [[call(SESSION, "vm.allocate", HELD_VM, True)]] * clients

    def _terminations(self, clients: int, each: int) -> Requests:
        ids = self._new_vms(clients * each, HELD_VM)
        return [
            [call(SESSION, "vm.action", "terminate", vm_id) for vm_id in ids[place::clients]]
            for place in range(clients)
        ]

    def _new_vms(self, count: int, text: str) -> list[int]:
        """VMs on hold; ids are given out in order."""
        first = new_vm(self._engine.port, text)
        requests = [[call(SESSION, "vm.allocate", text, True)] * (count - 1)]
        if count > 1:
            run_apart(self._engine.port, requests, 600.0, repeat=False)
        return list(range(first, first + count))

    # --- rows

    def _row(self, name: str, clients: int, result: Result, key: str | None) -> Row:
        peer = PEER.get((key or "", self._vms))
        rate = None if peer is None else peer.rate(clients)
        ratio = None if rate is None else result.per_second / rate
        notes = []
        if result.failed:
            notes.append(f"{result.failed} calls failed: {result.first_failure[-200:]}")
        if result.cpu_share > 0.8:
            notes.append(f"the client used {result.cpu_share:.0%} of a core")
        return Row(
            section=self._section,
            what=f"one.{name}",
            clients=clients,
            median_ms=middle(result.latencies_ms),
            p99_ms=percentile(result.latencies_ms, 0.99),
            per_second=result.per_second,
            value=f"{result.bytes_received / len(result.latencies_ms) / 1024:,.1f} KiB each"
            if result.bytes_received
            else "",
            reference="" if rate is None else f"{rate:g}/s",
            ratio=ratio,
            goal="" if peer is None else f"{peer.goal:g}x",
            met=None if ratio is None or peer is None else ratio >= peer.goal,
            note="; ".join(notes),
        )


def holds(vm_id: int) -> list[bytes]:
    return [call(SESSION, "vm.action", word, vm_id) for word in ("release", "hold")]


def new_vm(port: int, text: str) -> int:
    """The id of a new VM on hold."""
    server = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}/RPC2")
    answer = server.one.vm.allocate(SESSION, text, True)
    assert isinstance(answer, list)
    if not answer[0]:
        raise RuntimeError(str(answer[1]))
    return int(answer[1])
