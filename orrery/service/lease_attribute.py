"""`LEASE=[...]` (or Haizea's `HAIZEA=[...]`) in a VM template: the VM is the node of a lease."""

from msgspec import Struct

from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput
from orrery.core.lease_checks import MAX_DURATION_S
from orrery.core.model.lease import NodeSet, Terms
from orrery.core.moments import parse_duration, parse_moment
from orrery.core.template import Template
from orrery.core.vm_template import cpu_of, memory_of

NAMES = ("LEASE", "HAIZEA")

KEYS = frozenset({"START", "DURATION", "PREEMPTIBLE", "GROUP", "DEADLINE"})

NO_START = ("now", "best_effort", "best effort")

WORDS = {"yes": True, "no": False, "true": True, "false": False}


class Wanted(Struct, frozen=True):
    """What the attribute says."""

    terms: Terms
    group: str | None
    """VMs with the same word that come together are the nodes of one lease."""


def lease_wanted(template: Template, now: float) -> Wanted | None:
    """The lease that a VM template asks for; None where it asks for none.

    Raises:
        InvalidInput: which key, and what it may be.
    """
    name = next((name for name in NAMES if template.has(name)), None)
    if name is None:
        return None
    found = template.vector(name)
    if found is None:
        shown = template.get(name) or ""
        raise InvalidInput(name, shown, f"is no list: write {name}=[START=now, DURATION=01:00:00]")
    for key in found:
        if key not in KEYS:
            raise InvalidInput(
                f"{name}/{key}", found[key], f"is not known: {', '.join(sorted(KEYS))}"
            )
    start = found.get("START", "best_effort").strip()
    terms = Terms(
        nodes=(NodeSet(count=1, capacity=Capacity(cpu_of(template), memory_of(template))),),
        duration=duration_of(found.get("DURATION", "unlimited"), name),
        start=None
        if start.lower() in ("now", "best_effort")
        else parse_moment(start, now, field=f"{name}/START"),
        immediate=start.lower() == "now",
        deadline=None
        if "DEADLINE" not in found
        else parse_moment(found["DEADLINE"], now, field=f"{name}/DEADLINE"),
        preemptible=flag(found.get("PREEMPTIBLE"), name),
    )
    return Wanted(terms, found.get("GROUP") or None)


def moment(text: str, now: float, field: str) -> float:
    """In UTC, as all times of templates."""
    return parse_moment(text, now, field=field)


def duration_of(text: str, name: str) -> float:
    if text.strip().lower() == "unlimited":
        return MAX_DURATION_S
    return parse_duration(text, f"{name}/DURATION")


def flag(text: str | None, name: str) -> bool | None:
    if text is None:
        return None
    found = WORDS.get(text.strip().lower())
    if found is None:
        raise InvalidInput(f"{name}/PREEMPTIBLE", text, "is neither yes nor no")
    return found
