"""What has happened to a VM, and what it wrote to its console, as text for people."""

from datetime import UTC, datetime

from orrery.core.messages import Actor, Record
from orrery.core.model.kinds import Kind
from orrery.core.status import Right
from orrery.service.engine import Engine, Journal
from orrery.service.objects import permitted

CONSOLE_LIMIT = 1 << 20
"""Bytes of a console that are shown: its end."""


async def vm_log(engine: Engine, journal: Journal, actor: Actor, vm_id: int) -> str:
    """A line for each record of the VM."""
    permitted(engine, actor, Right.USE, Kind.VM, vm_id)
    records = await journal.history(Kind.VM, vm_id)
    return "".join(line_of(record) for record in records)


def line_of(record: Record) -> str:
    at = datetime.fromtimestamp(record.at, UTC).isoformat(sep=" ", timespec="milliseconds")
    what = record.kind.partition(".")[2]
    details = "".join(f" {name}={value}" for name, value in record.body.items())
    return f"{at.removesuffix('+00:00')} {what}{details} [{record.cause}]\n"


async def vm_console(engine: Engine, journal: Journal, actor: Actor, vm_id: int) -> str:
    """The end of the VM's serial console. A console can show secrets: it takes MANAGE.

    Raises:
        NotFound, NotAuthorized, Unavailable.
    """
    permitted(engine, actor, Right.MANAGE, Kind.VM, vm_id)
    return (await journal.console(vm_id, CONSOLE_LIMIT)).decode("utf-8", "replace")
