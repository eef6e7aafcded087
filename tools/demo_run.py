"""Runs the steps of a demo: shows them, says where it stopped and why, keeps or cleans."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo_session import HOME, PROGRAM, SCREEN, Demo, StepFailed, end_engine
from demo_site import ROOT, clear_by_driver, ensure_engine, leftovers, removals

Step = tuple[str, Callable[[Any], None]]
"""What it does, and the function that does it with the demo's record."""


@dataclass(frozen=True)
class Show:
    """A demo: what it is about, and its steps."""

    about: str
    record: type[Demo]
    build: Sequence[Step]
    prove: Sequence[Step]
    remove: Sequence[Step]
    what_next: Callable[[Any], None]
    """Says what can be tried where it is kept."""
    empty: Callable[[Any], None]
    """Removes what its own steps made, whatever state that is in."""


def perform(demo: Demo, steps: Sequence[Step]) -> None:
    for number, (title, step) in enumerate(steps, start=1):
        began = time.monotonic()
        with SCREEN.step(number, len(steps), title):
            step(demo)
        demo.timings.append((title, time.monotonic() - began))


def show_timings(demo: Demo) -> None:
    SCREEN.say("")
    for title, seconds in demo.timings:
        SCREEN.say(f"  {title:<54}{seconds:>7.1f} s")
    total = sum(seconds for _, seconds in demo.timings)
    SCREEN.say(SCREEN.paint(f"  {'Total':<54}{total:>7.1f} s", "1"))


def show_failure(demo: Demo, failure: StepFailed) -> None:
    """What was expected, what was found, what the engine and the guest said last, what to do."""
    SCREEN.say(SCREEN.paint("\nThe demo stopped here.", "1;31"))
    SCREEN.say(f"  expected: {failure.expected}")
    SCREEN.say(f"  found:    {failure.found}")
    for title, file in last_words(demo):
        lines = tail(file, 15)
        if lines:
            SCREEN.say(f"  the end of {title} ({file}):")
            SCREEN.detail("\n".join(lines))
    SCREEN.say(f"  remedy:   {failure.remedy}")


def last_words(demo: Demo) -> list[tuple[str, Path]]:
    consoles = sorted(HOME.rglob("console*")) if HOME.exists() else []
    return [("the engine's log", HOME / "engine.log"), *(("the console", one) for one in consoles)]


def tail(file: Path, count: int) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        return []


def clean_up(show: Show, demo: Demo) -> None:
    """Remove all there is, whatever state it is in; goes on when a part of it fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    attempts: list[Callable[[], object]] = []
    if demo.port and (HOME / "one_auth").exists():
        attempts = [lambda: ensure_engine(demo), lambda: show.empty(demo), *removals(demo)]
    attempts += [
        lambda: end_engine(demo, signal.SIGTERM),
        lambda: end_engine(demo, signal.SIGKILL),
        lambda: clear_by_driver(demo),
    ]
    for attempt in attempts:
        try:
            attempt()
        except (StepFailed, OSError, subprocess.SubprocessError, ValueError) as error:
            SCREEN.detail(f"cleaning: {error}")
    for left in leftovers(demo) if demo.bridge else []:
        SCREEN.say(f"left behind: {left}")
    shutil.rmtree(HOME, ignore_errors=True)


def perform_all(show: Show, *, keep: bool) -> int:
    if HOME.exists():
        remedy = f"'tools/{PROGRAM} --clean' removes it"
        print(f"{PROGRAM}: {HOME} exists, a demo runs or was left: {remedy}")
        return 1
    HOME.mkdir(mode=0o755, parents=True)
    HOME.chmod(0o755)
    demo = show.record()
    try:
        perform(demo, [*show.build, *show.prove, *(() if keep else show.remove)])
    except StepFailed as failure:
        show_failure(demo, failure)
        clean_up(show, demo)
        return 1
    except KeyboardInterrupt:
        SCREEN.say("\nStopped; cleaning up.")
        clean_up(show, demo)
        return 130
    except BaseException:
        clean_up(show, demo)
        raise
    show_timings(demo)
    if keep:
        show.what_next(demo)
    return 0


def clean(show: Show) -> int:
    if not HOME.exists():
        print(f"{PROGRAM}: nothing to clean")
        return 0
    demo = show.record()
    try:
        kept = json.loads((HOME / "demo.json").read_text())
        demo = show.record(**{**kept, "timings": []})
    except (OSError, ValueError, TypeError):
        SCREEN.say(f"{PROGRAM}: no record of what was made; removing the files")
    clean_up(show, demo)
    print(f"{PROGRAM}: removed")
    return 0


def use_own_python() -> None:
    """Called as a program, go on with the interpreter that `make setup` prepared."""
    own = ROOT / ".venv/bin/python"
    if Path(sys.prefix) != ROOT / ".venv" and own.exists():
        os.execv(own, [str(own), *sys.argv])


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def main(show: Show) -> int:
    use_own_python()
    parser = argparse.ArgumentParser(prog=PROGRAM, description=show.about)
    parser.add_argument("--keep", action="store_true", help="leave it running")
    parser.add_argument("--clean", action="store_true", help="remove what --keep left")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print(f"{PROGRAM}: bridges and firewalls are root's: 'sudo make {PROGRAM}'")
        return 1
    signal.signal(signal.SIGTERM, interrupted)
    return clean(show) if arguments.clean else perform_all(show, keep=arguments.keep)
