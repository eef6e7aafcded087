"""Use cases of stored VM templates. Making a VM from one is in `service.vms`."""

from orrery.core.access import require, require_create
from orrery.core.messages import Actor, AllocateTemplate
from orrery.core.model.kinds import Kind
from orrery.core.model.users import VmTemplate
from orrery.core.model.view import View
from orrery.core.names import check_name
from orrery.core.status import Right
from orrery.service.engine import Engine
from orrery.service.listing import ALL, select
from orrery.service.objects import created, not_available, parse_template, pick


async def allocate(engine: Engine, actor: Actor, text: str) -> int:
    require_create(actor, Kind.TEMPLATE)
    command = AllocateTemplate(cause=engine.new_cause(), actor=actor, template=parse_template(text))
    return await created(engine, command)


async def clone(
    engine: Engine, actor: Actor, template_id: int, name: str, *, recursive: bool = False
) -> int:
    """A copy that belongs to the caller: takes USE on the original."""
    source = pick(engine.view.templates, Kind.TEMPLATE, template_id)
    require(actor, Right.USE, source)
    require_create(actor, Kind.TEMPLATE)
    if recursive:
        raise not_available("Cloning a template with its images")
    check_name("NAME", name)
    copy = source.template.replaced("NAME", name)
    command = AllocateTemplate(cause=engine.new_cause(), actor=actor, template=copy)
    return await created(engine, command)


def get(view: View, actor: Actor, template_id: int) -> VmTemplate:
    template = pick(view.templates, Kind.TEMPLATE, template_id)
    require(actor, Right.USE, template)
    return template


def listing(
    view: View, actor: Actor, flag: int = ALL, start: int = -1, end: int = -1
) -> list[VmTemplate]:
    return select(view.templates, actor, flag, start, end)
