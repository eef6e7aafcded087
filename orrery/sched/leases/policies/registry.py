"""All policies by kind and name: those that come with Orrery and those that a site adds."""

from collections.abc import Callable, Mapping
from typing import Any

from orrery.core.errors import InvalidInput
from orrery.sched.leases.policies.admission import ADMISSION
from orrery.sched.leases.policies.host_selection import HOST_SELECTION
from orrery.sched.leases.policies.order import ORDERS
from orrery.sched.leases.policies.preemption import PREEMPTION
from orrery.sched.leases.policies.pricing import PRICING
from orrery.sched.leases.settings import Settings

Function = Callable[..., Any]

_TABLES: Mapping[str, dict[str, Any]] = {
    "admission": ADMISSION,
    "host-selection": HOST_SELECTION,
    "order": ORDERS,
    "preemption": PREEMPTION,
    "pricing": PRICING,
}

KINDS = tuple(_TABLES)

KIND_OF = {
    "admission": "admission",
    "host_selection": "host-selection",
    "order": "order",
    "backfill_order": "order",
    "preemption": "preemption",
    "pricing": "pricing",
}
"""The kind of policy that each setting names."""


def register(kind: str, name: str, function: Function) -> None:
    """Add a policy: the same again is no news.

    Raises:
        InvalidInput: there is no such kind, the name stands for another one, or it is no function.
    """
    table = _table(kind)
    if not callable(function):
        raise InvalidInput(f"policy {kind}.{name}", str(function), "is no function")
    if table.setdefault(name, function) is not function:
        raise InvalidInput(f"{kind} policy", name, "is the name of another one: choose another")


def lookup(kind: str, name: str) -> Function:
    """The policy of that name.

    Raises:
        InvalidInput: there is none; lists those that there are.
    """
    table = _table(kind)
    function: Function | None = table.get(name)
    if function is None:
        raise InvalidInput(f"{kind} policy", name, f"is not known: use one of {', '.join(table)}")
    return function


def names(kind: str) -> tuple[str, ...]:
    """Of all policies of a kind."""
    return tuple(_table(kind))


def check(settings: Settings) -> None:
    """Refuse settings that name a policy that is not there."""
    for field, kind in KIND_OF.items():
        lookup(kind, getattr(settings, field))


def _table(kind: str) -> dict[str, Any]:
    table = _TABLES.get(kind)
    if table is None:
        remedy = f"is no kind of policy: use one of {', '.join(KINDS)}"
        raise InvalidInput("policy kind", kind, remedy)
    return table
