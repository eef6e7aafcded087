"""LEASE and HAIZEA in VM templates: what Haizea's users write is understood."""

import pytest

from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput
from orrery.core.lease_checks import MAX_DURATION_S
from orrery.core.model.lease import LeaseKind
from orrery.core.template import parse
from orrery.service.lease_attribute import Wanted, lease_wanted

NOW = 1_700_000_000.0


def wanted(text: str, name: str = "HAIZEA") -> Wanted:
    found = lease_wanted(parse(f'CPU="0.5" MEMORY="256" {name}=[{text}]'), NOW)
    assert found is not None
    return found


def test_a_template_without_the_attribute_asks_for_no_lease() -> None:
    assert lease_wanted(parse('CPU="1" MEMORY="64"'), NOW) is None


@pytest.mark.parametrize("name", ["HAIZEA", "LEASE"])
def test_best_effort(name: str) -> None:
    found = wanted('START="best_effort", DURATION="01:30:00", PREEMPTIBLE="yes"', name)
    assert found.terms.kind is LeaseKind.BEST_EFFORT
    assert found.terms.duration == 5400.0
    assert found.terms.preemptible is True
    assert found.terms.nodes[0].capacity == Capacity(50, 256)
    assert found.group is None


def test_now_without_end() -> None:
    found = wanted('START="now", DURATION="unlimited", PREEMPTIBLE="no"')
    assert found.terms.kind is LeaseKind.IMMEDIATE
    assert found.terms.duration == MAX_DURATION_S


def test_a_time_after_submission_and_a_moment() -> None:
    assert wanted('START="+01:00:00", DURATION="00:10:00"').terms.start == NOW + 3600
    found = wanted('START="2026-11-25 10:00:00", DURATION="00:10:00", GROUP="g"')
    assert found.terms.start == 1795600800.0
    assert (found.terms.kind, found.group) == (LeaseKind.RESERVATION, "g")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('START="soon", DURATION="00:10:00"', "START"),
        ('START="now", DURATION="a while"', "DURATION"),
        ('START="now", DURATION="00:10:00", PREEMPTIBLE="perhaps"', "PREEMPTIBLE"),
        ('START="now", DURATION="00:10:00", COLOUR="red"', "COLOUR"),
    ],
)
def test_what_is_not_understood_is_named(text: str, field: str) -> None:
    with pytest.raises(InvalidInput, match=f"HAIZEA/{field}"):
        wanted(text)


def test_the_attribute_is_a_list() -> None:
    with pytest.raises(InvalidInput, match="LEASE"):
        lease_wanted(parse('CPU="1" MEMORY="64" LEASE="now"'), NOW)
