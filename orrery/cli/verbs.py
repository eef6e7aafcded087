"""The verbs most nouns share: list, show, update, rename, delete, chmod, chown."""

import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree.ElementTree import Element, tostring

import click

from orrery.cli import pools, screen, tree
from orrery.cli.client import Client, Parameter
from orrery.cli.noun import Decorated, Noun, connected, for_each, plural, resolve, resolve_one
from orrery.cli.table import Column, Listing, aligned, chosen, comma_separated, rows, selected
from orrery.cli.text_input import read_template

FILTER_FLAGS = {"a": -2, "m": -3, "g": -1, "G": -4}


def listing(noun: Noun) -> click.Command:
    """`list`: a table, or the same for programs."""

    @click.command("list", help=f"List {plural(noun.pool.title)}.")
    @click.argument("whose", required=False, metavar="[FILTER]")
    @list_options(noun)
    @format_options
    @connected
    def command(client: Client, whose: str | None, as_: str | None, **options: Any) -> None:
        pool = noun.pool.fetch(client, filter_flag(client, noun, whose))
        asked = Listing(
            options["columns"], options["filters"], options["order"], header=options["header"]
        )
        print_pool(noun, pool, asked, "csv" if options["csv"] else as_)

    return command


def list_options(noun: Noun) -> Callable[[Decorated], Decorated]:
    """OpenNebula's options of list commands."""
    known = ",".join(column.name for column in noun.columns)

    def decorate(function: Decorated) -> Decorated:
        for option in (
            click.option("--header/--no-header", default=True, help="Show the names of columns."),
            click.option("--csv", is_flag=True, help="Comma-separated values."),
            click.option("-o", "--order", metavar="COL,-COL", help="Sort; - for descending."),
            click.option(
                "-f",
                "--filter",
                "filters",
                multiple=True,
                metavar="COL=VALUE",
                help="Only rows that match; also != < <= > >= and ~ (contains).",
            ),
            click.option("-l", "--list", "columns", metavar="COLS", help=f"Columns: {known}."),
        ):
            function = option(function)
        return function

    return decorate


def format_options(function: Decorated) -> Decorated:
    """--json and --xml."""
    function = click.option("-x", "--xml", "as_", flag_value="xml", help="The engine's XML.")(
        function
    )
    return click.option("-j", "--json", "as_", flag_value="json", help="The same as JSON.")(
        function
    )


def filter_flag(client: Client, noun: Noun, whose: str | None) -> int:
    """a all, m mine, g my groups', or a user by id or name."""
    if whose is None or noun.pool.page is None:
        return -2
    if whose in FILTER_FLAGS:
        return FILTER_FLAGS[whose]
    return resolve_one(client, pools.USER, whose)


def print_pool(noun: Noun, pool: Element, asked: Listing, form: str | None) -> None:
    """One list in one of its forms. Filters and order apply to all of them."""
    elements = selected(pool.findall(noun.pool.element), noun.columns, asked)
    if form in {"json", "xml"}:
        if asked.filters or asked.order:
            pool[:] = elements
        print_element(pool, form)
        return
    columns = chosen(noun.columns, asked)
    cells = rows(elements, columns)
    if form == "csv":
        click.echo(comma_separated(columns, cells, header=asked.header), nl=False)
        return
    lines = aligned(columns, cells, header=asked.header, width=screen.width())
    for number, text in enumerate(lines):
        click.echo(coloured(text, columns, lines, cells, number, header=asked.header))


def coloured(
    text: str,
    columns: Sequence[Column],
    lines: Sequence[str],
    cells: Sequence[tuple[str, ...]],
    number: int,
    *,
    header: bool,
) -> str:
    """The heading bold and the STAT of each row in its colour."""
    if header and number == 0:
        return screen.painted(text, "bold")
    place = next((i for i, column in enumerate(columns) if column.name == "STAT"), None)
    if place is None:
        return text
    short = cells[number - header][place]
    return text.replace(f" {short} ", f" {screen.painted(short, screen.state_colour(short))} ", 1)


def print_element(element: Element, form: str) -> None:
    if form == "json":
        import json

        click.echo(json.dumps(tree.document(element), indent=2, ensure_ascii=False))
    else:
        click.echo(tostring(element, encoding="unicode"))


def showing(noun: Noun) -> click.Command:
    """`show`: all about some objects."""

    @click.command("show", help=f"Show all about {plural(noun.pool.title)}.")
    @click.argument("targets", nargs=-1, required=True, metavar="ID|NAME...")
    @format_options
    @connected
    def command(client: Client, targets: tuple[str, ...], as_: str | None) -> int:
        def show(object_id: int) -> None:
            element = client.tree(f"{noun.pool.method}.info", object_id)
            if as_ is not None:
                print_element(element, as_)
                return
            for text in noun.sheet(element):
                click.echo(text)

        return for_each(resolve(client, noun.pool, targets), show)

    return command


def action(
    noun: Noun, name: str, about: str, method: str, parameters: Callable[[int], Sequence[Parameter]]
) -> click.Command:
    """A verb without options: one call for each object named."""

    @click.command(name, help=about)
    @click.argument("targets", nargs=-1, required=True, metavar="ID|NAME...")
    @connected
    def command(client: Client, targets: tuple[str, ...]) -> int:
        ids = resolve(client, noun.pool, targets)
        return for_each(ids, lambda one: client.call(method, *parameters(one)))

    return command


def deleting(noun: Noun, about: str | None = None) -> click.Command:
    method = f"{noun.pool.method}.delete"
    return action(
        noun, "delete", about or f"Delete {plural(noun.pool.title)}.", method, lambda one: [one]
    )


def renaming(noun: Noun) -> click.Command:
    @click.command("rename", help=f"Give a {noun.pool.title} another name.")
    @click.argument("target", metavar="ID|NAME")
    @click.argument("name")
    @connected
    def command(client: Client, target: str, name: str) -> None:
        client.call(f"{noun.pool.method}.rename", resolve_one(client, noun.pool, target), name)

    return command


def updating(noun: Noun) -> click.Command:
    @click.command("update", help=f"Replace the template of a {noun.pool.title}, or add to it.")
    @click.argument("target", metavar="ID|NAME")
    @click.argument("file", required=False)
    @click.option("-a", "--append", is_flag=True, help="Keep what the file does not name.")
    @connected
    def command(client: Client, *, target: str, file: str | None, append: bool) -> None:
        object_id = resolve_one(client, noun.pool, target)
        text = read_template(file)
        client.call(f"{noun.pool.method}.update", object_id, text, int(append))

    return command


MODE = re.compile(r"[0-7]{3}")


def mode_bits(mode: str) -> list[int]:
    """640 as nine numbers, owner to other, use manage admin."""
    if not MODE.fullmatch(mode):
        raise click.UsageError(f"mode {mode!r}: write three octal digits, 640 = um- u-- ---")
    return [int(digit) >> shift & 1 for digit in mode for shift in (2, 1, 0)]


def chmod(noun: Noun) -> click.Command:
    @click.command("chmod", help="Change who may do what: octal, USE 4 + MANAGE 2 + ADMIN 1.")
    @click.argument("targets", metavar="ID|NAME,...")
    @click.argument("mode", metavar="OCTET")
    @connected
    def command(client: Client, targets: str, mode: str) -> int:
        bits = mode_bits(mode)
        ids = resolve(client, noun.pool, [targets])
        return for_each(ids, lambda one: client.call(f"{noun.pool.method}.chmod", one, *bits))

    return command


def chown(noun: Noun) -> click.Command:
    @click.command("chown", help="Change the owner, and the group when one is named.")
    @click.argument("targets", metavar="ID|NAME,...")
    @click.argument("owner", metavar="USER")
    @click.argument("group", required=False)
    @connected
    def command(client: Client, targets: str, owner: str, group: str | None) -> int:
        uid = resolve_one(client, pools.USER, owner)
        gid = -1 if group is None else resolve_one(client, pools.GROUP, group)
        ids = resolve(client, noun.pool, [targets])
        return for_each(ids, lambda one: client.call(f"{noun.pool.method}.chown", one, uid, gid))

    return command
