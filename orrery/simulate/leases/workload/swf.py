"""The Standard Workload Format of the Parallel Workloads Archive, to leases and back. Reads no file
itself.

A job becomes a best-effort lease of as many nodes as it asked for processors, divided by how many a
node has. A job that names no time it needs is taken to have asked for what it used; of a job that
names neither, or no processors, nothing can be made. How many jobs were left out or completed so
is written into the attributes of the workload.
"""

import re
from collections import Counter
from collections.abc import Iterator
from math import ceil

from msgspec import Struct

from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput
from orrery.core.lease_lwf import HOSTS_MAX, Amounts
from orrery.core.model.lease import LeaseKind, NodeSet, Terms
from orrery.core.moments import LONGEST_S
from orrery.core.numbers import MAX_ID
from orrery.sched.leases.site import Site
from orrery.simulate.leases.workload.model import Arrival, Workload, in_order
from orrery.simulate.leases.workload.sites import site_of

CANCELLED = 5
FIELDS_MIN = 11
"""Up to the status; the further ones may be missing."""
NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{0,9})?", re.ASCII)
HEADER = re.compile(r";\s*(MaxNodes|MaxProcs):\s*([0-9]{1,9})\b", re.ASCII)
MEMORY_MAX_KIB = 1 << 50


class SwfOptions(Struct, frozen=True, kw_only=True):
    """How jobs and leases correspond."""

    processors_per_node: int = 1
    """Haizea's --scale: jobs ask for processors, leases for nodes."""
    cpu_pct: int = 100
    """CPU of each node."""
    memory_mib: int | None = None
    """Memory of each node, whatever the job asked for."""
    default_memory_mib: int = 1024
    """Memory of each node of a job that names none."""
    queues: frozenset[int] | None = None
    """Only jobs of these queues."""
    start_s: int = 0
    """Only jobs submitted from then on; times then count from there."""
    interval_s: int | None = None
    """And so long."""
    skip_cancelled: bool = True
    """Leave out jobs that were cancelled before they ran."""
    extras: bool = True
    """Keep what leases have no place for, under Haizea's names."""


class Job(Struct, frozen=True):
    """The fields that are used. -1 is unknown, as in the file."""

    line: int
    job_id: int
    submit: float
    wait: float
    run: float
    used_processors: int
    average_cpu: float
    asked_processors: int
    asked_time: float
    asked_memory_kib: float
    status: int
    user: int
    group: int
    executable: int
    queue: int


def read_swf(text: str, options: SwfOptions = SwfOptions(), name: str = "") -> Workload:
    """The workload of a log. The site is made of the header's MaxProcs or MaxNodes, if it has one.

    Raises:
        InvalidInput: with the line and the field.
    """
    check(options)
    header: dict[str, int] = {}
    counts: Counter[str] = Counter()
    arrivals: dict[int, Arrival] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith(";"):
            read_header(stripped, header)
        elif stripped:
            job = read_job(stripped, number)
            arrival = arrival_of(job, options, counts)
            if arrival is not None and arrivals.setdefault(job.job_id, arrival) is not arrival:
                where = f"line {number}, job number"
                raise InvalidInput(where, str(job.job_id), "is given twice: numbers differ")
    found = in_order(arrivals.values())
    attributes = {key: str(count) for key, count in sorted(counts.items())}
    site = site_of_header(header, found, options)
    return Workload(name=name, arrivals=found, site=site, attributes=attributes)


def check(options: SwfOptions) -> None:
    for field in ("processors_per_node", "cpu_pct", "memory_mib", "default_memory_mib"):
        value = getattr(options, field)
        if value is not None and value < 1:
            raise InvalidInput(field, str(value), "is too small: at least 1")


def read_header(line: str, header: dict[str, int]) -> None:
    match = HEADER.match(line)
    if match:
        header[match[1]] = int(match[2])


def site_of_header(
    header: dict[str, int], arrivals: tuple[Arrival, ...], options: SwfOptions
) -> Site | None:
    """Hosts as large as the largest node that is asked for."""
    if header.get("MaxProcs"):
        count = ceil(header["MaxProcs"] / options.processors_per_node)
    else:
        count = header.get("MaxNodes", 0)
    if not 0 < count <= HOSTS_MAX:
        return None
    memory = options.memory_mib or max(
        (nodes.capacity.memory_mib for arrival in arrivals for nodes in arrival.terms.nodes),
        default=options.default_memory_mib,
    )
    return site_of([(count, Amounts(Capacity(options.cpu_pct, memory)))])


def read_job(line: str, number: int) -> Job:
    fields = line.split()
    if len(fields) < FIELDS_MIN:
        remedy = f"has {len(fields)} fields: SWF has 18, and {FIELDS_MIN} are needed"
        raise InvalidInput(f"line {number}", line, remedy)
    values = [read_number(text, number, place) for place, text in enumerate(fields[:15], 1)]
    values += [-1.0] * (15 - len(values))
    job_id, submit, wait, run, used, average, _, asked, asked_time, memory = values[:10]
    status, user, group, executable, queue = values[10:]
    if not 0 <= job_id <= MAX_ID or not 0 <= submit <= LONGEST_S:
        remedy = "has no job number or submit time: both are at least 0"
        raise InvalidInput(f"line {number}", line, remedy)
    return Job(
        line=number,
        job_id=int(job_id),
        submit=submit,
        wait=wait,
        run=min(run, LONGEST_S),
        used_processors=int(used),
        average_cpu=average,
        asked_processors=int(asked),
        asked_time=min(asked_time, LONGEST_S),
        asked_memory_kib=min(memory, MEMORY_MAX_KIB),
        status=int(status),
        user=max(0, int(user)),
        group=int(group),
        executable=int(executable),
        queue=int(queue),
    )


def read_number(text: str, line: int, place: int) -> float:
    if not NUMBER.fullmatch(text):
        raise InvalidInput(f"line {line}, field {place}", text, "is no number")
    return float(text)


def arrival_of(job: Job, options: SwfOptions, counts: Counter[str]) -> Arrival | None:
    """The lease of a job; None if it is left out."""
    end_s = None if options.interval_s is None else options.start_s + options.interval_s
    if job.submit < options.start_s or (end_s is not None and job.submit >= end_s):
        return None
    if options.queues is not None and job.queue not in options.queues:
        return None
    if job.run < 0 and job.status == CANCELLED and options.skip_cancelled:
        counts["swf_cancelled"] += 1
        return None
    processors = job.asked_processors if job.asked_processors > 0 else job.used_processors
    requested, real = times_of(job)
    if processors <= 0 or requested is None:
        counts["swf_unusable"] += 1
        return None
    if job.asked_time <= 0:
        counts["swf_without_requested_time"] += 1
    count = min(HOSTS_MAX, ceil(processors / options.processors_per_node))
    capacity = Capacity(options.cpu_pct, memory_of(job, options))
    return Arrival(
        at=round(job.submit) - options.start_s,
        lease_id=job.job_id,
        terms=Terms(nodes=(NodeSet(count=count, capacity=capacity),), duration=requested),
        real_duration=real,
        user=job.user,
        extras=extras_of(job) if options.extras else (),
    )


def times_of(job: Job) -> tuple[int | None, int | None]:
    """The requested time, and the real one if that is known and less."""
    real = max(1, round(job.run)) if job.run >= 0 else None
    requested = max(1, round(job.asked_time)) if job.asked_time > 0 else real
    return requested, None if real is None or requested is None or real >= requested else real


def memory_of(job: Job, options: SwfOptions) -> int:
    if options.memory_mib is not None:
        return options.memory_mib
    if job.asked_memory_kib <= 0:
        return options.default_memory_mib
    return ceil(job.asked_memory_kib / 1024)


def extras_of(job: Job) -> tuple[tuple[str, str], ...]:
    return (
        ("SWF_waittime", str(round(job.wait))),
        ("SWF_runtime", str(round(job.run))),
        ("SWF_avgcputime", str(round(job.average_cpu, 2))),
        ("SWF_queue", str(job.queue)),
        ("SWF_group", str(job.group)),
        ("SWF_execnumber", str(job.executable)),
    )


# --- writing ------------------------------------------------------------------------------------


def swf_text(workload: Workload, options: SwfOptions = SwfOptions()) -> str:
    """The workload as SWF.

    Raises:
        InvalidInput: a lease is not best effort: SWF has no place for its times.
    """
    check(options)
    return "\n".join([*header_lines(workload, options), *job_lines(workload, options), ""])


def header_lines(workload: Workload, options: SwfOptions) -> Iterator[str]:
    yield "; Version: 2.2"
    yield f"; Computer: {' '.join(workload.name.split()) or 'unknown'}"
    yield f"; MaxJobs: {len(workload.arrivals)}"
    if workload.site is not None:
        yield f"; MaxNodes: {len(workload.site.hosts)}"
        yield f"; MaxProcs: {len(workload.site.hosts) * options.processors_per_node}"


def job_lines(workload: Workload, options: SwfOptions) -> Iterator[str]:
    for arrival in workload.arrivals:
        terms = arrival.terms
        if terms.kind is not LeaseKind.BEST_EFFORT:
            remedy = "is no best-effort lease, and SWF knows no others: take it out"
            raise InvalidInput("lease", str(arrival.lease_id), remedy)
        yield job_line(arrival, dict(arrival.extras), options)


def job_line(arrival: Arrival, extras: dict[str, str], options: SwfOptions) -> str:
    """Of nodes that differ, the largest memory counts for all."""
    terms = arrival.terms
    processors = terms.node_count * options.processors_per_node
    duration = round(terms.duration)
    real = run_of(arrival, extras)
    memory = max(nodes.capacity.memory_mib for nodes in terms.nodes)
    fields = [arrival.lease_id, arrival.at, extra(extras, "SWF_waittime"), real, processors]
    fields += [extra(extras, "SWF_avgcputime"), -1, processors, duration, memory * 1024, 1]
    fields += [arrival.user, extra(extras, "SWF_group"), extra(extras, "SWF_execnumber")]
    fields += [extra(extras, "SWF_queue"), -1, -1, -1]
    return " ".join(map(str, fields))


def run_of(arrival: Arrival, extras: dict[str, str]) -> int | str:
    """What was cut off at the requested time, or was unknown, is so again."""
    if arrival.real_duration is not None:
        return arrival.real_duration
    duration = round(arrival.terms.duration)
    logged = extra(extras, "SWF_runtime")
    return logged if "SWF_runtime" in extras and not 0 <= float(logged) < duration else duration


def extra(extras: dict[str, str], name: str) -> str:
    text = extras.get(name, "-1")
    return text if NUMBER.fullmatch(text) else "-1"
