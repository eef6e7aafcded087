"""XML from strangers to small elements that know their line. Knows no format.

No DOCTYPE, and so no entities; depth and number of elements bounded. Elements of one chosen name
are handed over as they close and not kept, so that long files need little memory.
"""

from collections.abc import Callable
from typing import NoReturn
from xml.parsers import expat

from msgspec import Struct

from orrery.core.errors import InvalidInput

DEPTH_MAX = 20
ELEMENTS_MAX = 20_000_000
TEXT_MAX = 100_000


class Element(Struct):
    """One element; `line` is where it begins."""

    tag: str
    attributes: dict[str, str]
    line: int
    children: list["Element"]
    text: str = ""

    def child(self, tag: str) -> "Element | None":
        found = self.all(tag)
        if len(found) > 1:
            raise found[1].refuse("", f"is the second in <{self.tag}>: give one")
        return found[0] if found else None

    def need(self, tag: str) -> "Element":
        found = self.child(tag)
        if found is None:
            raise self.refuse("", f"holds no <{tag}>: give one")
        return found

    def all(self, tag: str) -> list["Element"]:
        return [child for child in self.children if child.tag == tag]

    def attribute(self, name: str) -> str:
        value = self.attributes.get(name)
        if value is None:
            raise self.refuse("", f"has no attribute {name}: give it")
        return value

    def refuse(self, value: str, remedy: str, name: str = "") -> InvalidInput:
        """An error at this element, or at one of its attributes."""
        where = f"<{self.tag} {name}>" if name else f"<{self.tag}>"
        return InvalidInput(f"line {self.line}, {where}", value, remedy)


def read_xml(data: bytes, each: str = "", take: Callable[[Element], None] | None = None) -> Element:
    """The root. Elements named `each` are given to `take` instead of to their parents.

    Raises:
        InvalidInput: it is no XML in this sense, or `take` raised it.
    """
    builder = Builder(each, take)
    parser = builder.parser
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = builder.refuse_doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InvalidInput("file", "", f"is not XML: {error}") from error
    except (LookupError, ValueError) as error:  # an encoding that there is not
        raise InvalidInput("file", "", f"is not XML in UTF-8: {error}") from error
    assert builder.root is not None, "expat accepts no document without a root"
    return builder.root


class Builder:
    """Keeps the open elements."""

    __slots__ = ("count", "each", "open", "parser", "root", "take")

    def __init__(self, each: str, take: Callable[[Element], None] | None) -> None:
        self.parser = expat.ParserCreate()
        self.each = each
        self.take = take
        self.open: list[Element] = []
        self.root: Element | None = None
        self.count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, self.parser.CurrentLineNumber, [])
        self.count += 1
        if self.count > ELEMENTS_MAX:
            raise element.refuse("", f"is over {ELEMENTS_MAX} elements: split the file")
        if len(self.open) >= DEPTH_MAX:
            raise element.refuse("", f"is nested more than {DEPTH_MAX} deep")
        self.open.append(element)

    def end(self, _: str) -> None:
        element = self.open.pop()
        if self.take is not None and element.tag == self.each:
            self.take(element)
        elif self.open:
            self.open[-1].children.append(element)
        if not self.open:
            self.root = element

    def characters(self, text: str) -> None:
        element = self.open[-1]
        if len(element.text) < TEXT_MAX:
            element.text += text

    def refuse_doctype(self, *_: object) -> NoReturn:
        line = self.parser.CurrentLineNumber
        raise InvalidInput(f"line {line}", "<!DOCTYPE", "is not accepted: take it out")
