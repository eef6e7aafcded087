"""Lists as aligned text or CSV: columns, filters, order. Pure: knows no engine and no terminal."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TypeVar
from xml.etree.ElementTree import Element

from orrery.cli.failure import CommandFailed

Read = Callable[[Element], str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: how to read it from an element, and how it looks."""

    name: str
    read: Read
    about: str
    right: bool = False
    shrinks: bool = False
    """May be cut when the terminal is too narrow."""
    shown: bool = True
    """Part of the table when no columns are named."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What the user asked of a list."""

    columns: str | None = None
    filters: tuple[str, ...] = ()
    order: str | None = None
    header: bool = True


Row = tuple[str, ...]
GAP = "  "
FILTER = re.compile(r"(?P<name>[A-Za-z_]+)(?P<how>!=|<=|>=|=|~|<|>)(?P<what>.*)", re.DOTALL)


def chosen(columns: Sequence[Column], listing: Listing) -> tuple[Column, ...]:
    """The columns to show, in the order the user named them."""
    if listing.columns is None:
        return tuple(column for column in columns if column.shown)
    return tuple(named(columns, name, "--list") for name in listing.columns.split(","))


def selected(
    elements: Sequence[Element], columns: Sequence[Column], listing: Listing
) -> list[Element]:
    """The elements that pass all filters, in the order asked for."""
    tests = [test_of(columns, text) for given in listing.filters for text in split_filters(given)]
    found = [element for element in elements if all(test(element) for test in tests)]
    for key in reversed(listing.order.split(",") if listing.order else []):
        column = named(columns, key.lstrip("-"), "--order")
        found.sort(key=sort_key(column), reverse=key.startswith("-"))
    return found


def sort_key(column: Column) -> Callable[[Element], tuple[int, float, str]]:
    """Numbers before words, numbers by size."""

    def key(element: Element) -> tuple[int, float, str]:
        text = column.read(element)
        amount = as_number(text)
        return (1, 0.0, text.casefold()) if amount is None else (0, amount, "")

    return key


def split_filters(text: str) -> list[str]:
    """`A=1,B=2` as two; a comma inside a value stays when no filter follows it."""
    return re.split(r",(?=[A-Za-z_]+(?:[=~<>]|!=))", text)


def test_of(columns: Sequence[Column], text: str) -> Callable[[Element], bool]:
    """`NAME=web`, `CPU>1`, `NAME~prod` (contains)."""
    match = FILTER.fullmatch(text)
    if match is None:
        raise CommandFailed(f"--filter: {text!r} is not COLUMN=VALUE (also != < <= > >= ~)")
    column = named(columns, match["name"], "--filter")
    how, what = match["how"], match["what"]
    if how == "~":
        return lambda element: what.casefold() in column.read(element).casefold()
    return lambda element: compare(how, column.read(element), what)


def compare(how: str, left: str, right: str) -> bool:
    """By size when both are numbers, else as text."""
    numbers = as_number(left), as_number(right)
    if numbers[0] is None or numbers[1] is None:
        return holds(how, left.casefold(), right.casefold())
    return holds(how, numbers[0], numbers[1])


T = TypeVar("T", float, str)


def holds(how: str, left: T, right: T) -> bool:
    """One of the six comparisons, from the two basic ones."""
    if how in {"=", "!="}:
        return (left == right) is (how == "=")
    if how in {"<", ">="}:
        return (left < right) is (how == "<")
    return (left > right) is (how == ">")


def named(columns: Sequence[Column], name: str, option: str) -> Column:
    """The column of that name; says which there are when there is none."""
    for column in columns:
        if column.name == name.strip().upper():
            return column
    known = ",".join(column.name for column in columns)
    raise CommandFailed(f"{option}: no column {name!r}: there are {known}")


UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
AMOUNT = re.compile(r"(-?\d+(?:\.\d+)?)([KMGT]?)B?")


def as_number(text: str) -> float | None:
    """12, 1.5, 128M or 2.3G as a number; None for anything else."""
    match = AMOUNT.fullmatch(text.strip())
    return float(match[1]) * UNITS[match[2]] if match else None


def rows(elements: Sequence[Element], columns: Sequence[Column]) -> list[Row]:
    return [tuple(clean(column.read(element)) for column in columns) for element in elements]


def clean(text: str) -> str:
    """No control characters: a name must not move the cursor or break a line."""
    return "".join(character if character.isprintable() else "?" for character in text)


def aligned(
    columns: Sequence[Column], cells: Sequence[Row], *, header: bool, width: int | None = None
) -> list[str]:
    """Lines of a table. Cells are cut only to fit `width`, and only in columns that may shrink."""
    table = [tuple(column.name for column in columns), *cells] if header else list(cells)
    widths = fitted(columns, natural_widths(columns, table), width)
    return [line(columns, row, widths) for row in table]


def natural_widths(columns: Sequence[Column], table: Sequence[Row]) -> list[int]:
    return [max((len(row[i]) for row in table), default=0) for i in range(len(columns))]


def fitted(columns: Sequence[Column], widths: list[int], width: int | None) -> list[int]:
    """Take what is too much from the columns that may shrink, the widest first."""
    if width is None:
        return widths
    shrinkable = [i for i, column in enumerate(columns) if column.shrinks]
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
    while excess > 0 and shrinkable:
        widest = max(shrinkable, key=lambda i: widths[i])
        if widths[widest] <= 8:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def line(columns: Sequence[Column], row: Row, widths: Sequence[int]) -> str:
    cells = (
        cut(text, size).rjust(size) if column.right else cut(text, size).ljust(size)
        for column, text, size in zip(columns, row, widths, strict=True)
    )
    return GAP.join(cells).rstrip()


def cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"


def comma_separated(columns: Sequence[Column], cells: Sequence[Row], *, header: bool) -> str:
    """CSV as in RFC 4180, lines ending in a newline."""
    import csv

    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow([column.name for column in columns])
    writer.writerows(cells)
    return text.getvalue()
