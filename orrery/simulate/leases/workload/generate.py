"""Workloads drawn from distributions, as Haizea's generator does, described in YAML. Knows no
file; the same seed gives the same workload.

    generate:
      seed: 1
      leases: {count: 100, interval: {min: 1m, max: 20m}}
              # or {utilization: 70, last_request: 30d}: percent of the site's CPU hours
      nodes: [1, 2, 4, 8]
      cpu: 1
      memory: 1GiB
      duration: {distribution: bounded-pareto, alpha: 1.2, min: 5m, max: 12h}
      real_share: {min: 0.3, max: 1}     # of the duration; without it all is used
      start_delay: {type: absolute, min: 1h, max: 24h}     # without it: best effort
      deadline_stretch: {type: multiple-of-duration, min: 0.5, max: 3}
      software: {values: ["web.img|4096", "db.img|8192"], weights: [3, 1]}
      user_rate: {min: 0.1, max: 0.3}

What is said of start, deadline, software and rate can also be put on a workload that there is
(`vary`): then `original-slowdown` stretches deadlines up to what the job suffered in its log.
"""

from enum import Enum
from math import ceil
from random import Random
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.documents import Fields, Value, shown
from orrery.core.errors import InvalidInput
from orrery.core.lease_lwf import AMOUNT_MAX, Amounts
from orrery.core.lease_terms import NODE_FIELDS, read_node_size
from orrery.core.model.lease import NodeSet, Terms
from orrery.core.moments import LONGEST_S
from orrery.core.numbers import whole
from orrery.sched.leases.site import Site
from orrery.simulate.leases.workload.distributions import (
    SHAPE_FIELDS,
    Distribution,
    constant,
    distribution_from,
    draw,
    draw_place,
    number,
)
from orrery.simulate.leases.workload.model import Arrival, Workload, in_order

USER_RATE = "simul_userrate"
COUNT_MAX = 1_000_000


class DelayType(Enum):
    """What the time between arrival and start is measured in."""

    ABSOLUTE = "absolute"
    MULTIPLE = "multiple-of-duration"


class StretchType(Enum):
    """What a deadline leaves beyond the duration."""

    ABSOLUTE = "absolute"
    MULTIPLE = "multiple-of-duration"
    SLOWDOWN = "original-slowdown"


class Variation(Struct, frozen=True, kw_only=True):
    """What is put on leases; None leaves them as they are."""

    delay_type: DelayType = DelayType.ABSOLUTE
    start_delay: Distribution | None = None
    stretch_type: StretchType = StretchType.ABSOLUTE
    deadline_stretch: Distribution | None = None
    images: tuple[tuple[str, int], ...] = ()
    software: Distribution = Distribution()
    """Places in the list of images."""
    user_rate: Distribution | None = None


class Generator(Struct, frozen=True, kw_only=True):
    """Either so many leases, one interval after another, or as many as use the site so far."""

    seed: int = 0
    count: int | None = None
    interval: Distribution = Distribution(values=(600.0,))
    utilization: float = 0.0
    last_request_s: int = 0
    nodes: Distribution
    size: Amounts
    duration: Distribution
    real_share: Distribution | None = None
    preemptible: bool | None = None
    variation: Variation = Variation()


def generate(generator: Generator, site: Site | None = None, name: str = "") -> Workload:
    """Draw it.

    Raises:
        InvalidInput: the utilization of no site is asked for, or nothing would ever use it.
    """
    rng = Random(generator.seed)  # noqa: S311 - a simulation, no secret
    by_count = generator.count is not None
    arrivals = drawn_by_count(generator, rng) if by_count else drawn_by_use(generator, site, rng)
    workload = Workload(name=name, arrivals=in_order(arrivals), site=site)
    return vary(workload, generator.variation, rng)


def drawn_by_count(generator: Generator, rng: Random) -> list[Arrival]:
    found, now = [], 0.0
    for lease_id in range(1, (generator.count or 0) + 1):
        now += draw(generator.interval, rng)
        if now > LONGEST_S:
            raise InvalidInput("generate.leases.interval", f"{now:g}", "goes beyond a century")
        found.append(drawn(generator, lease_id, round(now), rng))
    return found


def drawn_by_use(generator: Generator, site: Site | None, rng: Random) -> list[Arrival]:
    """They arrive at any time up to the last request, one as likely as another."""
    if site is None:
        raise InvalidInput("site", "", "is missing: utilization is a share of one")
    cpu_pct = sum(host.capacity.cpu_pct for host in site.hosts)
    wanted = generator.utilization / 100 * cpu_pct * generator.last_request_s
    found: list[Arrival] = []
    while wanted > 0:
        arrival = drawn(generator, len(found) + 1, 0, rng)
        wanted -= work_of(arrival)
        found.append(arrival)
        if len(found) > COUNT_MAX:
            raise InvalidInput("generate.leases", "", f"need more than {COUNT_MAX} leases")
    times = sorted(rng.randint(0, generator.last_request_s) for _ in found)
    return [replace(arrival, at=at) for arrival, at in zip(found, times, strict=True)]


def work_of(arrival: Arrival) -> float:
    """CPU seconds, in hundredths."""
    terms = arrival.terms
    seconds = terms.duration if arrival.real_duration is None else arrival.real_duration
    return seconds * sum(nodes.count * nodes.capacity.cpu_pct for nodes in terms.nodes)


def drawn(generator: Generator, lease_id: int, at: int, rng: Random) -> Arrival:
    count = max(1, round(draw(generator.nodes, rng)))
    duration = max(1, round(draw(generator.duration, rng)))
    share = 1.0 if generator.real_share is None else draw(generator.real_share, rng)
    real = max(1, ceil(duration * share))
    size = generator.size
    nodes = (NodeSet(count=count, capacity=size.capacity, other=size.other),)
    terms = Terms(nodes=nodes, duration=duration, preemptible=generator.preemptible)
    real_duration = real if real < duration else None
    return Arrival(at=at, lease_id=lease_id, terms=terms, real_duration=real_duration)


# --- variation ----------------------------------------------------------------------------------


def vary(workload: Workload, variation: Variation, rng: Random) -> Workload:
    """Put starts, deadlines, images and rates on the leases of a workload.

    Raises:
        InvalidInput: `original-slowdown`, but a lease has no times of a log.
    """
    arrivals = tuple(varied(arrival, variation, rng) for arrival in workload.arrivals)
    return replace(workload, arrivals=arrivals)


def varied(arrival: Arrival, variation: Variation, rng: Random) -> Arrival:
    terms = arrival.terms
    if variation.start_delay is not None:
        delay = draw(variation.start_delay, rng)
        if variation.delay_type is DelayType.MULTIPLE:
            delay *= terms.duration
        terms = replace(terms, start=arrival.at + round(delay), immediate=False)
    if variation.deadline_stretch is not None:
        start = arrival.at if terms.start is None else terms.start
        deadline = round(start + terms.duration + stretch_of(arrival, variation, rng))
        terms = replace(terms, start=start, immediate=False, deadline=deadline)
    if variation.images:
        place = draw_place(variation.software, rng, len(variation.images))
        terms = replace(
            terms, image=variation.images[place][0], image_mib=variation.images[place][1]
        )
    extras = dict(arrival.extras)
    if variation.user_rate is not None:
        extras[USER_RATE] = f"{draw(variation.user_rate, rng):.4f}"
    return replace(arrival, terms=terms, extras=tuple(extras.items()))


def stretch_of(arrival: Arrival, variation: Variation, rng: Random) -> float:
    """Seconds beyond the duration; with the slowdown of the log, what is drawn is a share of it."""
    assert variation.deadline_stretch is not None, "the caller has looked"
    stretch = draw(variation.deadline_stretch, rng)
    if variation.stretch_type is StretchType.ABSOLUTE:
        return stretch
    if variation.stretch_type is StretchType.MULTIPLE:
        return stretch * arrival.terms.duration
    return stretch * (slowdown_of(arrival) - 1) * arrival.terms.duration


def slowdown_of(arrival: Arrival) -> float:
    extras = dict(arrival.extras)
    wait = whole(extras.get("SWF_waittime", ""), LONGEST_S)
    run = whole(extras.get("SWF_runtime", ""), LONGEST_S)
    if wait is None or run is None:
        remedy = "has no SWF_waittime and SWF_runtime: stretch by another type than the slowdown"
        raise InvalidInput("lease", str(arrival.lease_id), remedy)
    return (wait + max(1, run)) / max(1, run)


# --- reading ------------------------------------------------------------------------------------

VARIATION_FIELDS = frozenset({"start_delay", "deadline_stretch", "software", "user_rate"})
GENERATOR_FIELDS = (
    VARIATION_FIELDS
    | NODE_FIELDS
    | {"seed", "leases", "nodes", "duration", "real_share", "preemptible"}
)
TYPE = frozenset({"type"})


def read_generator(value: Value, place: str = "generate") -> Generator:
    """What stands under `generate`.

    Raises:
        InvalidInput: with the place.
    """
    fields = Fields(value, place, GENERATOR_FIELDS)
    leases = Fields(
        fields.get("leases"),
        fields.at("leases"),
        ("count", "interval", "utilization", "last_request"),
    )
    if (leases.get("count") is None) == (leases.get("utilization") is None):
        raise fields.refuse("leases", "need either count or utilization")
    size = read_node_size(fields)
    return Generator(
        seed=fields.whole("seed", 0),
        count=None if leases.get("count") is None else leases.whole("count", 0, most=COUNT_MAX),
        interval=read_optional(leases, "interval") or constant(600.0),
        utilization=read_percent(leases, "utilization"),
        last_request_s=read_last_request(leases),
        nodes=read_optional(fields, "nodes", 1.0) or constant(1.0),
        size=Amounts(size.capacity, size.other),
        duration=distribution_from(fields.get("duration"), fields.at("duration"), least=1.0),
        real_share=read_optional(fields, "real_share"),
        preemptible=fields.flag("preemptible"),
        variation=read_variation(fields),
    )


def read_percent(fields: Fields, name: str) -> float:
    percent = fields.number(name) or 0.0
    if not 0 <= percent <= 1000:
        raise fields.refuse(name, "is no percentage from 0 to 1000")
    return percent


def read_last_request(leases: Fields) -> int:
    value = leases.get("last_request")
    if value is None:
        if leases.get("utilization") is not None:
            raise leases.refuse("last_request", "is missing: utilization needs a time to fill")
        return 0
    seconds = number(value, leases.at("last_request"))
    if not 1 <= seconds <= LONGEST_S:
        raise leases.refuse("last_request", "is not from a second to a century")
    return round(seconds)


def read_optional(fields: Fields, name: str, least: float = 0.0) -> Distribution | None:
    value = fields.get(name)
    return None if value is None else distribution_from(value, fields.at(name), least=least)


def read_variation(fields: Fields) -> Variation:
    """From a mapping that may hold other fields too."""
    images, software = read_software(fields)
    delay, delay_type = read_typed(fields, "start_delay")
    stretch, stretch_type = read_typed(fields, "deadline_stretch")
    return Variation(
        delay_type=chosen(DelayType, delay_type, fields.at("start_delay")),
        start_delay=delay,
        stretch_type=chosen(StretchType, stretch_type, fields.at("deadline_stretch")),
        deadline_stretch=stretch,
        images=images,
        software=software,
        user_rate=read_optional(fields, "user_rate"),
    )


def read_typed(fields: Fields, name: str) -> tuple[Distribution | None, str]:
    value = fields.get(name)
    if value is None:
        return None, "absolute"
    known = SHAPE_FIELDS | TYPE
    kind = "absolute"
    if isinstance(value, dict):
        kind = Fields(value, fields.at(name), known).text("type") or kind
    return distribution_from(value, fields.at(name), extra=TYPE), kind


Kind = TypeVar("Kind", bound=Enum)


def chosen(kinds: type[Kind], name: str, place: str) -> Kind:
    for kind in kinds:
        if kind.value == name:
            return kind
    names = ", ".join(str(kind.value) for kind in kinds)
    raise InvalidInput(f"{place}.type", name, f"is none of {names}")


def read_software(fields: Fields) -> tuple[tuple[tuple[str, int], ...], Distribution]:
    """Images as `name|MiB`, and how their places are drawn."""
    value = fields.get("software")
    if value is None:
        return (), Distribution()
    if not isinstance(value, dict):
        value = {"values": value}
    inner = Fields(value, fields.at("software"), SHAPE_FIELDS)
    images = tuple(read_image(item, place) for place, item in inner.items("values"))
    if not images:
        raise InvalidInput(inner.at("values"), "", "are missing: give images as NAME|MiB")
    places: list[Value] = list(range(len(images)))
    return images, distribution_from({**value, "values": places}, fields.at("software"))


def read_image(value: Value, place: str) -> tuple[str, int]:
    name, _, size = value.partition("|") if isinstance(value, str) else ("", "", "")
    mib = whole(size.strip(), AMOUNT_MAX)
    if not name.strip() or mib is None:
        raise InvalidInput(place, shown(value), "is no image: give NAME|MiB")
    return name.strip(), mib
