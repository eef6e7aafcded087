"""Rows of the result: how they are printed and written. Measures nothing."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

OUT = Path(__file__).parent / "out"


class Row(Struct, frozen=True, kw_only=True):
    """One measurement. `ratio` is how many times better than the reference; `met` whether the goal
    is reached (None where there is none)."""

    section: str
    what: str
    clients: int | None = None
    median_ms: float | None = None
    p99_ms: float | None = None
    per_second: float | None = None
    value: str = ""
    """A figure that is no rate."""
    reference: str = ""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""


def skipped(section: str, what: str, reason: str) -> Row:
    return Row(section=section, what=what, value="skipped", note=reason)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def middle(values: Sequence[float]) -> float:
    return median(values)


COLUMNS = ("what", "clients", "median ms", "p99 ms", "per s", "figure", "reference", "ratio", "")


def cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        "" if row.clients is None else str(row.clients),
        number(row.median_ms),
        number(row.p99_ms),
        number(row.per_second),
        row.value,
        row.reference,
        "" if row.ratio is None else f"{row.ratio:.2f}x" if row.ratio < 10 else f"{row.ratio:.0f}x",
        verdict(row),
    )


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def verdict(row: Row) -> str:
    words = [] if row.met is None else [f"{'ok' if row.met else 'MISSED'}: goal {row.goal}"]
    return "; ".join([*words, row.note] if row.note else words)


def print_table(rows: Sequence[Row]) -> None:
    """One table for each section."""
    for section in dict.fromkeys(row.section for row in rows):
        print(f"\n{section}")
        body = [cells(row) for row in rows if row.section == section]
        for line in aligned([COLUMNS, *body]):
            print(f"  {line}")


def aligned(lines: Sequence[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    for line in lines:
        first = line[0].ljust(widths[0])
        rest = [
            cell.ljust(width) if place > 3 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line[1:], widths[1:], strict=True))
        ]
        yield "  ".join([first, *rest]).rstrip()


def write(rows: Sequence[Row], facts: dict[str, object]) -> Path:
    """`bench/out/latest.json`: the facts of the machine, and the rows."""
    OUT.mkdir(exist_ok=True)
    path = OUT / "latest.json"
    whole = {**facts, "rows": msgspec.to_builtins(list(rows))}
    path.write_text(json.dumps(whole, indent=1) + "\n")
    return path
