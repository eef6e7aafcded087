"""REQUIREMENTS and RANK."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.errors import InvalidInput
from orrery.core.expr import explain, names, rank, requirement

HOST: Mapping[str, str | float] = {
    "ARCH": "x86_64",
    "HOSTNAME": "node12.rack3",
    "FREE_CPU": 300.0,
    "FREE_MEMORY": "2048",
    "CLUSTER_ID": 0.0,
    "CLUSTERS/ID": "0,100, 102",
    "TEMPLATE/FOO": "bar",
    "FLAGS": "sse avx2",
    "ZERO": 0.0,
    "WORD": "many",
}


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        (" \n", True),
        ('ARCH = "x86_64"', True),
        ("arch = x86_64", True),
        ('ARCH = "X86_64"', False),
        ('ARCH != "arm64"', True),
        ('ARCH="x86*"', True),
        ('HOSTNAME = "node?2.rack[1-3]"', True),
        ('HOSTNAME != "node*"', False),
        ("HOSTNAME = node12.rack3", True),
        ("TEMPLATE/FOO = bar", True),
        ('"TEMPLATE/FOO" = "b*"', True),
        ("FREE_CPU > 299.5", True),
        ("FREE_CPU > 300", False),
        ("FREE_CPU >= 300", True),
        ("FREE_CPU < 300", False),
        ("FREE_CPU <= 300", True),
        ("FREE_MEMORY = 2048", True),
        ("FREE_MEMORY > 1024", True),
        ('FREE_CPU = "300"', True),
        ('FREE_CPU > "200"', True),
        ("FREE_CPU != 1", True),
        ("ZERO > -1", True),
        ("ZERO = 0", True),
        ("WORD = 5", False),
        ("WORD != 5", False),
        ("GONE = 0", False),
        ("GONE != 0", False),
        ("GONE < 1", False),
        ('GONE = "*"', False),
        ('GONE != "x"', False),
        ("GONE @> 1", False),
        ('"CLUSTERS/ID" @> 0', True),
        ("CLUSTERS/ID @> 102", True),
        ("CLUSTERS/ID @> 10", False),
        ("FLAGS @> avx2", True),
        ('FLAGS @> "avx*"', True),
        ("FLAGS @> avx", False),
        ("CLUSTER_ID @> 0", True),
        ("(CLUSTER_ID = 0) & !(PIN_POLICY = PINNED)", True),
        ("!ARCH = arm64", True),
        ("!!ARCH = x86_64", True),
        ("ARCH = x86_64 | ARCH = arm64 & ZERO = 1", True),
        ("(ARCH = x86_64 | ARCH = arm64) & ZERO = 1", False),
        ("!ZERO = 1 & ZERO = 1", False),
        ("ZERO = 0 && ARCH = x86_64 || ZERO = 9", True),
    ],
)
def test_requirement(text: str, passes: bool) -> None:
    assert requirement(text)(HOST.get) is passes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0.0),
        ("FREE_CPU", 300.0),
        ("free_memory", 2048.0),
        ("FREE_CPU -1", 299.0),
        ("FREE_CPU-1", 299.0),
        ("- FREE_CPU", -300.0),
        ("--1", 1.0),
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 2 - 3", 5.0),
        ("12 / 2 / 3", 2.0),
        ("2 * -3", -6.0),
        ("-2 + 5", 3.0),
        ("1.5 * 2", 3.0),
        ("FREE_CPU/FREE_MEMORY", 300.0 / 2048.0),
        ("GONE + 1", 1.0),
        ("WORD + 1", 1.0),
        ("1 / ZERO", 0.0),
        ("5 + 1 / GONE", 0.0),
        ('"TEMPLATE/FOO" + 2', 2.0),
        ("9" * 400, 0.0),
    ],
)
def test_rank(text: str, value: float) -> None:
    assert rank(text)(HOST.get) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ARCH", "at character 5: expected one of = != > < >= <= @> after ARCH, found the end"),
        ("ARCH =", "at character 7: expected a number or a text after =, found the end"),
        ("ARCH == x", "at character 7: expected a number or a text after =, found ="),
        ("= 5", "at character 1: expected an attribute's name"),
        ("A = 1 B = 2", 'at character 7: expected "&", "|" or the end'),
        ("A = 1 &", "at character 8: expected an attribute's name"),
        ("(A = 1", 'at character 7: expected ")" or an operator, found the end'),
        ("A = 1)", 'at character 6: expected "&", "|" or the end'),
        ('A = "x', "at character 5: expected a closing quote"),
        ("A > x", "at character 5: expected a number after >, found x"),
        ("A = 10.0.0.1", 'at character 9: expected "&", "|" or the end (text that is more'),
        ("A = 1 $ 2", 'at character 7: expected "&", "|" or the end'),
        ("$", "at character 1: expected"),
        ("(" * 101 + "A=1" + ")" * 101, "nested more than 100 deep"),
        ("!" * 101 + "A=1", "nested more than 100 deep"),
        ("A=1&" * 3000 + "A=1", "longer than 10000 characters"),
    ],
)
def test_a_wrong_requirement_names_the_place_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        requirement(text)
    assert str(caught.value).startswith("REQUIREMENTS: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 +", "at character 4: expected a number, an attribute's name"),
        ("1 2", "at character 3: expected an operator"),
        ("(1", 'at character 3: expected ")" or an operator'),
        ("A = 1", "at character 3: expected an operator"),
        ("+1", "at character 1: expected a number"),
        ("(" * 101 + "1" + ")" * 101, "nested more than 100 deep"),
        ("-" * 101 + "1", "nested more than 100 deep"),
        ("1+" * 6000 + "1", "longer than 10000 characters"),
    ],
)
def test_a_wrong_rank_names_the_place_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rank(text)
    assert str(caught.value).startswith("RANK: ")
    assert message in str(caught.value)


def test_the_longest_and_the_deepest_expressions_are_evaluated() -> None:
    assert requirement("A=1|" * 2400 + "ZERO=0")(HOST.get)
    assert requirement("(" * 100 + "ZERO=0" + ")" * 100)(HOST.get)
    assert requirement("!" * 100 + "ZERO=0")(HOST.get)
    assert rank("1+" * 4900 + "1")(HOST.get) == 4901
    assert rank("(1+" * 100 + "1" + ")" * 100)(HOST.get) == 101


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("", set()),
        ('arch = "a" & !("X/Y" @> 1 | b > 2)', {"ARCH", "X/Y", "B"}),
        ("FREE_CPU / (x - 2) * -Y", {"FREE_CPU", "X", "Y"}),
        ('"a=b" + 1', {"A=B"}),
    ],
)
def test_names_are_those_of_a_requirement_or_a_rank(text: str, used: set[str]) -> None:
    assert names(text) == used


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", None),
        ("ARCH = x86_64", None),
        ('ARCH="arm64"', 'ARCH = "arm64"'),
        ('ZERO=0 & (ZERO=0 & arch = "arm64") & ZERO=1', 'ARCH = "arm64"'),
        ("ZERO = 1 | ZERO = 2 & ZERO=3", "ZERO = 1 | ZERO = 2 & ZERO = 3"),
        ("ZERO=0 & (ZERO=1 | ZERO=2)", "ZERO = 1 | ZERO = 2"),
        ("!(ZERO=1 | ZERO=0)", "!(ZERO = 0)"),
        ("!!(ZERO=0 & ZERO=1)", "ZERO = 1"),
        ("!(ZERO=0 & (ARCH=x86_64 | ZERO=7))", "!(ZERO = 0 & (ARCH = x86_64 | ZERO = 7))"),
        ('"A B" = 1', '"A B" = 1'),
    ],
)
def test_the_explanation_is_the_smallest_failing_part(text: str, part: str | None) -> None:
    assert explain(text, HOST.get) == part


ATOMS = st.builds(
    "{} {} {}".format,
    st.sampled_from(["ARCH", "ZERO", "GONE", '"CLUSTERS/ID"', "WORD"]),
    st.sampled_from(["=", "!=", "@>"]),
    st.sampled_from(["0", "100", "x86_64", '"*"', '"m[a-z]*"', "-1.5"]),
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        inner.map("!({})".format),
        st.builds("({} & {})".format, inner, inner),
        st.builds("({} | {})".format, inner, inner),
    ),
    max_leaves=12,
)
SUMS = st.recursive(
    st.sampled_from(["1", "2.5", "0", "7"]),
    lambda inner: st.one_of(
        inner.map("(-{})".format),
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*/"), inner),
        inner.map("({})".format),
    ),
    max_leaves=12,
)


@given(CONDITIONS, CONDITIONS)
def test_connectives_mean_what_they_say(one: str, other: str) -> None:
    first, second = requirement(one)(HOST.get), requirement(other)(HOST.get)
    assert requirement(f"{one} & {other}")(HOST.get) == (first and second)
    assert requirement(f"{one} | {other}")(HOST.get) == (first or second)
    assert requirement(f"!({one})")(HOST.get) == (not first)


@given(CONDITIONS)
def test_an_explanation_is_a_requirement_that_fails_too(text: str) -> None:
    part = explain(text, HOST.get)
    assert (part is None) == requirement(text)(HOST.get)
    if part is not None:
        assert not requirement(part)(HOST.get)
        assert names(part) <= names(text)


@given(SUMS)
def test_arithmetic_is_that_of_python(text: str) -> None:
    try:
        expected = float(eval(text, {"__builtins__": {}}))
    except ZeroDivisionError:
        expected = 0.0
    assert rank(text)(HOST.get) == expected


SCRAPS = st.lists(
    st.sampled_from([*'AB/1.()!&|=<>@+-*" \n[$', "ARCH", "@>", "&&", "12", "'", "é", "\x00"]),
    max_size=30,
).map("".join)


@given(st.text() | SCRAPS)
def test_any_text_is_evaluated_or_refused(text: str) -> None:
    for use in (
        lambda: requirement(text)(HOST.get),
        lambda: rank(text)(HOST.get),
        lambda: names(text),
        lambda: explain(text, HOST.get),
    ):
        try:
            use()
        except InvalidInput as error:
            assert error.remedy
