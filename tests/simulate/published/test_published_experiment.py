"""The experiment on workloads of a few leases, and what is drawn of its results."""

from collections import Counter
from pathlib import Path

import pytest
from lxml import etree

from orrery.core.model.lease import LeaseKind
from orrery.simulate.leases.published.charts import bar_chart, completion_svg, metric_table
from orrery.simulate.leases.published.experiment import (
    EVERY_SET,
    IMAGES,
    POPULAR,
    SETUPS,
    VARIANTS,
    Files,
    Injected,
    Job,
    run_job,
    workload_of,
)
from orrery.simulate.leases.published.numbers import PUBLISHED, Row

SET = Injected(10)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    jobs = (
        f"{n} {n * 60} -1 600 8 -1 -1 {n % 20 + 1} 1200 -1 1 7 -1 -1 1 -1 -1 -1"
        for n in range(1, 201)
    )
    (tmp_path / "jobs.swf").write_text("\n".join(jobs))
    (tmp_path / SET.file).write_text("0 7200 3600 3600 40 1 1024 0 'NONE.img' 600\n")
    return Files(tmp_path / "jobs.swf", tmp_path)


def test_there_are_the_72_published_sets() -> None:
    assert len({one.file for one in EVERY_SET}) == 72
    assert Injected(5, 1, "3large").file == "work_05-dur_1h-size_3large.lwf"


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_every_configuration_completes_all_leases(setup, files: Files) -> None:  # type: ignore[no-untyped-def]
    metrics = run_job(files, Job("ours", setup.name, SET))
    assert (metrics.best_effort_done, metrics.ar_accepted) == (200, 1)


def test_virtual_machines_make_best_effort_longer_and_reservations_not(files: Files) -> None:
    workload = workload_of(files, SETUPS[2], SET)
    lengths = {a.terms.kind: (a.terms.duration, a.real_duration) for a in workload.arrivals}
    assert lengths == {LeaseKind.BEST_EFFORT: (1260, 630), LeaseKind.RESERVATION: (3600, None)}


def test_skewed_images_are_asked_for_as_published(files: Files) -> None:
    (files.injected / "many.swf").write_text(
        "\n".join(f"{n} 0 -1 9 1 -1 -1 1 9 -1 1 7 -1 -1 1 -1 -1 -1" for n in range(1, 5001))
    )
    skewed = workload_of(Files(files.injected / "many.swf", files.injected), SETUPS[5], None)
    counts = Counter(arrival.terms.image for arrival in skewed.arrivals)
    popular = [count for _, count in counts.most_common(POPULAR)]
    assert len(counts) == IMAGES
    assert 0.66 < sum(popular) / 5000 < 0.74


def test_the_same_job_gives_the_same_numbers(files: Files) -> None:
    job = Job("fcfs", "VM-REUSE-SKEWED", SET)
    assert run_job(files, job) == run_job(files, job)


def test_results_that_are_not_known_are_dashes() -> None:
    results = {"ours": {("NOVM-SR", 10): Row(1.5, 2.0, 3.0, 94)}, "published": PUBLISHED}
    lines = list(metric_table("completion", results, ["NOVM-SR"], [10, 20], 0))
    assert lines[-1].split() == ["NOVM-SR", "+1.50", "-0.76", "-", "+0.10"]


def test_a_bar_shows_where_the_published_one_ends() -> None:
    results = {
        "ours": {("VM-MULT", 30): Row(10.0, 1.0, 1.0)},
        "published": {("VM-MULT", 30): Row(5.0, 1.0, 1.0)},
    }
    lines = list(bar_chart(results, ["VM-MULT"], [30], "ours"))
    assert lines[1].split()[-1] == "#" * 20 + "|" + "#" * 19


def test_the_figure_is_xml_with_a_line_for_each_configuration() -> None:
    lines = {setup.name: [(10, 1.0), (20, 2.5), (30, -1.0)] for setup in SETUPS}
    picture = etree.fromstring(completion_svg([("3 h, medium", lines)], 1).encode())
    assert len(picture.findall("{*}polyline")) == len(SETUPS)


def test_what_is_compared_has_a_name() -> None:
    assert next(iter(VARIANTS)) == "ours"
    assert VARIANTS["ours"] == {}
