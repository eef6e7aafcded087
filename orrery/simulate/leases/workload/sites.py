"""Sites as text: Haizea's resources string, LWF's site element, and YAML. Reads no file."""

import re
from collections.abc import Iterable

from orrery.core.capacity import Capacity
from orrery.core.documents import Fields, Value, shown
from orrery.core.errors import InvalidInput
from orrery.core.lease_lwf import (
    AMOUNT_MAX,
    HOSTS_MAX,
    Amounts,
    amounts_of,
    read_node_set,
)
from orrery.core.lease_terms import NODE_FIELDS, read_node_size
from orrery.core.numbers import whole
from orrery.core.xml_tree import Element
from orrery.sched.leases.site import Site, SiteHost

RESOURCES = re.compile(r"\s*([0-9]{1,9})[\s,]+(\S.*?)[\s,]*", re.ASCII | re.DOTALL)


def site_of(groups: Iterable[tuple[int, Amounts]], field: str = "site") -> Site:
    """Hosts numbered from 1 as Haizea numbers them.

    Raises:
        InvalidInput: none at all, or too many.
    """
    hosts: list[SiteHost] = []
    for count, amounts in groups:
        if count + len(hosts) > HOSTS_MAX:
            raise InvalidInput(field, str(count), f"is too many: at most {HOSTS_MAX} hosts")
        first = len(hosts) + 1
        hosts += (host(number, amounts) for number in range(first, first + count))
    if not hosts:
        raise InvalidInput(field, "", "has no hosts: give at least one")
    return Site(hosts=tuple(hosts))


def host(number: int, amounts: Amounts) -> SiteHost:
    name = f"node{number}"
    return SiteHost(id=number, name=name, capacity=amounts.capacity, other=amounts.other)


def resources_of(capacity: Capacity, other: tuple[tuple[str, int], ...]) -> list[tuple[str, int]]:
    """The way back; CPU and Memory are always named."""
    disk = [("Disk", capacity.disk_mib)] if capacity.disk_mib else []
    return [("CPU", capacity.cpu_pct), ("Memory", capacity.memory_mib), *disk, *other]


def site_from_resources(text: str, field: str = "site") -> Site:
    """`4 CPU:100,Memory:1024`; commas or blanks between the resources.

    Raises:
        InvalidInput: it is not that.
    """
    form = "give it like 4 CPU:100,Memory:1024"
    match = RESOURCES.fullmatch(text)
    if match is None:
        raise InvalidInput(field, text, f"is no site: {form}")
    resources = []
    for part in re.split(r"[\s,]+", match[2]):
        name, _, amount_text = part.partition(":")
        amount = whole(amount_text, AMOUNT_MAX)
        if not name or amount is None:
            raise InvalidInput(field, part, f"is no resource with its amount: {form}")
        resources.append((name, amount))
    return site_of([(int(match[1]), checked(amounts_of(resources), field, text))], field)


def checked(amounts: Amounts, field: str, text: str) -> Amounts:
    if not (amounts.capacity.cpu_pct and amounts.capacity.memory_mib):
        raise InvalidInput(field, text, "has no CPU or no Memory: hosts have both")
    return amounts


def site_from_xml(element: Element) -> Site:
    """LWF's <site>."""
    groups = []
    for group in element.need("nodes").all("node-set"):
        count, amounts = read_node_set(group)
        groups.append((count, checked(amounts, f"line {group.line}, <node-set>", "")))
    return site_of(groups, f"line {element.line}, <site>")


def site_from_document(value: Value, place: str = "site") -> Site:
    """A resources string, or `hosts`: a list of {count, name, cpu, memory, disk, other}."""
    if isinstance(value, str):
        return site_from_resources(value, place)
    fields = Fields(value, place, ("hosts",))
    hosts: list[SiteHost] = []
    for at, item in fields.items("hosts"):
        hosts += hosts_of(Fields(item, at, NODE_FIELDS | {"count", "name"}), len(hosts))
        if len(hosts) > HOSTS_MAX:
            raise InvalidInput(at, shown(item), f"is too many: at most {HOSTS_MAX} hosts")
    if not hosts:
        raise InvalidInput(fields.at("hosts"), "", "is missing: give at least one")
    return Site(hosts=tuple(hosts))


def hosts_of(fields: Fields, before: int) -> list[SiteHost]:
    """A name is for one host, and the beginning of the names of several."""
    count = fields.whole("count", 1, least=1, most=HOSTS_MAX)
    size = read_node_size(fields)
    name = fields.text("name")
    return [
        SiteHost(
            id=before + number,
            name=f"node{before + number}" if name is None else name + str(number) * (count > 1),
            capacity=size.capacity,
            other=size.other,
        )
        for number in range(1, count + 1)
    ]


def groups_of(site: Site) -> list[tuple[int, SiteHost]]:
    """Neighbours that are equal but for id and name, counted."""
    groups: list[tuple[int, SiteHost]] = []
    for each in site.hosts:
        if groups and (groups[-1][1].capacity, groups[-1][1].other) == (each.capacity, each.other):
            groups[-1] = (groups[-1][0] + 1, groups[-1][1])
        else:
            groups.append((1, each))
    return groups
