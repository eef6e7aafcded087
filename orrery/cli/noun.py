"""What all nouns share: the connection, and finding objects by id, range or name. Shows nothing."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any
from xml.etree.ElementTree import Element

import click

from orrery.cli import screen, tree
from orrery.cli.access import find_access
from orrery.cli.client import Client
from orrery.cli.failure import CommandFailed
from orrery.cli.pools import Pool
from orrery.cli.table import Column

Decorated = Callable[..., Any]
Sheet = Callable[[Element], list[str]]
RANGE = re.compile(r"(\d+)\.\.(\d+)")
RANGE_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of object as the command line shows it."""

    pool: Pool
    columns: tuple[Column, ...]
    sheet: Sheet


# --- the connection ----------------------------------------------------------------------------


def connected(function: Decorated) -> Decorated:
    """Adds the options that say which engine and who; the command gets the client first."""

    @click.option("--endpoint", metavar="URL", help="The engine's address (else ONE_XMLRPC).")
    @click.option("--user", metavar="NAME", help="User name (else the file named by ONE_AUTH).")
    @click.option("--password", metavar="TEXT", help="Password; asked for when not given.")
    @wraps(function)
    def command(
        *arguments: Any, endpoint: str | None, user: str | None, password: str | None, **more: Any
    ) -> Any:
        if user is not None and password is None:
            password = click.prompt("Password", hide_input=True, err=True)
        client = Client(find_access(endpoint, user, password))
        return function(client, *arguments, **more)

    return command


# --- which objects -----------------------------------------------------------------------------


def expand(texts: Sequence[str]) -> list[str]:
    """`1,3..5` and several words as single ids and names, without repetition."""
    found: list[str] = []
    for text in texts:
        for part in text.split(","):
            found.extend(span(part.strip()) if part.strip() else [])
    return list(dict.fromkeys(found))


def span(text: str) -> list[str]:
    match = RANGE.fullmatch(text)
    if match is None:
        return [text]
    first, last = int(match[1]), int(match[2])
    if not first <= last < first + RANGE_MAX:
        raise CommandFailed(f"range: {text!r} must rise and hold at most {RANGE_MAX} ids")
    return [str(number) for number in range(first, last + 1)]


def resolve(client: Client, pool: Pool, texts: Sequence[str]) -> list[int]:
    """Ids of what the user named; the pool is asked only when there are names."""
    words = expand(texts)
    if not words:
        raise click.UsageError(f"name at least one {pool.title}: an id, a name, 1,2 or 3..7")
    objects = pool.fetch(client) if any(not word.isdigit() for word in words) else None
    return [
        int(word) if objects is None or word.isdigit() else by_name(pool, objects, word)
        for word in words
    ]


def resolve_one(client: Client, pool: Pool, text: str) -> int:
    found = resolve(client, pool, [text])
    if len(found) != 1:
        raise click.UsageError(f"{text!r} names {len(found)} objects, this needs one")
    return found[0]


def by_name(pool: Pool, objects: Element, name: str) -> int:
    found = [
        tree.number(one, "ID")
        for one in objects.findall(pool.element)
        if tree.value(one, "NAME") == name
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandFailed(f"there is no {pool.title} named {name!r}: see 'list'")
    listed = ", ".join(map(str, found))
    raise CommandFailed(f"{name!r} names more than one {pool.title} ({listed}): give the id")


def for_each(ids: Sequence[int], act: Callable[[int], object]) -> int:
    """Do it to all, also after a failure; the exit status says whether all were done."""
    failed = 0
    for object_id in ids:
        try:
            act(object_id)
        except CommandFailed as error:
            if len(ids) == 1:
                raise
            screen.complain(f"{object_id}: {error}")
            failed += 1
    return 1 if failed else 0


def plural(title: str) -> str:
    return title + "s"
