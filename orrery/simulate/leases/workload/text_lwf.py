"""Haizea's first workload format, in which the reservations of HPDC 2008 were published. Reads no
file itself.

One lease a line, ten fields: submit, start (-1: best effort), duration, real duration, nodes, CPUs,
memory, disk, image, image size. Times are seconds from the start, sizes MiB. Some published leases
start before the beginning; they are kept as they are, for a scheduler to refuse. What is submitted
before the beginning arrives with it.
"""

import re

from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput
from orrery.core.model.lease import NodeSet, Terms
from orrery.core.moments import LONGEST_S
from orrery.core.numbers import whole
from orrery.simulate.leases.workload.model import Arrival, Workload, in_order

FIELDS = (
    *("submit", "start", "duration", "real duration", "nodes", "CPUs", "memory", "disk"),
    *("image", "image size"),
)
LIMITS = (LONGEST_S, LONGEST_S, LONGEST_S, LONGEST_S, 100_000, 1_000_000, 1 << 40, 1 << 40)
NO_IMAGES = frozenset({"", "NONE", "NONE.img"})
EARLY = re.compile(r"-[0-9]{1,12}", re.ASCII)
PARTS = re.compile(r"'[^']*'|\"[^\"]*\"|\S+")


def read_text_lwf(text: str, name: str = "") -> Workload:
    """The workload; leases are numbered from 1. The image NONE.img is none.

    Raises:
        InvalidInput: with the line and the field.
    """
    arrivals: list[Arrival] = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.partition("#")[0].strip()
        if stripped:
            arrivals.append(read_line(stripped, number, len(arrivals) + 1))
    return Workload(name=name, arrivals=in_order(arrivals))


def looks_like_text_lwf(text: str) -> bool:
    """Whether the first line that says something has its ten fields, and numbers first."""
    for line in text.split("\n", 1000):
        parts = PARTS.findall(line.partition("#")[0])
        if parts:
            return len(parts) == len(FIELDS) and all(map(is_number, parts[:8]))
    return False


def is_number(text: str) -> bool:
    return text.removeprefix("-").isdigit()


def read_line(line: str, number: int, lease_id: int) -> Arrival:
    parts = PARTS.findall(line)
    if len(parts) != len(FIELDS):
        where = f"line {number}"
        raise InvalidInput(where, line, f"has {len(parts)} fields: ten are needed")
    best_effort = parts[1] == "-1"
    sign = -1 if parts[1].startswith("-") else 1
    parts[1] = parts[1].removeprefix("-")
    if EARLY.fullmatch(parts[0]):
        parts[0] = "0"
    numbers = [read_number(parts[place], number, place) for place in range(len(LIMITS))]
    submit, start, duration, real, nodes, cpus, memory, disk = numbers
    if not duration or not nodes:
        raise InvalidInput(f"line {number}", line, "has no duration or no nodes: give both")
    image = parts[8].strip("'\"")
    size = whole(parts[9], LIMITS[7])
    if size is None:
        raise refusal(parts[9], number, 9, LIMITS[7])
    has_image = image not in NO_IMAGES
    terms = Terms(
        nodes=(NodeSet(count=nodes, capacity=Capacity(cpus * 100, memory, disk)),),
        duration=duration,
        start=None if best_effort else sign * start,
        image=image if has_image else None,
        image_mib=size if has_image else 0,
    )
    real_s = max(1, real) if real < duration else None
    return Arrival(at=submit, lease_id=lease_id, terms=terms, real_duration=real_s)


def read_number(text: str, line: int, place: int) -> int:
    value = whole(text, LIMITS[place])
    if value is None:
        raise refusal(text, line, place, LIMITS[place])
    return value


def refusal(text: str, line: int, place: int, most: int) -> InvalidInput:
    where = f"line {line}, {FIELDS[place]}"
    return InvalidInput(where, text, f"is no whole number up to {most}")
