"""The attribute language."""

from textwrap import dedent

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orrery.core.errors import InvalidInput
from orrery.core.template import Attribute, Template, fits_xml, merge, parse, split, write

NAMES = st.from_regex(r"[A-Z0-9_][A-Z0-9_.-]{0,8}", fullmatch=True)
VALUES = st.text().filter(lambda text: fits_xml(text) and "]]>" not in text) | st.text(
    alphabet='\\"a\n#=,[] ', max_size=12
).filter(lambda text: "]]>" not in text)
VECTORS = st.dictionaries(NAMES, VALUES, max_size=4).map(lambda pairs: tuple(pairs.items()))
TEMPLATES = st.lists(st.tuples(NAMES, VALUES | VECTORS), max_size=8).map(
    lambda attributes: Template(tuple(attributes))
)
SCRAPS = st.lists(
    st.sampled_from(
        ["A", "b1", "=", " ", "\n", "\r\n", "[", "]", ",", '"', "\\", "#", "x y", "<", ">", "]]>"]
    )
).map("".join)


def refusal(text: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("", ()),
        (" \n\t\r\n", ()),
        ("# only a comment", ()),
        ("CPU=1", (("CPU", "1"),)),
        ("cpu = 0.5\nMemory=512\n", (("CPU", "0.5"), ("MEMORY", "512"))),
        ("A=1 B=2", (("A", "1"), ("B", "2"))),
        ("A\n=\n1", (("A", "1"),)),
        ('A="x # y" # z\nB=2#end', (("A", "x # y"), ("B", "2"))),
        ('A="say \\"hi\\""', (("A", 'say "hi"'),)),
        ('A="C:\\dir\\\\file"', (("A", "C:\\dir\\\\file"),)),
        ('A="C:\\\\"', (("A", "C:\\"),)),
        ('A="two\nlines"', (("A", "two\nlines"),)),
        ('A=""', (("A", ""),)),
        ("A=", (("A", ""),)),
        ("A=\nB=1", (("A", ""), ("B", "1"))),
        ("A= # nothing\nB=1", (("A", ""), ("B", "1"))),
        ("A=/var/lib/one/x.img", (("A", "/var/lib/one/x.img"),)),
        ("D=[]", (("D", ()),)),
        ("D=[ # none\n ]", (("D", ()),)),
        ("D=[K=1]", (("D", (("K", "1"),)),)),
        ('D = [ k = "a,b" ,\n l = c ]E=1', (("D", (("K", "a,b"), ("L", "c"))), ("E", "1"))),
        ("D=[K=,L=]", (("D", (("K", ""), ("L", ""))),)),
        ("D=[K=1,K=2]", (("D", (("K", "1"),)),)),
        ("D=[K=1]\nD=[K=2]", (("D", (("K", "1"),)), ("D", (("K", "2"),)))),
        ("A-B.C=1", (("A-B.C", "1"),)),
        ('A="größe ✓"', (("A", "größe ✓"),)),
    ],
)
def test_text_is_read(text: str, attributes: tuple[Attribute, ...]) -> None:
    assert parse(text).attributes == attributes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A", 'line 1, column 2: expected "=" after the name A'),
        ('A="1"\n  =2', "line 2, column 3: expected a name"),
        ('A="x', "line 1, column 3: expected a closing quote"),
        ('A="C:\\"', "line 1, column 3: expected a closing quote"),
        ("A=b=c", 'line 1, column 3: expected a value in double quotes, if "="'),
        ("A=1\nB=,", 'line 2, column 3: expected a value after "="'),
        ("A=1,", "line 1, column 4: expected a name"),
        ("D=[", 'line 1, column 4: expected the name of a key, or "]"'),
        ("D=[K", 'line 1, column 5: expected "=" after the name K'),
        ("D=[K=1", 'line 1, column 7: expected "," and the next key, or "]"'),
        ("D=[K=1,]", 'line 1, column 8: expected the name of a key, or "]"'),
        ("D=[K=1\nL=2]", 'line 2, column 1: expected "," and the next key, or "]"'),
        ("D=[K=[L=1]]", "line 1, column 6: expected a value: a vector cannot hold another"),
        ('D=[K="x]', "line 1, column 6: expected a closing quote"),
        ("D=[K=a=b]", 'line 1, column 6: expected a value in double quotes, if "="'),
        ("ä=1", "line 1, column 1: expected a name"),
        ('A="x\x00"', "line 1, column 5: expected no control characters"),
        ('A="\ud800"', "line 1, column 4: expected no control characters"),
        ('A="x]]>y"', "holds ]]>"),
        ('D=[K="x]]>y"]', "holds ]]>"),
    ],
)
def test_an_error_names_the_place_and_what_was_expected(text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("<TEMPLATE/>", ()),
        ('\n <?xml version="1.0"?><TEMPLATE><CPU>1</CPU></TEMPLATE>\n', (("CPU", "1"),)),
        ("<VM><cpu>1</cpu></VM>", (("CPU", "1"),)),
        ("<T><A/></T>", (("A", ""),)),
        ("<T><A><![CDATA[x<y & \n]]></A></T>", (("A", "x<y & \n"),)),
        ("<T>\n <D>\n <K>1</K>\n <L/>\n </D>\n</T>", (("D", (("K", "1"), ("L", ""))),)),
        ("<T><D><K>1</K><K>2</K></D></T>", (("D", (("K", "1"),)),)),
        ("<T><D><K>1</K></D><D><K>2</K></D></T>", (("D", (("K", "1"),)), ("D", (("K", "2"),)))),
        ('<T><A x="1">a &lt; b<!-- no --></A></T>', (("A", "a < b"),)),
    ],
)
def test_xml_is_read(text: str, attributes: tuple[Attribute, ...]) -> None:
    assert parse(text).attributes == attributes


BILLION_LAUGHS = """<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><T><A>&c;</A></T>"""
EXTERNAL = '<!DOCTYPE T [<!ENTITY x SYSTEM "file:///etc/passwd">]><T><A>&x;</A></T>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BILLION_LAUGHS, "without a DOCTYPE"),
        (EXTERNAL, "without a DOCTYPE"),
        ("<T><A>&x;</A></T>", "undefined entity"),
        ("<T><A>1</T>", "mismatched tag"),
        ("<T><A>1</A>", "no element found"),
        ("<", "line 1, column"),
        ("<T><A><B><C>1</C></B></A></T>", "nested too deeply"),
        ("<T>" * 100_000, "nested too deeply"),
        ("<T>text<A>1</A></T>", "stands beside elements"),
        ("<T><D><K>1</K>text</D></T>", "stands beside elements"),
        ("<T><a:b>1</a:b></T>", "is not a name"),
        ("<T><A>&#1;</A></T>", "invalid character"),
        ("<T><A>x]]&gt;y</A></T>", "holds ]]>"),
        ("<T>" + "<A/>" * 4097 + "</T>", "more than 4096"),
        ("<T><D>" + "".join(f"<A{i}/>" for i in range(4097)) + "</D></T>", "more than 4096"),
    ],
)
def test_bad_and_hostile_xml_is_refused(text: str, message: str) -> None:
    assert message in refusal(text)


def test_size_is_bounded() -> None:
    assert "limit is 1 MiB" in refusal('A="' + "x" * (1 << 20) + '"')
    assert "limit is 1 MiB" in refusal('A="' + "ä" * (1 << 19) + '"')
    assert "more than 4096" in refusal("A=1\n" * 4097)
    assert "more than 4096" in refusal("D=[" + ",".join(f"K{i}=1" for i in range(4097)) + "]")
    assert len(parse("A=1\n" * 4096).attributes) == 4096


@pytest.mark.parametrize(
    "text",
    [
        'A="' + '\\"' * 300_000 + '"',
        'A="' + "\\" * 1_000_000 + 'x\\""',
        "A=" + " \n#\n" * 200_000,
        "A=" + "#" * 1_000_000,
        "[" * 1_000_000,
        "D=[" + "K=1," * 250_000,
    ],
)
def test_reading_takes_time_in_proportion_to_the_text(text: str) -> None:
    try:
        parse(text)
    except InvalidInput as error:
        assert len(str(error)) < 300


@given(TEMPLATES)
@example(Template((("A", "\\"), ("B", '\\\\"\\'), ("C", '"'), ("D", (("K", "a\\"),)))))
def test_what_is_written_reads_back_the_same(template: Template) -> None:
    assert parse(write(template)) == template


@given(TEMPLATES)
def test_json_reads_back_the_same(template: Template) -> None:
    assert msgspec.json.decode(msgspec.json.encode(template), type=Template) == template


@given(st.text() | SCRAPS)
def test_any_text_is_read_or_refused_and_what_is_read_can_be_written(text: str) -> None:
    try:
        template = parse(text)
    except InvalidInput:
        return
    assert parse(write(template)) == template


@given(st.text(alphabet="<>/AB&;![]x \n") | SCRAPS)
def test_any_xml_is_read_or_refused(text: str) -> None:
    try:
        template = parse("<T>" + text)
    except InvalidInput:
        return
    assert parse(write(template)) == template


def test_vectors_are_written_one_pair_a_line() -> None:
    template = Template((("N", 'a"b'), ("D", (("K", "1"), ("L", "2"))), ("E", ())))
    assert template.write() == dedent("""\
        N="a\\"b"
        D=[
          K="1",
          L="2" ]
        E=[ ]
        """)


SAMPLE = parse("NAME=x\nDISK=[A=1]\nCPU=1\nDISK=[A=2]\nCPU=2\nDISK=simple")


def test_lookups_find_the_first_of_the_kind_asked_for() -> None:
    assert SAMPLE.get("CPU") == "1"
    assert SAMPLE.get("DISK") == "simple"
    assert SAMPLE.get("NONE") is None
    assert SAMPLE.vector("DISK") == {"A": "1"}
    assert SAMPLE.vector("CPU") is None
    assert SAMPLE.vectors("DISK") == ({"A": "1"}, {"A": "2"})
    assert SAMPLE.has("NAME")
    assert not SAMPLE.has("name")


def test_a_replaced_attribute_stays_in_its_place_and_is_there_once() -> None:
    assert [name for name, _ in SAMPLE.replaced("CPU", "9").attributes] == [
        "NAME",
        "DISK",
        "CPU",
        "DISK",
        "DISK",
    ]
    assert SAMPLE.replaced("CPU", "9").get("CPU") == "9"
    assert SAMPLE.replaced("NEW", (("K", "v"),)).attributes[-1] == ("NEW", (("K", "v"),))


def test_an_appended_attribute_comes_last_and_hides_nothing() -> None:
    assert SAMPLE.appended("CPU", "3").get("CPU") == "1"
    assert SAMPLE.appended("CPU", "3").attributes[-1] == ("CPU", "3")


def test_without_drops_all_of_a_name() -> None:
    assert SAMPLE.without({"DISK", "CPU"}) == Template((("NAME", "x"),))


def test_merge_replaces_all_of_a_name_by_what_is_given() -> None:
    merged = merge(SAMPLE, parse("DISK=[A=3]\nNEW=1"))
    assert merged == parse("NAME=x CPU=1 CPU=2 DISK=[A=3] NEW=1")


@given(TEMPLATES, TEMPLATES)
def test_merge_keeps_the_rest_of_the_base(base: Template, extra: Template) -> None:
    given_names = {name for name, _ in extra.attributes}
    known, others = split(merge(base, extra), given_names)
    assert known == extra
    assert others == base.without(given_names)
