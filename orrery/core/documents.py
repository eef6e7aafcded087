"""YAML text (JSON too, but for escaped surrogates) to plain values, and typed access to them.
Knows no format that is written in it.

Values are what they look like: numbers, true, false, null, and else text, as in YAML 1.2. Nothing
is a date, a sexagesimal number or a yes. Texts come from strangers: aliases and tags are refused,
size and depth bounded, and nothing here recurses.
"""

import math
import re
from collections.abc import Iterable

import yaml

from orrery.core.errors import InvalidInput

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

LENGTH_MAX = 16 << 20
EVENTS_MAX = 1_000_000
DEPTH_MAX = 20
WHOLE_MAX = 1 << 53

INT = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
CONSTANTS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C is ten times as fast; not every installation has it."""


def read_yaml(text: str) -> Value:
    """The one document of the text.

    Raises:
        InvalidInput: it is no YAML, or not of the plain kind, with the line.
    """
    if len(text) > LENGTH_MAX:
        raise InvalidInput("document", text, f"is too long: at most {LENGTH_MAX >> 20} MiB")
    builder = Builder()
    try:
        for number, event in enumerate(events_of(text)):
            if number > EVENTS_MAX:
                raise refusal(event, "", f"has more than {EVENTS_MAX} parts: split the document")
            builder.take(event)
    except yaml.YAMLError as error:
        raise InvalidInput("document", "", f"is no YAML: {one_line(error)}") from error
    except (UnicodeError, ValueError) as error:  # the library's own, for impossible escapes
        raise InvalidInput("document", "", f"is no YAML: {error}") from error
    return builder.frames[0][0] if builder.frames[0] else None


def events_of(text: str) -> Iterable[yaml.Event]:
    return yaml.parse(text, Loader=LOADER)  # type: ignore[no-any-return, no-untyped-call, unused-ignore]


class Builder:
    """Folds events into values. A mapping is a list of keys and values until it ends."""

    __slots__ = ("documents", "frames")

    def __init__(self) -> None:
        self.frames: list[list[Value]] = [[]]
        self.documents = 0

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            refuse_tag(event)
            self.frames[-1].append(
                scalar(event.value, plain=event.style is None or not event.style)
            )
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self.open(event)
        elif isinstance(event, yaml.SequenceEndEvent):
            closed = self.frames.pop()
            self.frames[-1].append(closed)
        elif isinstance(event, yaml.MappingEndEvent):
            pairs = self.frames.pop()
            self.frames[-1].append(mapping(pairs, event))
        elif isinstance(event, yaml.AliasEvent):
            raise refusal(event, event.anchor or "", "is an alias: write the value out")
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise refusal(event, "---", "begins a second document: give one")

    def open(self, event: "yaml.MappingStartEvent | yaml.SequenceStartEvent") -> None:
        refuse_tag(event)
        if len(self.frames) > DEPTH_MAX:
            raise refusal(event, "", f"is nested more than {DEPTH_MAX} deep: flatten it")
        self.frames.append([])


class Fields:
    """A mapping whose values are taken by name and type; `place` says where it stands."""

    __slots__ = ("place", "values")

    def __init__(self, value: Value, place: str, known: Iterable[str]) -> None:
        if not isinstance(value, dict):
            raise InvalidInput(place or "document", shown(value), "is no mapping: give names")
        self.values = value
        self.place = place
        for name in value.keys() - set(known):
            remedy = f"is not known here: use {', '.join(sorted(known))}"
            raise InvalidInput(place or "document", name, remedy)

    def at(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name

    def get(self, name: str) -> Value:
        return self.values.get(name)

    def refuse(self, name: str, remedy: str) -> InvalidInput:
        return InvalidInput(self.at(name), shown(self.get(name)), remedy)

    def text(self, name: str) -> str | None:
        """A number counts as the text it was."""
        value = self.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool | list | dict):
            raise self.refuse(name, "is no text: give one value")
        return str(value)

    def need(self, name: str) -> str:
        text = self.text(name)
        if text is None:
            raise InvalidInput(self.at(name), "", "is missing: give it")
        return text

    def whole(self, name: str, absent: int, *, least: int = 0, most: int = WHOLE_MAX) -> int:
        value = self.get(name)
        if value is None:
            return absent
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse(name, f"is no whole number from {least} to {most}")
        return value

    def number(self, name: str) -> float | None:
        value = self.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self.refuse(name, "is no number")
        return value

    def flag(self, name: str) -> bool | None:
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.refuse(name, "is neither true nor false")
        return value

    def items(self, name: str) -> list[tuple[str, Value]]:
        """The values of a list, each with its place; one value alone stands for a list of it."""
        value = self.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            return [(self.at(name), value)]
        return [(f"{self.at(name)}[{number}]", item) for number, item in enumerate(value)]

    def texts(self, name: str) -> tuple[tuple[str, str], ...]:
        """A mapping of names to texts, in its order."""
        if self.get(name) is None:
            return ()
        value = self.get(name)
        inner = Fields(value, self.at(name), value if isinstance(value, dict) else ())
        return tuple((key, inner.text(key) or "") for key in inner.values)


def shown(value: Value) -> str:
    """As short as a message needs it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else repr(value)[:100]


def scalar(text: str, *, plain: bool) -> Value:
    """Quoted is text, whatever it looks like."""
    if not plain:
        return text
    if text in CONSTANTS:
        return CONSTANTS[text]
    if INT.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def mapping(pairs: list[Value], event: yaml.Event) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if isinstance(key, list | dict) or key is None:
            raise refusal(event, str(key), "is no name: a mapping has names before its colons")
        name = key if isinstance(key, str) else str(key)
        if name in found:
            raise refusal(event, name, "is given twice in one mapping: keep one")
        found[name] = value
    return found


def refuse_tag(event: yaml.NodeEvent) -> None:
    tag = getattr(event, "tag", None)
    if tag not in (None, "!"):
        raise refusal(event, str(tag), "is a tag: give the plain value")


def refusal(event: yaml.Event, value: str, remedy: str) -> InvalidInput:
    mark = event.start_mark
    return InvalidInput(f"document, line {mark.line + 1 if mark else 0}", value, remedy)


def one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "not readable"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
