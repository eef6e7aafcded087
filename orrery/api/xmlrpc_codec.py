"""XML-RPC bytes to calls and answers to bytes, in OpenNebula's envelope. Knows no method.

Documents come from strangers: UTF-8 only, no DOCTYPE, bounded in depth and in number of elements.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from math import isfinite
from xml.parsers import expat

from msgspec import Struct

from orrery.core.template import UNFIT_FOR_XML, fits_xml

Value = None | bool | int | float | str | bytes | tuple["Value", ...] | dict[str, "Value"]

WRONG_TYPE = -501
MISSING_PARAMETER = -502
PARSE_ERROR = -503
NO_SUCH_METHOD = -506

DEPTH_MAX = 20
"""Of arrays and structs in each other."""
ELEMENTS_MAX = 100_000
"""More would keep the event loop busy for too long."""


class Fault(Exception):
    """The call is not answerable: XML-RPC's way to refuse, below OpenNebula's envelope."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Call(Struct, frozen=True):
    """A decoded methodCall. Arrays are tuples, structs are dicts."""

    method: str
    params: tuple[Value, ...]


def decode_call(body: bytes) -> Call:
    """Read a methodCall.

    Raises:
        Fault: PARSE_ERROR, with the place if the XML is broken.
    """
    reader = Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.texts.append
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise Fault(PARSE_ERROR, f"the body is not XML in UTF-8: {error}") from error
    return call_of(reader.frames[0][0])


def encode_success(value: str | int | bool) -> bytes:  # noqa: FBT001 - a value, not a flag
    """[true, value, 0]."""
    if isinstance(value, str):
        return success_from_fragments([escape(value).encode()])
    return b"".join([HEAD, YES, scalar(value), ZERO, TAIL])


def success_from_fragments(parts: Sequence[bytes]) -> bytes:
    """[true, text, 0] with a text made of pieces that `escape` has seen already."""
    text = parts if any(parts) else (BLANK,)
    return b"".join([HEAD_OF_TEXT, *text, TAIL_OF_TEXT])


def encode_failure(message: str, code: int, object_id: int | None = None) -> bytes:
    """[false, message, code, object id or -1, replication index (never one: -1)]."""
    text = b"<value><string>%s</string></value>" % (escape(message).encode() or BLANK)
    numbers = scalar(code) + scalar(-1 if object_id is None else object_id) + NO_INDEX
    return b"".join([HEAD, NO, text, numbers, TAIL])


def encode_fault(code: int, message: str) -> bytes:
    return b"".join(
        [
            DECLARATION,
            b"<methodResponse><fault><value><struct><member><name>faultCode</name>",
            b"<value><int>%d</int></value></member><member><name>faultString</name>" % code,
            b"<value><string>%s</string></value></member></struct></value>"
            % escape(message).encode(),
            b"</fault></methodResponse>",
        ]
    )


def escape(text: str) -> str:
    """Character data; what XML cannot carry becomes U+FFFD."""
    if not fits_xml(text):
        text = UNFIT_FOR_XML.sub("\ufffd", text)
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if "\r" in text:  # a parser would make it a newline
        text = text.replace("\r", "&#13;")
    return text


# --- pieces of answers --------------------------------------------------------------------------

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
HEAD = DECLARATION + b"<methodResponse><params><param><value><array><data>"
TAIL = b"</data></array></value></param></params></methodResponse>"
YES = b"<value><boolean>1</boolean></value>"
NO = b"<value><boolean>0</boolean></value>"
ZERO = b"<value><i4>0</i4></value>"
NO_INDEX = b"<value><i8>-1</i8></value>"
BLANK = b" "
"""pyone fails on an empty text, so one blank stands for it."""

HEAD_OF_TEXT = HEAD + YES + b"<value><string>"
TAIL_OF_TEXT = b"</string></value>" + ZERO + TAIL

I4_MAX, I8_MAX = (1 << 31) - 1, (1 << 63) - 1


def scalar(value: int) -> bytes:
    """A boolean or a number, in the smallest type that holds it."""
    if isinstance(value, bool):
        return YES if value else NO
    if -I4_MAX - 1 <= value <= I4_MAX:
        return b"<value><i4>%d</i4></value>" % value
    assert -I8_MAX - 1 <= value <= I8_MAX, f"{value} does not fit an XML-RPC number"
    return b"<value><i8>%d</i8></value>" % value


# --- reading ------------------------------------------------------------------------------------


class Word(str):
    """The text of a name element: told apart from a string value by its type."""

    __slots__ = ()


class Member(Struct, frozen=True):
    name: str
    value: Value


Part = Value | Member | Call
"""What an element becomes once it is closed."""

SCALARS = frozenset(["int", "i4", "i8", "boolean", "string", "double", "base64", "nil"])
INSIDE: dict[str, frozenset[str]] = {
    "": frozenset(["methodCall"]),
    "methodCall": frozenset(["methodName", "params"]),
    "params": frozenset(["param"]),
    "param": frozenset(["value"]),
    "value": SCALARS | {"array", "struct"},
    "array": frozenset(["data"]),
    "data": frozenset(["value"]),
    "struct": frozenset(["member"]),
    "member": frozenset(["name", "value"]),
}
NOTHING: frozenset[str] = frozenset()
OPEN_MAX = 5 + 3 * DEPTH_MAX
"""methodCall/params/param/value/scalar, and three elements for each array or struct around it."""


class Reader:
    """Folds elements into values as they close. `frames` holds the parts of each open element."""

    __slots__ = ("count", "frames", "open", "texts")

    def __init__(self) -> None:
        self.count = 0
        self.open = [""]
        self.frames: list[list[Part]] = [[]]
        self.texts: list[str] = []

    def start(self, tag: str, _: object) -> None:
        within = self.open[-1]
        if tag not in INSIDE.get(within, NOTHING):
            raise malformed(f"<{tag}> is not allowed in {f'<{within}>' if within else 'a call'}")
        if self.texts:
            self.refuse_text(within)
        self.open.append(tag)
        self.frames.append([])
        self.count += 1
        if len(self.open) > OPEN_MAX + 1:
            raise malformed(f"values are nested more than {DEPTH_MAX} deep")
        if self.count > ELEMENTS_MAX:
            raise malformed(f"it holds more than {ELEMENTS_MAX} elements")

    def end(self, tag: str) -> None:
        self.open.pop()
        parts = self.frames.pop()
        if tag == "string" or (tag == "value" and not parts):
            part: Part = "".join(self.texts)
        elif tag in LEAVES:
            part = LEAVES[tag]("".join(self.texts))
        else:
            if self.texts:
                self.refuse_text(tag)
            part = BRANCHES[tag](parts)
        self.texts.clear()
        self.frames[-1].append(part)

    def refuse_text(self, tag: str) -> None:
        """Blanks between elements mean nothing."""
        text = "".join(self.texts).strip()
        if text:
            raise malformed(f"text {text[:40]!r} is not allowed in <{tag}>")
        self.texts.clear()


def refuse_doctype(*_: object) -> None:
    raise malformed("a DOCTYPE is not accepted: send the call without one")


def malformed(message: str) -> Fault:
    return Fault(PARSE_ERROR, f"the body is no XML-RPC call: {message}")


NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
DOUBLE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def whole(text: str, tag: str, most: int) -> int:
    stripped = text.strip()
    if not NUMBER.fullmatch(stripped):
        raise malformed(f"{stripped[:40]!r} in <{tag}> is not a whole number")
    value = int(stripped)
    if not -most - 1 <= value <= most:
        raise malformed(f"{value} does not fit <{tag}>")
    return value


def i4(text: str) -> int:
    return whole(text, "i4", I4_MAX)


def i8(text: str) -> int:
    return whole(text, "i8", I8_MAX)


def boolean(text: str) -> bool:
    stripped = text.strip()
    if stripped not in ("0", "1"):
        raise malformed(f"{stripped[:40]!r} in <boolean> is neither 0 nor 1")
    return stripped == "1"


def double(text: str) -> float:
    stripped = text.strip()
    value = float(stripped) if DOUBLE.fullmatch(stripped) else float("nan")
    if not isfinite(value):
        raise malformed(f"{stripped[:40]!r} in <double> is not a finite number")
    return value


def base64(text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise malformed(f"the text in <base64> is not base64: {error}") from error


def nil(text: str) -> None:
    if text.strip():
        raise malformed(f"text {text.strip()[:40]!r} is not allowed in <nil>")


def only(parts: list[Part]) -> Part:
    if len(parts) != 1:
        raise malformed("each param, value and array holds exactly one thing")
    return parts[0]


def items(parts: list[Part]) -> Part:
    return tuple(parts)  # type: ignore[arg-type] # INSIDE lets only values in


def member(parts: list[Part]) -> Member:
    if len(parts) != 2 or not isinstance(parts[0], Word) or isinstance(parts[1], Word):
        raise malformed("a member of a struct is a name and a value")
    return Member(str(parts[0]), parts[1])  # type: ignore[arg-type] # INSIDE lets only a value in


def struct(parts: list[Part]) -> Part:
    members = {part.name: part.value for part in parts if isinstance(part, Member)}
    if len(members) != len(parts):
        raise malformed("a struct holds a name twice")
    return members


def call(parts: list[Part]) -> Call:
    match parts:
        case [Word() as name]:
            return Call(str(name), ())
        case [Word() as name, tuple() as params]:
            return Call(str(name), params)
        case _:
            raise malformed("a methodCall is one methodName and at most one params")


METHOD = re.compile(r"[A-Za-z0-9_.:/]{1,255}")


def method_name(text: str) -> Word:
    stripped = text.strip()
    if not METHOD.fullmatch(stripped):
        raise malformed(f"{stripped[:40]!r} is not a method's name")
    return Word(stripped)


LEAVES: dict[str, Callable[[str], Part]] = {
    "int": i4,
    "i4": i4,
    "i8": i8,
    "boolean": boolean,
    "double": double,
    "base64": base64,
    "nil": nil,
    "name": Word,
    "methodName": method_name,
}
BRANCHES: dict[str, Callable[[list[Part]], Part]] = {
    "value": only,
    "param": only,
    "array": only,
    "data": items,
    "params": items,
    "member": member,
    "struct": struct,
    "methodCall": call,
}


def call_of(part: Part) -> Call:
    assert isinstance(part, Call), "the root of a well-formed document is the methodCall"
    return part
