"""The attribute language: templates are parsed, looked into, merged and written. Pure values.

The grammar is OpenNebula's: `NAME = value`, `NAME = [ KEY = value, ... ]`, double quotes with `\\"`, `#` comments;
a text that begins with `<` is XML with one root element.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn
from xml.parsers import expat

from msgspec import Struct

from orrery.core.errors import InvalidInput

Pairs = tuple[tuple[str, str], ...]
Attribute = tuple[str, str | Pairs]

MAX_TEXT = 1 << 20
MAX_ATTRIBUTES = 4096
MAX_DEPTH = 4


class Template(Struct, frozen=True, array_like=True):
    """Attributes in order: (NAME, text) or (NAME, pairs). Names and keys are upper case; names may repeat."""

    attributes: tuple[Attribute, ...] = ()

    def get(self, name: str) -> str | None:
        """The first simple value of that name."""
        for key, value in self.attributes:
            if key == name and isinstance(value, str):
                return value
        return None

    def vector(self, name: str) -> Mapping[str, str] | None:
        """The first vector of that name."""
        return next(iter(self._vectors(name)), None)

    def vectors(self, name: str) -> tuple[Mapping[str, str], ...]:
        """All vectors of that name, in order."""
        return tuple(self._vectors(name))

    def _vectors(self, name: str) -> Iterator[Mapping[str, str]]:
        for key, value in self.attributes:
            if key == name and not isinstance(value, str):
                yield dict(value)

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.attributes)

    def without(self, names: Iterable[str]) -> "Template":
        """All but the attributes of those names; the same object when there are none."""
        gone = frozenset(names)
        kept = tuple(a for a in self.attributes if a[0] not in gone)
        return self if len(kept) == len(self.attributes) else Template(kept)

    def replaced(self, name: str, value: str | Pairs) -> "Template":
        """With that attribute instead of all of its name, in the place of the first."""
        fresh: list[Attribute] = []
        done = False
        for attribute in self.attributes:
            if attribute[0] != name:
                fresh.append(attribute)
            elif not done:
                fresh.append((name, value))
                done = True
        return Template((*fresh,) if done else (*fresh, (name, value)))

    def appended(self, name: str, value: str | Pairs) -> "Template":
        return Template((*self.attributes, (name, value)))


EMPTY = Template()


def merge(base: Template, extra: Template) -> Template:
    """OpenNebula's append: what `extra` names replaces all of that name in `base`."""
    return Template(
        (*base.without({name for name, _ in extra.attributes}).attributes, *extra.attributes)
    )


def split(template: Template, names: Iterable[str]) -> tuple[Template, Template]:
    """(attributes of those names, the others)."""
    wanted = frozenset(names)
    known = tuple(a for a in template.attributes if a[0] in wanted)
    return Template(known), template.without(wanted)


# --- text -----------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+|\#[^\n]*)
      |(?P<punct>[=\[\],])
      |"(?P<quoted>(?:[^"\\]|\\.)*)"
      |(?P<bare>[^\s=\[\],"\#]+)""",
    re.VERBOSE | re.DOTALL,
)
NAME = re.compile(r"[A-Za-z0-9_]+\Z", re.ASCII)
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def parse(text: str) -> Template:
    """The template a text spells, as attribute language or XML.

    Raises:
        InvalidInput: with line and column, and what was expected there.
    """
    if len(text) > MAX_TEXT:
        raise InvalidInput(
            "template", f"{len(text)} characters", f"is too long: at most {MAX_TEXT}"
        )
    bad = FORBIDDEN.search(text)
    if bad:
        raise InvalidInput(
            "template", repr(bad[0]), f"is a control character, at {place(text, bad.start())}"
        )
    if text.lstrip()[:1] == "<":
        return _XmlReader().read(text)
    return _Reader(text).read()


def place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"line {line}, column {position - text.rfind(chr(10), 0, position)}"


class _Reader:
    """One pass over the tokens; `self.kind` and `self.value` are those of the present one."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._start = 0
        self.kind = ""
        self.value = ""
        self._next()

    def read(self) -> Template:
        attributes: list[Attribute] = []
        while self.kind:
            attributes.append(self._attribute())
            if len(attributes) > MAX_ATTRIBUTES:
                self._fail(f"end of text: at most {MAX_ATTRIBUTES} attributes")
        return Template(tuple(attributes))

    def _attribute(self) -> Attribute:
        name = self._name("an attribute name")
        self._expect("=")
        if self.value == "[" and self.kind == "punct":
            self._next()
            return name, self._pairs()
        return name, self._value(empty_allowed=True, name=name)

    def _pairs(self) -> Pairs:
        pairs: dict[str, str] = {}
        while not (self.kind == "punct" and self.value == "]"):
            key = self._name("a key or ]")
            self._expect("=")
            value = self._value(empty_allowed=False, name=key)
            pairs.setdefault(key, value)
            if self.kind == "punct" and self.value == ",":
                self._next()
            elif not (self.kind == "punct" and self.value == "]"):
                self._fail(", or ]")
        self._next()
        return tuple(pairs.items())

    def _name(self, expected: str) -> str:
        if self.kind != "bare" or not NAME.match(self.value):
            self._fail(expected + " of letters, digits and _")
        name = self.value.upper()
        self._next()
        return name

    def _expect(self, mark: str) -> None:
        if self.kind != "punct" or self.value != mark:
            self._fail(mark)
        self._next()

    def _value(self, *, empty_allowed: bool, name: str) -> str:
        if self.kind in ("quoted", "bare"):
            value = self.value.replace('\\"', '"') if self.kind == "quoted" else self.value
            if "]]>" in value:
                raise InvalidInput(name, value, 'contains "]]>", which cannot be kept in XML')
            self._next()
            return value
        self._fail(f"a value for {name}" + (" or [" if empty_allowed else ""))

    def _next(self) -> None:
        while True:
            self._start = self._position
            match = TOKEN.match(self._text, self._position)
            if match is None:
                if self._position < len(self._text):
                    self._fail('a closing "' if self._text[self._position] == '"' else "a token")
                self.kind = self.value = ""
                return
            self._position = match.end()
            if match.lastgroup != "blank":
                self.kind = match.lastgroup or ""
                self.value = match[self.kind]
                return

    def _fail(self, expected: str) -> NoReturn:
        found = self._text[self._start : self._start + 20].split("\n")[0] or "end of text"
        raise InvalidInput(
            "template", found, f"at {place(self._text, self._start)}: expected {expected}"
        )


class _XmlReader:
    """XML with one root; each child is an attribute, its children are pairs."""

    def __init__(self) -> None:
        self._attributes: list[Attribute] = []
        self._stack: list[str] = []
        self._pairs: dict[str, str] = {}
        self._text: list[str] = []

    def read(self, text: str) -> Template:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        try:
            parser.Parse(text.lstrip(), True)
        except expat.ExpatError as error:
            raise InvalidInput(
                "template", text.lstrip()[:40], f"is not well-formed XML: {error}"
            ) from None
        return Template(tuple(self._attributes))

    def _refuse_doctype(self, *_: object) -> None:
        raise InvalidInput("template", "<!DOCTYPE", "is not allowed in a template")

    def _start(self, name: str, _: object) -> None:
        if len(self._stack) >= MAX_DEPTH - 1:
            raise InvalidInput(
                "template", f"<{name}>", "is nested too deeply: ROOT, attribute, key"
            )
        if not NAME.match(name):
            raise InvalidInput(
                "template", f"<{name}>", "is no attribute name: letters, digits and _"
            )
        self._stack.append(name.upper())
        self._text.clear()

    def _end(self, _: str) -> None:
        name = self._stack.pop()
        text = "".join(self._text)
        self._text.clear()
        if "]]>" in text:
            raise InvalidInput(name, text, 'contains "]]>", which cannot be kept in XML')
        if len(self._stack) == 2:
            self._pairs.setdefault(name, text)
        elif len(self._stack) == 1:
            pairs, self._pairs = self._pairs, {}
            self._attributes.append((name, tuple(pairs.items()) if pairs else text))
            if len(self._attributes) > MAX_ATTRIBUTES:
                raise InvalidInput(
                    "template", name, f"is too much: at most {MAX_ATTRIBUTES} attributes"
                )


def write(template: Template) -> str:
    """The text form: `parse(write(t)) == t`."""
    lines = []
    for name, value in template.attributes:
        if isinstance(value, str):
            lines.append(f"{name}={quote(value)}")
        else:
            lines.append(f"{name}=[{', '.join(f'{key}={quote(text)}' for key, text in value)}]")
    return "\n".join(lines)


def quote(text: str) -> str:
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'
