"""The attribute language of templates: parse, query, merge, write. Knows no attribute by name.

    NAME = value                      # bare, or in double quotes with \\" for a quote inside
    NAME = [ KEY = value, KEY = "value" ]

A text that starts with `<` is XML instead: a root, attributes, and keys one level below.
"""

import re
from collections.abc import Iterable, Mapping
from xml.parsers import expat

from msgspec import Struct

from orrery.core.errors import InvalidInput

Pairs = tuple[tuple[str, str], ...]
Attribute = tuple[str, str | Pairs]

TEXT_BYTES_MAX = 1 << 20
ATTRIBUTES_MAX = 4096
"""Of one template, and keys of one vector."""

CDATA_END = "]]>"
UNFIT_FOR_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot carry, not even escaped."""
CONTROLS = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20)])


class Template(Struct, frozen=True, array_like=True):
    """Attributes in the order they were given. Names are in upper case and may come again."""

    attributes: tuple[Attribute, ...] = ()

    @staticmethod
    def parse(text: str) -> "Template":
        return parse(text)

    def write(self) -> str:
        return write(self)

    def get(self, name: str) -> str | None:
        """The first simple value of that name."""
        for key, value in self.attributes:
            if key == name and isinstance(value, str):
                return value
        return None

    def vector(self, name: str) -> Mapping[str, str] | None:
        """The first vector of that name."""
        for key, value in self.attributes:
            if key == name and not isinstance(value, str):
                return dict(value)
        return None

    def vectors(self, name: str) -> tuple[Mapping[str, str], ...]:
        return tuple(
            [
                dict(value)
                for key, value in self.attributes
                if key == name and not isinstance(value, str)
            ]
        )

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.attributes)

    def without(self, names: Iterable[str]) -> "Template":
        dropped = frozenset(names)
        return Template(tuple([one for one in self.attributes if one[0] not in dropped]))

    def replaced(self, name: str, value: str | Pairs) -> "Template":
        """One attribute of that name, where the first one was or else at the end."""
        kept: list[Attribute] = []
        fresh: list[Attribute] = [(name, value)]
        for one in self.attributes:
            if one[0] != name:
                kept.append(one)
            elif fresh:
                kept.append(fresh.pop())
        return Template((*kept, *fresh))

    def appended(self, name: str, value: str | Pairs) -> "Template":
        return Template((*self.attributes, (name, value)))


def parse(text: str) -> Template:
    """A template from text or XML.

    Raises:
        InvalidInput: with line and column, and what was expected there.
    """
    if len(text) > TEXT_BYTES_MAX or len(text.encode("utf-8", "replace")) > TEXT_BYTES_MAX:
        raise InvalidInput("template", text, "is too long: the limit is 1 MiB")
    if not fits_xml(text):
        unfit = UNFIT_FOR_XML.search(text)
        at = unfit.start() if unfit else 0
        raise wrong(text, at, "no control characters but tab and newline: remove this one")
    if text.lstrip(" \t\r\n").startswith("<"):
        return XmlReader().read(text)
    return parse_text(text)


def write(template: Template) -> str:
    """The text form, one attribute after the other: `parse` of it gives the same template."""
    lines: list[str] = []
    for name, value in template.attributes:
        if isinstance(value, str):
            lines.append(f"{name}={quoted(value)}\n")
        elif value:
            pairs = ",\n  ".join([f"{key}={quoted(one)}" for key, one in value])
            lines.append(f"{name}=[\n  {pairs} ]\n")
        else:
            lines.append(f"{name}=[ ]\n")
    return "".join(lines)


def merge(base: Template, extra: Template) -> Template:
    """An update in append mode: every name given in `extra` replaces all of that name in `base`."""
    kept = base.without([name for name, _ in extra.attributes])
    return Template(kept.attributes + extra.attributes)


def split(template: Template, names: Iterable[str]) -> tuple[Template, Template]:
    """The attributes with these names, and the others."""
    known = frozenset(names)
    return (
        Template(tuple([one for one in template.attributes if one[0] in known])),
        Template(tuple([one for one in template.attributes if one[0] not in known])),
    )


def fits_xml(text: str) -> bool:
    """Whether XML can carry every character: fast, as most texts can."""
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return False
    if len(raw.translate(None, CONTROLS)) != len(raw):
        return False
    return raw.isascii() or not (b"\xef\xbf\xbe" in raw or b"\xef\xbf\xbf" in raw)


# --- quoting ------------------------------------------------------------------------------------
# \" is a quote and every other backslash stands for itself. That leaves backslashes directly before
# a quote ambiguous; they count twice there, and only there, so that each value can be written.

BACKSLASHES_BEFORE_QUOTE = re.compile(r'(?<!\\)\\++(?="|\Z)')


def quoted(value: str) -> str:
    """A value in double quotes."""
    if "\\" in value:
        value = BACKSLASHES_BEFORE_QUOTE.sub(lambda run: run[0] * 2, value)
    escaped = value.replace('"', '\\"')
    return f'"{escaped}"'


def unquoted(raw: str) -> str:
    """What stood between the quotes, as the value it means."""
    if '\\"' not in raw and not raw.endswith("\\"):
        return raw
    return BACKSLASHES_BEFORE_QUOTE.sub(lambda run: run[0][: len(run[0]) // 2], raw)


# --- text ---------------------------------------------------------------------------------------

NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*+"
BARE = r'[^ \t\r\n=#,\[\]"][^ \t\r\n=#,\[\]]*+'
QUOTED = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
GAP = r"(?:[ \t\r\n]++|#[^\n]*+)*+"
REST_OF_LINE = r"[ \t\r]*+(?:#[^\n]*+)?(?:\n|\Z)"
VALUE = rf"{QUOTED}|({BARE})(?!{GAP}=)"

SKIP = re.compile(GAP)
WORD = re.compile(NAME)
PLAIN = re.compile(BARE)
STRING = re.compile(QUOTED, re.DOTALL)
ATTRIBUTE = re.compile(rf"{GAP}({NAME}){GAP}=(?:{GAP}(?:{VALUE}|(\[))|{REST_OF_LINE})", re.DOTALL)
"""Name, quoted value, bare value, opening bracket. No value at all on the line is an empty one."""
PAIR = re.compile(rf"{GAP}({NAME}){GAP}=(?:{GAP}(?:{VALUE})|{GAP}(?=[,\]])){GAP}([,\]])", re.DOTALL)
"""Key, quoted value, bare value, what follows."""
CLOSED = re.compile(rf"{GAP}\]")


def parse_text(text: str) -> Template:
    attributes: list[Attribute] = []
    at = 0
    while match := ATTRIBUTE.match(text, at):
        name, in_quotes, bare, bracket = match.groups()
        at = match.end()
        if bracket:
            pairs, at = parse_vector(text, at)
            attributes.append((name.upper(), pairs))
        else:
            attributes.append((name.upper(), unquoted(in_quotes) if in_quotes else bare or ""))
        if len(attributes) > ATTRIBUTES_MAX:
            raise too_many("template")
    at = past_gap(text, at)
    if at < len(text):
        raise wrong_attribute(text, at)
    if CDATA_END in text:
        refuse_cdata_end(attributes)
    return Template(tuple(attributes))


def parse_vector(text: str, at: int) -> tuple[Pairs, int]:
    """The pairs after an opening bracket, and where the text goes on."""
    if closed := CLOSED.match(text, at):
        return (), closed.end()
    pairs: dict[str, str] = {}
    while match := PAIR.match(text, at):
        key, in_quotes, bare, following = match.groups()
        pairs.setdefault(key.upper(), unquoted(in_quotes) if in_quotes else bare or "")
        at = match.end()
        if len(pairs) > ATTRIBUTES_MAX:
            raise too_many("vector")
        if following == "]":
            return tuple(pairs.items()), at
    raise wrong_pair(text, past_gap(text, at))


def past_gap(text: str, at: int) -> int:
    """Where blanks and comments end."""
    gap = SKIP.match(text, at)
    return gap.end() if gap else at


# --- what is wrong ------------------------------------------------------------------------------


def wrong(text: str, at: int, expected: str) -> InvalidInput:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    found = text[at : at + 40].partition("\n")[0] if at < len(text) else "end of text"
    return InvalidInput("template", found, f"at line {line}, column {column}: expected {expected}")


def too_many(where: str) -> InvalidInput:
    return InvalidInput(
        "template", where, f"holds more than {ATTRIBUTES_MAX} attributes: use fewer"
    )


def wrong_attribute(text: str, at: int) -> InvalidInput:
    found, at = wrong_before_value(text, at, "a name: letters, digits, _ . -")
    if found:
        return found
    return wrong(text, at, 'a value after "=": text in double quotes, one word, or [ KEY = value ]')


def wrong_pair(text: str, at: int) -> InvalidInput:
    found, at = wrong_before_value(text, at, 'the name of a key, or "]" to close the vector')
    if found:
        return found
    if text.startswith("[", at):
        return wrong(text, at, "a value: a vector cannot hold another one")
    value = STRING.match(text, at) or PLAIN.match(text, at)
    after = past_gap(text, value.end() if value else at)
    return wrong(text, after, '"," and the next key, or "]" to close the vector')


def wrong_before_value(text: str, at: int, name: str) -> tuple[InvalidInput | None, int]:
    """The first thing missing in `NAME = value`, or where the value begins."""
    word = WORD.match(text, at)
    if not word:
        return wrong(text, at, name), at
    equals = past_gap(text, word.end())
    if not text.startswith("=", equals):
        return wrong(text, equals, f'"=" after the name {word[0]}'), equals
    at = past_gap(text, equals + 1)
    if text.startswith('"', at) and not STRING.match(text, at):
        return wrong(text, at, "a closing quote for this one"), at
    bare = PLAIN.match(text, at)
    if bare and text.startswith("=", past_gap(text, bare.end())):
        return wrong(text, at, 'a value in double quotes, if "=" is a part of it'), at
    return None, at


def refuse_cdata_end(attributes: Iterable[Attribute]) -> None:
    for name, value in attributes:
        for one in (value,) if isinstance(value, str) else [text for _, text in value]:
            if CDATA_END in one:
                raise InvalidInput(name, one, f"holds {CDATA_END}: XML cannot carry it, change it")


# --- XML ----------------------------------------------------------------------------------------


class XmlReader:
    """A root, attributes below it, and keys below an attribute that is a vector."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[Attribute] = []
        self.pairs: dict[str, str] = {}
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.texts.append

    def read(self, text: str) -> Template:
        try:
            self.parser.Parse(text.strip(" \t\r\n").encode(), True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise self.wrong(reason, "is where it is not well-formed XML: correct it") from error
        refuse_cdata_end(self.attributes)
        return Template(tuple(self.attributes))

    def wrong(self, found: str, remedy: str) -> InvalidInput:
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        return InvalidInput(
            "template", found, f"at line {line}, column {column} of the XML {remedy}"
        )

    def doctype(self, name: str, *_: object) -> None:
        raise self.wrong(f"<!DOCTYPE {name}", "is refused: send the template without a DOCTYPE")

    def start(self, name: str, _: object) -> None:
        if len(self.names) > 2:
            raise self.wrong(f"<{name}>", "is nested too deeply: a vector holds only KEY and value")
        if self.names and not WORD.fullmatch(name):
            raise self.wrong(name, "is not a name: use letters, digits, _ . -")
        self.refuse_text()
        self.names.append(name.upper())

    def end(self, _: str) -> None:
        name = self.names.pop()
        if len(self.names) == 2:
            self.pairs.setdefault(name, self.taken_text())
        elif len(self.names) == 1 and self.pairs:
            self.refuse_text()
            self.attributes.append((name, tuple(self.pairs.items())))
            self.pairs.clear()
        elif len(self.names) == 1:
            self.attributes.append((name, self.taken_text()))
        else:
            self.refuse_text()
        if len(self.attributes) > ATTRIBUTES_MAX or len(self.pairs) > ATTRIBUTES_MAX:
            raise too_many("template")

    def taken_text(self) -> str:
        text = "".join(self.texts)
        self.texts.clear()
        return text

    def refuse_text(self) -> None:
        """Blanks between elements mean nothing; text there is a mistake."""
        text = self.taken_text()
        if text.strip(" \t\r\n"):
            raise self.wrong(text.strip(), "stands beside elements: put it into one of its own")
