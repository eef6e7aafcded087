"""The report's page and its charts."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from orrery.simulate.leases.outcome import run_one
from orrery.simulate.leases.report.files import write_report
from orrery.simulate.leases.report.gantt import BARS_MAX, blocks_of, gantt
from orrery.simulate.leases.report.page import WAIT_BINS, binned, report_page
from orrery.simulate.leases.report.svg import steps_of, time_name, time_steps
from orrery.simulate.leases.run import simulate
from orrery.simulate.leases.sources import load_workload
from tests.simulate.leases.small import PREEMPTED, SETTINGS, asked, workload

SVG = re.compile(r"<svg .*?</svg>", re.DOTALL)


def test_every_chart_is_well_formed() -> None:
    page = report_page(run_one(workload(*PREEMPTED), SETTINGS))
    charts = [ElementTree.fromstring(chart) for chart in SVG.findall(page)]
    assert len(charts) == 5
    assert all(chart.get("aria-label") for chart in charts)


def test_names_are_text_and_not_markup() -> None:
    named = replace(workload(*PREEMPTED), name="<script>alert(1)</script>")
    page = report_page(run_one(named, SETTINGS))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("leases", [(), (asked(1, 9, 10),)], ids=["none", "only a rejected one"])
def test_a_report_without_a_run_can_be_made(leases: tuple[()], tmp_path: Path) -> None:
    write_report(run_one(workload(*leases), SETTINGS), tmp_path)
    assert "<svg " in (tmp_path / "report.html").read_text()


def test_the_chart_of_hosts_shows_every_stretch_with_its_lease() -> None:
    picture, note = gantt(simulate(workload(*PREEMPTED), SETTINGS))
    titles = re.findall(r"<title>(.*?)</title>", picture)
    assert titles == [
        "lease 1 (best-effort), vm: 0 to 490 s",
        "lease 1 (best-effort), suspend: 490 to 500 s",
        "lease 2 (reservation), vm: 500 to 800 s",
        "lease 1 (best-effort), resume: 800 to 810 s",
        "lease 1 (best-effort), vm: 810 to 1320 s",
    ]
    assert note == ""


def test_a_chart_that_would_be_too_large_says_what_it_leaves_out() -> None:
    result = simulate(load_workload("synthetic:4000,250,10"), SETTINGS)
    picture, note = gantt(result)
    assert picture.count("<rect ") == BARS_MAX
    assert note.startswith("Shown: the first 200 of 250 hosts and the first ")


def test_neighbouring_hosts_are_one_mark() -> None:
    assert list(blocks_of({5, 1, 2, 3, 8, 9})) == [(1, 3), (5, 5), (8, 9)]


def test_axes_have_round_values() -> None:
    assert steps_of(97.0) == [0, 20, 40, 60, 80]
    assert [name for _, name in time_steps(5 * 86_400)][:3] == ["0", "1 d", "2 d"]
    assert [time_name(t) for t in (0, 30, 300, 7200, 108_000)] == [
        *("0", "30 s", "5 min", "2 h", "1 d 6 h"),
    ]


def test_a_value_on_a_bound_belongs_below_it() -> None:
    counts = dict(binned([0, 60, 61, 1e9], WAIT_BINS))
    assert (counts["0"], counts["≤ 1 min"], counts["≤ 10 min"], counts["more"]) == (1, 1, 1, 1)
