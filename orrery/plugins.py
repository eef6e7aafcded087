"""Policies that a site writes itself, found by name and registered with the scheduler of leases.

A name is that of a policy of Orrery, `package.module:function`, or that of an entry point of the
group `orrery.policies` called `kind.name`. Only what is named is loaded: another one that is broken
does no harm. It knows the registry and nothing of the policies themselves.
"""

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from orrery.core.errors import InvalidInput
from orrery.sched.leases.policies import registry

GROUP = "orrery.policies"


def make_known(kind: str, name: str, field: str) -> None:
    """See to it that the policy of that name is registered.

    Args:
        field: what the user set, for messages.

    Raises:
        InvalidInput: it is not there, or cannot be loaded; lists what there is.
    """
    if name in registry.names(kind):
        return
    if ":" in name:
        registry.register(kind, name, by_path(name, field))
        return
    for point in installed(kind):
        if name_of(point) == name:
            registry.register(kind, name, loaded(point, field))
            return
    known = ", ".join(dict.fromkeys([*registry.names(kind), *map(name_of, installed(kind))]))
    remedy = f"is no policy of the kind {kind}: use one of {known}, or package.module:function"
    raise InvalidInput(field, name, remedy)


def make_all_known() -> None:
    """Register every policy that is installed, to show them.

    Raises:
        InvalidInput: one cannot be loaded.
    """
    for kind in registry.KINDS:
        for point in installed(kind):
            make_known(kind, name_of(point), f"entry point {point.name}")


def installed(kind: str) -> list[EntryPoint]:
    """Entry points of one kind of policy, in order of their names."""
    points = entry_points(group=GROUP)
    return sorted((p for p in points if p.name.startswith(f"{kind}.")), key=lambda p: p.name)


def name_of(point: EntryPoint) -> str:
    return point.name.partition(".")[2]


def loaded(point: EntryPoint, field: str) -> Any:
    try:
        return point.load()
    except Exception as error:  # whatever a module of somebody else does when it is imported
        raise _broken(field, f"{point.name} = {point.value}", error) from error


def by_path(path: str, field: str) -> Any:
    """What `package.module:function` names."""
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:  # the same
        raise _broken(field, path, error) from error


def _broken(field: str, path: str, error: Exception) -> InvalidInput:
    return InvalidInput(field, path, f"cannot be loaded: {type(error).__name__}: {error}")
