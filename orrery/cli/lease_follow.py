"""Follows a lease until it runs."""

import math
from xml.etree.ElementTree import Element

from orrery.cli import tree
from orrery.cli.client import Client
from orrery.cli.failure import CommandFailed
from orrery.cli.follow import looks
from orrery.cli.lease_view import reason_of, state_of
from orrery.cli.local_time import shown
from orrery.cli.measures import duration
from orrery.cli.screen import LiveLine

FINAL = frozenset({"rejected", "cancelled", "done", "failed", "rejected-by-user"})


def follow_lease(
    client: Client, lease_id: int, timeout_s: float | None, wanted: str = "active"
) -> Element:
    """Show the states a lease goes through until it is `wanted`; any other end fails."""
    line = LiveLine()
    state = "unknown"
    for gone in looks(math.inf if timeout_s is None else timeout_s):
        lease = client.tree("one.lease.info", lease_id)
        state = state_of(lease)
        text = f"lease {lease_id} {tree.value(lease, 'NAME')}: {state}"
        if state == wanted:
            line.end(f"{text} ({duration(gone)})", "green")
            return lease
        if state in FINAL:
            line.clear()
            raise CommandFailed(f"{text}, and not {wanted}: {reason_of(lease) or 'it is over'}")
        line.show(text + planned(lease, state))
    line.clear()
    raise CommandFailed(
        f"lease {lease_id} is not {wanted} after {duration(timeout_s or 0)} but {state}: "
        f"see 'onelease show {lease_id}'"
    )


def planned(lease: Element, state: str) -> str:
    start = tree.number(lease, "START")
    return f" until {shown(start)}" if start and state in {"scheduled", "ready"} else ""
