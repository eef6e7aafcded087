"""What a lease asks for, as people write it in YAML, to its terms. Reads no file and no clock.

nodes: 4              # or a list of {count, cpu, memory, disk, other}
cpu: 1                # cores of each node
memory: 1GiB          # or a number of MiB
start: Tuesday 10:00  # now | best effort (as if absent) | a moment
duration: 2h
deadline: +1d         # latest end; the start is then the earliest one
preemptible: true
image: web.img        # or {name: web.img, size: 4GiB}
priority: 1
recurring: {count: 4, every: 1w}
"""

import re
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.documents import Fields, Value, shown
from orrery.core.errors import InvalidInput
from orrery.core.model.lease import NodeSet, Terms
from orrery.core.moments import parse_duration

NODE_FIELDS = frozenset({"cpu", "memory", "disk", "other"})
TERM_FIELDS = NODE_FIELDS | {
    *("nodes", "start", "duration", "deadline", "preemptible", "image", "priority", "recurring"),
}
NODES_MAX = 100_000
CPU_PCT_MAX = 100_000_000
SIZE_MAX = 1 << 40
PRIORITY_MAX = 1_000_000
RECURRING_MAX = 10_000
LEASES_MAX = 100_000

SIZE = re.compile(
    r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(?:([KMGT])(?:iB|B)?)?", re.ASCII | re.IGNORECASE
)
FACTORS = {"k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0 * 1024}
NO_START = frozenset({"best effort", "best-effort", "any", "any time"})

When = Callable[[str, str], float]
"""A moment's text and the field it is for, to seconds."""


class Recurring(Struct, frozen=True):
    """The same again and again."""

    count: int = 1
    every_s: float = 0.0


def lease_items(document: Value) -> list[tuple[str, Value]]:
    """Each lease with its place, the defaults filled in."""
    if isinstance(document, list):
        return [(f"[{number}]", item) for number, item in enumerate(document)]
    if isinstance(document, dict) and "leases" in document:
        return with_defaults(Fields(document, "", ("leases", "defaults")))
    return [("", document)]


def with_defaults(fields: Fields) -> list[tuple[str, Value]]:
    defaults = fields.get("defaults")
    if defaults is None:
        return fields.items("leases")
    if not isinstance(defaults, dict):
        raise fields.refuse("defaults", "is no mapping: give fields of leases")
    return [
        (place, {**defaults, **item} if isinstance(item, dict) else item)
        for place, item in fields.items("leases")
    ]


def read_terms(fields: Fields, when: When) -> Terms:
    """The terms in a mapping that may hold other fields too."""
    start = (fields.text("start") or "best effort").strip().lower()
    immediate = start == "now"
    deadline = fields.text("deadline")
    image, image_mib = read_image(fields)
    terms = Terms(
        nodes=read_nodes(fields),
        duration=positive_duration(fields, "duration"),
        start=None if immediate or start in NO_START else when(start, fields.at("start")),
        immediate=immediate,
        deadline=None if deadline is None else when(deadline, fields.at("deadline")),
        preemptible=fields.flag("preemptible"),
        image=image,
        image_mib=image_mib,
        priority=fields.whole("priority", 0, least=-PRIORITY_MAX, most=PRIORITY_MAX),
    )
    return with_earliest(terms, fields, when)


def with_earliest(terms: Terms, fields: Fields, when: When) -> Terms:
    """A deadline lease always has an earliest start: now, if it names none."""
    if terms.deadline is None:
        return terms
    start = when("now", fields.at("start")) if terms.start is None else terms.start
    if terms.deadline < start + terms.duration:
        raise fields.refuse("deadline", "is too early: leave time for start and duration")
    return replace(terms, start=start, immediate=False)


def read_nodes(fields: Fields) -> tuple[NodeSet, ...]:
    nodes = fields.get("nodes")
    if not isinstance(nodes, list):
        return (node_set(fields, "nodes"),)
    if not nodes:
        raise fields.refuse("nodes", "is empty: give a number, or sets of nodes")
    shared = {name: value for name, value in fields.values.items() if name in NODE_FIELDS}
    found = []
    for place, item in fields.items("nodes"):
        whole = {**shared, **item} if isinstance(item, dict) else item
        inner = Fields(whole, place, NODE_FIELDS | {"count"})
        found.append(node_set(inner, "count"))
    return tuple(found)


def node_set(fields: Fields, count: str) -> NodeSet:
    size = read_node_size(fields)
    number = fields.whole(count, 1, least=1, most=NODES_MAX)
    return NodeSet(count=number, capacity=size.capacity, other=size.other)


class NodeSize(Struct, frozen=True):
    """What one node, or one host, has."""

    capacity: Capacity
    other: tuple[tuple[str, int], ...]


def read_node_size(fields: Fields) -> NodeSize:
    cpu = fields.number("cpu")
    cpu_pct = 100 if cpu is None else round(cpu * 100)
    if not 0 <= cpu_pct <= CPU_PCT_MAX:
        raise fields.refuse("cpu", f"is no number of cores from 0 to {CPU_PCT_MAX // 100}")
    memory = read_mib(fields.need("memory"), fields.at("memory"))
    disk = fields.text("disk")
    disk_mib = 0 if disk is None else read_mib(disk, fields.at("disk"))
    return NodeSize(Capacity(cpu_pct, memory, disk_mib), read_other(fields))


def read_other(fields: Fields) -> tuple[tuple[str, int], ...]:
    other = fields.get("other")
    if other is None:
        return ()
    amounts = Fields(other, fields.at("other"), other if isinstance(other, dict) else ())
    return tuple(sorted((name, amounts.whole(name, 0)) for name in amounts.values))


def read_mib(text: str, field: str) -> int:
    """Whole MiB, rounded up."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(field, text, "is no size: give MiB, or a unit as in 4GiB")
    size = -int(-float(match[1]) * FACTORS[(match[2] or "m").lower()] // 1)
    if size > SIZE_MAX:
        raise InvalidInput(field, text, f"is too large: at most {SIZE_MAX} MiB")
    return size


def positive_duration(fields: Fields, name: str) -> float:
    seconds = parse_duration(fields.need(name), fields.at(name))
    if seconds < 1:
        raise fields.refuse(name, "is too short: at least a second")
    return seconds


def read_image(fields: Fields) -> tuple[str | None, int]:
    image = fields.get("image")
    if not isinstance(image, dict):
        return fields.text("image"), 0
    inner = Fields(image, fields.at("image"), ("name", "size"))
    size = inner.text("size")
    return inner.need("name"), 0 if size is None else read_mib(size, inner.at("size"))


def read_recurring(fields: Fields) -> Recurring:
    recurring = fields.get("recurring")
    if recurring is None:
        return Recurring()
    inner = Fields(recurring, fields.at("recurring"), ("count", "every"))
    if inner.get("count") is None:
        raise InvalidInput(inner.at("count"), shown(recurring), "has no count: say how often")
    count = inner.whole("count", 1, least=1, most=RECURRING_MAX)
    return Recurring(count, positive_duration(inner, "every"))


def shifted(terms: Terms, seconds: float) -> Terms:
    """The same so much later."""
    return replace(
        terms,
        start=None if terms.start is None else terms.start + seconds,
        deadline=None if terms.deadline is None else terms.deadline + seconds,
    )
