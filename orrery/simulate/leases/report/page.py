"""The report of a simulation as one HTML file that needs nothing else."""

from collections.abc import Iterable, Sequence
from html import escape

from orrery.simulate.leases.history import Use, in_order, site_cpu, work_of
from orrery.simulate.leases.metrics import Lease, completed
from orrery.simulate.leases.outcome import Outcome
from orrery.simulate.leases.report.gantt import gantt
from orrery.simulate.leases.report.svg import area, histogram, stacked
from orrery.simulate.leases.series import cpu_by_use, queue_length
from orrery.simulate.leases.tables import settings_rows, summary_sections

PARTS = 400
"""Points of a line over time."""
WAIT_BINS = (
    *(("0", 0.0), ("≤ 1 min", 60.0), ("≤ 10 min", 600.0), ("≤ 1 h", 3600.0)),
    *(("≤ 4 h", 14_400.0), ("≤ 12 h", 43_200.0), ("≤ 1 d", 86_400.0), ("more", float("inf"))),
)
SLOWDOWN_BINS = (
    *(("≤ 1", 1.0), ("≤ 1.5", 1.5), ("≤ 2", 2.0), ("≤ 5", 5.0)),
    *(("≤ 10", 10.0), ("≤ 100", 100.0), ("more", float("inf"))),
)
STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --back: #fff; --rule: #dde1e7; --soft: #667080; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --back: #14181f; --rule: #2c333e; --soft: #98a2b0; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 1000px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, .key { color: var(--soft); margin: .25rem 0; } svg { width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--soft); } .end { text-anchor: end; }
.middle { text-anchor: middle; } .grid { stroke: var(--rule); }
table { border-collapse: collapse; width: 100%; } .cards { display: grid; gap: 0 2rem;
  grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); }
td { padding: .15rem 0; border-bottom: 1px solid var(--rule); } td + td { text-align: right;
  font-variant-numeric: tabular-nums; }
.vm { fill: #4c83c3; background: #4c83c3; } .vm.even { fill: #7ba7d7; }
.reservation { fill: #d0693c; background: #d0693c; } .immediate { fill: #c9a227;
  background: #c9a227; } .deadline { fill: #8a63b0; background: #8a63b0; }
.suspend { fill: #b03a48; background: #b03a48; } .resume { fill: #3f9a6b; background: #3f9a6b; }
.transfer { fill: #c58fd0; background: #c58fd0; } .boot { fill: #8fbf73; background: #8fbf73; }
.shutdown { fill: #9aa3ad; background: #9aa3ad; } .queue { fill: #c9a227; }
.key i { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; }
"""


def report_page(outcome: Outcome) -> str:
    """The whole page."""
    result = outcome.result
    name = result.workload.name or "workload"
    picture, note = gantt(result)
    body = [
        f"<h1>{escape(name)}</h1>",
        f"<p>{len(result.bookings)} leases on {len(result.site.hosts)} hosts</p>",
        *summary(outcome),
        section("Use of the site", use_chart(outcome), key([use.value for use in Use])),
        section("Waiting leases", queue_chart(outcome)),
        section("Waiting time of best-effort leases", wait_chart(outcome)),
        section("Bounded slowdown of best-effort leases", slowdown_chart(outcome)),
        section("Hosts", picture, key([*KINDS, *(use.value for use in Use)]), f"<p>{note}</p>"),
        section("Settings", table(settings_rows(result.settings))),
    ]
    head = f'<meta charset="utf-8"><title>{escape(name)}</title><style>{STYLE}</style>'
    inside = "\n".join(body)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{inside}\n</body></html>\n'
    )


KINDS = ("reservation", "immediate", "deadline")


def section(title: str, *parts: str) -> str:
    return "\n".join([f"<h2>{escape(title)}</h2>", *parts])


def key(names: Iterable[str]) -> str:
    items = "".join(f'<i class="{escape(name)}"></i>{escape(name)}' for name in names)
    return f'<p class="key">{items}</p>'


def table(rows: Iterable[tuple[str, str]]) -> str:
    cells = (f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{''.join(cells)}</table>"


def summary(outcome: Outcome) -> list[str]:
    parts = [
        f"<div>{section(title, table(rows))}</div>"
        for title, rows in summary_sections(outcome.metrics, outcome.cost)
    ]
    return ['<div class="cards">', *parts, "</div>"]


def use_chart(outcome: Outcome) -> str:
    result = outcome.result
    whole = site_cpu(result) or 1
    layers = [
        (use.value, [100 * part / whole for part in series.averages(result.end, PARTS)])
        for use, series in cpu_by_use(result).items()
    ]
    return stacked(layers, result.end, 100.0)


def queue_chart(outcome: Outcome) -> str:
    result = outcome.result
    averages = queue_length(result).averages(result.end, PARTS)
    return area(averages, result.end, "queue", "waiting leases over time")


def wait_chart(outcome: Outcome) -> str:
    waits = [wait for one in done(outcome) if (wait := one.wait_s) is not None]
    return histogram(binned(waits, WAIT_BINS), "waiting times")


def slowdown_chart(outcome: Outcome) -> str:
    slowdowns = [slow for one in done(outcome) if (slow := one.slowdown) is not None]
    return histogram(binned(slowdowns, SLOWDOWN_BINS), "bounded slowdowns")


def done(outcome: Outcome) -> list[Lease]:
    return completed(Lease(one, work_of(one)) for one in in_order(outcome.result))


def binned(values: Sequence[float], bins: Sequence[tuple[str, float]]) -> list[tuple[str, int]]:
    """How many values each bin has: those up to its bound that no earlier bin has."""
    counts = [0] * len(bins)
    for value in values:
        counts[next(place for place, (_, bound) in enumerate(bins) if value <= bound)] += 1
    return [(name, count) for (name, _), count in zip(bins, counts, strict=True)]
