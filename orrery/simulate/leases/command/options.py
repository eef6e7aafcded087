"""Options of `orrery simulate`: those of the workload and one for each setting of the scheduler."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from orrery.core.errors import InvalidInput
from orrery.core.moments import parse_duration
from orrery.sched.leases.settings import Settings
from orrery.simulate.leases.knobs import KNOBS, Knob, policies_from, settings_from, shown_settings
from orrery.simulate.leases.sources import Overheads, SourceOptions

Command = TypeVar("Command", bound=Callable[..., Any])
DEFAULTS = shown_settings(Settings())
SETTING = "setting_"
"""Before the names of parameters that are settings."""


class Option(click.Option):
    """An option under a heading of the help."""

    def __init__(self, *given: Any, heading: str = "Options", **named: Any) -> None:
        super().__init__(*given, **named)
        self.heading = heading


class Sectioned(click.Command):
    """A command whose options are shown under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, records in sections_of(self, ctx).items():
            with formatter.section(heading):
                formatter.write_dl(records)


def sections_of(command: click.Command, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None and record[1]:
            found.setdefault(getattr(param, "heading", "Help"), []).append(record)
    return found


# --- values ---------------------------------------------------------------------------------------

Callback = Callable[[click.Context, click.Parameter, Any], Any]


def seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """From 90, 2h, 1d or 1:30:00."""
    if value is None:
        return None
    try:
        return round(parse_duration(value, "time"))
    except InvalidInput as error:
        raise click.BadParameter(f"{value!r} {error.remedy}", ctx, param) from error


def setting(knob: Knob) -> Callback:
    """The text of a setting; it is checked at once."""

    def check(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        try:
            if value is not None:
                knob.read(knob.name, value)
        except InvalidInput as error:
            raise click.BadParameter(f"{value!r} {error.remedy}", ctx, param) from error
        return value

    return check


def policy_pairs(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """KIND=NAME each, checked at once."""
    try:
        found = policies_from(values)
        settings_from(found)
    except InvalidInput as error:
        raise click.BadParameter(f"{error.value!r} {error.remedy}", ctx, param) from error
    return found


def words_for(
    knob: Knob,
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Completion of a setting that has a fixed set of values."""

    def complete(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
        del ctx, param
        return [CompletionItem(word) for word in knob.words if word.startswith(begun)]

    return complete


# --- the workload ---------------------------------------------------------------------------------


def workload_option(*given: Any, **named: Any) -> Callable[[Command], Command]:
    return click.option(*given, cls=Option, heading="Workload", **named)


WORKLOAD_OPTIONS = (
    workload_option(
        "--site", metavar="SITE", help="File, or text like '4 CPU:100,Memory:1024'; else its own."
    ),
    workload_option(
        "--from",
        "from_s",
        callback=seconds,
        default="0",
        metavar="TIME",
        help="Begin so far into the workload.",
    ),
    workload_option(
        "--length", "length_s", callback=seconds, metavar="TIME", help="Only so much of it."
    ),
    workload_option(
        "--inject",
        multiple=True,
        metavar="FILE",
        help="Add these leases (LWF, its old text, YAML), or draw reservations:"
        " share=20,duration=3h,nodes=medium. Can be repeated.",
    ),
    workload_option("--annotate", metavar="FILE", help="Starts, deadlines and extras (LWFA)."),
    workload_option("--seed", type=click.IntRange(0), metavar="N", help="Of what is drawn."),
    workload_option(
        "--memory", "memory_mib", type=click.IntRange(1), metavar="MIB", help="Of every node."
    ),
    workload_option(
        "--processors-per-node",
        type=click.IntRange(1),
        default=1,
        metavar="N",
        help="SWF: jobs ask for processors, leases for nodes.",
    ),
    workload_option(
        "--queue", "queues", type=int, multiple=True, metavar="N", help="SWF: only these queues."
    ),
    workload_option(
        "--slowdown",
        "slowdown_pct",
        type=click.FloatRange(0),
        default=0.0,
        metavar="PERCENT",
        help="Work in VMs takes so much longer: real and requested durations grow.",
    ),
    workload_option(
        "--added",
        "added_s",
        callback=seconds,
        default="0",
        metavar="TIME",
        help="Added to durations as well.",
    ),
    workload_option(
        "--slow-all", is_flag=True, help="Both for reservations too, not only for best effort."
    ),
    workload_option(
        "--ignore-preemptible", is_flag=True, help="LWF: the kind alone decides, as in Haizea."
    ),
)


def with_workload_options(command: Command) -> Command:
    for option in reversed(WORKLOAD_OPTIONS):
        command = option(command)
    return command


def take_source(given: dict[str, Any]) -> SourceOptions:
    """Take the workload's options out of what a command was given."""
    return SourceOptions(
        site=given.pop("site"),
        seed=given.pop("seed"),
        processors_per_node=given.pop("processors_per_node"),
        queues=given.pop("queues"),
        honour_preemptible=not given.pop("ignore_preemptible"),
        from_s=given.pop("from_s"),
        length_s=given.pop("length_s"),
        inject=given.pop("inject"),
        annotations=given.pop("annotate"),
        memory_mib=given.pop("memory_mib"),
        overheads=Overheads(
            slowdown_pct=given.pop("slowdown_pct"),
            added_s=given.pop("added_s"),
            all_kinds=given.pop("slow_all"),
        ),
    )


# --- the scheduler --------------------------------------------------------------------------------


def with_setting_options(command: Command) -> Command:
    command = click.option(
        "--policy",
        "policies",
        callback=policy_pairs,
        multiple=True,
        metavar="KIND=NAME",
        cls=Option,
        heading="Scheduler",
        help="A policy by its kind: see `orrery simulate policies`. Can be repeated.",
    )(command)
    for knob in reversed(KNOBS):
        command = setting_option(knob)(command)
    return command


def setting_option(knob: Knob) -> Callable[[Command], Command]:
    return click.option(
        f"--{knob.name}",
        f"{SETTING}{knob.field.replace('.', '_')}",
        callback=setting(knob),
        shell_complete=words_for(knob),
        metavar=knob.values,
        help=f"{knob.help} [{DEFAULTS[knob.name]}]",
        cls=Option,
        heading="Scheduler",
    )


def take_settings(given: dict[str, Any]) -> dict[str, str]:
    """Take the settings out of what a command was given; those not given are left out."""
    texts = {knob.name: given.pop(f"{SETTING}{knob.field.replace('.', '_')}") for knob in KNOBS}
    found = {name: text for name, text in texts.items() if text is not None}
    policies: dict[str, str] = given.pop("policies")
    return found | policies


def names_of(probes: tuple[str, ...]) -> tuple[str, ...]:
    """Names between commas or blanks."""
    return tuple(name for text in probes for name in text.replace(",", " ").split())


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What is wrong with the input, or with the place of the output, is one line."""
    try:
        yield
    except InvalidInput as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{name}{error.strerror or error}") from error
