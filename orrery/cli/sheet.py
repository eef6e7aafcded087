"""The pieces of which `show` sheets and columns are made. Knows no engine."""

from collections.abc import Callable
from xml.etree.ElementTree import Element

from orrery.cli import screen, tree
from orrery.cli.table import Column


def heading(title: str) -> str:
    return screen.painted(title, "bold")


def field(name: str, text: str) -> str:
    return f"{name:<20}: {text}"


def opening(title: str, element: Element) -> list[str]:
    """How the sheet of every owned object begins."""
    number = tree.value(element, "ID")
    return [
        heading(f"{title} {number} INFORMATION"),
        field("ID", number),
        field("NAME", tree.value(element, "NAME")),
        field("USER", tree.value(element, "UNAME")),
        field("GROUP", tree.value(element, "GNAME")),
    ]


def clusters(element: Element) -> str:
    """The clusters it belongs to, in a column as on a sheet."""
    return ",".join(map(str, tree.ids(element, "CLUSTERS")))


def template_section(element: Element, tag: str, title: str) -> list[str]:
    """The free part of an object, when there is any."""
    found = element.find(tag)
    if found is None or len(found) == 0:
        return []
    return ["", heading(title), tree.template_text(found)]


def permissions(element: Element) -> list[str]:
    """um- for owner, group and other."""
    if element.find("PERMISSIONS") is None:
        return []
    return ["", heading("PERMISSIONS")] + [
        field(
            who,
            "".join(
                letter if tree.value(element, f"PERMISSIONS/{who}_{letter.upper()}") == "1" else "-"
                for letter in "uma"
            ),
        )
        for who in ("OWNER", "GROUP", "OTHER")
    ]


def text_of(path: str) -> Callable[[Element], str]:
    """A column that is one value of the XML."""
    return lambda element: tree.value(element, path)


def common_columns(*, name_about: str = "Its name") -> tuple[Column, ...]:
    """ID, owner, group and name: how every table of owned objects begins."""
    return (
        Column("ID", text_of("ID"), "Its number", right=True),
        Column("USER", text_of("UNAME"), "Its owner"),
        Column("GROUP", text_of("GNAME"), "Its group"),
        Column("NAME", text_of("NAME"), name_about, shrinks=True),
    )
