"""The traces of the prototype that Haizea grew out of. Reads no file itself.

Fields divided by semicolons, one lease a line: submit, (a time that is not used,) image, its size,
nodes, memory, CPU, access, start after submit (NULL: best effort), duration, (real duration,) kind.
The older ones lack those in brackets. Sizes are MiB, times seconds, CPU percent; INF is for ever.
"""

from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput
from orrery.core.model.lease import NodeSet, Terms
from orrery.core.moments import LONGEST_S
from orrery.core.numbers import whole
from orrery.simulate.leases.workload.model import Arrival, Workload, in_order

OLD, NEW, NEWEST = 10, 11, 12
FOR_EVER_S = 36_500 * 86_400
"""What Haizea takes an unlimited duration for."""
NONE = frozenset({"NULL", "NONE", ""})


def read_prototype(text: str, name: str = "") -> Workload:
    """The workload; leases are numbered from 1.

    Raises:
        InvalidInput: with the line.
    """
    arrivals: list[Arrival] = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.partition("#")[0].strip()
        if stripped:
            arrivals.append(read_line(stripped, number, len(arrivals) + 1))
    return Workload(name=name, arrivals=in_order(arrivals))


def read_line(line: str, number: int, lease_id: int) -> Arrival:
    place = f"line {number}"
    fields = [field.strip() for field in line.split(";")]
    if len(fields) not in (OLD, NEW, NEWEST):
        raise InvalidInput(place, line, f"has {len(fields)} fields: {OLD} or {NEWEST} are needed")
    if len(fields) != OLD:
        del fields[1]
    at = read_number(fields[0], place)
    image, image_mib, nodes, memory, cpu = fields[1], *(read_number(f, place) for f in fields[2:6])
    start, duration = fields[7], read_duration(fields[8], place)
    real = read_duration(fields[9], place) if len(fields) > OLD else duration
    size = Capacity(cpu, memory)
    terms = Terms(
        nodes=(NodeSet(count=nodes, capacity=size),),
        duration=duration,
        start=None if start in NONE else at + read_number(start, place),
        image=None if image in NONE else image,
        image_mib=0 if image in NONE else image_mib,
    )
    return Arrival(
        at=at, lease_id=lease_id, terms=terms, real_duration=real if real < duration else None
    )


def read_number(text: str, place: str) -> int:
    number = whole(text, LONGEST_S)
    if number is None:
        raise InvalidInput(place, text, "is no whole number")
    return number


def read_duration(text: str, place: str) -> int:
    return FOR_EVER_S if text == "INF" else max(1, read_number(text, place))
