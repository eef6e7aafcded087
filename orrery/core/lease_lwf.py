"""A lease in Haizea's XML (the lease of an LWF file) to its terms. Reads no file and no clock.

The attribute `preemptible` is left to the caller: see `with_preemptible`.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.model.lease import NodeSet, Terms
from orrery.core.moments import LONGEST_S, parse_colons
from orrery.core.numbers import whole
from orrery.core.xml_tree import Element, read_xml

HOSTS_MAX = 100_000
AMOUNT_MAX = 1 << 40
TIME_FORM = "is no time: give it as HH:MM:SS, with the days before it if need be"


class Amounts(Struct, frozen=True):
    """What a host or a node has."""

    capacity: Capacity
    other: tuple[tuple[str, int], ...] = ()


def lease_terms_from_lwf(data: bytes, now: float) -> list[Terms]:
    """The leases of a file that holds one <lease>, one <lease-request>, or a whole workload. Their
    times are counted from now.

    Raises:
        InvalidInput: with the line and the element.
    """
    root = read_xml(data)
    if root.tag == "lease":
        found = [(root, 0)]
    elif root.tag == "lease-request":
        found = [arriving(root)]
    elif root.tag == "lease-workload":
        requests = root.need("lease-requests").all("lease-request")
        found = [arriving(request) for request in requests]
    else:
        remedy = "is no lease: the root is <lease>, <lease-request> or <lease-workload>"
        raise root.refuse("", remedy)
    return [later(with_preemptible(read_terms(one, at), one), now) for one, at in found]


def arriving(request: Element) -> tuple[Element, int]:
    """The lease of a request, and when it arrives: a deadline lease may start then."""
    at = read_time(request, "arrival") if "arrival" in request.attributes else 0
    return request.need("lease"), at


def later(terms: Terms, seconds: float) -> Terms:
    return replace(
        terms,
        start=None if terms.start is None else terms.start + seconds,
        deadline=None if terms.deadline is None else terms.deadline + seconds,
    )


def read_terms(lease: Element, at: int, priority: int = 0) -> Terms:
    """A deadline lease that names no start may start when it is asked for."""
    start, immediate = read_start(lease.need("start"))
    deadline = lease.child("deadline")
    deadline_s = None if deadline is None else read_time(deadline, "time")
    if deadline_s is not None and start is None:
        start, immediate = at, False
    image, image_mib = read_software(lease.child("software"))
    return Terms(
        nodes=read_nodes(lease.need("nodes")),
        duration=read_duration(lease.need("duration")),
        start=start,
        immediate=immediate,
        deadline=deadline_s,
        image=image,
        image_mib=image_mib,
        priority=priority,
    )


def read_nodes(element: Element) -> tuple[NodeSet, ...]:
    found = []
    for group in element.all("node-set"):
        count, amounts = read_node_set(group)
        found.append(NodeSet(count=count, capacity=amounts.capacity, other=amounts.other))
    if not found:
        raise element.refuse("", "holds no <node-set>: give at least one")
    return tuple(found)


def read_start(element: Element) -> tuple[int | None, bool]:
    """The exact start, and whether it is at once."""
    exact, now = element.child("exact"), element.child("now")
    if exact is not None and now is not None:
        raise element.refuse("", "is both exact and now: keep one")
    return (None if exact is None else read_time(exact, "time")), now is not None


def read_duration(element: Element) -> int:
    exact = read_seconds(element, "time")
    if not exact:
        raise element.refuse(element.attribute("time"), "is no duration: more than 0", "time")
    return max(1, round(exact))


def read_software(element: Element | None) -> tuple[str | None, int]:
    image = None if element is None else element.child("disk-image")
    if image is None:
        return None, 0
    return image.attribute("id"), whole_attribute(image, "size", AMOUNT_MAX)


def with_preemptible(terms: Terms, lease: Element) -> Terms:
    text = lease.attributes.get("preemptible")
    if text is None:
        return terms
    if text.lower() not in ("true", "false"):
        raise lease.refuse(text, "is neither true nor false", "preemptible")
    return replace(terms, preemptible=text.lower() == "true")


def read_node_set(element: Element) -> tuple[int, Amounts]:
    count = whole_attribute(element, "numnodes", HOSTS_MAX)
    if not count:
        raise element.refuse("0", "is no number of nodes: at least 1", "numnodes")
    return count, amounts_of([read_resource(res) for res in element.all("res")])


def read_resource(element: Element) -> tuple[str, int]:
    """Several instances of a resource are as much as their sum."""
    name = element.attribute("type").strip()
    if not name:
        raise element.refuse("", "is empty: name the resource", "type")
    if "amount" in element.attributes:
        return name, whole_attribute(element, "amount", AMOUNT_MAX)
    instances = element.all("instance")
    if not instances:
        raise element.refuse("", "has neither amount nor <instance>: give one")
    return name, sum(whole_attribute(instance, "amount", AMOUNT_MAX) for instance in instances)


def whole_attribute(element: Element, name: str, most: int) -> int:
    text = element.attribute(name).strip()
    number = whole(text, most)
    if number is None:
        raise element.refuse(text, f"is no whole number up to {most}", name)
    return number


def amounts_of(resources: Sequence[tuple[str, int]]) -> Amounts:
    """CPU, Memory and Disk are ours; what has another name goes to the others."""
    known = {"cpu": 0, "memory": 0, "disk": 0}
    other: dict[str, int] = {}
    for name, amount in resources:
        if name.lower() in known:
            known[name.lower()] += amount
        else:
            other[name] = other.get(name, 0) + amount
    capacity = Capacity(known["cpu"], known["memory"], known["disk"])
    return Amounts(capacity, tuple(sorted(other.items())))


def read_time(element: Element, name: str) -> int:
    """Whole seconds, the nearest."""
    return round(read_seconds(element, name))


def read_seconds(element: Element, name: str) -> float:
    text = element.attribute(name).strip()
    seconds = parse_colons(text.removeprefix("+"))
    if seconds is None or seconds > LONGEST_S:
        raise element.refuse(text, TIME_FORM, name)
    return seconds
