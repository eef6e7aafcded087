"""Puts lines on the terminal: colours and moving lines for people only. Knows no engine."""

import os
import shutil
import sys
from typing import TextIO

from orrery.cli import states

COLOURS = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}
BAR_WIDTH = 24
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO) -> bool:
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def width() -> int | None:
    """Columns of the terminal; None when the output goes elsewhere and must not be cut."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def painted(text: str, colour: str | None, stream: TextIO | None = None) -> str:
    if colour is None or not has_colour(stream or sys.stdout):
        return text
    return f"\033[{COLOURS[colour]}m{text}\033[0m"


def state_colour(short: str) -> str | None:
    """Green for what works, red for what is broken, yellow for what is on its way."""
    if short in states.BAD:
        return "red"
    if short in states.GOOD:
        return "green"
    return None if short in states.QUIET else "yellow"


def bar(fraction: float) -> str:
    """A progress bar with its percentage."""
    filled = round(max(0.0, min(1.0, fraction)) * BAR_WIDTH)
    return f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {fraction:4.0%}"


class LiveLine:
    """A line that changes in place on a terminal, and one line for each new text elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.moves = is_terminal(self.stream)
        self.last = ""
        self.turn = 0

    def show(self, text: str, fraction: float | None = None, colour: str | None = None) -> None:
        """The newest state of the work."""
        if self.moves:
            self.turn += 1
            spin = SPINNER[self.turn % len(SPINNER)] if fraction is None else bar(fraction)
            self.write(f"\r\033[K{spin} {painted(text, colour, self.stream)}")
        elif text != self.last:
            self.write(f"{text}\n")
        self.last = text

    def end(self, text: str, colour: str | None = None) -> None:
        """The last word on it."""
        if self.moves:
            self.write(f"\r\033[K{painted(text, colour, self.stream)}\n")
        elif text != self.last:
            self.write(f"{text}\n")

    def clear(self) -> None:
        if self.moves:
            self.write("\r\033[K")

    def write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def complain(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr)
