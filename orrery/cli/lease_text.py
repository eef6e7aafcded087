"""What a lease is asked for with, from options and files to the template that the engine reads.
Calls nothing.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from orrery.cli.failure import CommandFailed
from orrery.cli.local_time import days_later, local, moment_of, seconds_of
from orrery.cli.text_input import attribute, reason, vector
from orrery.cli.vm_options import listed, part

Values = dict[str, Any]
"""By the names of a lease file."""

SINGLE = (
    *("nodes", "cpu", "memory", "disk", "image", "start", "duration", "deadline"),
    *("preemptible", "priority"),
)
ELSEWHERE = ("name", "template", "network")
"""What a lease file may say beside the terms."""

ATTRIBUTES = {"disk": "DISK_SIZE"}
"""Where the template's name for it is not the same."""

WITHOUT_MOMENT = frozenset({"now", "best effort", "best-effort", "any", "any time"})
STEPS = {"daily": 1, "weekly": 7}
SATURDAY = 5


def text_of(values: Values, more: Iterable[str] = ()) -> str:
    """The template: NAME, LEASE=[...], disks and networks."""
    terms = {key: value for key, value in values.items() if key not in ELSEWHERE}
    sets = terms.pop("nodes", None) if isinstance(terms.get("nodes"), list) else None
    lines = [attribute("NAME", str(values["name"]))] if values.get("name") else []
    lines.append(vector("LEASE", pairs_of(terms)))
    lines += [vector("LEASE_NODES", pairs_of(one)) for one in sets or ()]
    lines += [vector("NIC", part(name, "--network", "NETWORK")) for name in networks(values)]
    return "\n".join([*lines, *more]) + "\n"


def networks(values: Values) -> list[str]:
    given = values.get("network") or []
    return listed(tuple(map(str, given if isinstance(given, list | tuple) else [given])))


def pairs_of(values: Values) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        if value is None:
            continue
        if key == "recurring":
            pairs += [("REPEAT", str(value["count"])), ("EVERY", str(value["every"]))]
        elif key == "image" and isinstance(value, dict):
            pairs += [("IMAGE", str(value["name"])), ("IMAGE_SIZE", str(value["size"]))]
        else:
            pairs.append((ATTRIBUTES.get(key, key.upper()), plain(value)))
    return pairs


def plain(value: Any) -> str:
    if isinstance(value, bool):
        return "YES" if value else "NO"
    if isinstance(value, list | tuple):
        return ",".join(map(plain, value))
    return f"{value:.15g}" if isinstance(value, float) else str(value)


# --- options --------------------------------------------------------------------------------------


def values_of(options: dict[str, Any]) -> Values:
    """What the options say, times resolved."""
    values = {name: options[name] for name in SINGLE if options.get(name) is not None}
    values |= {name: options[name] for name in ELSEWHERE if options.get(name)}
    if options["now"] and options["best_effort"]:
        raise click.UsageError("--now and --best-effort go not together: say one")
    if (options["now"] or options["best_effort"]) and "start" in values:
        raise click.UsageError("--start goes with neither --now nor --best-effort: say one")
    if options["now"]:
        values["start"] = "now"
    elif options["best_effort"]:
        values["start"] = "best effort"
    return resolved(values)


def resolved(values: Values) -> Values:
    """Moments and lengths in seconds; the engine may be in another zone."""
    found = dict(values)
    for name in ("start", "deadline"):
        text = found.get(name)
        if text is not None and str(text).strip().lower() not in WITHOUT_MOMENT:
            found[name] = round(moment_of(str(text), name))
    if "duration" in found:
        found["duration"] = seconds_of(str(found["duration"]), "duration")
    return found


def recurring(values: Values, how: str | None, count: int | None) -> Values:
    """The starts of all times: the same time of day, whatever the clocks do in between."""
    if how is None:
        if count is not None:
            raise click.UsageError("--count needs --recurring daily, weekly or weekdays")
        return values
    if count is None:
        raise click.UsageError("--recurring needs --count: how many times in all")
    start = values.get("start")
    if not isinstance(start, int):
        raise click.UsageError("--recurring needs --start: the time of the first one")
    starts = [round(days_later(start, days)) for days in days_of(how, start, count)]
    return {**values, "starts": starts} if starts else values


def days_of(how: str, start: float, count: int) -> list[int]:
    """How many days after the first one each further one is."""
    if how != "weekdays":
        return [STEPS[how] * number for number in range(1, count)]
    first = local(start).weekday()
    if first >= SATURDAY:
        raise click.UsageError("--recurring weekdays: the first one is on a weekend")
    days = [day for day in range(1, 2 * count + 3) if (first + day) % 7 < SATURDAY]
    return days[: count - 1]


# --- files ----------------------------------------------------------------------------------------


def read_file(path: str) -> list[Values]:
    """The leases of a file in YAML or in Haizea's XML (LWF)."""
    from orrery.core.errors import InvalidInput

    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CommandFailed(f"FILE: cannot read {path!r}: {reason(error)}") from error
    try:
        if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            return from_lwf(data)
        return from_yaml(data.decode("utf-8-sig"))
    except InvalidInput as error:
        raise CommandFailed(f"{path}: {error.message}") from error
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{path}: is not text in UTF-8") from error


def from_yaml(text: str) -> list[Values]:
    """Only names are looked at here: the engine reads the rest."""
    from orrery.core.documents import Fields, read_yaml
    from orrery.core.lease_terms import TERM_FIELDS, lease_items

    known = TERM_FIELDS.union(ELSEWHERE)
    items = lease_items(read_yaml(text))
    return [resolved(Fields(item, place, known).values) for place, item in items]


def from_lwf(data: bytes) -> list[Values]:
    import time

    from orrery.core.lease_lwf import lease_terms_from_lwf

    found = []
    for terms in lease_terms_from_lwf(data, time.time()):
        values: Values = {
            "nodes": [
                {"count": n.count, "cpu": n.capacity.cpu_pct / 100, "memory": n.capacity.memory_mib}
                for n in terms.nodes
            ],
            "duration": round(terms.duration),
            "start": "now" if terms.immediate else None,
            "preemptible": terms.preemptible,
            "image": terms.image,
        }
        if terms.start is not None:
            values["start"] = round(terms.start)
        if terms.deadline is not None:
            values["deadline"] = round(terms.deadline)
        found.append({name: value for name, value in values.items() if value is not None})
    return found
