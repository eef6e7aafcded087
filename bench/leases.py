"""How fast the lease scheduler is: leases in a simulation, decisions on a large site."""

import gc
import os
import random
import resource
import time
from collections.abc import Iterator
from heapq import heappop, heappush
from pathlib import Path

from bench.reference import (
    CYCLE_GOAL_MS,
    HAIZEA_BLUE,
    HAIZEA_SYNTHETIC,
    SIMULATION_GOAL,
    TIMES_HAIZEA,
)
from bench.table import Row, percentile, skipped
from orrery.core.capacity import Capacity
from orrery.core.model.lease import LeaseKind, LeaseStatus, NodeSet, Terms
from orrery.sched.leases.calendar import Calendar
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.site import Site, SiteHost
from orrery.simulate.leases.run import Result, simulate
from orrery.simulate.leases.workload.model import Workload, merge
from orrery.simulate.leases.workload.reading import ReadOptions, read, read_site
from orrery.simulate.leases.workload.synthetic import synthetic

SECTION = "Leases: simulation, suspension and migration on"
CYCLE = "Leases: one decision on a large site"

NODES = (32, 128, 1_024)
SHARES = (0.0, 0.1, 0.3)
SEED = 1


def measure(seconds: float) -> Iterator[Row]:
    """Growth with leases and nodes; all sizes with ORRERY_BENCH_FULL=1 (it takes half an hour)."""
    full = bool(os.environ.get("ORRERY_BENCH_FULL"))
    for leases in (500, 5_000, 50_000, 500_000):
        for nodes in NODES:
            for share in SHARES:
                if full or leases <= 5_000 or (leases == 50_000 and nodes == 32 and share == 0.1):
                    yield on_synthetic(leases, nodes, share)
    yield from on_blue()
    yield from cycle(seconds)


def on_synthetic(leases: int, nodes: int, share: float) -> Row:
    workload = synthetic(leases, nodes, share, SEED)
    haizea = HAIZEA_SYNTHETIC.get((leases, nodes))
    row = timed(workload, f"{leases:,} leases on {nodes:,} nodes, {share:.0%} reservations", None)
    if haizea is None or row.per_second is None:
        return row
    ratio = row.per_second / haizea
    return replaced(row, f"Haizea {haizea:g}/s", ratio, f"{TIMES_HAIZEA}x", ratio >= TIMES_HAIZEA)


def on_blue() -> Iterator[Row]:
    """SDSC Blue Horizon, if its files are at hand: they are not the project's."""
    folder = os.environ.get("TRACES")
    what = "SDSC Blue Horizon, 30 days on 144 nodes"
    if not folder:
        yield skipped(SECTION, what, "TRACES names no folder with the traces")
        return
    blue = read(Path(folder) / "sdsc-blue" / "30days.swf", ReadOptions())
    site = read_site("144 CPU:100,Memory:1024")
    row = timed(blue, what, site)
    rate = row.per_second or 0.0
    yield replaced(
        row,
        f"Haizea {HAIZEA_BLUE[0]:g}/s",
        rate / HAIZEA_BLUE[0],
        f"{SIMULATION_GOAL[0]:,}/s",
        rate >= SIMULATION_GOAL[0],
    )
    injected = find_injected(Path(folder))
    if injected is None:
        yield skipped(SECTION, f"{what}, 20% reservations", "the injected leases are not unpacked")
        return
    row = timed(merge(blue, read(injected, ReadOptions())), f"{what}, 20% reservations", site)
    rate = row.per_second or 0.0
    yield replaced(
        row,
        f"Haizea {HAIZEA_BLUE[1]:g}/s",
        rate / HAIZEA_BLUE[1],
        f"{SIMULATION_GOAL[1]:,}/s",
        rate >= SIMULATION_GOAL[1],
    )


def find_injected(folder: Path) -> Path | None:
    """The published reservations of 20 % of the load, 3 hours, medium size."""
    found = sorted(folder.rglob("work_20-dur_3h-size_2medium.lwf"))
    return found[0] if found else None


def replaced(row: Row, reference: str, ratio: float, goal: str, met: bool) -> Row:
    return Row(
        section=row.section,
        what=row.what,
        per_second=row.per_second,
        value=row.value,
        note=row.note,
        reference=reference,
        ratio=ratio,
        goal=goal,
        met=met,
    )


def timed(workload: Workload, what: str, site: Site | None) -> Row:
    """CPU time of one simulation, beside that of a loop that only counts nodes."""
    gc.collect()
    begun = time.process_time()
    result = simulate(workload, Settings(), site)
    cpu = time.process_time() - begun
    return Row(
        section=SECTION,
        what=what,
        per_second=len(workload.arrivals) / cpu,
        value=f"{cpu:.2f} s CPU",
        note=f"{story(result)}; {result.events / cpu:,.0f} events/s; "
        f"bare EASY loop {easy_rate(workload, result.site):,.0f}/s; peak {peak_mib()} MiB",
    )


def story(result: Result) -> str:
    leases = result.bookings.values()
    asked = [b for b in leases if b.kind is LeaseKind.RESERVATION]
    kept = sum(b.status is LeaseStatus.DONE for b in asked)
    return f"{kept} of {len(asked)} reservations, {sum(b.suspensions for b in leases)} suspensions"


def peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def easy_rate(workload: Workload, site: Site) -> float:
    """Leases a second of EASY backfilling that counts free nodes and knows nothing else: neither
    hosts, nor reservations, nor suspension. The floor for any scheduler in this language."""
    jobs = [
        (a.at, a.terms.node_count, int(a.terms.duration), a.real_duration or int(a.terms.duration))
        for a in workload.arrivals
        if a.terms.kind is LeaseKind.BEST_EFFORT
    ]
    begun = time.process_time()
    easy(jobs, len(site.hosts))
    return len(jobs) / max(time.process_time() - begun, 1e-9)


def easy(jobs: list[tuple[int, int, int, int]], free: int) -> int:
    """When all jobs (arrival, nodes, requested and real seconds) are done."""
    queue: list[tuple[int, int, int, int]] = []
    running: list[tuple[int, int, int]] = []
    position = now = 0
    while position < len(jobs) or running:
        arrival = jobs[position][0] if position < len(jobs) else None
        if running and (arrival is None or running[0][0] <= arrival):
            now, _, nodes = heappop(running)
            free += nodes
        elif arrival is not None:
            now = arrival
            queue.append(jobs[position])
            position += 1
        free = start_what_fits(queue, running, free, now)
    return now


def start_what_fits(
    queue: list[tuple[int, int, int, int]],
    running: list[tuple[int, int, int]],
    free: int,
    now: int,
) -> int:
    while queue and queue[0][1] <= free:
        free = start(queue.pop(0), running, free, now)
    if not queue:
        return free
    shadow, extra = shadow_of(queue[0][1], running, free)
    index = 1
    while index < len(queue) and free:
        _, nodes, wanted, _ = queue[index]
        if nodes <= free and (now + wanted <= shadow or nodes <= extra):
            extra -= nodes if now + wanted > shadow else 0
            free = start(queue.pop(index), running, free, now)
        else:
            index += 1
    return free


def start(
    job: tuple[int, int, int, int], running: list[tuple[int, int, int]], free: int, now: int
) -> int:
    _, nodes, wanted, real = job
    heappush(running, (now + min(wanted, real), now + wanted, nodes))
    return free - nodes


def shadow_of(nodes: int, running: list[tuple[int, int, int]], free: int) -> tuple[int, int]:
    """When the first of the queue can start by the requested times, and what is left over then."""
    for _, end, freed in sorted(running, key=lambda entry: entry[1]):
        free += freed
        if free >= nodes:
            return end, free - nodes
    return 0, 0


# --- one decision ---------------------------------------------------------------------------------

ACTIVE, QUEUED, HOSTS = 10_000, 1_000, 1_000
SHAPES = ((100, 2_048), (100, 4_096), (200, 4_096), (100, 1_024))


def cycle(seconds: float) -> Iterator[Row]:
    """How long one event takes on 1 000 hosts with 10 000 active and 1 000 queued leases."""
    del seconds
    calendar, now = filled()
    rng = random.Random(SEED)
    active = [b for b in calendar.bookings.values() if b.status is LeaseStatus.ACTIVE]
    times = []
    for booking in rng.sample(active, 100):
        now += 1
        calendar.advance(now)
        if booking.status is LeaseStatus.ACTIVE:
            begun = time.perf_counter()
            calendar.finish(booking.id, now)
            calendar.advance(now)
            times.append((time.perf_counter() - begun) * 1000)
    yield decided("a lease ends early", times)
    times = []
    for number in range(30):
        now += 1
        nodes = NodeSet(count=20, capacity=Capacity(400, 8_192))
        start = float(now + rng.randrange(7_200, 86_400))
        begun = time.perf_counter()
        calendar.submit(10**9 + number, Terms(nodes=(nodes,), duration=7_200.0, start=start), now)
        calendar.advance(now)
        times.append((time.perf_counter() - begun) * 1000)
    yield decided("a reservation of 20 nodes is asked for", times)


def decided(what: str, times: list[float]) -> Row:
    worst = percentile(times, 0.99)
    return Row(
        section=CYCLE,
        what=f"{HOSTS:,} hosts, {ACTIVE:,} active, {QUEUED:,} queued: {what}",
        median_ms=percentile(times, 0.5),
        p99_ms=worst,
        goal=f"{CYCLE_GOAL_MS:g} ms",
        met=worst <= CYCLE_GOAL_MS,
    )


def filled() -> tuple[Calendar, int]:
    """A calendar with that many leases, and the time."""
    hosts = (SiteHost(id=n, name=f"n{n}", capacity=Capacity(1_600, 65_536)) for n in range(HOSTS))
    calendar = Calendar(Site(hosts=tuple(hosts)), Settings())
    rng = random.Random(SEED)
    lease_id = now = 0
    while len(calendar.line.live) < ACTIVE:
        for _ in range(200):
            lease_id += 1
            calendar.submit(lease_id, drawn(rng, 1), now)
        calendar.advance(now)
        now += 1
    while len(calendar.line.queue) < QUEUED:
        lease_id += 1
        calendar.submit(lease_id, drawn(rng, rng.randrange(40, 400)), now)
        calendar.advance(now)
    return calendar, now


def drawn(rng: random.Random, nodes: int) -> Terms:
    cpu, memory = rng.choice(SHAPES)
    wanted = NodeSet(count=nodes, capacity=Capacity(cpu, memory))
    return Terms(nodes=(wanted,), duration=float(rng.randrange(3_600, 86_400)))
