"""`orrery simulate convert` and `generate`: workloads into files; and `policies`."""

import sys
import textwrap
from pathlib import Path
from typing import Any

import click
import msgspec

from orrery.simulate.leases.catalogue import Policy, all_policies
from orrery.simulate.leases.command.options import (
    Sectioned,
    refusals,
    take_source,
    with_workload_options,
)
from orrery.simulate.leases.sources import SourceOptions, load_workload
from orrery.simulate.leases.workload.reading import text_of
from orrery.simulate.leases.workload.swf import SwfOptions

FORMATS = ("lwf", "swf", "yaml")


@click.command("convert", cls=Sectioned)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@with_workload_options
def convert(source: str, target: str, **given: Any) -> None:
    """Write the workload FROM in the format that TO names: .lwf, .swf or .yaml.

    What is asked for of the workload (a part of it, injected leases, ...) is done to it first.
    """
    with refusals():
        options = take_source(given)
        count = write_workload(source, options, target, Path(target).suffix)
        click.echo(f"{count} leases: {target}", err=True)


@click.command("generate", cls=Sectioned)
@click.argument("spec")
@click.option("-o", "--output", metavar="FILE", help="Else to standard output.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="Else as FILE is called, or lwf."
)
@with_workload_options
def generate(spec: str, output: str | None, form: str | None, **given: Any) -> None:
    """Draw the workload that SPEC describes: a YAML file, or synthetic:LEASES,NODES[,PERCENT]."""
    with refusals():
        suffix = f".{form}" if form else Path(output or "x.lwf").suffix
        count = write_workload(spec, take_source(given), output, suffix)
        if output:
            click.echo(f"{count} leases: {output}", err=True)


def write_workload(source: str, options: SourceOptions, target: str | None, suffix: str) -> int:
    workload = load_workload(source, options)
    text = text_of(workload, suffix, SwfOptions(processors_per_node=options.processors_per_node))
    if target is None:
        sys.stdout.write(text)
    else:
        Path(target).write_text(text)
    return len(workload.arrivals)


@click.command("policies")
@click.option("--json", "as_json", is_flag=True, help="One list for programs.")
def policies(*, as_json: bool) -> None:
    """The policies by kind, with what each does, its formula and where it comes from.

    Give one with --policy KIND=NAME, or by its own option (--preemption cheapest); your own by
    package.module:name.
    """
    found = list(all_policies())
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    kinds: tuple[str, ...] = ()
    for policy in found:
        if policy.kinds != kinds:
            kinds = policy.kinds
            click.echo(" and ".join(kinds))
        click.echo(described(policy))


def described(policy: Policy) -> str:
    about = textwrap.fill(policy.about, 96, initial_indent="      ", subsequent_indent="      ")
    return f"  {policy.name}\n{about}"
