"""`orrery events`: what happens in the engine, as it happens, from its stream of events."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import click

from orrery.cli.client import Client
from orrery.cli.noun import connected
from orrery.cli.table import clean
from orrery.cli.tree import Json

PATH = "/api/v1/events"
PAUSE_S_MIN = 0.2
PAUSE_S_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream; `id` is where to go on after a break."""

    id: str
    kind: str
    data: str


def parsed(lines: Iterable[str]) -> Iterator[Event]:
    """Events of a stream of lines, as the standard for server-sent events describes it."""
    event_id, kind, data = "", "", list[str]()
    for line in lines:
        if not line:
            if data:
                yield Event(event_id, kind or "message", "\n".join(data))
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id":
            event_id = value


def line_of(event: Event) -> str:
    """Time, kind, subject and the rest on one line."""
    try:
        body = cast(Json, json.loads(event.data))
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return clean(f"{event.kind} {event.data}")
    at = body.get("at")
    when = time.strftime("%H:%M:%S", time.localtime(at if isinstance(at, int | float) else None))
    inner = body.get("body")
    shown = details(inner) if isinstance(inner, dict) else ""
    return clean(f"{when}  {body.get('kind', event.kind)!s:<18} {subject_of(body):<14} {shown}")


def subject_of(body: dict[str, Json]) -> str:
    """`vm 3`."""
    subject = body.get("subject")
    return f"{subject.get('kind')} {subject.get('id')}" if isinstance(subject, dict) else ""


def details(body: dict[str, Json]) -> str:
    """What else an event says, as name=value."""
    return " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in body.items()
        if value not in (None, "", {}, [])
    )


def following(client: Client, after: str | None) -> Iterator[Event]:
    """Events without end: when the engine closes the stream, go on behind the last one seen."""
    pause = PAUSE_S_MIN
    while True:
        for event in parsed(client.stream(PATH, after)):
            after, pause = event.id or after, PAUSE_S_MIN
            yield event
        time.sleep(pause)
        pause = min(pause * 2, PAUSE_S_MAX)


@click.command("events")
@click.option("-F", "--follow", is_flag=True, help="Go on until stopped; the default.")
@click.option("--after", metavar="SEQ", help="Begin behind the event of that number; 0 for all.")
@click.option("-n", "--count", type=int, metavar="N", help="Stop after so many.")
@click.option("-j", "--json", "as_json", is_flag=True, help="One JSON object on each line.")
@connected
def events(
    client: Client, *, follow: bool, after: str | None, count: int | None, as_json: bool
) -> None:
    """What happens in the engine, as it happens."""
    del follow
    for number, event in enumerate(following(client, after), start=1):
        click.echo(event.data if as_json else line_of(event).rstrip())
        if count is not None and number >= count:
            return
