"""The short way to read a call gives what the parser gives, or nothing."""

import xmlrpc.client
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.api.xmlrpc.plain_call import plain_call, read_call
from orrery.api.xmlrpc_codec import Fault, decode_call

SCALARS = st.one_of(
    st.text(max_size=20),
    st.integers(-(2**31), 2**31 - 1),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(0, 9), max_size=3),
)
PIECES = st.sampled_from(
    [
        b"<?xml version='1.0'?>",
        b"<?xml version='1.0' encoding='latin-1'?>",
        b"\n",
        b" ",
        b"\r",
        b"<methodCall>",
        b"</methodCall>",
        b"<methodName>",
        b"</methodName>",
        b"one.vm.info",
        b"<params>",
        b"</params>",
        b"<param>",
        b"</param>",
        b"<value>",
        b"</value>",
        b"<string>",
        b"</string>",
        b"<int>",
        b"</int>",
        b"<i4>7</i4>",
        b"<boolean>1</boolean>",
        b"<boolean>2</boolean>",
        b"99999999999",
        b"12",
        b"&lt;",
        b"]]>",
        b"<!-- -->",
        b"\xc3\xa9",
        b"\x01",
    ]
)


def parsed(body: bytes) -> object:
    try:
        return decode_call(body)
    except Fault:
        return None


@given(st.lists(SCALARS, max_size=5))
def test_reads_what_a_client_library_sends(values: list[Any]) -> None:
    text = xmlrpc.client.dumps(tuple(values), "one.vm.info")
    body = text.encode("utf-8", "surrogatepass")
    found = plain_call(body)
    assert found is None or found == parsed(body)


@given(st.lists(PIECES, max_size=25).map(b"".join))
def test_never_reads_what_the_parser_refuses_or_reads_otherwise(body: bytes) -> None:
    found = plain_call(body)
    assert found is None or found == parsed(body)


HEAD = b"<?xml version='1.0'?>\n<methodCall><methodName>one.vm.info</methodName><params>"
PARAM = b"<param><value><string>a:b</string></value></param>"
TAIL = b"</params></methodCall>\n"


@given(st.lists(PIECES, max_size=4).map(b"".join), st.integers(0, 200))
def test_a_call_with_something_put_into_it_is_read_alike_or_left(extra: bytes, at: int) -> None:
    whole = HEAD + PARAM + PARAM + TAIL
    body = whole[:at] + extra + whole[at:]
    found = plain_call(body)
    assert found is None or found == parsed(body)


def test_takes_the_short_way_for_flat_calls() -> None:
    body = xmlrpc.client.dumps(("oneadmin:x", 5, True, 'NAME="a"\nCPU=1'), "one.vm.info").encode()
    assert plain_call(body) == decode_call(body)


@pytest.mark.parametrize("number", ["2147483648", "-2147483649", "9999999999"])
def test_leaves_numbers_that_do_not_fit(number: str) -> None:
    param = f"<param><value><i4>{number}</i4></value></param>".encode()
    assert plain_call(HEAD + param + TAIL) is None
    with pytest.raises(Fault):
        read_call(HEAD + param + TAIL)
