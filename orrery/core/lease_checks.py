"""Whether the terms of a lease make sense, whatever the hosts have. Errors name the term, the value
and the remedy.
"""

from math import ceil

from msgspec.structs import replace

from orrery.core.errors import InvalidInput
from orrery.core.model.lease import Terms

MAX_NODES = 100_000
MAX_DURATION_S = 100 * 365 * 86400.0

PAST_S = 60.0
"""A start may lie so far back: the request took its time."""


def checked(terms: Terms, now: float) -> Terms:
    """The terms in whole seconds, rounded so that they promise no less.

    Raises:
        InvalidInput: which of them cannot be.
    """
    check_nodes(terms)
    check_times(terms, now)
    return replace(
        terms,
        duration=float(ceil(terms.duration)),
        start=None if terms.start is None else float(ceil(terms.start)),
        deadline=None if terms.deadline is None else float(int(terms.deadline)),
    )


def check_nodes(terms: Terms) -> None:
    if not terms.nodes or any(nodes.count < 1 for nodes in terms.nodes):
        raise InvalidInput("nodes", str(terms.node_count), "are none: ask for one node or more")
    if terms.node_count > MAX_NODES:
        raise InvalidInput("nodes", str(terms.node_count), f"are too many: at most {MAX_NODES}")
    for nodes in terms.nodes:
        if nodes.capacity.cpu_pct < 1:
            shown = str(nodes.capacity.cpu_pct / 100)
            raise InvalidInput("cpu", shown, "is no share of CPUs: give a number above 0")
        if nodes.capacity.memory_mib < 1:
            shown = str(nodes.capacity.memory_mib)
            raise InvalidInput("memory", shown, "is no size: give 1 MiB or more")


def check_times(terms: Terms, now: float) -> None:
    if not 0 < terms.duration <= MAX_DURATION_S:
        limit = f"is not a length of time: above 0, up to {MAX_DURATION_S:.0f} s"
        raise InvalidInput("duration", f"{terms.duration:g}", limit)
    if terms.start is not None and not terms.start >= now - PAST_S:
        raise InvalidInput("start", f"{terms.start:.0f}", f"is past: it is {now:.0f} now")
    if terms.immediate and (terms.start is not None or terms.deadline is not None):
        raise InvalidInput("start", "now", "goes with no other start and no deadline: give one")
    if terms.deadline is not None:
        earliest = max(now, terms.start if terms.start is not None else now)
        if not terms.deadline >= earliest + terms.duration:
            remedy = f"is too early: start and duration reach to {earliest + terms.duration:.0f}"
            raise InvalidInput("deadline", f"{terms.deadline:.0f}", remedy)
