"""YAML texts to plain values."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.documents import Value, read_yaml
from orrery.core.errors import InvalidInput

TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from("\n\té漢"))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_json_is_read_as_what_it_is(value: Value) -> None:
    assert read_yaml(json.dumps(value, ensure_ascii=False)) == value


def test_values_are_what_they_look_like() -> None:
    text = "{a: 1, b: 1.5, c: true, d: ~, e: '1', f: no, g: 1:30:00, h: 2026-11-25, i: [x y, z]}"
    expected = {"a": 1, "b": 1.5, "c": True, "d": None, "e": "1", "f": "no", "g": "1:30:00"}
    assert read_yaml(text) == {**expected, "h": "2026-11-25", "i": ["x y", "z"]}


def test_nothing_is_none() -> None:
    assert read_yaml("") is None
    assert read_yaml("# only a comment\n") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "is no YAML: line"),
        ("a: &x [1]\nb: *x", "line 2: 'x' is an alias"),
        ("a: !!python/object:os.system 1", "is a tag"),
        ("a: 1\na: 2", "'a' is given twice"),
        ("? [1]\n: 2", "is no name"),
        ("a: 1\n---\nb: 2", "second document"),
        ("[" * 30 + "]" * 30, "nested more than 20"),
        ("[" * 100_000, "nest"),
        ("\0", "is no YAML"),
    ],
)
def test_what_is_not_plain_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_yaml(text)


@given(st.text() | st.text("[]{}:,-&*!|>'\"%@ \n#?a1", max_size=40))
def test_junk_is_refused_and_nothing_else(text: str) -> None:
    try:
        value = read_yaml(text)
    except InvalidInput:
        return
    assert not isinstance(value, float) or math.isfinite(value)
