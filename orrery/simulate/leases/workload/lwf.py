"""Haizea's lease workload format, read and written. Reads no file itself.

The attribute `preemptible` is explicit in this format, and the natural reading is to honour it:
it says whether the lease may be suspended for others. Haizea itself never looked at it (what may be
suspended followed from the kind of a lease alone), so who repeats an experiment of Haizea reads
with `honour_preemptible=False`.

What the format has no place for is written as an extra: the priority.
"""

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import quoteattr

from orrery.core.errors import InvalidInput
from orrery.core.lease_lwf import (
    read_terms,
    read_time,
    whole_attribute,
    with_preemptible,
)
from orrery.core.model.lease import Terms
from orrery.core.moments import show_duration
from orrery.core.numbers import MAX_ID, whole
from orrery.core.template import UNFIT_FOR_XML
from orrery.core.xml_tree import Element, read_xml
from orrery.sched.leases.site import Site
from orrery.simulate.leases.workload.model import (
    UNNUMBERED,
    Arrival,
    Workload,
    in_order,
    numbered,
)
from orrery.simulate.leases.workload.sites import groups_of, resources_of, site_from_xml

DESCRIPTION = "description"
"""The attribute of a workload that is an element of its own in the file."""
PRIORITY = "orrery_priority"
PRIORITY_MAX = 1_000_000


def read_lwf(data: bytes, *, honour_preemptible: bool = True) -> Workload:
    """The workload in an LWF file. Leases without an id get the lowest free ones.

    Raises:
        InvalidInput: with the line and the element.
    """
    requests: list[tuple[str, Arrival]] = []

    def take(element: Element) -> None:
        requests.append(read_request(element, honour_preemptible=honour_preemptible))

    root = read_xml(data, "lease-request", take)
    if root.tag != "lease-workload":
        raise root.refuse("", "is no workload: the root of an LWF file is <lease-workload>")
    root.need("lease-requests")
    site = root.child("site")
    return Workload(
        name=root.attributes.get("name", ""),
        arrivals=in_order(numbered(requests)),
        site=None if site is None else site_from_xml(site),
        attributes=read_attributes(root),
    )


def read_lwf_site(data: bytes) -> Site:
    """A site of its own, or that of a workload.

    Raises:
        InvalidInput: there is none.
    """
    root = read_xml(data)
    return site_from_xml(root if root.tag == "site" else root.need("site"))


def read_request(element: Element, *, honour_preemptible: bool) -> tuple[str, Arrival]:
    """A request, and where its lease stands."""
    at = read_time(element, "arrival")
    lease = element.need("lease")
    extras = dict(read_extras(lease))
    priority = read_priority(lease, extras.pop(PRIORITY, None))
    terms = read_terms(lease, at, priority)
    if honour_preemptible:
        terms = with_preemptible(terms, lease)
    real = element.child("realduration")
    real_s = None if real is None else max(1, read_time(real, "time"))
    return f"line {lease.line}, <lease id>", Arrival(
        at=at,
        lease_id=read_id(lease),
        terms=terms,
        real_duration=None if real_s is None or real_s >= terms.duration else real_s,
        user=optional_whole(lease, "user") or 0,
        extras=tuple(extras.items()),
    )


def read_id(lease: Element) -> int:
    lease_id = optional_whole(lease, "id")
    if lease_id == 0:
        raise lease.refuse("0", "is no id: they begin at 1", "id")
    return UNNUMBERED if lease_id is None else lease_id


def read_extras(lease: Element) -> tuple[tuple[str, str], ...]:
    extra = lease.child("extra")
    return () if extra is None else read_pairs(extra)


def read_attributes(root: Element) -> dict[str, str]:
    attributes = root.child("attributes")
    found = {} if attributes is None else dict(read_pairs(attributes))
    description = root.child("description")
    if description is not None and description.text.strip():
        found[DESCRIPTION] = " ".join(description.text.split())
    return found


def read_pairs(element: Element) -> tuple[tuple[str, str], ...]:
    return tuple((pair.attribute("name"), pair.attribute("value")) for pair in element.all("attr"))


def read_priority(lease: Element, text: str | None) -> int:
    if text is None:
        return 0
    number = whole(text.removeprefix("-"), PRIORITY_MAX)
    if number is None:
        raise lease.refuse(text, f"is no priority: a whole number up to {PRIORITY_MAX}")
    return -number if text.startswith("-") else number


def optional_whole(element: Element, name: str) -> int | None:
    return whole_attribute(element, name, MAX_ID) if name in element.attributes else None


# --- writing ------------------------------------------------------------------------------------


def lwf_text(workload: Workload) -> str:
    """The workload as LWF. Names of hosts are not part of the format, nor are numbers of hosts:
    they become node1, node2 and so on.

    Raises:
        InvalidInput: a lease starts before the workload begins: LWF has no such times.
    """
    attributes = {k: v for k, v in workload.attributes.items() if k != DESCRIPTION}
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<lease-workload name={q(workload.name)}>"]
    if DESCRIPTION in workload.attributes:
        lines.append(f"  <description>{q(workload.attributes[DESCRIPTION])[1:-1]}</description>")
    if attributes:
        lines += ["  <attributes>", *attribute_lines(attributes.items(), 4), "  </attributes>"]
    if workload.site is not None:
        lines += site_lines(workload.site)
    lines.append("  <lease-requests>")
    for arrival in workload.arrivals:
        lines += request_lines(arrival)
    return "\n".join([*lines, "  </lease-requests>", "</lease-workload>", ""])


def site_lines(site: Site) -> Iterator[str]:
    groups = groups_of(site)
    names = dict.fromkeys(
        name for _, host in groups for name, _ in resources_of(host.capacity, host.other)
    )
    yield "  <site>"
    yield f"    <resource-types names={q(' '.join(names))}/>"
    yield "    <nodes>"
    for count, host in groups:
        yield node_set_line(count, resources_of(host.capacity, host.other), 6)
    yield "    </nodes>"
    yield "  </site>"


def request_lines(arrival: Arrival) -> Iterator[str]:
    terms = arrival.terms
    if terms.start is not None and terms.start < 0:
        remedy = "starts before the workload begins, and LWF has no such times: take it out"
        raise InvalidInput("lease", str(arrival.lease_id), remedy)
    yield f'    <lease-request arrival="{show_duration(arrival.at)}">'
    if arrival.real_duration is not None:
        yield f'      <realduration time="{show_duration(arrival.real_duration)}"/>'
    preemptible = "" if terms.preemptible is None else f' preemptible="{terms.preemptible}"'.lower()
    user = f' user="{arrival.user}"' if arrival.user else ""
    yield f'      <lease id="{arrival.lease_id}"{preemptible}{user}>'
    yield "        <nodes>"
    for nodes in terms.nodes:
        yield node_set_line(nodes.count, resources_of(nodes.capacity, nodes.other), 10)
    yield "        </nodes>"
    yield from timing_lines(terms)
    software = "<none/>" if terms.image is None else image_element(terms.image, terms.image_mib)
    yield f"        <software>{software}</software>"
    extras = dict(arrival.extras) | ({PRIORITY: str(terms.priority)} if terms.priority else {})
    if extras:
        yield from ("        <extra>", *attribute_lines(extras.items(), 10), "        </extra>")
    yield "      </lease>"
    yield "    </lease-request>"


def timing_lines(terms: Terms) -> Iterator[str]:
    if terms.start is not None:
        yield f'        <start><exact time="{show_duration(round(terms.start))}"/></start>'
    else:
        yield "        <start><now/></start>" if terms.immediate else "        <start/>"
    yield f'        <duration time="{show_duration(round(terms.duration))}"/>'
    if terms.deadline is not None:
        yield f'        <deadline time="{show_duration(round(terms.deadline))}"/>'


def node_set_line(count: int, resources: list[tuple[str, int]], indent: int) -> str:
    inner = "".join(f'<res type={q(name)} amount="{amount}"/>' for name, amount in resources)
    return f'{" " * indent}<node-set numnodes="{count}">{inner}</node-set>'


def image_element(image: str, size_mib: int) -> str:
    return f'<disk-image id={q(image)} size="{size_mib}"/>'


def attribute_lines(pairs: Iterable[tuple[str, str]], indent: int) -> Iterator[str]:
    for name, value in pairs:
        yield f"{' ' * indent}<attr name={q(name)} value={q(value)}/>"


def q(text: str) -> str:
    """A quoted attribute; what XML cannot carry becomes U+FFFD."""
    return quoteattr(
        UNFIT_FOR_XML.sub("\ufffd", text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
    )
