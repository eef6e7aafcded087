"""Lists: columns, filters, order, alignment."""

from xml.etree.ElementTree import Element, SubElement

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.cli.failure import CommandFailed
from orrery.cli.sheet import text_of
from orrery.cli.table import (
    Column,
    Listing,
    aligned,
    as_number,
    chosen,
    clean,
    comma_separated,
    rows,
    selected,
)

COLUMNS = (
    Column("ID", text_of("ID"), "number", right=True),
    Column("NAME", text_of("NAME"), "name", shrinks=True),
    Column("MEM", text_of("MEM"), "memory", right=True, shown=False),
)


def element(object_id: int, name: str, mem: str = "1M") -> Element:
    root = Element("VM")
    for tag, text in (("ID", str(object_id)), ("NAME", name), ("MEM", mem)):
        SubElement(root, tag).text = text
    return root


VMS = [element(0, "web", "512M"), element(10, "db", "2G"), element(2, "Web-2", "128M")]


def names(listing: Listing) -> list[str]:
    return [one.findtext("NAME") or "" for one in selected(VMS, COLUMNS, listing)]


def test_table_is_aligned_and_hides_what_was_not_asked_for() -> None:
    shown = chosen(COLUMNS, Listing())
    assert aligned(shown, rows(VMS, shown), header=True) == [
        "ID  NAME",
        " 0  web",
        "10  db",
        " 2  Web-2",
    ]


def test_header_may_be_left_out() -> None:
    shown = chosen(COLUMNS, Listing())
    assert aligned(shown, rows(VMS[:1], shown), header=False) == ["0  web"]


def test_columns_are_shown_in_the_order_named() -> None:
    assert [column.name for column in chosen(COLUMNS, Listing(columns="mem,ID"))] == ["MEM", "ID"]


def test_unknown_column_is_named_with_those_there_are() -> None:
    with pytest.raises(CommandFailed, match="no column 'CPU': there are ID,NAME,MEM"):
        chosen(COLUMNS, Listing(columns="CPU"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NAME=web", ["web"]),
        ("NAME=WEB", ["web"]),
        ("NAME!=web", ["db", "Web-2"]),
        ("NAME~web", ["web", "Web-2"]),
        ("ID>1", ["db", "Web-2"]),
        ("ID<=2", ["web", "Web-2"]),
        ("MEM>=512M", ["web", "db"]),
        ("ID>1,NAME~web", ["Web-2"]),
    ],
)
def test_filters_compare_by_size_or_as_text(text: str, expected: list[str]) -> None:
    assert names(Listing(filters=(text,))) == expected


def test_filter_that_is_none_says_how_to_write_one() -> None:
    with pytest.raises(CommandFailed, match="is not COLUMN=VALUE"):
        names(Listing(filters=("web",)))


def test_order_takes_numbers_by_size_and_minus_as_descending() -> None:
    assert names(Listing(order="ID")) == ["web", "Web-2", "db"]
    assert names(Listing(order="-MEM")) == ["db", "web", "Web-2"]


def test_narrow_terminal_cuts_only_columns_that_may_shrink() -> None:
    long = [element(1, "a-name-that-is-far-too-long")]
    shown = chosen(COLUMNS, Listing())
    assert aligned(shown, rows(long, shown), header=False, width=14) == ["1  a-name-tha…"[:14]]


def test_csv_quotes_what_needs_it() -> None:
    shown = chosen(COLUMNS, Listing())
    assert comma_separated(shown, [("1", 'a,"b"')], header=True) == 'ID,NAME\n1,"a,""b"""\n'


@given(st.text())
def test_cells_hold_no_control_characters(text: str) -> None:
    assert clean(text).isprintable()


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
def test_every_line_of_a_table_has_the_same_columns(cells: list[tuple[str, str]]) -> None:
    shown = (COLUMNS[0], Column("END", text_of("ID"), "", right=True))
    lines = aligned(shown, [(clean(a), clean(b) or "x") for a, b in cells], header=True)
    assert len(lines) == len(cells) + 1


@pytest.mark.parametrize(
    ("text", "expected"), [("12", 12.0), ("1.5G", 1.5 * (1 << 30)), ("", None), ("on", None)]
)
def test_amounts_have_units(text: str, expected: float | None) -> None:
    assert as_number(text) == expected
