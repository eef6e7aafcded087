"""The verbs of `orrery vm` and `onevm`."""

from collections.abc import Callable
from typing import Any

import click

from orrery.cli import pools
from orrery.cli.client import Client
from orrery.cli.failure import CommandFailed
from orrery.cli.follow import follow_vm
from orrery.cli.group import verbs_of
from orrery.cli.noun import Decorated, connected, for_each, resolve, resolve_one
from orrery.cli.states import LCM_STATES, VM_STATES
from orrery.cli.text_input import with_options
from orrery.cli.verbs import chmod, chown, listing, renaming, showing, updating
from orrery.cli.vm_options import describes_vm, template_of
from orrery.cli.vm_output import console, log, monitoring
from orrery.cli.vm_view import VM

WAIT_S = 600.0
RECOVERIES = ("failure", "success", "retry", "delete", "recreate", "delete-db")


def can_wait(function: Decorated) -> Decorated:
    """Adds --wait and --timeout."""
    function = click.option(
        "--timeout", type=float, default=WAIT_S, metavar="S", help="Seconds to wait at most."
    )(function)
    return click.option(
        "-w", "--wait", "--follow", "wait", is_flag=True, help="Follow its states until done."
    )(function)


def hard_option(function: Decorated) -> Decorated:
    return click.option("--hard", is_flag=True, help="Do not ask the guest.")(function)


def vm_action(
    name: str, about: str, ends_in: str, word: Callable[[bool], str], *, can_be_hard: bool = False
) -> click.Command:
    """A verb of one.vm.action that ends in a state one can wait for."""

    @click.command(name, help=about)
    @click.argument("targets", nargs=-1, required=True, metavar="ID|NAME...")
    @can_wait
    @connected
    def command(
        client: Client,
        *,
        targets: tuple[str, ...],
        wait: bool,
        timeout: float,
        hard: bool = False,
    ) -> int:
        ids = resolve(client, pools.VM, targets)
        status = for_each(ids, lambda one: client.call("one.vm.action", word(hard), one))
        if not wait:
            return status
        return status or for_each(ids, lambda one: follow_vm(client, one, ends_in, timeout))

    if can_be_hard:
        command.params.insert(
            1, click.Option(["--hard"], is_flag=True, help="At once, without asking the guest.")
        )
    return command


def always(word: str) -> Callable[[bool], str]:
    return lambda _: word


def maybe_hard(word: str) -> Callable[[bool], str]:
    return lambda hard: f"{word}-hard" if hard else word


@click.command("create")
@click.argument("file", required=False)
@click.option("--name", metavar="TEXT", help="Name of the VM.")
@click.option("--hold", is_flag=True, help="Start on hold: not placed until released.")
@click.option("--multiple", type=click.IntRange(1, 1000), default=1, help="How many.")
@click.option("--dry", is_flag=True, help="Print the template and create nothing.")
@describes_vm
@can_wait
@connected
def create(
    client: Client,
    *,
    file: str | None,
    name: str | None,
    hold: bool,
    multiple: int,
    dry: bool,
    wait: bool,
    timeout: float,
    **described: Any,
) -> int:
    """Create VMs from a template FILE, - or piped text, or from options alone."""
    text = with_options(file, template_of(name, described))
    if dry:
        click.echo(text, nl=False)
        return 0
    ids = []
    for _ in range(multiple):
        ids.append(client.number("one.vm.allocate", text, hold))
        click.echo(f"ID: {ids[-1]}")
    if not wait:
        return 0
    ends_in = "HOLD" if hold else "RUNNING"
    return for_each(ids, lambda one: follow_vm(client, one, ends_in, timeout))


@click.command("deploy")
@click.argument("targets", metavar="ID|NAME,...")
@click.argument("host", metavar="HOST")
@click.option("--enforce", "-e", is_flag=True, help="Refuse when the host has no room.")
@click.option("--datastore", "-i", metavar="DS", help="System datastore for the disks.")
@can_wait
@connected
def deploy(
    client: Client,
    *,
    targets: str,
    host: str,
    enforce: bool,
    datastore: str | None,
    wait: bool,
    timeout: float,
) -> int:
    """Place VMs on a host by hand."""
    host_id = resolve_one(client, pools.HOST, host)
    ds_id = -1 if datastore is None else resolve_one(client, pools.DATASTORE, datastore)
    ids = resolve(client, pools.VM, [targets])
    status = for_each(ids, lambda one: client.call("one.vm.deploy", one, host_id, enforce, ds_id))
    if not wait:
        return status
    return status or for_each(ids, lambda one: follow_vm(client, one, "RUNNING", timeout))


@click.command("reboot")
@click.argument("targets", nargs=-1, required=True, metavar="ID|NAME...")
@hard_option
@connected
def reboot(client: Client, *, targets: tuple[str, ...], hard: bool) -> int:
    """Reboot VMs."""
    word = "reboot-hard" if hard else "reboot"
    return for_each(
        resolve(client, pools.VM, targets), lambda one: client.call("one.vm.action", word, one)
    )


@click.command("recover")
@click.argument("targets", nargs=-1, required=True, metavar="ID|NAME...")
@click.option("--success", "way", flag_value="success", help="Go on as if it had succeeded.")
@click.option("--failure", "way", flag_value="failure", help="Go on as if it had failed.")
@click.option("--retry", "way", flag_value="retry", help="Try the last step again.")
@click.option("--delete", "way", flag_value="delete", help="Remove it with all it left.")
@click.option("--recreate", "way", flag_value="recreate", help="Remove it and start afresh.")
@click.option("--delete-db", "way", flag_value="delete-db", help="Forget it; touch no host.")
@connected
def recover(client: Client, *, targets: tuple[str, ...], way: str | None) -> int:
    """Help a VM that is stuck."""
    if way is None:
        raise click.UsageError(f"say how: one of --{', --'.join(RECOVERIES)}")
    operation = RECOVERIES.index(way)
    return for_each(
        resolve(client, pools.VM, targets),
        lambda one: client.call("one.vm.recover", one, operation),
    )


@click.command("wait")
@click.argument("targets", nargs=-1, required=True, metavar="ID|NAME...")
@click.option("--for", "state", default="RUNNING", metavar="STATE", help="State to wait for.")
@click.option("--timeout", type=float, default=WAIT_S, metavar="S", help="Seconds to wait at most.")
@connected
def wait_for(client: Client, targets: tuple[str, ...], state: str, timeout: float) -> int:
    """Wait until VMs are in a state, RUNNING when none is named."""
    wanted = state.upper()
    if wanted not in {*VM_STATES, *LCM_STATES} or wanted == "ACTIVE":
        raise CommandFailed(f"--for: {state!r} is not a state: RUNNING, POWEROFF, SUSPENDED, DONE")
    ids = resolve(client, pools.VM, targets)
    return for_each(ids, lambda one: follow_vm(client, one, wanted, timeout))


COMMANDS = verbs_of(
    "vm",
    "Virtual machines: create, watch, suspend, terminate.",
    [
        listing(VM),
        showing(VM),
        create,
        deploy,
        vm_action("hold", "Keep pending VMs from being placed.", "HOLD", always("hold")),
        vm_action("release", "Let VMs on hold be placed.", "RUNNING", always("release")),
        vm_action("suspend", "Save memory to disk and stop.", "SUSPENDED", always("suspend")),
        vm_action("resume", "Go on after suspend or poweroff.", "RUNNING", always("resume")),
        vm_action(
            "poweroff",
            "Switch off; the disks stay.",
            "POWEROFF",
            maybe_hard("poweroff"),
            can_be_hard=True,
        ),
        reboot,
        vm_action(
            "terminate",
            "End VMs for good; disks that are not persistent go.",
            "DONE",
            maybe_hard("terminate"),
            can_be_hard=True,
        ),
        recover,
        wait_for,
        log,
        console,
        monitoring,
        renaming(VM),
        chmod(VM),
        chown(VM),
        updating(VM),
    ],
)
