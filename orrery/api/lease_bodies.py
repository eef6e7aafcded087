"""What requests for leases carry in the JSON API, and how it becomes what the use cases take."""

from typing import Any

import msgspec
from msgspec import Struct

from orrery.api.bodies import TemplateIn, text_of
from orrery.core.documents import Value
from orrery.service.lease_request import STARTS, Written

MomentIn = float | str
"""Seconds since the epoch, or a moment as people write it: `Tuesday 10:00`, `+2h`, ISO 8601."""

LengthIn = float | str
"""Seconds, or a duration as people write it: `2h`, `90m`, `1:30:00`."""

SizeIn = float | str
"""MiB, or a size with its unit: `2GiB`."""


class NodeSetIn(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`count` equal nodes; what is left out is as for all nodes."""

    count: int = 1
    cpu: float | None = None
    memory: SizeIn | None = None
    disk: SizeIn | None = None


class RecurringIn(Struct, forbid_unknown_fields=True):
    """`count` times in all, each `every` later than the one before."""

    count: int
    every: LengthIn


class LeaseTermsIn(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is asked for. CPU (cores), memory and image are those of the template where they are
    left out. Without `start` it is best effort; with `deadline`, `start` is the earliest one;
    `start` may be `now`. Days and times of day are meant in the zone that is `utc_offset_s` ahead
    of UTC.
    """

    duration: LengthIn
    nodes: int | list[NodeSetIn] = 1
    cpu: float | None = None
    memory: SizeIn | None = None
    disk: SizeIn | None = None
    image: str | None = None
    start: MomentIn | None = None
    deadline: MomentIn | None = None
    preemptible: bool | None = None
    priority: int | None = None
    recurring: RecurringIn | None = None
    starts: list[MomentIn] | None = None
    """The starts of further times of a recurring reservation, where they are not evenly spaced."""
    template: TemplateIn = ""
    template_id: int | None = None
    name: str = ""
    utc_offset_s: int = 0


class RequestLease(LeaseTermsIn, forbid_unknown_fields=True, omit_defaults=True):
    """As of `LeaseTermsIn`. `hold_offer`: where it is refused, hold the nearest alternative for a
    minute, to be accepted.
    """

    hold_offer: bool = False


class ActOnLease(Struct, forbid_unknown_fields=True):
    """cancel (`reason`), extend and shorten (`seconds`), move (`start`), top (`priority`) or
    accept.
    """

    action: str
    seconds: LengthIn | None = None
    start: MomentIn | None = None
    priority: int | None = None
    reason: str = ""
    utc_offset_s: int = 0


NOT_TERMS = ("template", "template_id", "name", "utc_offset_s", "hold_offer")


def written(given: LeaseTermsIn) -> Written:
    """The request as a lease file would say it."""
    values: dict[str, Value] = {
        name: as_value(value)
        for name, value in msgspec.to_builtins(given).items()
        if name not in NOT_TERMS and value is not None
    }
    if given.starts is None:
        values.pop(STARTS, None)
    return Written(
        values=values,
        template=text_of(given.template),
        template_id=given.template_id,
        name=given.name,
        hold_offer=isinstance(given, RequestLease) and given.hold_offer,
        utc_offset_s=given.utc_offset_s,
    )


def as_value(value: Any) -> Value:
    """Whole numbers as such: moments and lengths are read as text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: as_value(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_value(inner) for inner in value]
    found: Value = value
    return found
