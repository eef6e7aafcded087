"""The policies that there are, found where the scheduler keeps them: dictionaries of functions by
name, one module for each kind. What each does is its docstring.
"""

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module

from msgspec import Struct

from orrery.core.errors import InvalidInput
from orrery.sched.leases import policies
from orrery.sched.leases.settings import Settings

KIND_OF = {"order": ("order", "backfill-order"), "hosts": ("host-selection",)}
"""Kinds by module where they are not called alike."""


class Policy(Struct, frozen=True):
    """One policy by its name."""

    kinds: tuple[str, ...]
    """What it can be used for: settings by name."""
    name: str
    about: str
    """Its docstring: what it does, its formula and where it comes from."""


def all_policies() -> Iterator[Policy]:
    """By kind and in the order of their dictionaries."""
    for module in pkgutil.iter_modules(policies.__path__):
        for name, function in named_functions(f"{policies.__name__}.{module.name}"):
            about = " ".join((inspect.getdoc(function) or "").split())
            yield Policy(kinds_of(module.name), name, about)


def kinds_of(module: str) -> tuple[str, ...]:
    return KIND_OF.get(module, (module.replace("_", "-"),))


def named_functions(module: str) -> Iterator[tuple[str, Callable[..., object]]]:
    """What the module's dictionaries in capitals hold."""
    for name, value in vars(import_module(module)).items():
        if name.isupper() and isinstance(value, dict):
            for key, function in value.items():
                if isinstance(key, str) and callable(function):
                    yield key, function


def check_policy(kind: str, field: str, name: str) -> None:
    """Refuse a name that no policy of the kind has.

    Raises:
        InvalidInput: with those that there are. A dotted name is a user's own and is not looked at.
    """
    known = [policy.name for policy in all_policies() if kind in policy.kinds]
    known = known or [str(getattr(Settings(), kind.replace("-", "_")))]
    if name not in known and ":" not in name:
        raise InvalidInput(field, name, f"is no policy of the kind {kind}: use {', '.join(known)}")
