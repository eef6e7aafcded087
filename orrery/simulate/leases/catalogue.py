"""The policies that there are, from the scheduler's registry, and those of users by their place.

What each does is its docstring. A user's own is named by its dotted path (`package.module:name`)
or by its entry point.
"""

import inspect
from collections.abc import Iterator

from msgspec import Struct

from orrery import plugins
from orrery.sched.leases.policies import registry

SETTING_OF = {setting.replace("_", "-"): kind for setting, kind in registry.KIND_OF.items()}
"""The kind of policy that each setting names."""


class Policy(Struct, frozen=True):
    """One policy by its name."""

    kinds: tuple[str, ...]
    """What it can be used for: settings by name."""
    name: str
    about: str
    """Its docstring: what it does, its formula and where it comes from."""


def all_policies() -> Iterator[Policy]:
    """By kind, in the order of the registry, with all that are installed."""
    plugins.make_all_known()
    for kind in registry.KINDS:
        settings = tuple(setting for setting, of in SETTING_OF.items() if of == kind)
        for name in registry.names(kind):
            about = " ".join((inspect.getdoc(registry.lookup(kind, name)) or "").split())
            yield Policy(settings, name, about)


def check_policy(setting: str, name: str) -> None:
    """Refuse a name that no policy has; one of a user is loaded and registered.

    Raises:
        InvalidInput: with those that there are.
    """
    plugins.make_known(SETTING_OF[setting], name, setting)
