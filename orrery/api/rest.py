"""The JSON API as a table: method, path, types, service call. The same use cases as XML-RPC, in
our own words.
"""

from msgspec.structs import replace

from orrery.api import resources as out
from orrery.api.bodies import (
    ActOnHost,
    ActOnImage,
    ActOnVm,
    CreateCluster,
    Created,
    CreateFromTemplate,
    CreateHost,
    CreateImage,
    CreateToken,
    CreateUser,
    CreateVm,
    EndToken,
    TokenOut,
    text_of,
)
from orrery.api.lease_routes import ROUTES as LEASE_ROUTES
from orrery.api.route import Call, Query, Route
from orrery.api.rows import PAGE, changes, get, number_in, page_of, post, shown
from orrery.core.errors import InvalidInput
from orrery.core.model.kinds import Kind
from orrery.service import hosts, images, journal, networks, templates, users, vms

VM_PAGE = (
    *PAGE,
    Query("state", str, "live (all but DONE), any, or a state's number", "live"),
    Query("search", str, "KEY=part&KEY2=part2, or a part of any value", ""),
)


# --- VMs ------------------------------------------------------------------------------------------


async def list_vms(call: Call) -> list[out.VmOut]:
    """Lists VMs."""
    flag, offset, end = page_of(call)
    wanted = vms.VmFilter(
        flag=flag, start=offset, end=end, state=state_of(call), query=call.query["search"]
    )
    view, monitoring = call.engine.view, call.services.monitoring
    found = vms.listing(view, call.actor, wanted)
    return [out.vm_out(vm, view, monitoring) for vm in shown(call, found)]


def state_of(call: Call) -> int:
    state = call.query["state"]
    if state in ("live", "any"):
        return vms.NOT_DONE if state == "live" else vms.ANY_STATE
    number = number_in(state)
    if number is None:
        raise InvalidInput("state", state, "is not live, any, or a state's number")
    return number


async def show_vm(call: Call) -> out.VmDetail:
    """Shows one VM, also when it is done."""
    vm = vms.get(call.engine.view, call.actor, call.oid)
    return out.vm_detail(vm, call.engine.view, call.services.monitoring)


async def create_vm(call: Call) -> Created:
    """Creates a VM from a template, or from a stored one."""
    given: CreateVm = call.body
    if (given.template is None) == (given.template_id is None):
        raise InvalidInput("template", "", "or template_id: give one of the two")
    if given.template_id is not None:
        how = vms.Instantiation(name=given.name, hold=given.hold, extra=text_of(given.extra))
        return Created(await vms.instantiate(call.engine, call.actor, given.template_id, how))
    text = text_of(given.template or "")
    return Created(
        await vms.allocate(call.engine, call.actor, text, hold=given.hold, name=given.name)
    )


async def act_on_vm(call: Call) -> Created:
    """Does an action: deploy, recover, or one of those of onevm (terminate, poweroff, resume
    ...).
    """
    given: ActOnVm = call.body
    if given.action == "deploy":
        if given.host_id is None:
            raise InvalidInput("host_id", "", "is missing: deploy needs a host")
        ds_id = -1 if given.datastore_id is None else given.datastore_id
        return Created(
            await vms.deploy(
                call.engine, call.actor, call.oid, given.host_id, enforce=given.enforce, ds_id=ds_id
            )
        )
    if given.action == "recover":
        operation = vms.operation_named(given.operation or "")
        return Created(await vms.recover(call.engine, call.actor, call.oid, operation))
    return Created(await vms.act(call.engine, call.actor, given.action, call.oid))


async def terminate_vm(call: Call) -> Created:
    """Terminates a VM; it stays readable."""
    action = "terminate-hard" if call.query["hard"] else "terminate"
    return Created(await vms.act(call.engine, call.actor, action, call.oid))


# --- hosts and clusters ---------------------------------------------------------------------------


async def list_hosts(call: Call) -> list[out.HostOut]:
    """Lists hosts."""
    view, monitoring = call.engine.view, call.services.monitoring
    return [out.host_out(host, view, monitoring) for host in hosts.listing(view, call.actor)]


async def show_host(call: Call) -> out.HostOut:
    """Shows one host."""
    host = hosts.get(call.engine.view, call.actor, call.oid)
    return out.host_out(host, call.engine.view, call.services.monitoring)


async def create_host(call: Call) -> Created:
    """Adds a host."""
    given: CreateHost = call.body
    return Created(
        await hosts.allocate(
            call.engine, call.actor, given.name, given.driver, given.driver, given.cluster_id
        )
    )


async def act_on_host(call: Call) -> Created:
    """Enables, disables or takes offline a host."""
    numbers = {word: number for number, word in hosts.STATUSES.items()}
    action = call.body.action
    if action not in numbers:
        raise InvalidInput("action", action, f"is none of {', '.join(numbers)}")
    return Created(await hosts.set_status(call.engine, call.actor, call.oid, numbers[action]))


async def list_clusters(call: Call) -> list[out.ClusterOut]:
    """Lists clusters of hosts."""
    view = call.engine.view
    return [out.cluster_out(cluster, view) for cluster in hosts.list_clusters(view, call.actor)]


async def show_cluster(call: Call) -> out.ClusterOut:
    """Shows one cluster."""
    return out.cluster_out(
        hosts.get_cluster(call.engine.view, call.actor, call.oid), call.engine.view
    )


async def create_cluster(call: Call) -> Created:
    """Makes a cluster of hosts."""
    return Created(await hosts.allocate_cluster(call.engine, call.actor, call.body.name))


# --- images and datastores ------------------------------------------------------------------------


async def list_images(call: Call) -> list[out.ImageOut]:
    """Lists images."""
    view = call.engine.view
    found = images.listing(view, call.actor, *page_of(call))
    return [out.image_out(image, view) for image in shown(call, found)]


async def show_image(call: Call) -> out.ImageOut:
    """Shows one image."""
    found = out.image_out(images.get(call.engine.view, call.actor, call.oid), call.engine.view)
    return replace(found, progress=call.services.journal.progress(Kind.IMAGE, call.oid))


async def create_image(call: Call) -> Created:
    """Registers an image."""
    given: CreateImage = call.body
    text = text_of(given.template)
    return Created(await images.allocate(call.engine, call.actor, text, given.datastore_id))


async def act_on_image(call: Call) -> Created:
    """Enables or disables an image, or says whether it is persistent."""
    action, engine, actor = call.body.action, call.engine, call.actor
    if action in ("enable", "disable"):
        return Created(await images.enable(engine, actor, call.oid, enabled=action == "enable"))
    if action in ("persistent", "nonpersistent"):
        persistent = action == "persistent"
        return Created(await images.set_persistent(engine, actor, call.oid, persistent=persistent))
    raise InvalidInput("action", action, "is none of enable, disable, persistent, nonpersistent")


async def list_datastores(call: Call) -> list[out.DatastoreOut]:
    """Lists datastores."""
    view, monitoring = call.engine.view, call.services.monitoring
    found = images.list_datastores(view, call.actor)
    return [out.datastore_out(store, view, monitoring) for store in found]


async def show_datastore(call: Call) -> out.DatastoreOut:
    """Shows one datastore."""
    store = images.get_datastore(call.engine.view, call.actor, call.oid)
    return out.datastore_out(store, call.engine.view, call.services.monitoring)


async def create_datastore(call: Call) -> Created:
    """Adds a datastore."""
    given: CreateFromTemplate = call.body
    text = text_of(given.template)
    return Created(await images.allocate_datastore(call.engine, call.actor, text, given.cluster_id))


# --- networks and security groups -----------------------------------------------------------------


async def list_networks(call: Call) -> list[out.NetworkOut]:
    """Lists virtual networks."""
    view = call.engine.view
    found = networks.listing(view, call.actor, *page_of(call))
    return [out.network_out(network, view) for network in shown(call, found)]


async def show_network(call: Call) -> out.NetworkOut:
    """Shows one virtual network."""
    return out.network_out(networks.get(call.engine.view, call.actor, call.oid), call.engine.view)


async def create_network(call: Call) -> Created:
    """Makes a virtual network."""
    given: CreateFromTemplate = call.body
    text = text_of(given.template)
    return Created(await networks.allocate(call.engine, call.actor, text, given.cluster_id))


async def list_security_groups(call: Call) -> list[out.OwnedOut]:
    """Lists security groups."""
    view = call.engine.view
    found = networks.list_security_groups(view, call.actor, *page_of(call))
    return [out.owned_out(group, view) for group in shown(call, found)]


async def show_security_group(call: Call) -> out.OwnedOut:
    """Shows one security group."""
    group = networks.get_security_group(call.engine.view, call.actor, call.oid)
    return out.owned_out(group, call.engine.view)


async def create_security_group(call: Call) -> Created:
    """Makes a security group."""
    text = text_of(call.body.template)
    return Created(await networks.allocate_security_group(call.engine, call.actor, text))


# --- templates, users, groups ---------------------------------------------------------------------


async def list_templates(call: Call) -> list[out.OwnedOut]:
    """Lists stored VM templates."""
    view = call.engine.view
    found = templates.listing(view, call.actor, *page_of(call))
    return [out.owned_out(template, view) for template in shown(call, found)]


async def show_template(call: Call) -> out.OwnedOut:
    """Shows one stored VM template."""
    return out.owned_out(templates.get(call.engine.view, call.actor, call.oid), call.engine.view)


async def create_template(call: Call) -> Created:
    """Stores a VM template."""
    text = text_of(call.body.template)
    return Created(await templates.allocate(call.engine, call.actor, text))


async def list_users(call: Call) -> list[out.UserOut]:
    """Lists users."""
    view = call.engine.view
    return [out.user_out(user, view) for user in users.listing(view, call.actor)]


async def show_user(call: Call) -> out.UserOut:
    """Shows one user."""
    return out.user_out(users.get(call.engine.view, call.actor, call.oid), call.engine.view)


async def show_me(call: Call) -> out.UserOut:
    """Shows the caller."""
    return out.user_out(users.get(call.engine.view, call.actor, users.CALLER), call.engine.view)


async def create_user(call: Call) -> Created:
    """Makes a user."""
    given: CreateUser = call.body
    return Created(
        await users.allocate(
            call.engine,
            call.services.sessions,
            call.actor,
            given.name,
            given.password,
            gids=given.groups,
        )
    )


async def create_token(call: Call) -> TokenOut:
    """Makes a token of the caller, for `Authorization: Bearer`."""
    me = users.get(call.engine.view, call.actor, users.CALLER)
    valid_s = call.body.valid_s
    if valid_s == users.REVOKE:
        raise InvalidInput("valid_s", "0", "is not -1 (for ever) or a number of seconds")
    make_token = call.services.make_token
    return TokenOut(await users.login(call.engine, call.actor, make_token, me.name, "", valid_s))


async def end_token(call: Call) -> Created:
    """Ends a token of the caller."""
    me = users.get(call.engine.view, call.actor, users.CALLER)
    token = call.body.token
    if not token:
        raise InvalidInput("token", "", "is empty: name the one to end")
    make_token = call.services.make_token
    await users.login(call.engine, call.actor, make_token, me.name, token, users.REVOKE)
    return Created(me.id)


async def list_groups(call: Call) -> list[out.GroupOut]:
    """Lists groups of users."""
    return [out.group_out(group) for group in users.list_groups(call.engine.view, call.actor)]


async def show_log(call: Call) -> out.TextOut:
    """Shows what has happened to one VM, a line for each record."""
    return out.TextOut(
        await journal.vm_log(call.engine, call.services.journal, call.actor, call.oid)
    )


async def show_console(call: Call) -> out.TextOut:
    """Shows the end of what one VM wrote to its serial console."""
    return out.TextOut(
        await journal.vm_console(call.engine, call.services.journal, call.actor, call.oid)
    )


HARD = (Query("hard", bool, "stop it at once instead of asking the guest", False),)

ROUTES: tuple[Route, ...] = (
    get("/vms", list_vms, list[out.VmOut], "vms", VM_PAGE),
    post("/vms", create_vm, CreateVm, "vms"),
    get("/vms/{id}", show_vm, out.VmDetail, "vms"),
    get("/vms/{id}/log", show_log, out.TextOut, "vms"),
    get("/vms/{id}/console", show_console, out.TextOut, "vms"),
    post("/vms/{id}/actions", act_on_vm, ActOnVm, "vms", status=200),
    changes("/vms/{id}", Kind.VM, "vms")[0],
    Route(
        method="DELETE", path="/vms/{id}", run=terminate_vm, answer=Created, tag="vms", query=HARD
    ),
    *LEASE_ROUTES,
    get("/hosts", list_hosts, list[out.HostOut], "hosts"),
    post("/hosts", create_host, CreateHost, "hosts"),
    get("/hosts/{id}", show_host, out.HostOut, "hosts"),
    post("/hosts/{id}/actions", act_on_host, ActOnHost, "hosts", status=200),
    *changes("/hosts/{id}", Kind.HOST, "hosts"),
    get("/clusters", list_clusters, list[out.ClusterOut], "clusters"),
    post("/clusters", create_cluster, CreateCluster, "clusters"),
    get("/clusters/{id}", show_cluster, out.ClusterOut, "clusters"),
    *changes("/clusters/{id}", Kind.CLUSTER, "clusters"),
    get("/images", list_images, list[out.ImageOut], "images", PAGE),
    post("/images", create_image, CreateImage, "images"),
    get("/images/{id}", show_image, out.ImageOut, "images"),
    post("/images/{id}/actions", act_on_image, ActOnImage, "images", status=200),
    *changes("/images/{id}", Kind.IMAGE, "images"),
    get("/datastores", list_datastores, list[out.DatastoreOut], "datastores"),
    post("/datastores", create_datastore, CreateFromTemplate, "datastores"),
    get("/datastores/{id}", show_datastore, out.DatastoreOut, "datastores"),
    *changes("/datastores/{id}", Kind.DATASTORE, "datastores"),
    get("/networks", list_networks, list[out.NetworkOut], "networks", PAGE),
    post("/networks", create_network, CreateFromTemplate, "networks"),
    get("/networks/{id}", show_network, out.NetworkOut, "networks"),
    *changes("/networks/{id}", Kind.NETWORK, "networks"),
    get("/security-groups", list_security_groups, list[out.OwnedOut], "security-groups", PAGE),
    post("/security-groups", create_security_group, CreateFromTemplate, "security-groups"),
    get("/security-groups/{id}", show_security_group, out.OwnedOut, "security-groups"),
    *changes("/security-groups/{id}", Kind.SECURITY_GROUP, "security-groups"),
    get("/templates", list_templates, list[out.OwnedOut], "templates", PAGE),
    post("/templates", create_template, CreateFromTemplate, "templates"),
    get("/templates/{id}", show_template, out.OwnedOut, "templates"),
    *changes("/templates/{id}", Kind.TEMPLATE, "templates"),
    get("/me", show_me, out.UserOut, "users"),
    post("/me/tokens", create_token, CreateToken, "users", answer=TokenOut),
    post("/me/tokens/end", end_token, EndToken, "users", status=200),
    get("/users", list_users, list[out.UserOut], "users"),
    post("/users", create_user, CreateUser, "users"),
    get("/users/{id}", show_user, out.UserOut, "users"),
    *changes("/users/{id}", Kind.USER, "users"),
    get("/groups", list_groups, list[out.GroupOut], "users"),
)
