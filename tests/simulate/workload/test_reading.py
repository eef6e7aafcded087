"""Files of any format, told by name and content."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput
from orrery.simulate.leases.workload.reading import (
    ReadOptions,
    parse,
    read,
    read_annotations_file,
    read_site,
    text_of,
)
from orrery.simulate.leases.workload.sites import site_from_resources
from orrery.simulate.leases.workload.swf import SwfOptions, read_swf
from orrery.simulate.leases.workload.synthetic import synthetic

SWF = "; MaxProcs: 4\n1 0 5 60 8 0.03 -1 16 600 -1 1 96 2 3 1 -1 -1 -1\n"
LWF = "\n <lease-workload><lease-requests/></lease-workload>"
OLD = "0 90 60 60 1 1 64 0 'NONE.img' 600\n"
YAML = "leases: [{memory: 1, duration: 5}]"


@pytest.mark.parametrize(
    ("name", "text", "leases"),
    [
        ("a.swf", SWF, 1),
        ("a.log", SWF, 1),
        ("a.log", SWF.partition("\n")[2], 1),
        ("a.lwf", LWF, 0),
        ("a.xml", LWF, 0),
        ("a.lwf", OLD, 1),
        ("a", OLD, 1),
        ("a.yaml", YAML, 1),
        ("a", YAML, 1),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_format_is_told_by_name_and_content(
    tmp_path: Path, name: str, text: str, leases: int, packed: bool
) -> None:
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    found = read(path)
    assert (found.name, len(found.arrivals)) == ("a", leases)


def test_options_reach_the_formats(tmp_path: Path) -> None:
    path = tmp_path / "a.swf"
    path.write_text(SWF)
    site = site_from_resources("2 CPU:100 Memory:512")
    options = ReadOptions(swf=SwfOptions(processors_per_node=8), site=site)
    found = read(path, options)
    assert (found.arrivals[0].terms.node_count, found.site) == (2, site)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("missing.swf", None, "cannot be read: No such file"),
        ("a.lwf", b"hello", "is neither XML nor a list of leases"),
        ("a.yaml", b"\xff\xfe", "is not UTF-8"),
        ("a.swf.gz", b"\x1f\x8bxx", "is damaged gzip"),
        ("a.swf.gz", gzip.compress(SWF.encode(), mtime=0)[:-9], "is damaged gzip"),
    ],
)
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, name: str, data: bytes | None, message: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path / name)


@given(st.binary(max_size=80), st.sampled_from(["", ".swf", ".lwf", ".yaml", ".txt"]))
def test_junk_is_refused_or_empty_and_nothing_else(data: bytes, suffix: str) -> None:
    try:
        assert parse(data, suffix, ReadOptions()).arrivals == ()
    except InvalidInput:
        return


# --- sites --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2 CPU:200,Memory:4096,Net-in:100",
        "2  CPU:200 Memory:4096 Net-in:100",
        "2,CPU:200, Memory:4096",
        "2 CPU:100,CPU:100,Memory:4096",
    ],
)
def test_a_site_is_described_in_a_line(text: str) -> None:
    first, second = read_site(text).hosts
    assert (first.id, first.name, first.capacity) == (1, "node1", Capacity(200, 4096))
    assert second.id == 2
    assert first.other in ((), (("Net-in", 100),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4 CPU:100", "has no CPU or no Memory"),
        ("0 CPU:100,Memory:1", "has no hosts"),
        ("4 CPU:x,Memory:1", "'CPU:x' is no resource"),
        ("999999999 CPU:1,Memory:1", "is too many"),
        ("nowhere", "cannot be read"),
        ("\0", "cannot be read"),
    ],
)
def test_what_is_no_site_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_site(text)


def test_a_site_is_read_from_a_file(tmp_path: Path) -> None:
    expected = site_from_resources("3 CPU:100 Memory:512")
    files = {
        "a.yaml": "hosts: [{count: 3, memory: 512}]",
        "b.yaml": "{site: 3 CPU:100 Memory:512, leases: []}",
        "c.xml": text_of(
            parse(b"{site: 3 CPU:100 Memory:512, leases: []}", "", ReadOptions()), ".xml"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        assert read_site(str(tmp_path / name)) == expected, name


# --- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".lwf", ".swf", ".yaml"])
def test_a_workload_is_the_same_in_every_format(tmp_path: Path, suffix: str) -> None:
    plain = synthetic(50, 16, 0.0, seed=2)
    (tmp_path / f"a{suffix}").write_text(text_of(plain, suffix))
    found = read(tmp_path / f"a{suffix}", ReadOptions(swf=SwfOptions(extras=False)))
    assert (found.arrivals, found.site) == (plain.arrivals, plain.site)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"suffix: '.doc' is none of"):
        text_of(read_swf(SWF), ".doc")


def test_annotations_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.lwfa"
    path.write_text('<lease-annotations><lease-annotation id="1"/></lease-annotations>')
    assert len(read_annotations_file(path).annotations) == 1
