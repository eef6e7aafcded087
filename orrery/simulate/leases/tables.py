"""Metrics as lines and columns for people."""

from collections.abc import Iterable, Mapping, Sequence

from orrery.sched.leases.settings import Settings
from orrery.simulate.leases.knobs import shown_settings
from orrery.simulate.leases.metrics import Metrics
from orrery.simulate.leases.outcome import Cost, Row

Pairs = list[tuple[str, str]]
HOUR_S, DAY_S = 3600, 86_400


def summary_sections(metrics: Metrics, cost: Cost) -> list[tuple[str, Pairs]]:
    """What matters, by subject; what did not occur is left out."""
    sections = [
        ("Leases", lease_rows(metrics)),
        ("Best effort", best_effort_rows(metrics)),
        ("Site", site_rows(metrics)),
        ("Suspension", suspension_rows(metrics)),
        ("Simulation", cost_rows(metrics, cost)),
    ]
    return [(title, rows) for title, rows in sections if rows]


def lease_rows(metrics: Metrics) -> Pairs:
    rows = [("requested", str(metrics.leases))]
    for kind, states in metrics.states.items():
        shown = ", ".join(f"{count} {state}" for state, count in states.items())
        rows.append((kind, shown))
    if metrics.deadline_requested:
        rows.append(("deadlines met", f"{metrics.deadline_met} of {metrics.deadline_accepted}"))
        rows.append(("deadline slowdown, mean", figure(metrics.mean_deadline_slowdown)))
    if metrics.ar_requested:
        accepted = f"{metrics.ar_accepted} of {metrics.ar_requested}"
        rows.append(("reservations accepted", accepted))
    if metrics.revenue is not None:
        rows.append(("revenue", figure(metrics.revenue)))
    return rows


def best_effort_rows(metrics: Metrics) -> Pairs:
    if not metrics.best_effort_requested:
        return []
    return [
        ("wait, mean", duration(metrics.mean_wait_s)),
        ("wait, median", duration(metrics.median_wait_s)),
        ("wait, 95 %", duration(metrics.p95_wait_s)),
        ("bounded slowdown, mean", figure(metrics.mean_bounded_slowdown)),
        ("bounded slowdown, median", figure(metrics.median_bounded_slowdown)),
        ("queue, mean and most", f"{metrics.mean_queue_length:.1f}, {metrics.max_queue_length}"),
        ("all done after", duration(metrics.all_best_effort_s)),
    ]


def site_rows(metrics: Metrics) -> Pairs:
    split = metrics.utilization_split.items()
    rows = [(name, f"{share:.2%}") for name, share in split if share or name in ("vm", "idle")]
    rows.append(("from first to last", duration(metrics.makespan_s)))
    if metrics.max_disk_mib:
        rows.append(
            ("disk, mean and most", f"{metrics.mean_disk_mib:.0f}, {metrics.max_disk_mib} MiB")
        )
    return rows


def suspension_rows(metrics: Metrics) -> Pairs:
    if not metrics.suspensions and not metrics.kills:
        return []
    rows = [
        ("suspensions", f"{metrics.suspensions} of {metrics.suspended_leases} leases"),
        ("migrations", str(metrics.migrations)),
    ]
    if metrics.kills:
        rows.append(("runs stopped with work lost", str(metrics.kills)))
        rows.append(("work lost", f"{metrics.lost_node_seconds / HOUR_S:.1f} node hours"))
    return rows


def cost_rows(metrics: Metrics, cost: Cost) -> Pairs:
    speed = metrics.leases / cost.cpu_s if cost.cpu_s else 0.0
    return [
        ("CPU time", f"{cost.cpu_s:.2f} s"),
        ("leases a CPU second", f"{speed:.0f}"),
        ("memory, most", f"{cost.peak_rss_mib:.0f} MiB"),
    ]


def settings_rows(settings: Settings) -> Pairs:
    return list(shown_settings(settings).items())


def duration(seconds: float | None) -> str:
    """1 d 02:03:04."""
    if seconds is None:
        return "-"
    days, rest = divmod(round(seconds), DAY_S)
    clock = f"{rest // HOUR_S:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock


def figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def summary_text(title: str, metrics: Metrics, cost: Cost) -> str:
    """The summary for a terminal."""
    lines = [title]
    for heading, rows in summary_sections(metrics, cost):
        lines += ["", heading]
        lines += [f"  {name:<28}{value}" for name, value in rows]
    return "\n".join(lines)


# --- many runs ------------------------------------------------------------------------------------

COLUMNS = {
    "leases": "leases",
    "ar_accepted": "AR acc.",
    "best_effort_done": "BE done",
    "mean_wait_s": "wait s",
    "mean_bounded_slowdown": "slowdown",
    "utilization": "util.",
    "all_best_effort_s": "all BE s",
    "suspensions": "susp.",
    "kills": "kills",
    "cpu_s": "CPU s",
}
"""Columns of a comparison, with their headings."""
COUNTS = frozenset(
    {"leases", "ar_accepted", "best_effort_done", "all_best_effort_s", "suspensions", "kills"}
)


def comparison_text(names: Sequence[str], rows: Sequence[Row]) -> str:
    """One line a run."""
    head = ["", *COLUMNS.values()]
    body = [[name, *cells(row)] for name, row in zip(names, rows, strict=True)]
    return aligned([head, *body])


def cells(row: Row) -> list[str]:
    if "error" in row:
        return [f"failed: {row['error']}"]
    return [cell(column, row) for column in COLUMNS]


def cell(column: str, row: Mapping[str, object]) -> str:
    value = row.get(column)
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    if column in COUNTS:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.3f}" if column == "utilization" else f"{value:.2f}"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """The first column to the left, numbers to the right."""
    whole = [line for line in lines if len(line) == len(lines[0])]
    widths = [max(len(line[place]) for line in whole) for place in range(len(lines[0]))]
    widths[0] = max(len(line[0]) for line in lines)
    return "\n".join(
        "  ".join(
            part.ljust(width) if place == 0 or len(line) != len(lines[0]) else part.rjust(width)
            for place, (part, width) in enumerate(zip(line, widths, strict=False))
        ).rstrip()
        for line in lines
    )


# --- means over seeds -----------------------------------------------------------------------------


def mean_rows(rows: Iterable[Row]) -> list[Row]:
    """Runs that differ in nothing but their seed as one: the mean of every number, and under
    `<name>_sd` how far they lie apart (standard deviation of the sample)."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if "error" not in row:
            groups.setdefault(group_name(row), []).append(row)
    return [mean_row(name, group) for name, group in groups.items()]


def group_name(row: Row) -> str:
    labels = row["labels"]
    assert isinstance(labels, Mapping)
    return " ".join(str(value) for label, value in labels.items() if label != "seed")


def mean_row(name: str, group: Sequence[Row]) -> Row:
    found: Row = {"name": name, "runs": len(group)}
    for column in group[0]:
        numbers = [value for row in group if isinstance(value := row.get(column), int | float)]
        if len(numbers) == len(group):
            mean = sum(numbers) / len(numbers)
            found[column] = mean
            if len(numbers) > 1:
                squares = sum((number - mean) ** 2 for number in numbers)
                found[f"{column}_sd"] = (squares / (len(numbers) - 1)) ** 0.5
    return found
