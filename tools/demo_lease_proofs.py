"""What the demo of leases proves, and how a plan looks beside what came of it."""

from typing import Any

from demo_leases import (
    ELDEST,
    FILL,
    RESERVED,
    YOUNGEST,
    Classroom,
    Lease,
    clock,
    counts,
    fine,
    last,
    lease_of,
    libvirt_saw,
    operations,
    vm_of,
    wait_for_count,
)
from demo_session import SCREEN, StepFailed

LATE_S = 3.0
"""A machine that others use too may need a moment longer than it was measured to."""


def check_only_youngest(demo: Classroom) -> None:
    suspended = [name for name in FILL if operations(lease_of(demo, name), "suspend")]
    if suspended != YOUNGEST:
        raise StepFailed(f"only {YOUNGEST} gave way", f"{suspended} did", "report this")
    SCREEN.detail(f"the youngest gave way, and no more than needed: {ELDEST} runs on")


def check_order_stored(demo: Classroom) -> None:
    """By the stored times: planned so, and so it was."""
    boot = last(lease_of(demo, RESERVED), "boot")
    saves = [last(lease_of(demo, name), "suspend") for name in YOUNGEST]
    planned = boot["start_at"] - max(save["end_at"] for save in saves)
    actual = boot["began_at"] - max(save["ended_at"] for save in saves)
    if planned < 0 or actual < 0:
        found = f"planned {planned:.1f} s before, really {actual:.1f} s"
        raise StepFailed("suspended before others start", found, "report this")
    SCREEN.detail(
        f"stored: the last suspension was to end {planned:.1f} s before the first start, "
        f"and ended {actual:.1f} s before it"
    )


def check_order_libvirt(demo: Classroom) -> None:
    """The same by libvirt's own record."""
    saved = [libvirt_saw(f"lease-{vm_of(demo, name)}", "Stopped Saved") for name in YOUNGEST]
    vms = lease_of(demo, RESERVED)["vms"]
    booted = [libvirt_saw(f"lease-{vm_id}", "Started Booted") for vm_id in vms]
    order = f"the last was saved at {fine(max(saved))}, the first started at {fine(min(booted))}"
    SCREEN.detail(f"libvirt: {order}")
    if max(saved) > min(booted):
        raise StepFailed("all are saved before any starts", order, "report this")


def check_on_time(demo: Classroom) -> None:
    (run,) = lease_of(demo, RESERVED)["runs"]
    late = run["began_at"] - demo.promised
    if late > LATE_S:
        raise StepFailed(f"they run at {clock(demo.promised)}", f"{late:.1f} s late", "less load")
    SCREEN.detail(f"all reserved VMs run: {abs(late):.1f} s {'late' if late > 0 else 'early'}")


def check_one_boot(name: str, found: list[tuple[int, str]]) -> list[int]:
    """The numbers a guest has said: never again from the beginning."""
    boots = {boot for _, boot in found}
    numbers = [number for number, _ in found]
    if len(boots) > 1 or numbers != sorted(set(numbers)):
        what = f"{name} counts on in one boot"
        raise StepFailed(what, f"boots {boots}: {numbers}", "report this")
    return numbers


def check_counts_on(demo: Classroom, name: str) -> None:
    vm_id, stopped = vm_of(demo, name), demo.stopped_at[name]
    wait_for_count(demo, vm_id, above=stopped)
    numbers = check_one_boot(name, counts(demo, vm_id))
    after = next(number for number in numbers if number > stopped)
    if after != stopped + 1:
        raise StepFailed(f"{name}: {stopped + 1} is next", f"it is {after}", "report this")
    SCREEN.detail(f"{name}: stopped at {stopped}, goes on with {after}, in the same boot")


# --- planned against actual ----------------------------------------------------------------------


HEAD = f"{'LEASE':<9}{'WHAT':<10}{'PLANNED':<18}{'ACTUAL':<21}{'LATE':>8}   RATE"


def table(demo: Classroom) -> list[str]:
    """Each operation and each run of each lease: as planned when it began, and as it went."""
    leases = [lease_of(demo, name) for name in (*FILL, RESERVED)]
    return [HEAD, *(row(lease, piece) for lease in leases for piece in pieces(lease))]


def pieces(lease: Lease) -> list[dict[str, Any]]:
    found = []
    for run in lease["runs"]:
        before, after = run["operations"][-2:]
        ran = {"kind": "run", "start_at": before["end_at"], "end_at": after["start_at"]}
        ran |= {name: run[name] for name in ("began_at", "ended_at")}
        found += [before, ran, after]
    return found


def row(lease: Lease, piece: dict[str, Any]) -> str:
    planned = piece["end_at"] - piece["start_at"]
    actual = piece["ended_at"] - piece["began_at"]
    memory = sum(nodes["count"] * nodes["each"]["memory_mib"] for nodes in lease["terms"]["nodes"])
    rate = f"{memory / actual:.0f} MiB/s" if piece["kind"] in ("suspend", "resume") else ""
    return (
        f"{lease['name']:<9}{piece['kind']:<10}{clock(piece['start_at'])} {planned:5.0f} s  "
        f"{fine(piece['began_at'])} {actual:6.1f} s  {piece['ended_at'] - piece['end_at']:+6.1f} s"
        f"   {rate}"
    ).rstrip()


def learned(one: dict[str, Any]) -> str:
    """What the next plan goes by: the mean and twice the deviation."""
    mean, careful, unit = one["mean"], one["mean"] + 2 * one["deviation"], "s"
    if one["unit"] == "s/MiB":
        mean, careful, unit = 1 / mean, 1 / careful, "MiB/s"
    text = f"{one['kind']:<9}{mean:7.1f} {unit} on average of {one['count']}"
    return f"learned: {text}, the next plan takes {careful:.1f} {unit}"
