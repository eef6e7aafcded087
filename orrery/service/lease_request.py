"""A request for a lease as users write it (names and values as in a lease file) to what the use
case takes. What is not said of the nodes is taken from their VM template.
"""

import re
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.access import require
from orrery.core.documents import Fields, Value
from orrery.core.errors import InvalidInput
from orrery.core.lease_terms import TERM_FIELDS, When, read_recurring, read_terms
from orrery.core.messages import Actor
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import Terms
from orrery.core.model.storage import Image
from orrery.core.moments import parse_moment
from orrery.core.status import Right
from orrery.core.template import Pairs, Template, merge, write
from orrery.service.engine import Engine
from orrery.service.leases import Repeat, Request
from orrery.service.objects import parse_template, pick

STARTS = "starts"
"""The name under which all starts of a recurring reservation are given one by one."""

FIELDS = TERM_FIELDS | {STARTS}

OWNED = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")

EPOCH = re.compile(r"[0-9]{9,11}(?:\.[0-9]{1,9})?", re.ASCII)


class Written(Struct, frozen=True, kw_only=True):
    """A request before anything of it is understood."""

    values: Mapping[str, Value]
    """nodes, cpu, memory, start, duration ...: see `core.lease_terms`."""
    template: str = ""
    template_id: int | None = None
    name: str = ""
    hold_offer: bool = False
    utc_offset_s: int = 0
    """Of the zone in which days and times of day are meant."""


def request_of(engine: Engine, actor: Actor, written: Written) -> Request:
    """What is asked for.

    Raises:
        InvalidInput: which value, and what it may be.
        NotFound, NotAuthorized: of the stored template.
    """
    own = parse_template(written.template)
    stored = stored_template(engine, actor, written.template_id)
    fields = Fields({**sizes(merge(stored, own)), **written.values}, "", FIELDS)
    terms = read_terms(fields, moment_in(engine, written))
    if terms.image is not None and not own.has("DISK"):
        own = own.appended("DISK", image_disk(terms.image))
    return Request(
        terms=with_image(engine, terms, merge(stored, own)),
        template=write(own),
        template_id=written.template_id,
        name=written.name,
        hold_offer=written.hold_offer,
        repeat=repeat_of(fields, engine, written),
    )


def stored_template(engine: Engine, actor: Actor, template_id: int | None) -> Template:
    if template_id is None:
        return Template()
    stored = pick(engine.view.templates, Kind.TEMPLATE, template_id)
    require(actor, Right.USE, stored)
    return stored.template


def moment_in(engine: Engine, written: Written) -> When:
    """Understands moments now and in the user's zone; bare seconds are those since the epoch."""
    now = engine.clock.now()

    def read(text: str, field: str) -> float:
        if EPOCH.fullmatch(text.strip()):
            return float(text)
        return parse_moment(text, now, utc_offset_s=written.utc_offset_s, field=field)

    return read


def sizes(template: Template) -> dict[str, Value]:
    """CPU and memory of the nodes as their template has them."""
    found: dict[str, Value] = {}
    cpu, memory = template.get("CPU"), template.get("MEMORY")
    if cpu is not None:
        found["cpu"] = cpu_number(cpu)
    if memory is not None:
        found["memory"] = memory
    return found


def cpu_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput("CPU", text, "is not a number of cores") from None


def image_disk(image: str) -> Pairs:
    """By id, by name, or `owner[name]`."""
    if image.isascii() and image.isdigit():
        return (("IMAGE_ID", image),)
    owned = OWNED.fullmatch(image)
    if owned is None:
        return (("IMAGE", image),)
    return (("IMAGE", owned[2]), ("IMAGE_UNAME", owned[1]))


def with_image(engine: Engine, terms: Terms, template: Template) -> Terms:
    """The image of the first disk is what has to be on the hosts before the VMs can start."""
    disk = template.vector("DISK") or {}
    asked = disk.get("IMAGE_ID") or disk.get("IMAGE")
    if asked is None:
        return terms
    image = image_named(engine, asked)
    if image is None:
        return replace(terms, image=asked)
    return replace(terms, image=name_of(engine, image), image_mib=terms.image_mib or image.size_mib)


def name_of(engine: Engine, image: Image) -> str:
    """Leases that name the same image share its copies: where two users have images of one name,
    its id tells them apart."""
    same = [one.id for one in engine.view.images.values() if one.name == image.name]
    return image.name if len(same) == 1 else str(image.id)


def image_named(engine: Engine, text: str) -> Image | None:
    """By id or name; what cannot be found is refused where the VMs are tried."""
    images = engine.view.images
    if text.isascii() and text.isdigit():
        return images.get(int(text))
    return next((image for image in images.values() if image.name == text), None)


def repeat_of(fields: Fields, engine: Engine, written: Written) -> Repeat | None:
    given = fields.items(STARTS)
    if given:
        read = moment_in(engine, written)
        return Repeat(starts=tuple(read(str(value), place) for place, value in given))
    recurring = read_recurring(fields)
    if recurring.count == 1:
        return None
    return Repeat(every_s=recurring.every_s, count=recurring.count)
