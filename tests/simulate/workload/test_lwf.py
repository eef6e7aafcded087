"""Haizea's workload format, new and old, and its annotations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput
from orrery.core.model.lease import LeaseKind, NodeSet
from orrery.simulate.leases.workload.annotations import annotate, read_annotations
from orrery.simulate.leases.workload.lwf import lwf_text, read_lwf, read_lwf_site
from orrery.simulate.leases.workload.model import Workload
from orrery.simulate.leases.workload.text_lwf import looks_like_text_lwf, read_text_lwf
from tests.simulate.workload.drawn import workloads

NODES = (
    '<nodes><node-set numnodes="2"><res type="CPU" amount="100"/>'
    '<res amount="1024" type="Memory"/></node-set></nodes>'
)
HOUR = '<duration time="01:00:00"/>'


def lease(
    start: str = "<start/>",
    rest: str = HOUR,
    attributes: str = "",
    real: str = "",
    nodes: str = NODES,
) -> str:
    return (
        f'<lease-request arrival="00:10:00.00">{real}<lease {attributes}>{nodes}{start}{rest}'
        "<software><none/></software></lease></lease-request>"
    )


def workload(*leases: str, before: str = "") -> bytes:
    text = "\n".join(leases)
    return (
        f"<lease-workload name='own'>{before}<lease-requests>{text}</lease-requests>\n".encode()
        + (b"</lease-workload>")
    )


def read(*leases: str, before: str = "") -> Workload:
    return read_lwf(workload(*leases, before=before))


@given(workloads())
def test_what_is_written_reads_back(drawn: Workload) -> None:
    assert read_lwf(lwf_text(drawn).encode()) == drawn


@pytest.mark.parametrize(
    ("start", "rest", "kind", "moments"),
    [
        ("<start/>", HOUR, LeaseKind.BEST_EFFORT, (None, None)),
        ("<start></start>", HOUR, LeaseKind.BEST_EFFORT, (None, None)),
        ("<start><now/></start>", HOUR, LeaseKind.IMMEDIATE, (None, None)),
        (
            '<start><exact time="1:00:30:00.40"/></start>',
            HOUR,
            LeaseKind.RESERVATION,
            (88200, None),
        ),
        (
            '<start><exact time="02:00:00"/></start>',
            HOUR + '<deadline time="04:00:00"/>',
            LeaseKind.DEADLINE,
            (7200, 14400),
        ),
        ("<start/>", HOUR + '<deadline time="04:00:00"/>', LeaseKind.DEADLINE, (600, 14400)),
    ],
)
def test_the_kind_follows_from_start_and_deadline(
    start: str, rest: str, kind: LeaseKind, moments: tuple[int | None, int | None]
) -> None:
    (arrival,) = read(lease(start, rest)).arrivals
    assert arrival.at == 600
    assert arrival.terms.kind is kind
    assert (arrival.terms.start, arrival.terms.deadline) == moments


def test_a_site_may_have_hosts_of_several_instances_and_other_resources() -> None:
    site = """
        <site><resource-types names="CPU Memory Net-in"/><nodes>
          <node-set numnodes="1">
            <res type="CPU"><instance amount="100"/><instance amount="150"/></res>
            <res type="Memory" amount="4096"/></node-set>
          <node-set numnodes="2"><res type="CPU" amount="100"/><res type="Memory" amount="2048"/>
            <res type="Disk" amount="9000"/><res type="Net-in" amount="100"/></node-set>
        </nodes></site>"""
    found = read(before=site).site
    assert found is not None
    assert [(h.id, h.name, h.capacity, h.other) for h in found.hosts] == [
        (1, "node1", Capacity(250, 4096), ()),
        (2, "node2", Capacity(100, 2048, 9000), (("Net-in", 100),)),
        (3, "node3", Capacity(100, 2048, 9000), (("Net-in", 100),)),
    ]
    assert read_lwf_site(site.strip().encode()) == found
    assert read_lwf_site(workload(before=site)) == found


def test_a_real_duration_counts_only_if_it_is_shorter() -> None:
    shorter, equal = '<realduration time="00:59:59"/>', '<realduration time="01:00:00"/>'
    found = read(lease(real=shorter), lease(real=equal)).arrivals
    assert [arrival.real_duration for arrival in found] == [3599, None]


def test_leases_without_an_id_get_the_lowest_free_ones() -> None:
    found = read(lease(), lease(attributes='id="1"'), lease(), lease(attributes='id="3"')).arrivals
    assert [arrival.lease_id for arrival in found] == [1, 2, 3, 4]


def test_preemptible_is_honoured_unless_one_asks_for_haizeas_way() -> None:
    data = workload(lease(attributes='preemptible="True" user="7"'), lease())
    assert [a.terms.preemptible for a in read_lwf(data).arrivals] == [True, None]
    plain = read_lwf(data, honour_preemptible=False).arrivals
    assert [a.terms.preemptible for a in plain] == [None, None]
    assert plain[0].user == 7


def test_extras_and_attributes_are_kept() -> None:
    before = "<description> two\n words </description>"
    before += "<attributes><attr name='a' value='b'/></attributes>"
    extra = HOUR + '<extra><attr name="simul_userrate" value="0.12"/></extra>'
    found = read(lease(rest=extra), before=before)
    assert found.arrivals[0].extras == (("simul_userrate", "0.12"),)
    assert found.attributes == {"a": "b", "description": "two words"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not XML"),
        (b"<lease/>", "line 1, <lease>: '' is no workload"),
        (b"<lease-workload/>", "holds no <lease-requests>"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><lease-workload/>", "line 1: '<!DOCTYPE' is not accepted"),
        (b"<a>" * 50 + b"</a>" * 50, "is nested more than 20 deep"),
        (b"<?xml version='1.0' encoding='nonsense'?><a/>", "is not XML"),
        (workload(lease(rest="")), "line 1, <lease>: '' holds no <duration>"),
        (
            workload(lease(), lease(rest='<duration time="1h"/>')),
            "line 2, <duration time>: '1h' is no",
        ),
        (workload(lease(rest='<duration time="00:00:00"/>')), "is no duration: more than 0"),
        (workload(lease(attributes='id="x"')), "<lease id>: 'x' is no whole number"),
        (workload(lease(attributes='id="0"')), "<lease id>: '0' is no id"),
        (workload(*[lease(attributes='id="5"')] * 2), "line 2, <lease id>: '5' is given twice"),
        (workload(lease(attributes='preemptible="perhaps"')), "<lease preemptible>: 'perhaps' is"),
        (workload(lease(nodes="<nodes/>")), "<nodes>: '' holds no <node-set>"),
        (
            workload(lease(nodes=NODES.replace('"2"', '"0"'))),
            "<node-set numnodes>: '0' is no number",
        ),
        (
            workload(lease(nodes=NODES.replace('"100"', '"lots"'))),
            "<res amount>: 'lots' is no whole",
        ),
        (workload(lease('<start><now/><exact time="1:00"/></start>')), "is both exact and now"),
        (workload(lease("<start/><start/>")), "is the second in <lease>"),
        (workload(before="<site><nodes/></site>"), "<site>: '' has no hosts"),
    ],
)
def test_an_error_names_line_and_element(data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_lwf(data)


@given(st.binary(max_size=60) | st.text("<>/ab='\"&;! ", max_size=60).map(str.encode))
def test_junk_is_refused_and_nothing_else(data: bytes) -> None:
    for parse in (read_lwf, read_lwf_site, read_annotations):
        with pytest.raises(InvalidInput):
            parse(data)


@given(st.integers(0, 2000), st.sampled_from(["", "0", '"', "<", "-1", "xx"]))
def test_a_damaged_file_is_refused_or_read_and_nothing_else(place: int, damage: str) -> None:
    text = workload(lease(attributes='id="4"'), lease("<start><now/></start>")).decode()
    place %= len(text)
    try:
        read_lwf((text[:place] + damage + text[place + 1 :]).encode())
    except InvalidInput:
        return


# --- the old text -------------------------------------------------------------------------------


def test_the_old_text_has_one_lease_a_line() -> None:
    text = "0 -1 3600 1800 4 2 512 100 'db.img' 600\n\n# a remark\n"
    text += "-60 90 60 60 1 1 64 0 'NONE.img' 600\n"
    assert looks_like_text_lwf(text)
    waiting, reserved = read_text_lwf(text).arrivals
    assert waiting.terms.kind is LeaseKind.BEST_EFFORT
    assert waiting.terms.nodes == (NodeSet(count=4, capacity=Capacity(200, 512, 100)),)
    assert (waiting.real_duration, waiting.terms.image, waiting.terms.image_mib) == (
        1800,
        "db.img",
        600,
    )
    assert (reserved.at, reserved.terms.start, reserved.terms.image) == (0, 90, None)


def test_a_start_before_the_beginning_is_kept_but_has_no_place_in_lwf() -> None:
    found = read_text_lwf("0 -5 60 60 1 1 64 0 'NONE.img' 600\n")
    assert found.arrivals[0].terms.start == -5
    with pytest.raises(InvalidInput, match="starts before the workload begins"):
        lwf_text(found)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 2 3", "line 1: '1 2 3' has 3 fields: ten"),
        ("0 0 x 60 1 1 64 0 a 1", "line 1, duration: 'x' is no whole number"),
        ("0 0 60 60 0 1 64 0 a 1", "has no duration or no nodes"),
        ("0 0 60 60 1 1 64 0 a big", "line 1, image size: 'big'"),
    ],
)
def test_the_old_text_names_line_and_field(line: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_text_lwf(line)


# --- annotations --------------------------------------------------------------------------------

ANNOTATION = """<start><exact time="+1:00:00"/></start><deadline time="+3:00:00"/>
    <software><disk-image id="a.img" size="4096"/></software>
    <extra><attr name="one" value="1"/></extra>"""


def annotations(*bodies: tuple[str, str]) -> bytes:
    inner = "".join(f"<lease-annotation {at}>{body}</lease-annotation>" for at, body in bodies)
    return f"<lease-annotations>{inner}</lease-annotations>".encode()


def test_annotations_are_relative_to_the_arrival() -> None:
    plain = read(lease(), lease())
    noted = annotate(plain, read_annotations(annotations(('id="2"', ANNOTATION))))
    first, second = noted.arrivals
    assert first == plain.arrivals[0]
    assert (second.terms.start, second.terms.deadline) == (600 + 3600, 600 + 10800)
    assert (second.terms.image, second.terms.image_mib) == ("a.img", 4096)
    assert second.extras == (("one", "1"),)


def test_annotations_without_ids_go_to_the_leases_in_order() -> None:
    plain = read(lease(), lease('<start><exact time="02:00:00"/></start>'))
    notes = read_annotations(annotations(("", "<software><none/></software>"), ("", "<start/>")))
    first, second = annotate(plain, notes).arrivals
    assert first.terms.image is None
    assert second.terms.kind is LeaseKind.BEST_EFFORT


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (annotations(('id="1"', ""), ("", "")), "with and without id"),
        (annotations(('id="9"', "")), "'9' is no lease"),
        (annotations(("", ""), ("", "")), "'2' are too many annotations"),
        (b"<other/>", "<other>"),
    ],
)
def test_annotations_fit_the_workload(data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        annotate(read(lease()), read_annotations(data))
