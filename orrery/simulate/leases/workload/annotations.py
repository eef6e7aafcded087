"""Haizea's annotations: what to change in the leases of a workload. Reads no file itself.

Annotations with ids go to those leases; without ids they go to the leases one by one in order.
Start and deadline are relative to the arrival of the lease.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.errors import InvalidInput
from orrery.core.lease_lwf import read_software, read_start, read_time
from orrery.core.xml_tree import Element, read_xml
from orrery.simulate.leases.workload.lwf import optional_whole, read_extras, read_pairs
from orrery.simulate.leases.workload.model import Arrival, Workload


class Start(Struct, frozen=True):
    """When: so many seconds after the arrival, at once, or (neither) as best effort."""

    after_s: int | None = None
    immediate: bool = False


class Software(Struct, frozen=True):
    image: str | None = None
    image_mib: int = 0


class Annotation(Struct, frozen=True, kw_only=True):
    """What is None stays as it is."""

    lease_id: int | None = None
    start: Start | None = None
    deadline_s: int | None = None
    software: Software | None = None
    extras: tuple[tuple[str, str], ...] = ()


class Annotations(Struct, frozen=True):
    """Either all annotations have ids or none has."""

    annotations: tuple[Annotation, ...]
    attributes: dict[str, str] = {}


def read_annotations(data: bytes) -> Annotations:
    """The annotations in an LWFA file.

    Raises:
        InvalidInput: with the line and the element.
    """
    found: list[Annotation] = []

    def take(element: Element) -> None:
        found.append(read_annotation(element))

    root = read_xml(data, "lease-annotation", take)
    if root.tag != "lease-annotations":
        raise root.refuse("", "is not what an LWFA file begins with: <lease-annotations>")
    if len({annotation.lease_id is None for annotation in found}) > 1:
        raise root.refuse("", "has annotations with and without id: give all an id or none")
    attributes = root.child("attributes")
    return Annotations(tuple(found), {} if attributes is None else dict(read_pairs(attributes)))


def annotate(workload: Workload, annotations: Annotations) -> Workload:
    """The workload with the changes made.

    Raises:
        InvalidInput: an id that no lease has, or more annotations than leases.
    """
    matched = match(workload.arrivals, annotations.annotations)
    return Workload(
        name=workload.name,
        arrivals=tuple(
            changed(arrival, matched[arrival.lease_id]) if arrival.lease_id in matched else arrival
            for arrival in workload.arrivals
        ),
        site=workload.site,
        attributes=workload.attributes | annotations.attributes,
    )


def match(arrivals: Sequence[Arrival], annotations: Sequence[Annotation]) -> dict[int, Annotation]:
    if any(annotation.lease_id is None for annotation in annotations):
        if len(annotations) > len(arrivals):
            remedy = f"are too many annotations: there are {len(arrivals)} leases"
            raise InvalidInput("annotations", str(len(annotations)), remedy)
        return {a.lease_id: note for a, note in zip(arrivals, annotations, strict=False)}
    known = {arrival.lease_id for arrival in arrivals}
    return dict(with_known_ids(annotations, known))


def with_known_ids(
    annotations: Iterable[Annotation], known: set[int]
) -> Iterator[tuple[int, Annotation]]:
    for annotation in annotations:
        assert annotation.lease_id is not None, "they all have one"
        if annotation.lease_id not in known:
            value = str(annotation.lease_id)
            raise InvalidInput("annotation id", value, "is no lease of the workload")
        yield annotation.lease_id, annotation


def changed(arrival: Arrival, note: Annotation) -> Arrival:
    terms = arrival.terms
    if note.start is not None:
        after = note.start.after_s
        start = None if after is None else arrival.at + after
        terms = replace(terms, start=start, immediate=note.start.immediate)
    if note.deadline_s is not None:
        start_s = arrival.at if terms.start is None else terms.start
        deadline = arrival.at + note.deadline_s
        terms = replace(terms, start=start_s, immediate=False, deadline=deadline)
    if note.software is not None:
        terms = replace(terms, image=note.software.image, image_mib=note.software.image_mib)
    extras = dict(arrival.extras) | dict(note.extras)
    return replace(arrival, terms=terms, extras=tuple(extras.items()))


def read_annotation(element: Element) -> Annotation:
    start, deadline = element.child("start"), element.child("deadline")
    software = element.child("software")
    return Annotation(
        lease_id=optional_whole(element, "id"),
        start=None if start is None else Start(*read_start(start)),
        deadline_s=None if deadline is None else read_time(deadline, "time"),
        software=None if software is None else Software(*read_software(software)),
        extras=read_extras(element),
    )
