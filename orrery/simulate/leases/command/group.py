"""`orrery simulate`: without the name of a command the first word is a workload to simulate."""

import click

from orrery.simulate.leases.command.options import sections_of
from orrery.simulate.leases.command.run import run
from orrery.simulate.leases.command.study import study
from orrery.simulate.leases.command.workloads import convert, generate, policies


class Simulate(click.Group):
    """A group whose first command may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {*self.commands, *ctx.help_option_names}
        if args and args[0] not in known:
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["WORKLOAD [OPTIONS] | COMMAND ..."]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Those of a simulation, for they can be given here; then the other commands."""
        for heading, records in sections_of(run, ctx).items():
            with formatter.section(heading):
                formatter.write_dl(records)
        others = {name: one for name, one in self.commands.items() if one is not run}
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(80)) for name, one in others.items()])


simulate = Simulate(
    "simulate",
    help=run.help,
    commands={one.name or "": one for one in (run, study, convert, generate, policies)},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
