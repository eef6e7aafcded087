"""The XML-RPC codec of the engine and of its command line, against Python's own."""

import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orrery.api.xmlrpc_codec import (
    PARSE_ERROR,
    Call,
    Fault,
    Value,
    decode_call,
    encode_failure,
    encode_fault,
    encode_success,
    escape,
    success_from_fragments,
)
from orrery.cli import xmlrpc_wire as wire

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff").filter(
        lambda one: one >= " " or one in "\t\n\r"
    )
)
I4 = st.integers(-(1 << 31), (1 << 31) - 1)
I8 = st.integers(-(1 << 63), (1 << 63) - 1)
UNIX_TEXTS = TEXTS.filter(lambda text: "\r" not in text)
"""Python's client does not escape carriage returns, and a parser reads those as newlines."""
SENT: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | I4 | st.floats(allow_nan=False, allow_infinity=False) | UNIX_TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(UNIX_TEXTS, inner, max_size=4),
    max_leaves=15,
)


def tupled(value: Any) -> Any:
    """A value with arrays as the codec returns them."""
    if isinstance(value, list | tuple):
        return tuple(tupled(one) for one in value)
    if isinstance(value, dict):
        return {key: tupled(one) for key, one in value.items()}
    return value


def call(inside: str) -> bytes:
    return f"<methodCall><methodName>m</methodName>{inside}</methodCall>".encode()


def value(inside: str) -> bytes:
    return call(f"<params><param><value>{inside}</value></param></params>")


def decoded(inside: str) -> Value:
    return decode_call(value(inside)).params[0]


def refusal(body: bytes) -> str:
    with pytest.raises(Fault) as caught:
        decode_call(body)
    assert caught.value.code == PARSE_ERROR
    return caught.value.message


# --- calls ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("<int>-7</int>", -7),
        ("<i4> 7 </i4>", 7),
        ("<i4>+7</i4>", 7),
        ("<i8>9223372036854775807</i8>", (1 << 63) - 1),
        ("<boolean>1</boolean>", True),
        ("<boolean>0</boolean>", False),
        ("<string> a\n b </string>", " a\n b "),
        ("<string/>", ""),
        ("bare &amp; text", "bare & text"),
        ("", ""),
        ("  ", "  "),
        ("<![CDATA[<A>1</A>]]>", "<A>1</A>"),
        ("<double>-1.5e3</double>", -1500.0),
        ("<base64>\n aGk=\n</base64>", b"hi"),
        ("<nil/>", None),
        ("<array><data/></array>", ()),
        (
            "<array><data><value>a</value> <value><int>1</int></value></data></array>",
            ("a", 1),
        ),
        ("<struct/>", {}),
        (
            "<struct>\n<member><name>a b</name>\n<value><nil/></value></member></struct>",
            {"a b": None},
        ),
    ],
)
def test_each_type_is_decoded(inside: str, expected: Value) -> None:
    found = decoded(inside)
    assert found == expected
    assert type(found) is type(expected)


def test_a_call_may_have_no_params() -> None:
    assert decode_call(call("")) == Call("m", ())
    assert decode_call(call("<params/>")) == Call("m", ())
    assert decode_call(b'<?xml version="1.0"?>\n' + call("\n<params>\n</params>\n")) == Call(
        "m", ()
    )


@given(st.lists(SENT, max_size=4))
def test_calls_of_the_standard_library_are_decoded(params: list[Any]) -> None:
    body = xmlrpc.client.dumps(tuple(params), "one.vm.info", allow_none=True).encode()
    assert decode_call(body) == Call("one.vm.info", tupled(params))


def test_binary_of_the_standard_library_is_decoded() -> None:
    body = xmlrpc.client.dumps((xmlrpc.client.Binary(bytes(range(256))),), "m").encode()
    assert decode_call(body).params == (bytes(range(256)),)


ARGUMENTS: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | I8 | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=15,
)


@given(st.lists(ARGUMENTS, max_size=4))
@example(["a\rb\r\nc", "<&>]]>", 1 << 40, True, [1, [2]]])
def test_calls_of_the_command_line_are_decoded(params: list[Any]) -> None:
    body = wire.encode_call("one.vm.info", params)
    assert decode_call(body) == Call("one.vm.info", tupled(params))
    newer, method = xmlrpc.client.loads(body)
    assert method == "one.vm.info"
    assert list(newer) == params


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not XML"),
        (b"POST", "not XML"),
        (b"<methodCall>", "not XML"),
        (b"<methodCall/>", "one methodName"),
        (b"<methodResponse/>", "<methodResponse> is not allowed in a call"),
        (b"<methodCall><params/></methodCall>", "one methodName"),
        (b"<methodCall><methodName/></methodCall>", "'' is not a method's name"),
        (b"<methodCall><methodName>a b</methodName></methodCall>", "is not a method's name"),
        (call("<params/><params/>"), "one methodName"),
        (call("<methodName>n</methodName>"), "one methodName"),
        (call("text"), "text 'text' is not allowed in <methodCall>"),
        (call("<params><value/></params>"), "<value> is not allowed in <params>"),
        (call("<params><param/></params>"), "exactly one thing"),
        (call("<params><param><value/><value/></param></params>"), "exactly one thing"),
        (value("<int>1</int><int>2</int>"), "exactly one thing"),
        (value("<int>1</int>text"), "text 'text' is not allowed in <value>"),
        (value("text<int>1</int>"), "text 'text' is not allowed in <value>"),
        (value("<int></int>"), "not a whole number"),
        (value("<int>1_0</int>"), "not a whole number"),
        (value("<int>1.0</int>"), "not a whole number"),
        (value("<int>٣</int>"), "not a whole number"),
        (value("<int>2147483648</int>"), "does not fit"),
        (value("<i8>9223372036854775808</i8>"), "does not fit"),
        (value(f"<i8>{'9' * 5000}</i8>"), "not a whole number"),
        (value("<int><int>1</int></int>"), "<int> is not allowed in <int>"),
        (value("<boolean>true</boolean>"), "neither 0 nor 1"),
        (value("<double>nan</double>"), "not a finite number"),
        (value("<double>1e999</double>"), "not a finite number"),
        (value("<base64>a</base64>"), "not base64"),
        (value("<base64>é</base64>"), "not base64"),
        (value("<nil>x</nil>"), "not allowed in <nil>"),
        (value("<dateTime.iso8601>x</dateTime.iso8601>"), "<dateTime.iso8601> is not allowed"),
        (value("<array/>"), "exactly one thing"),
        (value("<struct><member><name>a</name></member></struct>"), "a name and a value"),
        (value("<struct><member><value/><name>a</name></member></struct>"), "a name and a value"),
        (
            value("<struct><member><name>a</name><name>b</name></member></struct>"),
            "a name and a value",
        ),
        (
            value("<struct>" + "<member><name>a</name><value/></member>" * 2 + "</struct>"),
            "a name twice",
        ),
        (value("<string>\x00</string>"), "not XML"),
        (value("<string>\x01</string>"), "not XML"),
        (value("<string>&#1;</string>"), "not XML"),
        (value("<string>&#0;</string>"), "not XML"),
        (value("<string>X</string>").replace(b"X", b"\xff\xfe"), "not XML"),
        (value("<string>X</string>").replace(b"X", b"\xed\xa0\x80"), "not XML"),
        (value("<string>&x;</string>"), "not XML"),
        (b'<?xml version="1.0" encoding="UTF-16"?>' + value("X").replace(b"X", b"\xe4"), "not XML"),
    ],
)
def test_what_is_no_call_is_refused_as_a_parse_error(body: bytes, message: str) -> None:
    assert message in refusal(body)


LAUGHS = b"""<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]>"""


@pytest.mark.parametrize(
    "doctype",
    [
        LAUGHS,
        b'<!DOCTYPE x [<!ENTITY d SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">',
        b"<!DOCTYPE x>",
    ],
)
def test_a_doctype_is_refused_on_both_sides(doctype: bytes) -> None:
    assert "DOCTYPE is not accepted" in refusal(doctype + value("<string>&d;</string>"))
    with pytest.raises(wire.WireError, match="DOCTYPE"):
        wire.decode_response(doctype + encode_success("x"))


def nested(depth: int) -> str:
    return "<array><data><value>" * depth + "<int>1</int>" + "</value></data></array>" * depth


def test_nesting_is_bounded() -> None:
    found = decoded(nested(20))
    for _ in range(20):
        assert isinstance(found, tuple)
        (found,) = found
    assert found == 1
    assert "more than 20 deep" in refusal(value(nested(21)))
    assert "more than 20 deep" in refusal(value(nested(100_000)))


def test_elements_are_bounded() -> None:
    many = "<value/>" * 100_000
    assert "more than 100000 elements" in refusal(value(f"<array><data>{many}</data></array>"))


def test_ten_megabytes_are_decoded() -> None:
    text = "x<&>\n" * (2 << 20)
    body = value(f"<string>{escape(text)}</string>")
    assert decode_call(body).params == (text,)


@given(st.binary() | st.text(alphabet="<>/&;![]valueint1 \n").map(str.encode))
def test_any_body_is_decoded_or_a_fault(body: bytes) -> None:
    for whole in (body, value("X").replace(b"X", body)):
        try:
            decode_call(whole)
        except Fault as fault:
            assert fault.code == PARSE_ERROR


@given(st.binary() | st.text(alphabet="<>/&;![]valueint1 \n").map(str.encode))
def test_any_answer_is_decoded_or_an_error(body: bytes) -> None:
    whole = encode_success("X").replace(b"<string>X</string>", body)
    for one in (body, whole):
        try:
            wire.decode_response(one)
        except wire.WireError as error:
            assert str(error)


# --- answers --------------------------------------------------------------------------------------


def standard(body: bytes) -> Any:
    (found,), method = xmlrpc.client.loads(body)
    assert method is None
    return found


DECODERS = pytest.mark.parametrize("decode", [standard, wire.decode_response])


@DECODERS
@given(sent=st.booleans() | I8 | TEXTS.filter(bool))
@example(sent="a\rb\r\nc]]>")
def test_a_success_is_true_value_zero(decode: Callable[[bytes], Any], sent: str | int) -> None:
    answer = decode(encode_success(sent))
    assert answer == [True, sent, 0]
    assert type(answer[1]) is type(sent)


@DECODERS
@given(message=TEXTS.filter(bool), object_id=st.none() | I4)
def test_a_failure_has_five_elements(
    decode: Callable[[bytes], Any], message: str, object_id: int | None
) -> None:
    answer = decode(encode_failure(message, 1024, object_id))
    assert answer == [False, message, 1024, -1 if object_id is None else object_id, -1]
    assert answer[0] is False


def test_a_fault_raises_at_the_client() -> None:
    body = encode_fault(-506, "Method 'x' <not> defined")
    with pytest.raises(xmlrpc.client.Fault) as standard_fault:
        xmlrpc.client.loads(body)
    assert standard_fault.value.faultCode == -506
    assert standard_fault.value.faultString == "Method 'x' <not> defined"
    with pytest.raises(wire.Fault) as ours:
        wire.decode_response(body)
    assert (ours.value.code, ours.value.message) == (-506, "Method 'x' <not> defined")


def test_an_empty_text_is_sent_as_a_blank() -> None:
    assert standard(encode_success("")) == [True, " ", 0]
    assert standard(success_from_fragments([])) == [True, " ", 0]
    assert standard(encode_failure("", 512))[:2] == [False, " "]


@given(st.lists(TEXTS))
def test_fragments_make_the_same_answer_as_the_whole_text(parts: list[str]) -> None:
    pieces = [escape(part).encode() for part in parts]
    assert success_from_fragments(pieces) == encode_success("".join(parts))


@given(st.text(st.characters()))
@example("\x00\x08\x0b\x1f\ud800\ufffe\uffff")
def test_what_xml_cannot_carry_is_replaced(text: str) -> None:
    answer = standard(encode_success("x" + text))[1]
    replaced = wire.UNFIT_FOR_XML.sub("\ufffd", text)
    assert answer == "x" + replaced
    assert decode_call(wire.encode_call("m", [text])).params == (replaced,)


def test_an_answer_of_the_standard_library_is_read_by_the_command_line() -> None:
    sent = [True, {"a": [1, 2.5, None]}, ""]
    body = xmlrpc.client.dumps((sent,), methodresponse=True, allow_none=True).encode()
    assert wire.decode_response(body) == sent


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"<html/>",
        b"<methodResponse/>",
        b"\xff",
        call(""),
        b"<methodResponse>" * 999,
    ],
)
def test_what_is_no_answer_is_an_error_of_the_wire(body: bytes) -> None:
    with pytest.raises(wire.WireError, match="not XML-RPC"):
        wire.decode_response(body)
