"""Any object of any kind, built from the types of its fields."""

from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields

from orrery.core.model.kinds import Kind
from orrery.core.model.view import CLASS_OF, Object

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(1 << 53), 1 << 53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    NoneType: st.none(),
}


def any_of(wanted: Any) -> st.SearchStrategy[Any]:
    """Values of that type."""
    if wanted in SIMPLE:
        return SIMPLE[wanted]
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        return st.one_of([any_of(part) for part in parts])
    if origin is frozenset:
        return st.frozensets(any_of(parts[0]), max_size=3)
    if origin is tuple and parts[-1] is Ellipsis:
        return st.lists(any_of(parts[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*[any_of(part) for part in parts])
    if issubclass(wanted, Enum):
        return st.sampled_from(wanted)
    assert issubclass(wanted, Struct), wanted
    hints = get_type_hints(wanted)
    return st.builds(wanted, **{field.name: any_of(hints[field.name]) for field in fields(wanted)})


def any_object(kind: Kind) -> st.SearchStrategy[Object]:
    return any_of(CLASS_OF[kind])
