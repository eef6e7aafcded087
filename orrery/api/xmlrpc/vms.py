"""one.vm.*, one.vmpool.* and one.template.*."""

from orrery.api.xmlrpc.method import Api, Code, Creates, Result, method
from orrery.api.xmlrpc.objects import CHMOD, chmod, delete, owned
from orrery.core.errors import InvalidInput
from orrery.core.messages import Actor
from orrery.core.model.kinds import Kind
from orrery.service import templates, vms
from orrery.service.engine import Sample

NEWEST = 0

POOL = "flag:i start:i end:i"


async def allocate(api: Api, actor: Actor, *, template: str, hold: bool) -> Result:
    """Creates a VM from a template text."""
    return await vms.allocate(api.engine, actor, template, hold=hold)


def info(api: Api, actor: Actor, *, oid: int, decrypt: bool) -> Result:
    """Shows one VM, also when it is done."""
    return api.documents.vm(vms.get(api.engine.view, actor, oid))


async def action(api: Api, actor: Actor, *, action: str, oid: int) -> Result:
    """Does one of the actions: terminate, poweroff, reboot, hold, release, suspend, resume ..."""
    return await vms.act(api.engine, actor, action, oid)


async def deploy(
    api: Api, actor: Actor, *, oid: int, host: int, enforce: bool, datastore: int
) -> Result:
    """Starts a waiting VM on a given host."""
    return await vms.deploy(api.engine, actor, oid, host, enforce=enforce, ds_id=datastore)


async def recover(api: Api, actor: Actor, *, oid: int, operation: int) -> Result:
    """Ends a stuck action: 0 failure, 1 success, 2 retry, 3 delete, 4 recreate, 5 delete-db."""
    return await vms.recover(api.engine, actor, oid, operation)


async def monitoring(api: Api, actor: Actor, *, oid: int) -> Result:
    """Shows the monitoring numbers kept of one VM."""
    vm = vms.get(api.engine.view, actor, oid)
    return api.documents.series(await api.monitoring.series(Kind.VM, [vm.id], 0.0))


def wanted(flag: int, start: int, end: int, state: int, query: str) -> vms.VmFilter:
    return vms.VmFilter(flag=flag, start=start, end=end, state=state, query=query)


def pool_info(
    api: Api, actor: Actor, *, flag: int, start: int, end: int, state: int, query: str
) -> Result:
    """Lists VMs in their short form."""
    found = vms.listing(api.engine.view, actor, wanted(flag, start, end, state, query))
    return api.documents.vm_pool(found)


def pool_extended(
    api: Api, actor: Actor, *, flag: int, start: int, end: int, state: int, query: str
) -> Result:
    """Lists VMs in their full form."""
    found = vms.listing(api.engine.view, actor, wanted(flag, start, end, state, query))
    return api.documents.vm_pool_extended(found)


def pool_set(api: Api, actor: Actor, *, ids: str, extended: bool) -> Result:
    """Lists the VMs of the given ids."""
    found = vms.by_ids(api.engine.view, actor, ids)
    return api.documents.vm_pool_extended(found) if extended else api.documents.vm_pool(found)


async def pool_monitoring(api: Api, actor: Actor, *, flag: int, seconds: int) -> Result:
    """Shows the monitoring numbers of VMs: -1 all, 0 the newest, n those of the last n seconds."""
    seen = vms.VmFilter(flag=flag, state=vms.ANY_STATE)
    ids = [vm.id for vm in vms.listing(api.engine.view, actor, seen)]
    samples = [newest(api, vm_id) for vm_id in ids] if seconds == NEWEST else None
    if samples is not None:
        return api.documents.series([sample for sample in samples if sample is not None])
    since = since_seconds(api, seconds)
    return api.documents.series(await api.monitoring.series(Kind.VM, ids, since))


def newest(api: Api, vm_id: int) -> Sample | None:
    values = api.monitoring.last_vm(vm_id)
    if not values:
        return None
    return Sample(Kind.VM, vm_id, values.get("TIMESTAMP", 0.0), dict(values))


def since_seconds(api: Api, seconds: int) -> float:
    if seconds < -1:
        raise InvalidInput(
            "seconds", str(seconds), "is not -1 (all), 0 (newest) or a number of seconds"
        )
    return 0.0 if seconds < 0 else api.engine.clock.now() - seconds


def accounting(api: Api, actor: Actor, *, flag: int, since: int, until: int) -> Result:
    """Lists every stay of VMs on hosts in an interval; -1 leaves an end open."""
    return api.documents.accounting(vms.stays(api.engine.view, actor, flag, since, until))


# --- stored templates -----------------------------------------------------------------------------


async def template_allocate(api: Api, actor: Actor, *, template: str) -> Result:
    """Stores a VM template; NAME is in the text."""
    return await templates.allocate(api.engine, actor, template)


async def template_instantiate(
    api: Api, actor: Actor, *, oid: int, name: str, hold: bool, extra: str, persistent: bool
) -> Result:
    """Creates a VM from a stored template; attributes of `extra` replace those of the template."""
    how = vms.Instantiation(name=name, hold=hold, extra=extra, persistent=persistent)
    return await vms.instantiate(api.engine, actor, oid, how)


async def template_clone(api: Api, actor: Actor, *, oid: int, name: str, recursive: bool) -> Result:
    """Copies a stored template."""
    return await templates.clone(api.engine, actor, oid, name, recursive=recursive)


def template_info(api: Api, actor: Actor, *, oid: int, extended: bool, decrypt: bool) -> Result:
    """Shows one stored template."""
    return api.documents.template(templates.get(api.engine.view, actor, oid))


def template_pool(api: Api, actor: Actor, *, flag: int, start: int, end: int) -> Result:
    """Lists stored templates."""
    return api.documents.template_pool(templates.listing(api.engine.view, actor, flag, start, end))


NEW_VM = Creates(Code.INTERNAL, "virtual machine")

METHODS = (
    method("vm.allocate", "template:s hold:b=false", allocate, NEW_VM),
    method("vm.info", "oid:i decrypt:b=false", info),
    method("vm.action", "action:s oid:i", action),
    method("vm.deploy", "oid:i host:i enforce:b=false datastore:i=-1", deploy),
    method("vm.recover", "oid:i operation:i", recover),
    method("vm.monitoring", "oid:i", monitoring),
    *owned("vm", Kind.VM),
    method("vmpool.info", f"{POOL} state:i query:s=", pool_info),
    method("vmpool.infoextended", f"{POOL} state:i query:s=", pool_extended),
    method("vmpool.infoset", "ids:s extended:b", pool_set),
    method("vmpool.monitoring", "flag:i seconds:i=-1", pool_monitoring),
    method("vmpool.accounting", "flag:i since:i until:i", accounting),
    method(
        "template.allocate",
        "template:s",
        template_allocate,
        Creates(Code.INTERNAL, "virtual machine template"),
    ),
    method(
        "template.instantiate",
        "oid:i name:s= hold:b=false extra:s= persistent:b=false",
        template_instantiate,
        Creates(Code.ALLOCATE, "virtual machine"),
    ),
    method(
        "template.clone",
        "oid:i name:s recursive:b=false",
        template_clone,
        Creates(Code.ALLOCATE, "virtual machine template"),
    ),
    method("template.info", "oid:i extended:b=false decrypt:b=false", template_info),
    method("template.delete", "oid:i recursive:b=false", delete(Kind.TEMPLATE)),
    *(m for m in owned("template", Kind.TEMPLATE) if m.name != "template.chmod"),
    method("template.chmod", f"oid:i {CHMOD} recursive:b=false", chmod(Kind.TEMPLATE)),
    method("templatepool.info", POOL, template_pool),
)
