"""Rates are learned from what was measured, and plans are made with more than the mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.model.host import Measured
from orrery.sched.leases import learning
from orrery.sched.leases.durations import MIB_PER_MBIT
from orrery.sched.leases.learning import cautious, learned, observed
from orrery.sched.leases.settings import Settings

SECONDS = st.floats(0.01, 1000.0)


def after(*values: float, kind: str = "boot") -> tuple[Measured, ...]:
    known: tuple[Measured, ...] = ()
    for value in values:
        known = observed(known, kind, value)
    return known


@given(st.lists(SECONDS, min_size=1, max_size=30))
def test_the_mean_lies_among_what_was_measured_and_plans_use_no_less(values: list[float]) -> None:
    (known,) = after(*values)
    assert min(values) * 0.999 <= known.mean <= max(values) * 1.001
    assert known.count == len(values)
    assert known.variance >= 0
    assert cautious(known) >= known.mean


def test_what_always_takes_the_same_time_is_planned_with_that_time() -> None:
    (known,) = after(*[12.0] * 20)
    assert cautious(known) == 12.0


def test_recent_measurements_weigh_more() -> None:
    (known,) = after(*[10.0] * 20, *[20.0] * 20)
    assert known.mean == pytest.approx(20.0, abs=0.1)


def test_kinds_are_kept_apart_and_in_order() -> None:
    known = observed(observed((), "suspend", 0.02), "boot", 5.0)
    assert [one.kind for one in known] == ["boot", "suspend"]


def test_the_slowest_host_decides_how_all_are_planned() -> None:
    fast, slow = after(0.01, kind=learning.SUSPEND), after(0.04, kind=learning.SUSPEND)
    settings = learned(Settings(), [fast, slow, ()])
    assert settings.suspend_rate == 25.0
    assert settings.resume_rate == Settings().resume_rate


def test_nothing_measured_changes_nothing() -> None:
    assert learned(Settings(boot_s=7), [(), ()]) == Settings(boot_s=7)


def test_seconds_are_rounded_up_and_rates_down() -> None:
    settings = learned(Settings(), [(*after(3.2), *after(1 / 87.6, kind=learning.RESUME))])
    assert settings.boot_s == 4
    assert settings.resume_rate == 87.0


def test_images_are_planned_with_what_they_took_on_the_slowest_host() -> None:
    fast, slow = after(0.02, kind=learning.TRANSFER), after(0.05, kind=learning.TRANSFER)
    settings = learned(Settings(), [fast, slow])
    assert settings.transfer.bandwidth_mbit * MIB_PER_MBIT == pytest.approx(20.0)
    assert learned(Settings(), [()]).transfer == Settings().transfer


@given(SECONDS)
def test_a_rate_is_never_planned_faster_than_measured(seconds_per_mib: float) -> None:
    rate = learned(Settings(), [after(seconds_per_mib, kind=learning.SUSPEND)]).suspend_rate
    assert rate <= max(1 / seconds_per_mib * 1.0001, 0.1)
