"""Waits while the engine works: follows a VM until it settles, an image until it is ready."""

import time
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from orrery.cli import states, tree
from orrery.cli.client import Client
from orrery.cli.failure import CommandFailed
from orrery.cli.measures import duration, size_mib
from orrery.cli.screen import LiveLine
from orrery.cli.vm_view import error_of, host_of, short_state, state_of

POLL_S_MIN = 0.1
POLL_S_MAX = 1.0
POLL_GROWTH = 1.3


def looks(timeout_s: float) -> Iterator[float]:
    """When to look: at once, then ever less often, until the time is up. Yields seconds gone."""
    began = time.monotonic()
    pause = POLL_S_MIN
    while (gone := time.monotonic() - began) < timeout_s:
        yield gone
        time.sleep(pause)
        pause = min(POLL_S_MAX, pause * POLL_GROWTH)


def follow_vm(
    client: Client, vm_id: int, wanted: str, timeout_s: float, line: LiveLine | None = None
) -> Element:
    """Show the states a VM goes through until it is `wanted`; anything else it settles in fails."""
    shown = line or LiveLine()
    vm: Element | None = None
    for gone in looks(timeout_s):
        vm = client.tree("one.vm.info", vm_id)
        text, state = described(vm), state_of(vm)
        if state == wanted:
            shown.end(f"{text} ({duration(gone)})", "green")
            return vm
        if states.is_settled(state):
            shown.clear()
            raise CommandFailed(f"{text}, and not {wanted}: {remedy(vm)}")
        shown.show(text + waiting(vm))
    shown.clear()
    last = "unknown" if vm is None else state_of(vm) + waiting(vm)
    raise CommandFailed(
        f"VM {vm_id} is not {wanted} after {duration(timeout_s)} but {last}: "
        f"see 'orrery vm show {vm_id}' and 'orrery vm log {vm_id}'"
    )


def described(vm: Element) -> str:
    """`VM 3 web: RUNNING on host1`."""
    host = host_of(vm)
    return f"VM {tree.value(vm, 'ID')} {tree.value(vm, 'NAME')}: {state_of(vm)}" + (
        f" on {host}" if host else ""
    )


def waiting(vm: Element) -> str:
    """Why a pending VM waits."""
    message = error_of(vm) if short_state(vm) == "pend" else ""
    return f" ({message})" if message else ""


def remedy(vm: Element) -> str:
    vm_id = tree.value(vm, "ID")
    return error_of(vm) or f"see 'orrery vm show {vm_id}' and 'orrery vm log {vm_id}'"


def follow_image(client: Client, image_id: int, timeout_s: float) -> Element:
    """Show how an image is brought in until it is READY."""
    line = LiveLine()
    for gone in looks(timeout_s):
        image = client.tree("one.image.info", image_id)
        state = states.nth(states.IMAGE_STATE_NAMES, tree.number(image, "STATE"))
        text = f"image {image_id} {tree.value(image, 'NAME')}: {state}"
        if state in {"READY", "USED", "USED_PERS"}:
            size = size_mib(tree.number(image, "SIZE"))
            line.end(f"{text}, {size} ({duration(gone)})", "green")
            return image
        if state == "ERROR":
            line.clear()
            raise CommandFailed(f"{text}: {image_error(image)}")
        line.show(text, fraction_done(client, image_id))
    line.clear()
    raise CommandFailed(
        f"image {image_id} is not READY after {duration(timeout_s)}: "
        f"see 'orrery image show {image_id}'"
    )


def image_error(image: Element) -> str:
    return " ".join(tree.value(image, "TEMPLATE/ERROR").split()) or "the engine gives no reason"


def fraction_done(client: Client, image_id: int) -> float | None:
    """How much of an image is there, where the engine tells."""
    try:
        answer = client.get_json(f"/api/v1/images/{image_id}")
    except CommandFailed:
        return None
    found = answer.get("progress") if isinstance(answer, dict) else None
    return float(found) if isinstance(found, int | float) else None


def follow_host(client: Client, host_id: int, timeout_s: float) -> Element:
    """Wait until a host has been monitored."""
    line = LiveLine()
    for gone in looks(timeout_s):
        host = client.tree("one.host.info", host_id)
        state = states.nth(states.HOST_STATE_NAMES, tree.number(host, "STATE"))
        text = f"host {host_id} {tree.value(host, 'NAME')}: {state}"
        if state == "MONITORED":
            line.end(f"{text} ({duration(gone)})", "green")
            return host
        if state in {"ERROR", "DISABLED", "OFFLINE"}:
            line.clear()
            message = " ".join(tree.value(host, "TEMPLATE/ERROR").split())
            raise CommandFailed(f"{text}: {message or 'no reason given'}: try 'orrery doctor'")
        line.show(text)
    line.clear()
    raise CommandFailed(
        f"host {host_id} was not monitored within {duration(timeout_s)}: try 'orrery doctor'"
    )
