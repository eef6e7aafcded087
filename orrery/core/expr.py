"""REQUIREMENTS and RANK: parsed once into closures, evaluated on a host's attributes.

OpenNebula's language with C's precedence (`!` over `&` over `|`), which the original lacks, and `>=`, `<=`, `&&`,
`||` besides. What a name means is the caller's: a lookup answers a string, a number or None.
"""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple, NoReturn

from orrery.core.errors import InvalidInput

Value = str | float | None
Lookup = Callable[[str], Value]
Requirement = Callable[[Lookup], bool]
Rank = Callable[[Lookup], float]

MAX_TEXT = 10_000
MAX_DEPTH = 100

TOKEN = re.compile(
    r"""\s*(?:(?P<op>@>|>=|<=|!=|&&|\|\||[=<>!&|()+\-*/])
      |(?P<number>\d+(?:\.\d+)?(?![A-Za-z0-9_.]))
      |"(?P<string>(?:[^"\\]|\\.)*)"
      |(?P<name>[A-Za-z0-9_.]+(?:/[A-Za-z0-9_.]+)*))""",
    re.VERBOSE,
)


class Token(NamedTuple):
    kind: str
    text: str
    at: int


class Conjunct(NamedTuple):
    """A part of a requirement that has to hold by itself, and how it was written."""

    holds: Requirement
    text: str


class Parsed(NamedTuple):
    holds: Requirement
    conjuncts: tuple[Conjunct, ...]


@lru_cache(maxsize=4096)
def _requirement(text: str) -> Parsed:
    return _Reader("SCHED_REQUIREMENTS", text, slash_in_names=True).requirement()


@lru_cache(maxsize=4096)
def _rank(text: str) -> Rank:
    return _Reader("SCHED_RANK", text, slash_in_names=False).rank()


def requirement(text: str) -> Requirement:
    """A function that tells whether a host meets it. Empty text is met by all.

    Raises:
        InvalidInput: with the position, and what was expected there.
    """
    return _requirement(text.strip()).holds


def rank(text: str) -> Rank:
    """A function that gives a host its rank; a missing attribute counts 0, a division by zero gives 0.

    Raises:
        InvalidInput: with the position, and what was expected there.
    """
    return _rank(text.strip())


def explain(text: str, lookup: Lookup) -> str | None:
    """The first part of a requirement that fails on a host, as it was written; None when all hold."""
    for conjunct in _requirement(text.strip()).conjuncts:
        if not conjunct.holds(lookup):
            return conjunct.text
    return None


@lru_cache(maxsize=4096)
def names(text: str) -> frozenset[str]:
    """The attributes that an expression looks at, without their paths."""
    tokens = _tokens("expression", text, slash_in_names=True)
    return frozenset(t.text.upper().rsplit("/", 1)[-1] for t in tokens if t.kind == "name")


def _tokens(field: str, text: str, *, slash_in_names: bool) -> list[Token]:
    if len(text) > MAX_TEXT:
        raise InvalidInput(field, text, f"is too long: at most {MAX_TEXT} characters")
    tokens = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = TOKEN.match(text, position)
        if match is None:
            raise InvalidInput(field, text, f"has no word or sign at character {position + 1}")
        kind = match.lastgroup or ""
        word = match[kind]
        if kind == "name" and "/" in word and not slash_in_names:
            word = word.split("/", 1)[0]
        start = match.start(kind)
        position = match.end() if word == match[kind] else start + len(word)
        tokens.append(Token(kind, word, start))
    return tokens


class _Reader:
    """Recursive descent; depth is bounded, so no input can exhaust the stack."""

    def __init__(self, field: str, text: str, *, slash_in_names: bool) -> None:
        self._field = field
        self._text = text
        self._tokens = _tokens(field, text, slash_in_names=slash_in_names)
        self._index = 0
        self._depth = 0

    # --- requirements ---------------------------------------------------------------------------

    def requirement(self) -> Parsed:
        if not self._tokens:
            return Parsed(lambda _: True, ())
        conjuncts: list[Conjunct] = []
        holds = self._or(conjuncts)
        self._end()
        if len(conjuncts) < 2:
            conjuncts = [Conjunct(holds, self._text)]
        return Parsed(holds, tuple(conjuncts))

    def _or(self, conjuncts: list[Conjunct] | None = None) -> Requirement:
        terms = [self._and(conjuncts)]
        while self._take("|", "||"):
            terms.append(self._and(None))
            if conjuncts is not None:
                conjuncts.clear()
        if len(terms) == 1:
            return terms[0]
        return lambda look: any(term(look) for term in terms)

    def _and(self, conjuncts: list[Conjunct] | None) -> Requirement:
        terms = []
        while True:
            start = self._at()
            term = self._not()
            terms.append(term)
            if conjuncts is not None:
                conjuncts.append(Conjunct(term, self._text[start : self._at()].strip(" &")))
            if not self._take("&", "&&"):
                break
        if len(terms) == 1:
            return terms[0]
        return lambda look: all(term(look) for term in terms)

    def _not(self) -> Requirement:
        if self._take("!"):
            self._deeper()
            inner = self._not()
            self._depth -= 1
            return lambda look: not inner(look)
        if self._take("("):
            self._deeper()
            inner = self._or()
            self._depth -= 1
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Requirement:
        left = self._next("an attribute name")
        if left.kind not in ("name", "string"):
            self._fail("an attribute name", left)
        name = left.text.upper()
        operator = self._next("= != < > <= >= or @>")
        if operator.kind != "op" or operator.text not in COMPARISONS:
            self._fail("= != < > <= >= or @>", operator)
        negative = self._take("-")
        right = self._next("a number or a string")
        if right.kind == "number":
            number = -float(right.text) if negative else float(right.text)
            return numeric(name, operator.text, number)
        if right.kind not in ("string", "name") or negative:
            self._fail("a number or a string", right)
        if operator.text not in ("=", "!=", "@>"):
            self._fail("a number", right)
        return textual(name, operator.text, right.text.replace('\\"', '"'))

    # --- rank ---------------------------------------------------------------------------------------

    def rank(self) -> Rank:
        if not self._tokens:
            return lambda _: 0.0
        value = self._sum()
        self._end()

        def ranked(look: Lookup) -> float:
            try:
                return value(look)
            except ZeroDivisionError:
                return 0.0

        return ranked

    def _sum(self) -> Rank:
        value = self._product()
        while operator := self._take("+", "-"):
            value = combined(operator, value, self._product())
        return value

    def _product(self) -> Rank:
        value = self._factor()
        while operator := self._take("*", "/"):
            value = combined(operator, value, self._factor())
        return value

    def _factor(self) -> Rank:
        if self._take("-"):
            self._deeper()
            inner = self._factor()
            self._depth -= 1
            return lambda look: -inner(look)
        if self._take("("):
            self._deeper()
            inner = self._sum()
            self._depth -= 1
            self._expect(")")
            return inner
        token = self._next("a number or an attribute name")
        if token.kind == "number":
            number = float(token.text)
            return lambda _: number
        if token.kind != "name":
            self._fail("a number or an attribute name", token)
        name = token.text.upper()
        return lambda look: as_number(look(name)) or 0.0

    # --- tokens --------------------------------------------------------------------------------------

    def _at(self) -> int:
        if self._index < len(self._tokens):
            token = self._tokens[self._index]
            return token.at - (token.kind == "string")
        return len(self._text)

    def _take(self, *operators: str) -> str | None:
        if self._index < len(self._tokens):
            token = self._tokens[self._index]
            if token.kind == "op" and token.text in operators:
                self._index += 1
                return token.text
        return None

    def _next(self, expected: str) -> Token:
        if self._index >= len(self._tokens):
            self._fail(expected, None)
        self._index += 1
        return self._tokens[self._index - 1]

    def _expect(self, operator: str) -> None:
        if not self._take(operator):
            here = self._tokens[self._index] if self._index < len(self._tokens) else None
            self._fail(operator, here)

    def _end(self) -> None:
        if self._index < len(self._tokens):
            self._fail("the end, or an operator", self._tokens[self._index])

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidInput(self._field, self._text, f"is nested deeper than {MAX_DEPTH}")

    def _fail(self, expected: str, found: Token | None) -> NoReturn:
        where = f"at character {found.at + 1}" if found else "at its end"
        raise InvalidInput(
            self._field, self._text, f"is not understood {where}: expected {expected}"
        )


COMPARISONS = frozenset({"=", "!=", "<", ">", "<=", ">=", "@>"})


def as_number(value: Value) -> float | None:
    if value is None or isinstance(value, float | int):
        return value
    try:
        return float(value)
    except ValueError:
        return None


def numeric(name: str, operator: str, right: float) -> Requirement:
    """A comparison with a number; a host without the attribute fails it."""
    compare: dict[str, Callable[[float], bool]] = {
        "=": lambda left: left == right,
        "!=": lambda left: left != right,
        "<": lambda left: left < right,
        ">": lambda left: left > right,
        "<=": lambda left: left <= right,
        ">=": lambda left: left >= right,
    }
    if operator == "@>":
        return textual(name, operator, f"{right:g}")
    test = compare[operator]

    def holds(look: Lookup) -> bool:
        left = as_number(look(name))
        return left is not None and test(left)

    return holds


def as_text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def textual(name: str, operator: str, pattern: str) -> Requirement:
    """A comparison with a shell pattern; a host without the attribute fails it, `!=` too."""

    def holds(look: Lookup) -> bool:
        value = look(name)
        if value is None:
            return False
        text = as_text(value)
        if operator == "@>":
            return any(fnmatchcase(item, pattern) for item in re.split(r"[,\s]+", text))
        return fnmatchcase(text, pattern) is (operator == "=")

    return holds


def combined(operator: str, left: Rank, right: Rank) -> Rank:
    match operator:
        case "+":
            return lambda look: left(look) + right(look)
        case "-":
            return lambda look: left(look) - right(look)
        case "*":
            return lambda look: left(look) * right(look)
        case _:
            return lambda look: left(look) / right(look)
