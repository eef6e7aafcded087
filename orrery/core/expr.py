"""REQUIREMENTS and RANK: parsed once, then closures over a host's attributes. Knows no host.

    requirement := any ;  any := all ('|' all)* ;  all := not ('&' not)*
    not         := '!' not | '(' any ')' | NAME OPERATOR value
    rank        := sum ;  sum := product (('+' | '-') product)*
    product     := unary (('*' | '/') unary)*
    unary       := '-' unary | '(' sum ')' | NUMBER | NAME

`!` binds more than `&`, and `&` more than `|`, as everywhere but in OpenNebula, where all three are
equal. A name in double quotes may hold any character; in a rank a bare one ends before `/`.
"""

import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from functools import lru_cache
from math import isfinite
from operator import add, eq, ge, gt, le, lt, mul, ne, sub, truediv
from typing import NoReturn

from msgspec import Struct

from orrery.core.errors import InvalidInput

Lookup = Callable[[str], str | float | None]
"""A host's attribute by name, in upper case; None if the host has none of that name."""
Test = Callable[[Lookup], bool]
Number = Callable[[Lookup], float]

CHARACTERS_MAX = 10_000
DEPTH_MAX = 100
CACHED = 1024


@lru_cache(CACHED)
def requirement(text: str) -> Test:
    """Whether a host will do. An empty text lets every host pass.

    Raises:
        InvalidInput: says where the text is wrong and what was expected there.
    """
    tree = requirement_tree(text)
    return always if tree is None else test(tree)


@lru_cache(CACHED)
def rank(text: str) -> Number:
    """How good a host is, more being better. A missing attribute is 0; so is all with a division by
    0.

    Raises:
        InvalidInput: says where the text is wrong and what was expected there.
    """
    tree = rank_tree(text)
    if tree is None:
        return constant(0.0)
    inner = number(tree)

    def finite(lookup: Lookup) -> float:
        try:
            value = inner(lookup)
        except ZeroDivisionError:
            return 0.0
        return value if isfinite(value) else 0.0

    return finite


@lru_cache(CACHED)
def names(text: str) -> frozenset[str]:
    """The attributes that a requirement or a rank looks at."""
    if COMPARES.search(QUOTED_TEXT.sub("", text)):
        tree = requirement_tree(text)
        return frozenset() if tree is None else frozenset(compared(tree))
    terms = rank_tree(text)
    return frozenset() if terms is None else frozenset(counted(terms))


def explain(text: str, lookup: Lookup) -> str | None:
    """The smallest part of a requirement that must change for it to hold; None if it holds."""
    tree = requirement_tree(text)
    if tree is None or test(tree)(lookup):
        return None
    return written(culprit(tree, lookup))


# --- trees --------------------------------------------------------------------------------------


class Compare(Struct, frozen=True):
    name: str
    operator: str
    value: str | float
    shown: str
    """The value as it was written."""


class Not(Struct, frozen=True):
    part: "Condition"


class All(Struct, frozen=True):
    parts: tuple["Condition", ...]


class Either(Struct, frozen=True):
    parts: tuple["Condition", ...]


Condition = Compare | Not | All | Either


class Name(Struct, frozen=True):
    name: str


class Chain(Struct, frozen=True):
    """A sum or a product: operators and terms from left to right, flat however long it is."""

    first: "Term"
    rest: tuple[tuple[str, "Term"], ...]


class Minus(Struct, frozen=True):
    term: "Term"


Term = float | Name | Chain | Minus


# --- tokens -------------------------------------------------------------------------------------

QUOTED_TEXT = re.compile(r'"[^"]*+"?')
COMPARES = re.compile("[=<>]")
BARE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*+")

IN_REQUIREMENT = re.compile(
    rf"""\s*+(?:
      (?P<name>{BARE_NAME.pattern})
    | (?P<text>"[^"]*+")
    | (?P<number>[+-]?[0-9]++(?:\.[0-9]++)?)
    | (?P<operator>!=|>=|<=|@>|[=<>])
    | (?P<sign>&&?|\|\|?|[!()])
    | (?P<unknown>.) | (?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)
IN_RANK = re.compile(
    r"""\s*+(?:
      (?P<name>[A-Za-z_][A-Za-z0-9_]*+)
    | (?P<text>"[^"]*+")
    | (?P<number>[0-9]++(?:\.[0-9]++)?)
    | (?P<sign>[-+*/()])
    | (?P<unknown>.) | (?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)


class Token(Struct, frozen=True):
    kind: str
    text: str
    at: int


class Tokens:
    """The tokens of one text, one of them current, and the errors that point into it."""

    def __init__(self, field: str, text: str, pattern: re.Pattern[str]) -> None:
        self.field, self.text = field, text
        if len(text) > CHARACTERS_MAX:
            raise InvalidInput(
                field, text, f"is longer than {CHARACTERS_MAX} characters: shorten it"
            )
        self.depth = 0
        self.rest = scan(text, pattern)
        self.now = next(self.rest)

    def take(self) -> Token:
        """The current token; the one after it becomes current."""
        taken = self.now
        self.now = next(self.rest, taken)
        if taken.kind == "unknown":
            self.fail("known characters", taken)
        return taken

    def take_sign(self, *signs: str) -> Token | None:
        return self.take() if self.now.kind == "sign" and self.now.text in signs else None

    def enter(self) -> None:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            remedy = f"is nested more than {DEPTH_MAX} deep: leave parentheses out"
            raise InvalidInput(self.field, self.text, remedy)

    def leave(self) -> None:
        self.depth -= 1

    def close(self) -> None:
        if not self.take_sign(")"):
            self.fail('")" or an operator')
        self.leave()

    def finish(self, expected: str) -> None:
        if self.now.kind != "end":
            self.fail(expected)

    def fail(self, expected: str, token: Token | None = None) -> NoReturn:
        token = token or self.now
        found = "the end" if token.kind == "end" else token.text
        if token.text == '"':
            expected, found = "a closing quote", "none"
        remedy = f"at character {token.at + 1}: expected {expected}, found {found}"
        raise InvalidInput(self.field, self.text, remedy)


def scan(text: str, pattern: re.Pattern[str]) -> Iterator[Token]:
    for match in pattern.finditer(text):
        kind = match.lastgroup or "end"
        yield Token(kind, match[kind], match.start(kind))
        if kind == "end":
            return


# --- parsing ------------------------------------------------------------------------------------


def requirement_tree(text: str) -> Condition | None:
    tokens = Tokens("REQUIREMENTS", text, IN_REQUIREMENT)
    if tokens.now.kind == "end":
        return None
    tree = either(tokens)
    tokens.finish('"&", "|" or the end (text that is more than one word needs quotes)')
    return tree


def either(tokens: Tokens) -> Condition:
    parts = [every(tokens)]
    while tokens.take_sign("|", "||"):
        parts.append(every(tokens))
    return parts[0] if len(parts) == 1 else Either(tuple(parts))


def every(tokens: Tokens) -> Condition:
    parts = [condition(tokens)]
    while tokens.take_sign("&", "&&"):
        parts.append(condition(tokens))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def condition(tokens: Tokens) -> Condition:
    if tokens.take_sign("!"):
        tokens.enter()
        negated = Not(condition(tokens))
        tokens.leave()
        return negated
    if tokens.take_sign("("):
        tokens.enter()
        inner = either(tokens)
        tokens.close()
        return inner
    return comparison(tokens)


def comparison(tokens: Tokens) -> Compare:
    if tokens.now.kind not in ("name", "text"):
        tokens.fail('an attribute\'s name, "!" or "("')
    name = tokens.take().text.strip('"').upper()
    if tokens.now.kind != "operator":
        tokens.fail(f"one of = != > < >= <= @> after {name}")
    operator = tokens.take().text
    value = tokens.now
    if value.kind not in ("name", "text", "number"):
        tokens.fail(f"a number or a text after {operator}")
    tokens.take()
    if operator in ORDERED:
        bound = as_number(value.text.strip('"'))
        if bound is None:
            tokens.fail(f"a number after {operator}", value)
        return Compare(name, operator, bound, value.text)
    wanted = float(value.text) if value.kind == "number" else value.text.strip('"')
    return Compare(name, operator, wanted, value.text)


def rank_tree(text: str) -> Term | None:
    tokens = Tokens("RANK", text, IN_RANK)
    if tokens.now.kind == "end":
        return None
    tree = chain(tokens, 0)
    tokens.finish("an operator + - * / or the end")
    return tree


LEVELS = (("+", "-"), ("*", "/"))


def chain(tokens: Tokens, level: int) -> Term:
    """A sum (level 0) or a product (level 1)."""
    if level == len(LEVELS):
        return unary(tokens)
    first = chain(tokens, level + 1)
    rest: list[tuple[str, Term]] = []
    while sign := tokens.take_sign(*LEVELS[level]):
        rest.append((sign.text, chain(tokens, level + 1)))
    return Chain(first, tuple(rest)) if rest else first


def unary(tokens: Tokens) -> Term:
    if tokens.take_sign("-"):
        tokens.enter()
        term = Minus(unary(tokens))
        tokens.leave()
        return term
    if tokens.take_sign("("):
        tokens.enter()
        inner = chain(tokens, 0)
        tokens.close()
        return inner
    if tokens.now.kind == "number":
        return float(tokens.take().text)
    if tokens.now.kind not in ("name", "text"):
        tokens.fail('a number, an attribute\'s name, "-" or "("')
    return Name(tokens.take().text.strip('"').upper())


# --- requirements as closures -------------------------------------------------------------------

ORDERED: dict[str, Callable[[float, float], bool]] = {
    ">": gt,
    "<": lt,
    ">=": ge,
    "<=": le,
}
SEPARATORS = re.compile(r"[,\s]+")


def always(_: Lookup) -> bool:
    return True


def test(tree: Condition) -> Test:
    match tree:
        case Compare():
            return comparing(tree)
        case Not(part):
            inner = test(part)
            return lambda lookup: not inner(lookup)
        case All(parts):
            tests = [test(part) for part in parts]
            return lambda lookup: all([one(lookup) for one in tests])
        case Either(parts):
            tests = [test(part) for part in parts]
            return lambda lookup: any([one(lookup) for one in tests])


def comparing(tree: Compare) -> Test:
    if tree.operator == "@>":
        return containing(tree.name, tree.value)
    if isinstance(tree.value, str):
        return matching(tree.name, tree.value, is_wanted=tree.operator == "=")
    return measuring(tree.name, tree.operator, tree.value)


def measuring(name: str, operator: str, bound: float) -> Test:
    """Numbers; a host without the attribute, or with a text there, does not pass."""
    compare = COMPARISONS[operator]

    def measure(lookup: Lookup) -> bool:
        value = as_number(lookup(name))
        return value is not None and compare(value, bound)

    return measure


def matching(name: str, pattern: str, *, is_wanted: bool) -> Test:
    """Texts by glob; a host without the attribute passes neither = nor !=."""
    found = glob(pattern)

    def match(lookup: Lookup) -> bool:
        value = lookup(name)
        return value is not None and found(as_text(value)) is is_wanted

    return match


def containing(name: str, wanted: str | float) -> Test:
    """One item of the host's list, which is separated by commas or blanks."""
    found = glob(wanted) if isinstance(wanted, str) else None

    def contain(lookup: Lookup) -> bool:
        value = lookup(name)
        if value is None:
            return False
        listed = SEPARATORS.split(as_text(value).strip())
        if found is not None:
            return any(found(one) for one in listed)
        return any(as_number(one) == wanted for one in listed)

    return contain


def glob(pattern: str) -> Callable[[str], bool]:
    if not any(mark in pattern for mark in "*?["):
        return pattern.__eq__
    match = re.compile(translate(pattern)).match
    return lambda text: match(text) is not None


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    **ORDERED,
    "=": eq,
    "!=": ne,
}


def as_number(value: str | float | None) -> float | None:
    """The number in a value; None if there is none, or none that can be compared."""
    if value is None:
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if isfinite(found) else None


def as_text(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if isfinite(value) and value == int(value) else str(value)


# --- ranks as closures --------------------------------------------------------------------------


def constant(value: float) -> Number:
    return lambda _: value


def number(tree: Term) -> Number:
    match tree:
        case Name(name):
            return lambda lookup: as_number(lookup(name)) or 0.0
        case Minus(term):
            inner = number(term)
            return lambda lookup: -inner(lookup)
        case Chain(first, rest):
            return folding(number(first), [(sign, number(term)) for sign, term in rest])
    return constant(tree)


def folding(first: Number, rest: list[tuple[str, Number]]) -> Number:
    steps = [(ARITHMETIC[sign], term) for sign, term in rest]

    def fold(lookup: Lookup) -> float:
        value = first(lookup)
        for apply, term in steps:
            value = apply(value, term(lookup))
        return value

    return fold


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": add,
    "-": sub,
    "*": mul,
    "/": truediv,
}


# --- what a tree says ---------------------------------------------------------------------------


def compared(tree: Condition) -> Iterator[str]:
    match tree:
        case Compare(name):
            yield name
        case Not(part):
            yield from compared(part)
        case All(parts) | Either(parts):
            for one in parts:
                yield from compared(one)


def counted(tree: Term) -> Iterator[str]:
    match tree:
        case Name(name):
            yield name
        case Minus(term):
            yield from counted(term)
        case Chain(first, rest):
            yield from counted(first)
            for _, term in rest:
                yield from counted(term)


def culprit(tree: Condition, lookup: Lookup) -> Condition:
    """Within a condition that is false: the first part that alone makes it so."""
    match tree:
        case All(parts):
            return next(culprit(one, lookup) for one in parts if not test(one)(lookup))
        case Not(Not(part)):
            return culprit(part, lookup)
        case Not(Either(parts)):
            return next(culprit(Not(one), lookup) for one in parts if test(one)(lookup))
    return tree


def written(tree: Condition) -> str:
    """The condition as text, with the fewest parentheses."""
    match tree:
        case Compare(name, operator, _, shown):
            quoted = name if BARE_NAME.fullmatch(name) else f'"{name}"'
            return f"{quoted} {operator} {shown}"
        case Not(part):
            return f"!({written(part)})"
        case All(parts):
            return " & ".join([enclosed(one) for one in parts])
        case Either(parts):
            return " | ".join([written(one) for one in parts])


def enclosed(tree: Condition) -> str:
    return f"({written(tree)})" if isinstance(tree, Either) else written(tree)
