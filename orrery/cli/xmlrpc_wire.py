"""XML-RPC as a client speaks it: calls to bytes, answers to values. Opens no connection."""

import re
from collections.abc import Sequence
from xml.parsers import expat

Argument = bool | int | float | str | Sequence["Argument"]
Answer = None | bool | int | float | str | list["Answer"] | dict[str, "Answer"]

UNFIT_FOR_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
TEXT_BUFFER_BYTES = 1 << 18
"""A pool comes as one text of megabytes: fewer, larger pieces."""
OPEN_MAX = 100


class WireError(Exception):
    """The other side does not speak XML-RPC, or refused to."""


class Fault(WireError):
    """XML-RPC's own refusal: the method is unknown or its parameters are wrong."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} (fault {code})")
        self.code = code
        self.message = message


def encode_call(method: str, params: Sequence[Argument]) -> bytes:
    sent = "".join([f"<param>{encoded(one)}</param>" for one in params])
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<methodCall><methodName>{escape(method)}'
        f"</methodName><params>{sent}</params></methodCall>"
    ).encode()


def decode_response(body: bytes) -> Answer:
    """The value of a methodResponse; OpenNebula's is a list.

    Raises:
        Fault: the engine refused the call.
        WireError: the body is no answer to a call.
    """
    reader = Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.buffer_size = TEXT_BUFFER_BYTES
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.texts.append
    try:
        parser.Parse(body, True)
        return reader.answer()
    except (expat.ExpatError, ValueError, IndexError, TypeError) as error:
        raise WireError(f"the answer is not XML-RPC: {error}") from error


def encoded(value: Argument) -> str:
    if isinstance(value, bool):
        return f"<value><boolean>{value:d}</boolean></value>"
    if isinstance(value, int):
        kind = "i4" if -(1 << 31) <= value < 1 << 31 else "i8"
        return f"<value><{kind}>{value}</{kind}></value>"
    if isinstance(value, float):
        return f"<value><double>{value!r}</double></value>"
    if isinstance(value, str):
        return f"<value><string>{escape(value)}</string></value>"
    inside = "".join([encoded(one) for one in value])
    return f"<value><array><data>{inside}</data></array></value>"


def escape(text: str) -> str:
    text = UNFIT_FOR_XML.sub("\ufffd", text).replace("&", "&amp;").replace("<", "&lt;")
    return text.replace(">", "&gt;").replace("\r", "&#13;")


class Reader:
    """Folds elements into values as they close; `frames` holds what each open element contains."""

    def __init__(self) -> None:
        self.frames: list[list[Answer]] = [[]]
        self.texts: list[str] = []
        self.is_fault = False

    def doctype(self, *_: object) -> None:
        raise ValueError("it holds a DOCTYPE")

    def start(self, tag: str, _: object) -> None:
        if len(self.frames) == 1 and tag != "methodResponse":
            raise ValueError(f"its root is <{tag}>")
        if len(self.frames) > OPEN_MAX:
            raise ValueError("it is nested too deeply")
        self.is_fault = self.is_fault or tag == "fault"
        self.texts.clear()
        self.frames.append([])

    def end(self, tag: str) -> None:
        parts = self.frames.pop()
        text = "".join(self.texts)
        self.texts.clear()
        self.frames[-1].append(value(tag, text, parts))

    def answer(self) -> Answer:
        found = self.frames[0][0]
        if self.is_fault and isinstance(found, dict):
            raise Fault(int(str(found.get("faultCode", 0))), str(found.get("faultString", "")))
        return found


def value(tag: str, text: str, parts: list[Answer]) -> Answer:
    """What a closed element means."""
    match tag:
        case "string" | "name":
            return text
        case "int" | "i4" | "i8":
            return int(text)
        case "boolean":
            return text.strip() == "1"
        case "double":
            return float(text)
        case "nil":
            return None
        case "data" | "member":
            return parts
        case "struct":
            return dict(parts)  # type: ignore[arg-type] # members are pairs, or TypeError
        case "value":
            return parts[0] if parts else text
        case "array" | "param" | "params" | "fault" | "methodResponse":
            return parts[0]
    raise ValueError(f"<{tag}> is unknown")
