"""Pieces of XML as strings: values escaped, free values in CDATA. Knows no kind of object."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from orrery.core.template import Pairs, Template

ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot carry, not even escaped."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

Order = Callable[[str], object]


def text(value: str) -> str:
    """Character data outside of CDATA."""
    if ILLEGAL.search(value):
        value = ILLEGAL.sub("\ufffd", value)
    if "&" in value or "<" in value or ">" in value:
        return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return value


def cdata(value: str) -> str:
    """A free value, whatever is in it."""
    if ILLEGAL.search(value):
        value = ILLEGAL.sub("\ufffd", value)
    if "]]>" in value:
        value = value.replace("]]>", "]]]]><![CDATA[>")
    return f"<![CDATA[{value}]]>"


@lru_cache(maxsize=4096)
def tag(name: str) -> str:
    """The element name for an attribute: names that XML does not allow are made so."""
    if NAME.fullmatch(name):
        return name
    return "_" + re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def free(name: str, value: str) -> str:
    element = tag(name)
    return f"<{element}>{cdata(value)}</{element}>"


def vector(name: str, pairs: Iterable[tuple[str, str]]) -> str:
    inside = "".join([free(key, value) for key, value in pairs])
    element = tag(name)
    return f"<{element}>{inside}</{element}>" if inside else f"<{element}/>"


def wrapped(name: str, inside: str) -> str:
    return f"<{name}>{inside}</{name}>" if inside else f"<{name}/>"


def attributes(template: Template, order: Order | None = None) -> str:
    """A template's content, by attribute name as OpenNebula emits it (repeated ones in their
    order).
    """
    return "".join(attribute_list(template.attributes, order))


def attribute_list(
    given: Iterable[tuple[str, str | Pairs]], order: Order | None = None
) -> list[str]:
    def key(item: tuple[str, str | Pairs]) -> object:
        return item[0] if order is None else order(item[0])

    return [
        free(name, value) if isinstance(value, str) else vector(name, value)
        for name, value in sorted(given, key=key)  # type: ignore[arg-type] # any one order compares
    ]


def ids(name: str, numbers: Iterable[int]) -> str:
    return wrapped(name, "".join([f"<ID>{number}</ID>" for number in numbers]))


def sorted_pairs(values: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(values.items())


@lru_cache(maxsize=512)
def permissions(bits: int) -> str:
    """Nine elements, cached by value."""
    names = [f"{who}_{right}" for who in ("OWNER", "GROUP", "OTHER") for right in "UMA"]
    inside = "".join(
        f"<{name}>{bits >> (8 - place) & 1}</{name}>" for place, name in enumerate(names)
    )
    return f"<PERMISSIONS>{inside}</PERMISSIONS>"


def owned(oid: int, uid: int, gid: int, uname: str, gname: str, name: str) -> str:
    """The elements that every owned object begins with."""
    return (
        f"<ID>{oid}</ID><UID>{uid}</UID><GID>{gid}</GID><UNAME>{text(uname)}</UNAME>"
        f"<GNAME>{text(gname)}</GNAME><NAME>{text(name)}</NAME>"
    )


def seconds(at: float | None) -> int:
    """OpenNebula writes 0 for a time that has not come."""
    return 0 if at is None else int(at)


def yes(flag: object) -> str:
    return "YES" if flag else "NO"
