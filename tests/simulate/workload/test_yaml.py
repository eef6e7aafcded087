"""Workloads as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput
from orrery.core.model.lease import LeaseKind
from orrery.sched.leases.site import SiteHost
from orrery.simulate.leases.workload.model import Workload
from orrery.simulate.leases.workload.yaml import read_yaml_workload, yaml_text
from tests.simulate.workload.drawn import workloads

DEMO = """
name: demo
site: {hosts: [{count: 2, cpu: 2, memory: 4GiB}, {name: big, cpu: 8, memory: 16GiB}]}
attributes: {study: demo, run: 3}
defaults: {memory: 1GiB}
leases:
  - {at: 10m, nodes: 2, duration: 1h, real_duration: 40m, user: 7, extras: {rate: 0.1}}
  - {at: 1h, nodes: 4, duration: 2h, start: +3h, id: 9}
  - {at: 0, duration: 1h, start: Tuesday 10:00, recurring: {count: 2, every: 1w}}
  - {at: 2h, duration: 1h, deadline: 9:00}
  - {at: 3h, duration: 1h, start: now, real_duration: 2h}
"""
DAY_S = 86_400


def test_a_workload_is_read() -> None:
    demo = read_yaml_workload(DEMO)
    assert (demo.name, demo.attributes) == ("demo", {"study": "demo", "run": "3"})
    assert [(a.lease_id, a.at, a.terms.start, a.terms.deadline) for a in demo.arrivals] == [
        (2, 0, DAY_S + 36_000, None),
        (1, 600, None, None),
        (9, 3600, 4 * 3600, None),
        (4, 7200, 7200, 9 * 3600),
        (5, 10_800, None, None),
        (3, 7 * DAY_S, 8 * DAY_S + 36_000, None),
    ]
    first = demo.arrivals[1]
    assert (first.real_duration, first.user, first.extras) == (2400, 7, (("rate", "0.1"),))
    assert demo.arrivals[4].terms.kind is LeaseKind.IMMEDIATE
    assert demo.arrivals[4].real_duration is None


def test_a_site_has_hosts_of_several_kinds() -> None:
    site = read_yaml_workload(DEMO).site
    assert site is not None
    assert site.hosts[1:] == (
        SiteHost(id=2, name="node2", capacity=Capacity(200, 4096)),
        SiteHost(id=3, name="big", capacity=Capacity(800, 16384)),
    )


def test_days_count_from_when_the_workload_begins() -> None:
    text = "{begins: 2026-11-25 12:00, leases: [{memory: 1, duration: 1h, start: Thursday 10:00}]}"
    assert read_yaml_workload(text).arrivals[0].terms.start == 22 * 3600


@given(workloads())
def test_what_is_written_reads_back(drawn: Workload) -> None:
    assert read_yaml_workload(yaml_text(drawn)) == drawn


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no mapping"),
        ("{name: x}", "needs either leases or generate"),
        ("{leases: [], generate: {}}", "needs either leases or generate"),
        ("{leases: [], colour: red}", "'colour' is not known here"),
        ("{leases: [{memory: 1}]}", r"leases\[0\].duration: '' is missing"),
        (
            "{leases: [{memory: 1, duration: 1h, at: later}]}",
            r"leases\[0\].at: 'later' is no moment",
        ),
        ("{leases: [{memory: 1, duration: 1h, start: 1969-01-01}]}", "is not within a century"),
        ("{leases: [{memory: 1, duration: 1h, id: 0}]}", r"leases\[0\].id: '0' is no whole number"),
        ("{leases: [], site: 4 hosts}", "site: '4 hosts' is no site|site: 'hosts' is no resource"),
        ("{leases: [], site: {hosts: []}}", "site.hosts: '' is missing"),
        ("{leases: [], inject: {duration: 1h, share: 10}}", "site: '' is missing"),
        ("{leases: [], vary: {start_delay: soon}}", "vary.start_delay: 'soon' is no duration"),
    ],
)
def test_a_refusal_names_the_field(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_yaml_workload(text)


def test_ids_that_are_given_twice_are_refused() -> None:
    lease = "{memory: 1, duration: 1h, id: 4}"
    with pytest.raises(InvalidInput, match=r"leases\[1\].id: '4' is given twice"):
        read_yaml_workload(f"leases: [{lease}, {lease}]")


PARTS = st.sampled_from(
    ["leases", "generate", "site", "hosts", "memory", "duration", "1h", "at", "nodes", "count", "9"]
)


@given(
    st.recursive(
        PARTS,
        lambda part: (
            st.lists(part, max_size=3).map(lambda p: f"[{','.join(p)}]")
            | st.dictionaries(PARTS, part, max_size=4).map(
                lambda p: "{" + ",".join(f"{k}: {v}" for k, v in p.items()) + "}"
            )
        ),
    )
)
def test_junk_is_refused_and_nothing_else(text: str) -> None:
    try:
        read_yaml_workload(text)
    except InvalidInput:
        return


@pytest.mark.parametrize(
    "text", ["0E0", "007", "1.50", "~", "no", "1:30:00", "2026-11-25", "- a: b"]
)
def test_texts_that_look_like_something_else_stay_texts(text: str) -> None:
    plain = Workload(name=text, arrivals=(), attributes={text: text})
    assert read_yaml_workload(yaml_text(plain)) == plain
