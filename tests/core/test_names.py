"""Names: what templates, shells, terminals, XML and UTF-8 cannot stand is refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.errors import InvalidInput
from orrery.core.messages import ENGINE, AllocateUser, AllocateVm
from orrery.core.names import check_name, check_user_name
from orrery.core.template import Template
from orrery.store.schema import encode
from tests.core.refusals import refused
from tests.site import Site

ODD = [*"&|:\\\";/'#{}$<>", *map(chr, range(32)), "\x7f", "\x85", "\u2028", "\ud800", "\uffff"]


@pytest.mark.parametrize("odd", ODD, ids=lambda c: f"U+{ord(c):04X}")
def test_a_name_with_an_odd_character_is_refused_wherever_it_stands(odd: str) -> None:
    for name in (f"{odd}web", f"we{odd}b", f"web{odd}"):
        with pytest.raises(InvalidInput, match="NAME") as caught:
            check_name("NAME", name)
        assert caught.value.value == name


@pytest.mark.parametrize("odd", ["<", "\x00", "\ud800", "\uffff"], ids=lambda c: f"U+{ord(c):04X}")
def test_a_vm_with_an_odd_name_is_refused_as_a_whole(odd: str) -> None:
    site = Site().furnished()
    template = Template((("CPU", "1"), ("MEMORY", "512")))
    message = AllocateVm(cause="t", actor=ENGINE, template=template, hold=False, name=f"web{odd}")
    refused(site, message, InvalidInput, "NAME", "none of")


@pytest.mark.parametrize("name", ["", " ", "\u3000"], ids=["empty", "blank", "wide blank"])
def test_a_name_has_something_in_it(name: str) -> None:
    with pytest.raises(InvalidInput, match="give a name"):
        check_name("NAME", name)


def test_a_name_ends_at_128_characters() -> None:
    assert check_name("NAME", "x" * 128)
    with pytest.raises(InvalidInput, match="at most 128"):
        check_name("NAME", "x" * 129)


@pytest.mark.parametrize("name", ["web 1", "web.example", "höhe", "数据库", "a=b", "(x)", "-"])
def test_ordinary_names_are_taken_as_they_are(name: str) -> None:
    assert check_name("NAME", name) == name


@given(st.text(alphabet=st.characters(), max_size=140))
def test_whatever_passes_can_be_stored(name: str) -> None:
    try:
        check_name("NAME", name)
    except InvalidInput:
        return
    assert msgspec.json.decode(encode(name)) == name


@pytest.mark.parametrize("name", ["a b", "a\tb", "a\u00a0b", "a:b"])
def test_a_users_name_is_one_word(name: str) -> None:
    with pytest.raises(InvalidInput, match="NAME"):
        check_user_name(name)
    site = Site()
    message = AllocateUser(
        cause="t", actor=ENGINE, name=name, password_hash="x", auth_driver="core"
    )
    refused(site, message, InvalidInput, "NAME")
