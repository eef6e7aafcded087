"""What the code knows is on its page of the reference: every method, attribute and noun."""

from pathlib import Path

import pytest

from orrery.api.xmlrpc.dispatch import KNOWN, METHODS
from orrery.cli.program import NOUNS
from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.core.vm_attributes import CHECKS
from orrery.core.vm_template import KNOWN as ATTRIBUTES
from orrery.core.vm_template import RESTRICTED
from orrery.service.lease_attribute import KEYS

REFERENCE = Path(__file__).resolve().parent.parent / "docs/reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_is_on_the_page_as_available(name: str) -> None:
    available, _, _ = page("api.md").partition("#### Not yet")
    assert f"`{name}`" in available


@pytest.mark.parametrize("name", sorted(KNOWN.keys() - METHODS.keys()))
def test_a_method_that_is_not_there_is_on_the_page_as_not_yet(name: str) -> None:
    _, _, later = page("api.md").partition("#### Not yet")
    prefix, _, verb = name.rpartition(".")
    row = next(line for line in later.splitlines() if line.startswith(f"| `{prefix}` |"))
    assert verb in row.split("|")[2].replace(",", " ").split()


def test_every_attribute_of_a_vm_is_on_the_page() -> None:
    names = {*ATTRIBUTES, *RESTRICTED, *("/".join(pair) for pair in CHECKS)}
    parts = {part for name in names for part in name.split("/")}
    text = page("templates.md")
    assert {one for one in parts if one not in text} == set()


def test_every_noun_is_on_the_page() -> None:
    assert [noun for noun in NOUNS if f"`orrery {noun}`" not in page("cli.md")] == []


def test_kinds_states_and_keys_of_leases_are_on_their_pages() -> None:
    text = page("leases.md")
    assert [kind for kind in LeaseKind if f"| {kind.value} |" not in text] == []
    assert [key for key in KEYS if f"| `{key}` |" not in text] == []
    states = (REFERENCE.parent / "states/lease.md").read_text()
    assert [status for status in LeaseStatus if f"| `{status.name}` |" not in states] == []
