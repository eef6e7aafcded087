"""Step functions over time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.simulate.leases.disk import disk_of_fullest_host, disk_of_site
from orrery.simulate.leases.history import Use
from orrery.simulate.leases.series import Series, cpu_by_use, of_spans
from tests.simulate.leases.small import PREEMPTED, asked, run

SPANS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 50), st.integers(1, 5)).map(
        lambda t: (t[0], t[0] + t[1], float(t[2]))
    ),
    max_size=20,
)


def test_overlapping_spans_add_up() -> None:
    found = of_spans([(0, 10, 1.0), (5, 15, 2.0), (10, 20, 1.0)])
    assert found == Series((0, 5, 15, 20), (1.0, 3.0, 1.0, 0.0))
    assert (found.peak, found.at(4), found.at(5), found.at(-1)) == (3.0, 1.0, 3.0, 0.0)


@given(SPANS)
def test_area_is_the_sum_of_the_spans(spans: list[tuple[int, int, float]]) -> None:
    wanted = sum((end - start) * amount for start, end, amount in spans)
    assert of_spans(spans).area(200) == pytest.approx(wanted)


@given(SPANS, st.integers(1, 40))
def test_thinning_out_keeps_the_mean(spans: list[tuple[int, int, float]], parts: int) -> None:
    series = of_spans(spans)
    averages = series.averages(120, parts)
    assert len(averages) == parts
    assert sum(averages) / parts == pytest.approx(series.mean(120))


def test_cpu_goes_to_what_it_is_used_for() -> None:
    used = cpu_by_use(run(*PREEMPTED))
    assert used[Use.VM].times == (0, 490, 500, 800, 810, 1320)
    assert used[Use.SUSPEND] == Series((490, 500), (200.0, 0.0))
    assert used[Use.BOOT] == Series()


def test_images_lie_on_hosts_until_the_lease_ends_and_memory_while_it_is_suspended() -> None:
    first, second = PREEMPTED
    result = run(asked(1, 2, 1000, image_mib=100), second)
    assert disk_of_site(result) == Series((0, 490, 810, 1320), (200.0, 200.0 + 2048.0, 200.0, 0.0))
    assert disk_of_fullest_host(result) == Series((0, 490, 810, 1320), (100.0, 1124.0, 100.0, 0.0))
    assert first.lease_id == 1
