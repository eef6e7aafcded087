"""`orrery doctor`: checks what this machine needs to run guests, and names what mends it."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from orrery.cli import doctor_network, doctor_system, doctor_virtualization, screen
from orrery.cli.access import daemon_homes
from orrery.cli.diagnosis import Check, Finding, Level, Machine

CHECKS: tuple[Check, ...] = (
    *doctor_system.CHECKS,
    *doctor_virtualization.CHECKS,
    *doctor_network.CHECKS,
)
COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@click.command("doctor")
@click.option("--home", metavar="DIR", help="The engine's home directory.")
@click.option("--port", type=int, default=2633, metavar="N", help="The engine's port.")
@click.option("-j", "--json", "as_json", is_flag=True, help="The findings as JSON.")
def command(*, home: str | None, port: int, as_json: bool) -> int:
    """Check this machine and say what to mend. Exit status 1 when something must be mended."""
    machine = Machine(home=Path(home) if home else likely_home(), port=port)
    found: list[tuple[Check, Finding]] = []
    for check, finding in examined(machine, CHECKS):
        found.append((check, finding))
        if not as_json:
            show(check, finding)
    if as_json:
        click.echo(json.dumps([row(*one) for one in found], indent=2))
    else:
        click.echo(summary([finding for _, finding in found]))
    return 1 if any(finding.level is Level.FAIL for _, finding in found) else 0


def run(argv: Sequence[str]) -> int:
    """The same for callers without click."""
    return command.main(args=list(argv), prog_name="orrery doctor", standalone_mode=False) or 0


def likely_home() -> Path:
    """The home of a daemon on this machine, or where one would make it."""
    homes = list(daemon_homes(os.environ))
    found = next((home for home in homes if home.is_dir()), None)
    return found or (homes[0] if os.geteuid() == 0 else homes[-1])


def examined(machine: Machine, checks: Sequence[Check]) -> Iterator[tuple[Check, Finding]]:
    """One finding for each check; a check that itself breaks is a finding too."""
    for check in checks:
        yield check, finding_of(check.run, machine)


def finding_of(run_check: Callable[[Machine], Finding], machine: Machine) -> Finding:
    try:
        return run_check(machine)
    except OSError as error:
        return Finding(Level.WARN, f"could not be checked: {error}")


def row(check: Check, finding: Finding) -> dict[str, str | None]:
    return {
        "check": check.name,
        "result": finding.level.value,
        "found": finding.found,
        "why": check.why,
        "remedy": finding.remedy,
    }


def show(check: Check, finding: Finding) -> None:
    """One line, and below it what it means and what mends it when it is not well."""
    mark = screen.painted(f"{finding.level.value:<5}", COLOURS[finding.level])
    click.echo(f"{mark} {check.name:<18} {finding.found}")
    if finding.level is Level.OK:
        return
    click.echo(f"{'':<25}{check.why}")
    if finding.remedy:
        click.echo(f"{'':<25}mend: {finding.remedy}")


def summary(findings: Sequence[Finding]) -> str:
    fails = sum(finding.level is Level.FAIL for finding in findings)
    warns = sum(finding.level is Level.WARN for finding in findings)
    if fails:
        return f"\n{fails} to mend before guests can run here, {warns} to know about."
    if warns:
        return f"\nGuests can run here; {warns} to know about."
    return "\nAll is well."
