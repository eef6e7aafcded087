"""The one program behind every name: hands over to the daemon, a driver or the command line.

Knows names only; each part is imported when it is asked for, so that a simple command stays cheap.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

Run = Callable[[list[str]], int]

DAEMON = {"serve": "orrery.daemon.serve:serve", "up": "orrery.daemon.playground:up"}
DRIVER = {
    "serve": "orrery.agent:serve",
    "check": "orrery.agent_check:check",
    "probe": "orrery.drivers.libvirt.probe:main",
}
STOPPED_BY_USER = 130


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Run what the program's name and its first words ask for; returns the exit status."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    name = program or program_name(sys.argv[0])
    if name == "oned":
        return load(DAEMON["serve"])(argv)
    if name == "orrery":
        target, rest = route(argv)
        if target is not None:
            return load(target)(rest)
    from orrery.cli.program import run

    return run(name, argv)


def program_name(path: str) -> str:
    """The name we were called by; `python -m orrery` is orrery."""
    name = path.rpartition("/")[2]
    return name if name.startswith("one") else "orrery"


def route(argv: list[str]) -> tuple[str | None, list[str]]:
    """Which part serves these words if it is not the command line, and what is left for it."""
    if argv and argv[0] in DAEMON:
        return DAEMON[argv[0]], argv[1:]
    if argv and argv[0] == "driver":
        word = argv[1] if len(argv) > 1 else ""
        return DRIVER.get(word, "orrery.__main__:explain_driver"), argv[2:]
    return None, argv


def load(target: str) -> Run:
    """The function that `module:function` names."""
    module, _, function = target.partition(":")
    return cast(Run, getattr(import_module(module), function))


def explain_driver(_: list[str]) -> int:
    """`orrery driver` without a word we know."""
    print(f"Usage: orrery driver {'|'.join(DRIVER)} ...", file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main())
