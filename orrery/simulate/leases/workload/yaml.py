"""Workloads as people write them, in YAML, read and written. Reads no file itself.

    name: demo
    begins: 2026-11-23 00:00      # what time 0 is; a Monday, if it does not say
    site: 4 CPU:200,Memory:4096   # or {hosts: [{count: 4, cpu: 2, memory: 4GiB}]}
    attributes: {study: demo}
    defaults: {memory: 1GiB}
    leases:
      - {at: 10m, nodes: 2, duration: 1h, real_duration: 40m, user: 7}
      - {at: 1h, nodes: 4, duration: 2h, start: +3h}          # three hours after its arrival
      - {at: 0, nodes: 1, duration: 1h, start: Tuesday 10:00, recurring: {count: 4, every: 1w}}
    generate: {...}               # instead of leases: see `generate`
    vary: {...}                   # start_delay, deadline_stretch, software, user_rate for all
    inject: {...}                 # reservations besides: see `inject`

A lease is what `core.lease_terms` says, with `at`, `id`, `real_duration`, `user` and `extras`.
Times count from the beginning; those with a + count from the arrival. A recurring lease is the
same request again and again, its arrival too.
"""

from collections.abc import Iterator
from random import Random

import yaml
from msgspec.structs import replace

from orrery.core.documents import Fields, Value, read_yaml, scalar
from orrery.core.errors import InvalidInput
from orrery.core.lease_terms import (
    LEASES_MAX,
    TERM_FIELDS,
    lease_items,
    read_recurring,
    read_terms,
    shifted,
)
from orrery.core.model.lease import NodeSet, Terms
from orrery.core.moments import LONGEST_S, parse_duration, parse_moment, show_duration
from orrery.core.numbers import MAX_ID
from orrery.sched.leases.site import Site
from orrery.simulate.leases.workload.generate import (
    VARIATION_FIELDS,
    generate,
    read_generator,
    read_variation,
    vary,
)
from orrery.simulate.leases.workload.inject import inject, read_injection
from orrery.simulate.leases.workload.model import (
    UNNUMBERED,
    Arrival,
    Workload,
    in_order,
    numbered,
)
from orrery.simulate.leases.workload.sites import groups_of, site_from_document

FIELDS = frozenset(
    {
        *("name", "begins", "site", "attributes", "defaults", "leases", "generate", "vary"),
        "inject",
    }
)
LEASE_FIELDS = TERM_FIELDS | {"at", "id", "real_duration", "user", "extras"}
MONDAY = 4 * 86_400.0
"""The first Monday of the epoch."""


def read_yaml_workload(text: str, site: Site | None = None) -> Workload:
    """The workload; `site` in place of the one it names.

    Raises:
        InvalidInput: with the place.
    """
    fields = Fields(read_yaml(text), "", FIELDS)
    if (fields.get("leases") is None) == (fields.get("generate") is None):
        raise InvalidInput("document", "", "needs either leases or generate")
    own = fields.get("site")
    if site is None and own is not None:
        site = site_from_document(own)
    name = fields.text("name") or ""
    workload = generated(fields, site, name) or written(fields, site, name)
    workload = replace(workload, attributes=dict(fields.texts("attributes")))
    if fields.get("vary") is not None:
        inner = Fields(fields.get("vary"), "vary", VARIATION_FIELDS | {"seed"})
        rng = Random(inner.whole("seed", 0))  # noqa: S311 - a simulation, no secret
        workload = vary(workload, read_variation(inner), rng)
    if fields.get("inject") is not None:
        workload = inject(workload, read_injection(fields.get("inject")), site)
    return workload


def generated(fields: Fields, site: Site | None, name: str) -> Workload | None:
    value = fields.get("generate")
    return None if value is None else generate(read_generator(value), site, name)


def written(fields: Fields, site: Site | None, name: str) -> Workload:
    begins = fields.text("begins")
    zero = MONDAY if begins is None else parse_moment(begins, MONDAY, field="begins")
    leases = {key: fields.get(key) for key in ("leases", "defaults") if fields.get(key) is not None}
    requests: list[tuple[str, Arrival]] = []
    for place, item in lease_items(leases):
        requests += read_requests(Fields(item, place, LEASE_FIELDS), zero)
        if len(requests) > LEASES_MAX:
            raise InvalidInput(place, "", f"makes more than {LEASES_MAX} leases: ask for fewer")
    return Workload(name=name, arrivals=in_order(numbered(requests)), site=site)


def read_requests(fields: Fields, zero: float) -> Iterator[tuple[str, Arrival]]:
    at = whole_seconds(fields.text("at") or "0", fields.at("at"), zero, 0)
    terms = whole_terms(
        read_terms(fields, lambda text, field: whole_seconds(text, field, zero, at))
    )
    real = fields.text("real_duration")
    real_s = None if real is None else round(parse_duration(real, fields.at("real_duration")))
    first = Arrival(
        at=at,
        lease_id=fields.whole("id", UNNUMBERED, least=1, most=MAX_ID),
        terms=terms,
        real_duration=None if real_s is None or real_s >= terms.duration else max(1, real_s),
        user=fields.whole("user", 0, most=MAX_ID),
        extras=fields.texts("extras"),
    )
    recurring = read_recurring(fields)
    yield fields.at("id"), first
    for turn in range(1, recurring.count):
        later = round(turn * recurring.every_s)
        again = replace(first, at=at + later, terms=shifted(terms, later), lease_id=UNNUMBERED)
        yield fields.at("id"), again


def whole_seconds(text: str, field: str, zero: float, at: int) -> int:
    """A moment, from the beginning: a duration from there, or any other that is after it."""
    try:
        seconds = parse_duration(text, field)
    except InvalidInput:
        seconds = parse_moment(text, zero + at, field=field) - zero
    if not 0 <= seconds <= LONGEST_S:
        raise InvalidInput(field, text, "is not within a century from the beginning")
    return round(seconds)


def whole_terms(terms: Terms) -> Terms:
    return replace(terms, duration=max(1, round(terms.duration)))


# --- writing ------------------------------------------------------------------------------------


def yaml_text(workload: Workload) -> str:
    """The workload in this format.

    Raises:
        InvalidInput: a lease starts before the workload begins.
    """
    document: dict[str, Value] = {}
    if workload.name:
        document["name"] = workload.name
    if workload.site is not None:
        document["site"] = {"hosts": list(host_documents(workload.site))}
    if workload.attributes:
        document["attributes"] = dict(workload.attributes)
    document["leases"] = [lease_document(arrival) for arrival in workload.arrivals]
    return str(yaml.dump(document, Dumper=DUMPER, sort_keys=False, allow_unicode=True, width=100))


DUMPER = type("Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})


def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """The library quotes what it would read as no text; our reading differs from its own."""
    style = None if scalar(text, plain=True) == text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


yaml.add_representer(str, represent_text, Dumper=DUMPER)


def host_documents(site: Site) -> Iterator[Value]:
    """Equal neighbours as one entry, where their names are the usual ones."""
    usual = all(host.name == f"node{number}" for number, host in enumerate(site.hosts, 1))
    for count, host in groups_of(site) if usual else [(1, host) for host in site.hosts]:
        size = size_document(NodeSet(count=count, capacity=host.capacity, other=host.other))
        yield {"count": count, **({} if usual else {"name": host.name}), **size}


def size_document(nodes: NodeSet) -> dict[str, Value]:
    capacity = nodes.capacity
    cores, rest = divmod(capacity.cpu_pct, 100)
    size: dict[str, Value] = {"cpu": capacity.cpu_pct / 100 if rest else cores}
    size["memory"] = capacity.memory_mib
    if capacity.disk_mib:
        size["disk"] = capacity.disk_mib
    if nodes.other:
        size["other"] = dict(nodes.other)
    return size


def lease_document(arrival: Arrival) -> Value:
    terms = arrival.terms
    document: dict[str, Value] = {"id": arrival.lease_id, "at": show_duration(arrival.at)}
    if len(terms.nodes) == 1:
        document |= {"nodes": terms.nodes[0].count, **size_document(terms.nodes[0])}
    else:
        sets: list[Value] = [{"count": n.count, **size_document(n)} for n in terms.nodes]
        document["nodes"] = sets
    document |= timing_document(arrival)
    if terms.preemptible is not None:
        document["preemptible"] = terms.preemptible
    if terms.image is not None:
        document["image"] = {"name": terms.image, "size": terms.image_mib}
    if terms.priority:
        document["priority"] = terms.priority
    if arrival.user:
        document["user"] = arrival.user
    if arrival.extras:
        document["extras"] = dict(arrival.extras)
    return document


def timing_document(arrival: Arrival) -> dict[str, Value]:
    terms = arrival.terms
    if terms.start is not None and terms.start < 0:
        remedy = "starts before the workload begins, and there are no such times: take it out"
        raise InvalidInput("lease", str(arrival.lease_id), remedy)
    timing: dict[str, Value] = {"duration": show_duration(round(terms.duration))}
    if terms.start is not None:
        timing["start"] = show_duration(round(terms.start))
    elif terms.immediate:
        timing["start"] = "now"
    if terms.deadline is not None:
        timing["deadline"] = show_duration(round(terms.deadline))
    if arrival.real_duration is not None:
        timing["real_duration"] = show_duration(arrival.real_duration)
    return timing
