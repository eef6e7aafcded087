"""The workload that a simulation is given: read or made, cut, filled up and changed as asked for.

Contents of files may come with the request, for machines that do not see the files.
"""

import json
import re
from collections.abc import Mapping
from math import ceil
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.documents import Value, read_yaml
from orrery.core.errors import InvalidInput
from orrery.core.model.lease import LeaseKind, Terms
from orrery.core.numbers import whole
from orrery.sched.leases.site import Site
from orrery.simulate.leases.metrics import ASKED_DURATION
from orrery.simulate.leases.workload.annotations import annotate, read_annotations
from orrery.simulate.leases.workload.inject import inject, read_injection
from orrery.simulate.leases.workload.model import Arrival, Workload, merge
from orrery.simulate.leases.workload.reading import (
    ReadOptions,
    content,
    decoded,
    is_resources,
    parse,
    parse_site,
)
from orrery.simulate.leases.workload.sites import site_from_resources
from orrery.simulate.leases.workload.swf import SwfOptions
from orrery.simulate.leases.workload.synthetic import synthetic

SYNTHETIC = re.compile(r"synthetic:([0-9]{1,7}),([0-9]{1,6})(?:,([0-9]{1,3})%?)?", re.ASCII)
SYNTHETIC_FORM = "is not synthetic:LEASES,NODES[,PERCENT of reservations]"
YAML = (".yaml", ".yml", ".json")
RANGE = re.compile(r"([0-9]{1,6})-([0-9]{1,6})", re.ASCII)
SEEDED = ("generate", "vary", "inject")


class Overheads(Struct, frozen=True, kw_only=True):
    """What running in VMs costs the work itself: its real and its requested duration grow alike."""

    slowdown_pct: float = 0.0
    added_s: int = 0
    all_kinds: bool = False
    """Otherwise best-effort leases only: what is reserved is a length of time."""


class SourceOptions(Struct, frozen=True, kw_only=True):
    """What is done to a workload, in this order."""

    site: str | None = None
    """A file, or a text like `4 CPU:100,Memory:1024`."""
    seed: int | None = None
    """In place of the seeds in a generated workload."""
    processors_per_node: int = 1
    queues: tuple[int, ...] = ()
    honour_preemptible: bool = True
    from_s: int = 0
    length_s: int | None = None
    inject: tuple[str, ...] = ()
    """Files of leases, or `share=20,duration=3h,...` to draw reservations."""
    annotations: str | None = None
    memory_mib: int | None = None
    overheads: Overheads = Overheads()


class Files:
    """Contents by name: those at hand, else from disk."""

    def __init__(self, contents: Mapping[str, bytes] | None = None) -> None:
        self.contents = contents or {}

    def get(self, name: str) -> bytes:
        found = self.contents.get(name)
        return content(Path(name)) if found is None else found


def files_of(workload: str, options: SourceOptions) -> list[str]:
    """The names of all files that a workload needs."""
    injected = [text for text in options.inject if not is_injection(text)]
    site = [] if options.site is None or is_resources(options.site) else [options.site]
    notes = [] if options.annotations is None else [options.annotations]
    main = [] if workload.startswith("synthetic:") else [workload]
    return [*main, *site, *injected, *notes]


def load_workload(
    name: str, options: SourceOptions = SourceOptions(), files: Files | None = None
) -> Workload:
    """The workload with all that is asked for.

    Raises:
        InvalidInput: something in it cannot be read, with the place.
    """
    files = files or Files()
    site = site_of(options.site, files)
    workload = read_or_make(name, options, site, files)
    workload = window(workload, options.from_s, options.length_s)
    for text in options.inject:
        workload = injected(workload, text, options, files)
    if options.annotations is not None:
        workload = annotate(workload, read_annotations(files.get(options.annotations)))
    if options.memory_mib is not None:
        workload = with_memory(workload, options.memory_mib)
    return with_overheads(workload, options.overheads)


def site_of(text: str | None, files: Files) -> Site | None:
    if text is None:
        return None
    return site_from_resources(text) if is_resources(text) else parse_site(files.get(text))


# --- reading and making ---------------------------------------------------------------------------


def read_or_make(name: str, options: SourceOptions, site: Site | None, files: Files) -> Workload:
    if name.startswith("synthetic:"):
        made = make_synthetic(name, options.seed or 0)
        return made if site is None else replace(made, site=site)
    workload = read_file(name, options, site, files)
    if site is not None:
        workload = replace(workload, site=site)
    return workload if workload.name else replace(workload, name=stem(name))


def stem(name: str) -> str:
    return Path(name).name.removesuffix(".gz").rsplit(".", 1)[0]


def make_synthetic(name: str, seed: int) -> Workload:
    match = SYNTHETIC.fullmatch(name)
    if match is None or not int(match[1]) or not int(match[2]) or int(match[3] or 0) > 100:
        raise InvalidInput("workload", name, SYNTHETIC_FORM)
    return synthetic(int(match[1]), int(match[2]), int(match[3] or 0) / 100, seed)


def read_file(name: str, options: SourceOptions, site: Site | None, files: Files) -> Workload:
    suffix = Path(name.removesuffix(".gz")).suffix.lower()
    data = files.get(name)
    if options.seed is not None:
        drawn = seeded(data, suffix, options.seed)
        if drawn is None and not any(map(is_injection, options.inject)):
            remedy = "has no use: nothing in the workload is drawn"
            raise InvalidInput("seed", str(options.seed), remedy)
        data = data if drawn is None else drawn
    swf = SwfOptions(
        processors_per_node=options.processors_per_node,
        memory_mib=options.memory_mib,
        queues=frozenset(options.queues) or None,
    )
    how = ReadOptions(honour_preemptible=options.honour_preemptible, swf=swf, site=site)
    return parse(data, suffix, how)


def seeded(data: bytes, suffix: str, seed: int) -> bytes | None:
    """A description of a workload with other seeds; None when nothing in it is drawn."""
    document = read_yaml(decoded(data)) if suffix in YAML else None
    drawn = [part for part in SEEDED if isinstance(document, dict) and part in document]
    if not isinstance(document, dict) or not drawn:
        return None
    return json.dumps(document | {part: with_seed(document[part], seed) for part in drawn}).encode()


def with_seed(part: Value, seed: int) -> Value:
    return part | {"seed": seed} if isinstance(part, dict) else part


# --- changing -------------------------------------------------------------------------------------


def window(workload: Workload, start: int, length: int | None) -> Workload:
    """What arrives in a stretch of time, which becomes the beginning."""
    if not start and length is None:
        return workload
    end = None if length is None else start + length
    kept = (a for a in workload.arrivals if a.at >= start and (end is None or a.at < end))
    return replace(workload, arrivals=tuple(earlier(arrival, start) for arrival in kept))


def earlier(arrival: Arrival, by: int) -> Arrival:
    terms = arrival.terms
    start = None if terms.start is None else terms.start - by
    deadline = None if terms.deadline is None else terms.deadline - by
    terms = replace(terms, start=start, deadline=deadline)
    return replace(arrival, at=arrival.at - by, terms=terms)


def is_injection(text: str) -> bool:
    return re.match(r"[a-z_]+=", text) is not None


def injected(workload: Workload, text: str, options: SourceOptions, files: Files) -> Workload:
    """The leases of a file, or reservations drawn as asked for."""
    if not is_injection(text):
        suffix = Path(text.removesuffix(".gz")).suffix.lower()
        how = ReadOptions(honour_preemptible=options.honour_preemptible)
        return merge(workload, parse(files.get(text), suffix, how))
    document: dict[str, Value] = {"seed": options.seed or 0}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or not value:
            raise InvalidInput("inject", part, "is not KEY=VALUE, like share=20,duration=3h")
        document[key.strip()] = plain_value(value)
    return inject(workload, read_injection(document))


def plain_value(text: str) -> Value:
    """A number, a range like 2-6, or text."""
    match = RANGE.fullmatch(text)
    if match is not None:
        return [int(match[1]), int(match[2])]
    amount = whole(text, 1 << 53)
    return text if amount is None else amount


def with_memory(workload: Workload, memory_mib: int) -> Workload:
    """Every node of every lease has this much memory."""
    arrivals = (
        replace(arrival, terms=resized(arrival.terms, memory_mib)) for arrival in workload.arrivals
    )
    return replace(workload, arrivals=tuple(arrivals))


def resized(terms: Terms, memory_mib: int) -> Terms:
    nodes = tuple(
        replace(one, capacity=Capacity(one.capacity.cpu_pct, memory_mib, one.capacity.disk_mib))
        for one in terms.nodes
    )
    return replace(terms, nodes=nodes)


def with_overheads(workload: Workload, overheads: Overheads) -> Workload:
    if not overheads.slowdown_pct and not overheads.added_s:
        return workload
    return replace(
        workload,
        arrivals=tuple(
            slowed(arrival, overheads)
            if overheads.all_kinds or arrival.terms.kind is LeaseKind.BEST_EFFORT
            else arrival
            for arrival in workload.arrivals
        ),
    )


def slowed(arrival: Arrival, overheads: Overheads) -> Arrival:
    """Both durations grow, so that what was asked for stays as far from the truth as it was."""

    def longer(seconds: float) -> int:
        return ceil(round(seconds * (1 + overheads.slowdown_pct / 100), 6)) + overheads.added_s

    asked = arrival.terms.duration
    real = arrival.real_duration
    return replace(
        arrival,
        terms=replace(arrival.terms, duration=longer(asked)),
        real_duration=None if real is None else longer(real),
        extras=(*arrival.extras, (ASKED_DURATION, str(int(asked)))),
    )
