"""What is done to a workload before it is simulated."""

from pathlib import Path

import pytest

from orrery.core.errors import InvalidInput
from orrery.simulate.leases.metrics import ASKED_DURATION
from orrery.simulate.leases.sources import (
    Files,
    Overheads,
    SourceOptions,
    files_of,
    load_workload,
    with_overheads,
)
from orrery.simulate.leases.workload.lwf import lwf_text
from tests.simulate.leases.small import asked, workload

GENERATED = """
site: 4 CPU:100,Memory:1024
generate:
  seed: 1
  leases: {count: 30, interval: {min: 1m, max: 20m}}
  nodes: [1, 2]
  cpu: 1
  memory: 1GiB
  duration: {min: 5m, max: 3h}
"""


@pytest.fixture
def generated(tmp_path: Path) -> str:
    path = tmp_path / "generated.yaml"
    path.write_text(GENERATED)
    return str(path)


def test_real_and_requested_durations_grow_alike() -> None:
    """Haizea 1.1 made near-perfect estimates of it: it left the real duration as it was."""
    slowed = with_overheads(
        workload(asked(1, 1, 1000, real=400)), Overheads(slowdown_pct=5, added_s=20)
    )
    (arrival,) = slowed.arrivals
    assert (arrival.terms.duration, arrival.real_duration) == (1070, 440)
    assert arrival.extras == ((ASKED_DURATION, "1000"),)


def test_reservations_are_as_long_as_they_are_unless_asked_for() -> None:
    both = workload(asked(1, 1, 100), asked(2, 1, 100, start=50))
    durations = [
        a.terms.duration for a in with_overheads(both, Overheads(slowdown_pct=10)).arrivals
    ]
    assert durations == [110, 100]
    every = with_overheads(both, Overheads(slowdown_pct=10, all_kinds=True))
    assert [arrival.terms.duration for arrival in every.arrivals] == [110, 110]


def test_a_window_becomes_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "some.lwf"
    leases = (asked(1, 1, 60), asked(2, 1, 60, at=100, start=160), asked(3, 1, 60, at=300))
    path.write_text(lwf_text(workload(*leases)))
    found = load_workload(str(path), SourceOptions(from_s=100, length_s=100)).arrivals
    assert [(one.lease_id, one.at, one.terms.start) for one in found] == [(2, 0, 60)]


def test_injected_leases_have_ids_of_their_own(tmp_path: Path, generated: str) -> None:
    path = tmp_path / "inject.lwf"
    path.write_text("10 500 300 300 2 1 1024 0 NONE.img 0\n")
    found = load_workload(generated, SourceOptions(inject=(str(path),)))
    assert [a.lease_id for a in found.arrivals if a.terms.start == 500] == [1_000_001]


def test_reservations_can_be_drawn(generated: str) -> None:
    options = SourceOptions(inject=("share=20,duration=30m,nodes=1-3",))
    starts = [a.terms.start for a in load_workload(generated, options).arrivals]
    assert any(start is not None for start in starts)
    assert None in starts


def test_memory_of_every_node(generated: str) -> None:
    found = load_workload(generated, SourceOptions(memory_mib=512))
    sizes = {nodes.capacity.memory_mib for a in found.arrivals for nodes in a.terms.nodes}
    assert sizes == {512}


def test_a_seed_draws_another_workload(generated: str) -> None:
    one, two = (load_workload(generated, SourceOptions(seed=seed)) for seed in (1, 2))
    assert one == load_workload(generated)
    assert one.arrivals != two.arrivals


def test_a_seed_where_nothing_is_drawn_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.lwf"
    path.write_text(lwf_text(workload(asked(1, 1, 60))))
    with pytest.raises(InvalidInput, match="nothing in the workload is drawn"):
        load_workload(str(path), SourceOptions(seed=1))


def test_another_site(generated: str) -> None:
    found = load_workload(generated, SourceOptions(site="7 CPU:100,Memory:2048"))
    assert found.site is not None
    assert len(found.site.hosts) == 7


def test_synthetic_workloads_need_no_file() -> None:
    found = load_workload("synthetic:20,4,50")
    assert len(found.arrivals) == 20
    assert found.site is not None
    assert len(found.site.hosts) == 4


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("synthetic:0,4", SourceOptions()),
        ("synthetic:20,4,101", SourceOptions()),
        ("synthetic:a", SourceOptions()),
        ("synthetic:9,9", SourceOptions(inject=("share=20,duration",))),
        ("synthetic:9,9", SourceOptions(inject=("share=20,colour=red",))),
        ("synthetic:9,9", SourceOptions(site="missing.xml")),
        ("missing.lwf", SourceOptions()),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, options: SourceOptions) -> None:
    with pytest.raises(InvalidInput):
        load_workload(name, options)


def test_contents_of_files_can_come_with_the_request(tmp_path: Path, generated: str) -> None:
    site, notes = tmp_path / "site.yaml", tmp_path / "notes.lwfa"
    site.write_text("hosts: [{count: 2, cpu: 1, memory: 1GiB}]")
    notes.write_text(
        '<lease-annotations><lease-annotation id="1"><start><now/></start>'
        "</lease-annotation></lease-annotations>"
    )
    options = SourceOptions(site=str(site), annotations=str(notes))
    names = files_of(generated, options)
    assert names == [generated, str(site), str(notes)]
    contents = {name: Path(name).read_bytes() for name in names}
    here = load_workload(generated, options)
    for name in names:
        Path(name).unlink()
    assert load_workload(generated, options, Files(contents)) == here
    assert here.arrivals[0].terms.immediate
