"""The libvirt binding, wherever this interpreter finds it; knows nothing of domains."""

import importlib
import sys
import threading
from functools import cache
from typing import Any

DISTRIBUTION = "/usr/lib/python3/dist-packages"
"""Where Debian and Ubuntu install python3-libvirt; a virtual environment does not look there."""


class MissingBinding(ImportError):
    """No usable libvirt module: says what to install."""


def load() -> Any:
    """The libvirt module, of this environment first, else the distribution's."""
    try:
        return importlib.import_module("libvirt")
    except ImportError as first:
        sys.path.append(DISTRIBUTION)
        try:
            return importlib.import_module("libvirt")
        except ImportError as second:
            raise MissingBinding(_remedy(first, second)) from second
        finally:
            # Only libvirt may come from there: anything else would mix two environments.
            sys.path.remove(DISTRIBUTION)


@cache
def start_event_loop() -> None:
    """Keep-alive and events need libvirt's own loop, registered before the first connection."""
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run_events, name="libvirt-events", daemon=True).start()


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def _remedy(first: ImportError, second: ImportError) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"no libvirt binding for Python {version} ({first}; in {DISTRIBUTION}: {second}). "
        "Install the distribution's python3-libvirt; or libvirt-dev, pkg-config and a compiler, "
        "and then `pip install libvirt-python`"
    )


libvirt = load()
# Errors arrive as exceptions; the library would print each one to standard error as well.
libvirt.registerErrorHandler(lambda _context, _error: None, None)
