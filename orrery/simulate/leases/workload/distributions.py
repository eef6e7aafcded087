"""Random numbers of a described kind. Knows nothing of leases; the generator is an argument.

In YAML: a value; a list of values, one as likely as another; or a mapping:

    {distribution: uniform, min: 1, max: 8, whole: true}
    {distribution: normal, mean: 2h, deviation: 30m, min: 5m, max: 8h}
    {distribution: bounded-pareto, alpha: 1.1, min: 60, max: 1d, invert: true}
    {distribution: truncated-pareto, alpha: 1.5, scale: 10m, min: 0, max: 1d}
    {values: [1, 2, 4], weights: [5, 3, 1]}

Numbers may be durations ("2h"). With `values`, what is drawn is a place in their list.
"""

from collections.abc import Callable
from enum import Enum
from math import isfinite
from random import Random

from msgspec import Struct

from orrery.core.documents import Fields, Value, shown
from orrery.core.errors import InvalidInput
from orrery.core.moments import parse_duration

VALUES_MAX = 100_000
LARGEST = 1e15
ALPHA = (0.1, 100.0)
"""A heavier tail overflows floating point, a lighter one is none."""


class Shape(Enum):
    UNIFORM = "uniform"
    NORMAL = "normal"
    BOUNDED_PARETO = "bounded-pareto"
    TRUNCATED_PARETO = "truncated-pareto"


class Distribution(Struct, frozen=True, kw_only=True):
    """Numbers from `least` to `most`, or one of `values`."""

    shape: Shape = Shape.UNIFORM
    least: float = 0.0
    most: float = 1.0
    mean: float = 0.0
    """Of the normal one, and `deviation`; what lies outside is moved to the nearer end."""
    deviation: float = 1.0
    alpha: float = 1.0
    """Of the Pareto ones; smaller has the heavier tail."""
    scale: float = 1.0
    invert: bool = False
    """Pareto: many large numbers and few small ones."""
    whole: bool = False
    values: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()


Draw = Callable[[Distribution, Random, float, float], float]


def constant(value: float) -> Distribution:
    return Distribution(values=(value,))


def draw(distribution: Distribution, rng: Random) -> float:
    if distribution.values:
        return distribution.values[draw_place(distribution, rng, len(distribution.values))]
    value = drawn_within(distribution, rng, distribution.least, distribution.most)
    return float(round(value)) if distribution.whole else value


def draw_place(distribution: Distribution, rng: Random, count: int) -> int:
    """An index into a list of so many."""
    if distribution.weights:
        return rng.choices(range(count), distribution.weights)[0]
    return min(count - 1, int(drawn_within(distribution, rng, 0.0, float(count))))


def drawn_within(distribution: Distribution, rng: Random, least: float, most: float) -> float:
    value = DRAWS[distribution.shape](distribution, rng, least, most)
    return min(most, max(least, value))


def uniform(_: Distribution, rng: Random, least: float, most: float) -> float:
    return rng.uniform(least, most)


def normal(distribution: Distribution, rng: Random, _: float, __: float) -> float:
    return rng.normalvariate(distribution.mean, distribution.deviation)


def bounded_pareto(distribution: Distribution, rng: Random, least: float, most: float) -> float:
    """By the inverse of its cumulative distribution; it needs a least above 0, so a range that
    begins lower is drawn one higher up."""
    lift = 1.0 - least if least <= 0 else 0.0
    low, high, alpha = least + lift, most + lift, distribution.alpha
    share = 1.0 - rng.random() * (1.0 - (low / high) ** alpha)
    return turned(distribution, low / share ** (1.0 / alpha) - lift, least, most)


def truncated_pareto(distribution: Distribution, rng: Random, least: float, most: float) -> float:
    """A Pareto tail from `least` on, cut off at `most`."""
    alpha, scale = distribution.alpha, distribution.scale
    whole = 1.0 - (1.0 + (most - least) / scale) ** -alpha
    tail = scale * ((1.0 - rng.random() * whole) ** (-1.0 / alpha) - 1.0)
    return turned(distribution, least + tail, least, most)


def turned(distribution: Distribution, value: float, least: float, most: float) -> float:
    return least + most - value if distribution.invert else value


DRAWS: dict[Shape, Draw] = {
    Shape.UNIFORM: uniform,
    Shape.NORMAL: normal,
    Shape.BOUNDED_PARETO: bounded_pareto,
    Shape.TRUNCATED_PARETO: truncated_pareto,
}


# --- reading ------------------------------------------------------------------------------------

SHAPE_FIELDS = frozenset(
    {
        *("distribution", "min", "max", "mean", "deviation", "alpha", "scale", "invert", "whole"),
        *("values", "weights"),
    }
)


def distribution_from(
    value: Value, place: str, *, least: float = 0.0, extra: frozenset[str] = frozenset()
) -> Distribution:
    """Read one; all it can draw is at least `least`. Fields in `extra` are somebody else's.

    Raises:
        InvalidInput: with the place.
    """
    if isinstance(value, list):
        value = {"values": value}
    if not isinstance(value, dict):
        return checked(constant(number(value, place)), place, least)
    fields = Fields(value, place, SHAPE_FIELDS | extra)
    return checked(read_fields(fields, read_values(fields)), place, least)


def read_fields(fields: Fields, values: tuple[float, ...]) -> Distribution:
    if not values and fields.get("max") is None:
        raise InvalidInput(fields.at("max"), "", "is missing: give min and max, or values")
    low = optional(fields, "min", 0.0)
    high = optional(fields, "max", low)
    if high < low:
        raise fields.refuse("max", "is below the min: turn them")
    middle = (len(values) if values else low + high) / 2
    return Distribution(
        shape=read_shape(fields),
        least=low,
        most=high,
        mean=optional(fields, "mean", middle),
        deviation=positive(fields, "deviation", (len(values) if values else high - low) / 4 or 1.0),
        alpha=read_alpha(fields),
        scale=positive(fields, "scale", 1.0),
        invert=fields.flag("invert") or False,
        whole=fields.flag("whole") or False,
        values=values,
        weights=read_weights(fields, len(values)),
    )


def read_shape(fields: Fields) -> Shape:
    name = fields.text("distribution") or Shape.UNIFORM.value
    for shape in Shape:
        if shape.value == name:
            return shape
    raise fields.refuse("distribution", f"is none of {', '.join(shape.value for shape in Shape)}")


def read_alpha(fields: Fields) -> float:
    alpha = optional(fields, "alpha", 1.0)
    if not ALPHA[0] <= alpha <= ALPHA[1]:
        raise fields.refuse("alpha", f"is not from {ALPHA[0]:g} to {ALPHA[1]:g}")
    return alpha


def read_values(fields: Fields) -> tuple[float, ...]:
    items = fields.items("values")
    if fields.get("values") is not None and not 0 < len(items) <= VALUES_MAX:
        raise fields.refuse("values", f"are none, or more than {VALUES_MAX}")
    return tuple(number(item, at) for at, item in items)


def read_weights(fields: Fields, count: int) -> tuple[float, ...]:
    weights = tuple(number(item, at) for at, item in fields.items("weights"))
    if weights and (len(weights) != count or min(weights) < 0 or not sum(weights)):
        raise fields.refuse("weights", "are not one for each value, at least 0 and not all 0")
    return weights


def checked(distribution: Distribution, place: str, least: float) -> Distribution:
    lowest = min(distribution.values, default=distribution.least)
    if lowest < least:
        raise InvalidInput(place, f"{lowest:g}", f"is too small: at least {least:g}")
    return distribution


def number(value: Value, place: str) -> float:
    """A number, or the seconds of a duration."""
    if isinstance(value, str):
        return parse_duration(value, place)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(place, shown(value), "is neither number nor duration")
    if not isfinite(value) or abs(value) > LARGEST:
        raise InvalidInput(place, shown(value), f"is too large: at most {LARGEST:g}")
    return float(value)


def optional(fields: Fields, name: str, absent: float) -> float:
    value = fields.get(name)
    return absent if value is None else number(value, fields.at(name))


def positive(fields: Fields, name: str, absent: float) -> float:
    value = optional(fields, name, absent)
    if value <= 0:
        raise fields.refuse(name, "is not above 0")
    return value
