"""Terms of leases as people write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.capacity import Capacity
from orrery.core.documents import Fields, read_yaml
from orrery.core.errors import InvalidInput
from orrery.core.lease_terms import (
    TERM_FIELDS,
    lease_items,
    read_mib,
    read_recurring,
    read_terms,
    shifted,
)
from orrery.core.model.lease import LeaseKind, NodeSet, Terms
from orrery.core.moments import parse_moment

NOW = datetime(2026, 11, 25, 13, 0, tzinfo=UTC).timestamp()


def read(text: str, beside: frozenset[str] = frozenset()) -> list[Terms]:
    """The leases of a file, recurring ones one by one, as all who read such files do."""
    found = []
    for place, item in lease_items(read_yaml(text)):
        fields = Fields(item, place, TERM_FIELDS | beside)
        terms = read_terms(fields, lambda moment, field: parse_moment(moment, NOW, field=field))
        recurring = read_recurring(fields)
        found += [shifted(terms, recurring.every_s * turn) for turn in range(recurring.count)]
    return found


def test_a_lease_says_what_it_needs_and_when() -> None:
    (terms,) = read(
        "{nodes: 4, cpu: 0.5, memory: 1.5GiB, disk: 10G, start: Thursday 10:00, duration: 2h,"
        " image: {name: web.img, size: 4GiB}, preemptible: false, priority: 2}"
    )
    assert terms == Terms(
        nodes=(NodeSet(count=4, capacity=Capacity(50, 1536, 10240)),),
        duration=7200,
        start=NOW + 21 * 3600,
        preemptible=False,
        image="web.img",
        image_mib=4096,
        priority=2,
    )


@pytest.mark.parametrize(
    ("timing", "kind"),
    [
        ("", LeaseKind.BEST_EFFORT),
        ("start: best effort", LeaseKind.BEST_EFFORT),
        ("start: now", LeaseKind.IMMEDIATE),
        ("start: +1h", LeaseKind.RESERVATION),
        ("deadline: +3h", LeaseKind.DEADLINE),
        ("{start: +1h, deadline: +3h}", LeaseKind.DEADLINE),
    ],
)
def test_the_kind_follows_from_the_times(timing: str, kind: LeaseKind) -> None:
    (terms,) = read(f"{{memory: 512, duration: 1h, {timing.strip('{}')}}}")
    assert terms.kind is kind
    assert (terms.start is None) == (kind in (LeaseKind.BEST_EFFORT, LeaseKind.IMMEDIATE))


def test_nodes_may_differ_and_share_what_is_said_once() -> None:
    (terms,) = read(
        """
        memory: 2GiB
        duration: 30m
        nodes:
          - {count: 1, cpu: 2, other: {gpu: 1}}
          - {count: 3, memory: 512}
        """
    )
    assert terms.nodes == (
        NodeSet(count=1, capacity=Capacity(200, 2048), other=(("gpu", 1),)),
        NodeSet(count=3, capacity=Capacity(100, 512)),
    )


def test_a_file_holds_many_leases_with_defaults() -> None:
    text = """
        defaults: {memory: 1GiB, duration: 1h}
        leases:
          - {nodes: 2}
          - {nodes: 3, duration: 2h}
        """
    assert [(t.node_count, t.duration) for t in read(text)] == [(2, 3600), (3, 7200)]
    assert len(read("[{memory: 1, duration: 5}, {memory: 1, duration: 5}]")) == 2


def test_recurring_leases_come_one_by_one() -> None:
    found = read(
        "{memory: 1, duration: 1h, start: +1h, deadline: +4h, recurring: {count: 3, every: 1d}}"
    )
    assert [t.start for t in found] == [NOW + 3600 + day * 86_400 for day in range(3)]
    assert [t.deadline for t in found] == [NOW + 4 * 3600 + day * 86_400 for day in range(3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "document: '' is no mapping"),
        ("{duration: 1h}", "memory: '' is missing"),
        ("{memory: 1}", "duration: '' is missing"),
        ("{memory: lots, duration: 1h}", "memory: 'lots' is no size"),
        ("{memory: 1, duration: 0}", "duration: '0' is too short"),
        ("{memory: 1, duration: 1h, cpu: -1}", "cpu: '-1' is no number of cores"),
        ("{memory: 1, duration: 1h, nodes: 0}", "nodes: '0' is no whole number from 1"),
        ("{memory: 1, duration: 1h, nodes: []}", "nodes: '' is empty|nodes: '\\[\\]' is empty"),
        ("{memory: 1, duration: 1h, colour: red}", "'colour' is not known here: use cpu"),
        ("{memory: 1, duration: 1h, start: soon}", "start: 'soon' is no moment"),
        ("{memory: 1, duration: 1h, deadline: +5m}", "deadline: .* is too early"),
        ("{memory: 1, duration: 1h, preemptible: maybe}", "is neither true nor false"),
        ("{memory: 1, duration: 1h, start: +1h, recurring: {every: 1d}}", "has no count"),
        ("{leases: [{memory: 1}]}", r"leases\[0\].duration: '' is missing"),
    ],
)
def test_a_refusal_names_the_field(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(text)


def test_fields_of_others_are_left_to_them() -> None:
    text = "{memory: 1, duration: 1h, name: web}"
    assert len(read(text, frozenset({"name"}))) == 1


@pytest.mark.parametrize(
    ("text", "mib"), [("512", 512), ("1.5 GiB", 1536), ("2t", 2 << 20), ("1K", 1), ("100MB", 100)]
)
def test_sizes_have_units(text: str, mib: int) -> None:
    assert read_mib(text, "memory") == mib


WORDS = st.sampled_from(["memory", "duration", "start", "nodes", "1h", "now", "cpu", "leases", "1"])


@given(
    st.recursive(
        WORDS,
        lambda part: (
            st.lists(part, max_size=3).map(lambda p: f"[{','.join(p)}]")
            | st.lists(st.tuples(WORDS, part), max_size=4).map(
                lambda p: "{" + ",".join(f"{k}: {v}" for k, v in p) + "}"
            )
        ),
    )
)
def test_junk_is_refused_and_nothing_else(text: str) -> None:
    try:
        assert all(terms.duration >= 1 for terms in read(text))
    except InvalidInput:
        return
