"""Workloads that are drawn, and reservations put into others."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.documents import Fields, Value
from orrery.core.errors import InvalidInput
from orrery.core.model.lease import LeaseKind
from orrery.simulate.leases.workload.distributions import distribution_from, draw
from orrery.simulate.leases.workload.generate import (
    Variation,
    generate,
    read_generator,
    read_variation,
    vary,
    work_of,
)
from orrery.simulate.leases.workload.inject import SIZES, Injection, read_injection, reservations
from orrery.simulate.leases.workload.model import Workload, merge
from orrery.simulate.leases.workload.sites import site_from_resources
from orrery.simulate.leases.workload.swf import read_swf
from orrery.simulate.leases.workload.synthetic import real_of, synthetic
from orrery.simulate.leases.workload.yaml import read_yaml_workload
from tests.simulate.workload.drawn import workloads

SITE = site_from_resources("144 CPU:100,Memory:1024")
DAY_S = 86_400
SHAPES = ("uniform", "normal", "bounded-pareto", "truncated-pareto")


def values_of(value: Value, count: int = 2000) -> list[float]:
    rng = Random(1)
    found = distribution_from(value, "x")
    return [draw(found, rng) for _ in range(count)]


@given(
    st.sampled_from(SHAPES),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.floats(0.1, 100),
    st.booleans(),
    st.booleans(),
)
def test_what_is_drawn_lies_between_min_and_max(
    shape: str, low: float, width: float, alpha: float, invert: bool, whole: bool
) -> None:
    described: Value = {
        "distribution": shape,
        "min": low,
        "max": low + width,
        "alpha": alpha,
        "invert": invert,
        "whole": whole,
    }
    slack = 0.5 if whole else 1e-6
    assert all(low - slack <= v <= low + width + slack for v in values_of(described, 20))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_each_shape_has_its_middle() -> None:
    assert mean(values_of({"min": 0, "max": 10})) == pytest.approx(5, rel=0.05)
    normal: Value = {"distribution": "normal", "mean": "2h", "deviation": "5m", "max": "9h"}
    assert mean(values_of(normal)) == pytest.approx(7200, rel=0.01)
    pareto: Value = {"distribution": "bounded-pareto", "alpha": 1, "min": 1, "max": 100}
    assert sorted(values_of(pareto))[1000] == pytest.approx(2, rel=0.1)
    turned: Value = {"distribution": "bounded-pareto", "min": 1, "max": 100, "invert": True}
    assert sorted(values_of(turned))[1000] == pytest.approx(99, rel=0.01)
    tail: Value = {"distribution": "truncated-pareto", "alpha": 1, "scale": 10, "max": 100_000}
    assert sorted(values_of(tail))[1000] == pytest.approx(10, rel=0.1)


def test_values_are_drawn_by_weight_or_evenly() -> None:
    even = values_of([1, 2, 4])
    assert {v: round(even.count(v) / 2000, 1) for v in set(even)} == {1: 0.3, 2: 0.3, 4: 0.3}
    weighted = values_of({"values": [1, 2], "weights": [9, 1]})
    assert weighted.count(1) == pytest.approx(1800, rel=0.05)
    assert set(values_of(7)) == {7}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"min": 1}, "x.max: '' is missing"),
        ({"min": 2, "max": 1}, "x.max: '1' is below the min"),
        ({"distribution": "odd", "max": 1}, "x.distribution: 'odd' is none of uniform"),
        ({"max": 1, "alpha": 0}, "x.alpha: '0' is not from 0.1"),
        ({"max": 1, "deviation": 0}, "x.deviation: '0' is not above 0"),
        ({"values": []}, "x.values: '.*' are none"),
        ({"values": [1, 2], "weights": [1]}, "x.weights: .* are not one for each"),
        ([1, "x"], r"x.values\[1\]: 'x' is no duration"),
        (-1, "x: '-1' is too small"),
        (True, "x: 'True' is neither number nor duration"),
        (None, "x: '' is neither number nor duration"),
    ],
)
def test_a_wrong_distribution_is_refused(value: Value, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        distribution_from(value, "x")


# --- the generator ------------------------------------------------------------------------------

GENERATE = """
name: drawn
site: 144 CPU:100,Memory:1024
generate:
  seed: 3
  leases: {count: 200, interval: {min: 1m, max: 20m}}
  nodes: [1, 2, 4]
  memory: 512
  duration: {distribution: bounded-pareto, alpha: 1.2, min: 5m, max: 12h}
  real_share: {min: 0.3, max: 1}
  start_delay: {type: multiple-of-duration, min: 1, max: 2}
  deadline_stretch: {type: multiple-of-duration, values: [0.5]}
  software: {values: ["web.img|4096", "db.img|8192"], weights: [3, 1]}
  user_rate: {min: 0.1, max: 0.3}
"""


def test_a_workload_is_drawn_as_it_is_described() -> None:
    found = read_yaml_workload(GENERATE)
    assert len(found.arrivals) == 200
    for arrival in found.arrivals:
        terms = arrival.terms
        assert terms.kind is LeaseKind.DEADLINE and terms.start is not None
        assert terms.node_count in (1, 2, 4)
        assert 300 <= terms.duration <= 43_200
        assert arrival.real_duration is None or arrival.real_duration >= 0.3 * terms.duration - 1
        assert terms.duration - 1 <= terms.start - arrival.at <= 2 * terms.duration + 1
        assert terms.deadline == round(terms.start + 1.5 * terms.duration)
        assert 0.1 <= float(dict(arrival.extras)["simul_userrate"]) <= 0.3
    images = [arrival.terms.image for arrival in found.arrivals]
    assert images.count("web.img") > images.count("db.img") > 0


def test_the_same_seed_gives_the_same_workload() -> None:
    assert read_yaml_workload(GENERATE) == read_yaml_workload(GENERATE)
    assert read_yaml_workload(GENERATE.replace("seed: 3", "seed: 4")) != read_yaml_workload(
        GENERATE
    )


def test_leases_fill_the_site_as_far_as_is_asked() -> None:
    described: Value = {
        "leases": {"utilization": 70, "last_request": "10d"},
        "nodes": [1, 8],
        "memory": 512,
        "duration": {"min": "1h", "max": "3h"},
    }
    found = generate(read_generator(described), SITE)
    work = sum(map(work_of, found.arrivals))
    assert work == pytest.approx(0.7 * 144 * 100 * 10 * DAY_S, rel=0.01)
    assert 9 * DAY_S < found.arrivals[-1].at <= 10 * DAY_S


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"leases": {}}, "generate.leases: .* need either count or utilization"),
        ({"leases": {"utilization": 5}}, "last_request: '' is missing"),
        ({"leases": {"utilization": 5, "last_request": "1d"}}, "site: '' is missing"),
        ({"nodes": 0}, "generate.nodes: '0' is too small"),
        ({"duration": None}, "generate.duration: '' is neither"),
        ({"software": ["web.img"]}, r"generate.software.values\[0\]: 'web.img' is no image"),
        ({"start_delay": {"type": "odd", "max": 1}}, "generate.start_delay.type: 'odd' is none of"),
        ({"deadline_stretch": {"type": "original-slowdown", "max": 1}}, "has no SWF_waittime"),
    ],
)
def test_a_wrong_description_is_refused(change: dict[str, Value], message: str) -> None:
    described: dict[str, Value] = {"leases": {"count": 1}, "memory": 1, "duration": 60}
    with pytest.raises(InvalidInput, match=message):
        generate(read_generator({**described, **change}))


def test_deadlines_stretch_up_to_the_slowdown_in_the_log() -> None:
    log = read_swf("1 0 120 60 1 1 -1 1 100 -1 1 1 1 1 1 -1 -1 -1")
    document: Value = {"type": "original-slowdown", "values": [1]}
    variation = read_variation_of({"deadline_stretch": document})
    (arrival,) = vary(log, variation, Random(0)).arrivals
    assert arrival.terms.start == 0
    assert arrival.terms.deadline == 100 + 2 * 100


def read_variation_of(value: dict[str, Value]) -> Variation:
    return read_variation(Fields(value, "vary", value))


# --- injection ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("share", [5, 30])
def test_reservations_take_their_share_of_the_cpu_hours(size: str, share: float) -> None:
    injection = Injection(share=share, duration_s=3 * 3600, nodes=SIZES[size], seed=1)
    found = reservations(injection, SITE, 60 * DAY_S).arrivals
    assert sum(map(work_of, found)) == pytest.approx(share / 100 * 144 * 100 * 60 * DAY_S, rel=0.1)
    for arrival in found:
        assert arrival.terms.kind is LeaseKind.RESERVATION
        assert SIZES[size][0] <= arrival.terms.node_count <= SIZES[size][1]
        assert abs(arrival.terms.duration - 3 * 3600) <= 1800
        assert arrival.at == max(0, (arrival.terms.start or 0) - DAY_S)


def test_reservations_are_put_into_a_workload() -> None:
    text = GENERATE + "inject: {share: 10, duration: 1h, nodes: [2, 3], notice: 2h, seed: 5}\n"
    found, plain = read_yaml_workload(text), read_yaml_workload(GENERATE)
    own = [arrival for arrival in found.arrivals if arrival.lease_id < 1_000_000]
    assert tuple(own) == plain.arrivals
    assert len(found.arrivals) > len(own)
    assert found.site == plain.site


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"share": 10}, "inject.duration: '' is missing"),
        ({"share": -1, "duration": 1}, "inject.share: '-1' is no percentage"),
        ({"share": 1, "duration": 1, "nodes": "huge"}, "inject.nodes: 'huge' is none of small"),
        ({"share": 1, "duration": 1, "nodes": [3, 2]}, "inject.nodes: .* is none of small"),
    ],
)
def test_a_wrong_injection_is_refused(value: Value, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_injection(value)


@given(workloads(), workloads(), workloads())
def test_merged_workloads_keep_all_leases_apart(a: Workload, b: Workload, c: Workload) -> None:
    merged = merge(merge(a, b), c)
    ids = [arrival.lease_id for arrival in merged.arrivals]
    assert len(set(ids)) == len(ids) == len(a.arrivals) + len(b.arrivals) + len(c.arrivals)
    assert {arrival.lease_id for arrival in a.arrivals} <= set(ids)
    assert list(merged.arrivals) == sorted(merged.arrivals, key=lambda x: (x.at, x.lease_id))


# --- out of nothing -----------------------------------------------------------------------------


@given(st.integers(0, 300), st.integers(1, 200), st.floats(0, 1), st.integers(0, 9))
def test_a_synthetic_workload_fits_its_site(
    leases: int, nodes: int, ar_share: float, seed: int
) -> None:
    found = synthetic(leases, nodes, ar_share, seed)
    assert found == synthetic(leases, nodes, ar_share, seed)
    assert len(found.arrivals) == leases
    for arrival in found.arrivals:
        assert 1 <= arrival.terms.node_count <= nodes
        assert arrival.real_duration is None or 0 < arrival.real_duration < arrival.terms.duration
        assert arrival.terms.start is None or arrival.terms.start > arrival.at


def test_a_synthetic_workload_has_the_load_that_is_asked_for() -> None:
    found = synthetic(2000, 64, 0.25, seed=1, load=0.8)
    work = sum(real_of(a) * a.terms.node_count for a in found.arrivals)
    assert work / (64 * found.arrivals[-1].at) == pytest.approx(0.8, rel=0.01)
    reserved = [a for a in found.arrivals if a.terms.kind is LeaseKind.RESERVATION]
    assert len(reserved) == pytest.approx(500, rel=0.1)
