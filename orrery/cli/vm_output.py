"""What a VM leaves behind for people: its log, its serial console, its monitoring."""

import re
import sys
import time
from collections.abc import Iterator

import click

from orrery.cli import pools, tree
from orrery.cli.client import Client
from orrery.cli.failure import CommandFailed
from orrery.cli.measures import moment, size_kib
from orrery.cli.noun import connected, for_each, resolve, resolve_one
from orrery.cli.table import Column, aligned, comma_separated, rows
from orrery.cli.verbs import print_element
from orrery.cli.vm_view import state_of

FOLLOW_S = 0.5
ESCAPE_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)")
"""Terminal control (ECMA-48): CSI, OSC and two-character sequences."""
COLUMNS = (
    Column("TIME", lambda one: moment(tree.number(one, "TIMESTAMP")), "When"),
    Column("CPU", lambda one: tree.value(one, "CPU"), "Percent of a CPU", right=True),
    Column("MEM", lambda one: size_kib(tree.number(one, "MEMORY")), "Memory", right=True),
    Column("NETRX", lambda one: size_of(tree.number(one, "NETRX")), "Received", right=True),
    Column("NETTX", lambda one: size_of(tree.number(one, "NETTX")), "Sent", right=True),
    Column("DISKRD", lambda one: size_of(tree.number(one, "DISKRDBYTES")), "Read", right=True),
    Column("DISKWR", lambda one: size_of(tree.number(one, "DISKWRBYTES")), "Written", right=True),
)


def size_of(octets: int) -> str:
    return size_kib(octets / 1024)


def text_at(client: Client, path: str, what: str) -> str:
    """A text of the JSON API, sent as it is or as the `text` of an object."""
    status, body, kind = client.get(path)
    if kind != "application/json":
        if status != 200:
            raise CommandFailed(f"the engine has no {what} there: {path} answered HTTP {status}")
        return body.decode("utf-8", "replace")
    answer = client.get_json(path)
    if isinstance(answer, dict) and isinstance(answer.get("text"), str):
        return str(answer["text"])
    raise CommandFailed(f"the engine's answer for the {what} holds no text: {path}")


def growing(client: Client, path: str, what: str, *, lasts: bool) -> Iterator[str]:
    """A text now, and with `lasts` what is added to it until the user stops."""
    shown = ""
    while True:
        text = text_at(client, path, what)
        if not text.startswith(shown):
            shown = ""
        if len(text) > len(shown):
            yield text[len(shown) :]
            shown = text
        if not lasts:
            return
        time.sleep(FOLLOW_S)


def last_lines(text: str, count: int | None) -> str:
    return text if count is None else "".join(text.splitlines(keepends=True)[-count:])


def show_text(client: Client, path: str, what: str, *, lines: int | None, follow: bool) -> None:
    for number, piece in enumerate(growing(client, path, what, lasts=follow)):
        sys.stdout.write(printable(last_lines(piece, lines) if number == 0 else piece))
        sys.stdout.flush()


def printable(text: str) -> str:
    """A guest writes what it likes: no control sequence reaches the user's terminal."""
    text = ESCAPE_SEQUENCE.sub("", text)
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


@click.command("log")
@click.argument("target", metavar="ID|NAME")
@click.option("-n", "--lines", type=int, metavar="N", help="Only the last lines.")
@click.option("-F", "--follow", is_flag=True, help="Go on as it grows.")
@connected
def log(client: Client, *, target: str, lines: int | None, follow: bool) -> None:
    """What happened to a VM."""
    vm_id = resolve_one(client, pools.VM, target)
    show_text(client, f"/api/v1/vms/{vm_id}/log", "log", lines=lines, follow=follow)


@click.command("console")
@click.argument("target", metavar="ID|NAME")
@click.option("-n", "--lines", type=int, metavar="N", help="Only the last lines.")
@click.option("-F", "--follow", is_flag=True, help="Go on as it grows.")
@connected
def console(client: Client, *, target: str, lines: int | None, follow: bool) -> None:
    """What a VM wrote to its serial console."""
    vm_id = resolve_one(client, pools.VM, target)
    path = f"/api/v1/vms/{vm_id}/console"
    show_text(client, path, "console", lines=lines, follow=follow)


@click.command("monitoring")
@click.argument("targets", nargs=-1, required=True, metavar="ID|NAME...")
@click.option("-j", "--json", "as_", flag_value="json", help="As JSON.")
@click.option("-x", "--xml", "as_", flag_value="xml", help="The engine's XML.")
@click.option("--csv", "as_", flag_value="csv", help="Comma-separated values.")
@click.option("-n", "--lines", type=int, default=10, metavar="N", help="Only the last samples.")
@connected
def monitoring(client: Client, *, targets: tuple[str, ...], as_: str | None, lines: int) -> int:
    """What VMs used lately: CPU, memory, network, disks."""

    def show(vm_id: int) -> None:
        answer = client.tree("one.vm.monitoring", vm_id)
        if as_ in {"json", "xml"}:
            print_element(answer, as_)
            return
        samples = answer.findall("MONITORING")[-lines:]
        if as_ == "csv":
            click.echo(comma_separated(COLUMNS, rows(samples, COLUMNS), header=True), nl=False)
            return
        if not samples:
            state = state_of(client.tree("one.vm.info", vm_id))
            click.echo(f"VM {vm_id} has not been monitored yet; it is {state}")
            return
        for line in aligned(COLUMNS, rows(samples, COLUMNS), header=True):
            click.echo(line)

    return for_each(resolve(client, pools.VM, targets), show)
