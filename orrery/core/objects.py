"""What can be done with any object: rename, change rights and owner, edit the user's attributes,
delete."""

from typing import Any

from msgspec.structs import replace

from orrery.core import network
from orrery.core.access import apply_bits
from orrery.core.errors import Exists, InUse, InvalidInput, NotFound, WrongState
from orrery.core.expr import rank, requirement
from orrery.core.firewall_rules import check_rules
from orrery.core.host import reserved_in
from orrery.core.messages import (
    Chmod,
    Chown,
    Decision,
    DeleteObject,
    Message,
    Record,
    Rename,
    UpdateTemplate,
)
from orrery.core.model.host import Cluster, Host
from orrery.core.model.kinds import Entity, Kind, Owned
from orrery.core.model.lease import Lease
from orrery.core.model.network import SecurityGroup, VirtualNetwork
from orrery.core.model.storage import Datastore
from orrery.core.model.users import Group, User
from orrery.core.model.view import Object, View
from orrery.core.model.vm import Vm
from orrery.core.names import check_name, check_user_name
from orrery.core.template import Template, merge

WORDS = {
    Kind.VM: "virtual machine",
    Kind.HOST: "host",
    Kind.IMAGE: "image",
    Kind.DATASTORE: "datastore",
    Kind.NETWORK: "virtual network",
    Kind.TEMPLATE: "virtual machine template",
    Kind.SECURITY_GROUP: "security group",
    Kind.USER: "user",
    Kind.GROUP: "group",
    Kind.CLUSTER: "cluster",
    Kind.LEASE: "lease",
    Kind.STAGED_IMAGE: "staged image",
}
"""OpenNebula's words for the kinds, as its messages have them."""

TAKEN_WORDS = {Kind.NETWORK: "NET", Kind.SECURITY_GROUP: "SECGROUP"}

SHARED_NAMES = frozenset({Kind.VM, Kind.LEASE, Kind.STAGED_IMAGE})
"""Kinds of which two objects may bear one name."""

PER_OWNER = frozenset(
    {Kind.IMAGE, Kind.NETWORK, Kind.TEMPLATE, Kind.SECURITY_GROUP, Kind.DATASTORE}
)

PERMANENT = {
    Kind.USER: frozenset({0}),
    Kind.GROUP: frozenset({0, 1}),
    Kind.CLUSTER: frozenset({0}),
    Kind.DATASTORE: frozenset({0, 1, 2}),
    Kind.SECURITY_GROUP: frozenset({0}),
}
"""Objects of the first start: everything leans on them."""


def find(view: View, kind: Kind, object_id: int) -> Object:
    """The object.

    Raises:
        NotFound: in OpenNebula's words.
    """
    pools: dict[Kind, Any] = {
        Kind.VM: view.vms,
        Kind.HOST: view.hosts,
        Kind.IMAGE: view.images,
        Kind.DATASTORE: view.datastores,
        Kind.NETWORK: view.networks,
        Kind.TEMPLATE: view.templates,
        Kind.SECURITY_GROUP: view.security_groups,
        Kind.USER: view.users,
        Kind.GROUP: view.groups,
        Kind.CLUSTER: view.clusters,
        Kind.LEASE: view.leases,
        Kind.STAGED_IMAGE: view.staged_images,
    }
    found: Object | None = pools[kind].get(object_id)
    if found is None:
        raise NotFound(
            f"Error getting {WORDS[kind]} [{object_id}].",
            object_kind=kind.name,
            object_id=object_id,
        )
    return found


def refuse_taken(
    view: View, kind: Kind, name: str, uid: int | None, own_id: int | None = None
) -> None:
    """Nothing, when the name is free where it has to be.

    Raises:
        Exists: in OpenNebula's words.
    """
    if kind in SHARED_NAMES:
        return
    taken = view.by_name(kind, name, uid if kind in PER_OWNER else None)
    if taken is not None and taken != own_id:
        word = TAKEN_WORDS.get(kind, kind.name)
        raise Exists(f"NAME is already taken by {word} {taken}.", object_kind=word, object_id=taken)


def record(kind: Kind, obj: Entity, what: str, message: Message, now: float) -> Record:
    return Record(
        kind=f"{kind.name.lower()}.{what}",
        subject_kind=kind,
        subject_id=obj.id,
        at=now,
        cause=message.cause,
        body={"name": obj.name},
    )


IN_FLIGHT = frozenset({Kind.VM, Kind.IMAGE, Kind.LEASE, Kind.STAGED_IMAGE})


def changed(kind: Kind, obj: Any, what: str, message: Message, now: float) -> Decision:
    """The changed object, with its record.

    The generation of what has actions in flight stays: a new name must not make their outcomes
    stale.
    """
    fresh = obj if kind in IN_FLIGHT else replace(obj, gen=obj.gen + 1)
    return Decision(put=(fresh,), records=(record(kind, fresh, what, message, now),), result=obj.id)


def rename(m: Rename, view: View, now: float) -> Decision:
    obj = find(view, m.kind, m.id)
    if m.kind is Kind.USER:
        check_user_name(m.name)
    check_name("NAME", m.name)
    refuse_taken(view, m.kind, m.name, getattr(obj, "uid", None), m.id)
    if m.kind is Kind.HOST and view.vms_on(m.id):
        raise InUse(f"Host {obj.name} [{m.id}] has VMs: they know it by its name")
    return changed(m.kind, replace(obj, name=m.name), "renamed", m, now)


def chmod(m: Chmod, view: View, now: float) -> Decision:
    obj = owned(view, m.kind, m.id)
    fresh = replace(obj, permissions=apply_bits(obj.permissions, m.bits))
    return changed(m.kind, fresh, "permissions", m, now)


def chown(m: Chown, view: View, now: float) -> Decision:
    obj = owned(view, m.kind, m.id)
    if m.uid is not None:
        find(view, Kind.USER, m.uid)
        refuse_taken(view, m.kind, obj.name, m.uid, m.id)
    if m.gid is not None:
        find(view, Kind.GROUP, m.gid)
    fresh = replace(
        obj,
        uid=obj.uid if m.uid is None else m.uid,
        gid=obj.gid if m.gid is None else m.gid,
    )
    return changed(m.kind, fresh, "owner", m, now)


def owned(view: View, kind: Kind, object_id: int) -> Owned:
    obj = find(view, kind, object_id)
    if not isinstance(obj, Owned):
        raise InvalidInput("kind", WORDS[kind], "has no owner and no permissions")
    return obj


ENGINE_OWNED = frozenset({"ERROR", "SCHED_MESSAGE"})


def update(m: UpdateTemplate, view: View, now: float) -> Decision:
    """Replace the user's attributes, or merge into them."""
    obj: Any = find(view, m.kind, m.id)
    old: Template = obj.user_template if isinstance(obj, Vm | Lease) else obj.template
    fresh = (merge(old, m.template) if m.append else m.template).without({"NAME"})
    return changed(m.kind, with_attributes(obj, fresh, view), "updated", m, now)


def with_attributes(obj: Any, fresh: Template, view: View) -> Object:
    """The object with other attributes, those that mean something to the engine checked.

    Raises:
        InvalidInput, NotFound: which attribute, and why.
    """
    match obj:
        case Vm():
            check_expressions(fresh)
            # it may have been given new requirements: the old reason to wait no longer stands
            return replace(obj, user_template=fresh.without(ENGINE_OWNED), sched_message=None)
        case Host():
            return replace(obj, template=fresh, reserved=reserved_in(fresh, obj.total))
        case VirtualNetwork():
            return network.updated(obj, fresh, view)
        case Lease():
            return replace(obj, user_template=fresh)
        case SecurityGroup():
            check_rules(fresh, view)
    renewed: Object = replace(obj, template=fresh)
    return renewed


def check_expressions(template: Template) -> None:
    """Requirements and rank can be parsed: the planner relies on it.

    Raises:
        InvalidInput: says where the text is wrong.
    """
    for name in ("SCHED_REQUIREMENTS", "REQUIREMENTS"):
        requirement(template.get(name) or "")
    for name in ("SCHED_RANK", "RANK"):
        rank(template.get(name) or "")


def delete(m: DeleteObject, view: View, now: float) -> Decision:
    """Remove an object that has no life cycle of its own."""
    obj = find(view, m.kind, m.id)
    if m.id in PERMANENT.get(m.kind, ()):
        raise WrongState(
            f"{WORDS[m.kind]} {obj.name} [{m.id}] is of the system: it cannot be deleted"
        )
    refuse_used(obj, view)
    return Decision(
        delete=((m.kind, m.id),), records=(record(m.kind, obj, "deleted", m, now),), result=m.id
    )


def refuse_used(obj: Object, view: View) -> None:
    used = ""
    if isinstance(obj, Cluster):
        used = cluster_use(obj.id, view)
    if isinstance(obj, SecurityGroup):
        used = group_use(obj.id, view)
    if isinstance(obj, Datastore):
        if view.datastore_images(obj.id):
            used = "it has images: delete them first"
        if any(
            vm.host_id is not None and vm.history[-1].ds_id == obj.id for vm in view.vms.values()
        ):
            used = "disks of VMs are in it: terminate them first"
    if isinstance(obj, User) and owns_something(obj.id, view):
        used = "it owns objects: delete them or give them to another user (chown) first"
    if isinstance(obj, Group) and any(obj.id in u.groups for u in view.users.values()):
        used = "it has members: delete them or move them to another group first"
    if used:
        raise InUse(f"Cannot delete {obj.name} [{obj.id}]: {used}")


def cluster_use(cluster_id: int, view: View) -> str:
    if any(host.cluster_id == cluster_id for host in view.hosts.values()):
        return "it has hosts: delete them first"
    pools: tuple[Any, ...] = (view.datastores, view.networks)
    if any(cluster_id in obj.clusters for pool in pools for obj in pool.values()):
        return "it has datastores or virtual networks: delete them first"
    return ""


def group_use(group_id: int, view: View) -> str:
    for found in view.networks.values():
        if group_id in found.security_groups:
            return f"virtual network {found.name} [{found.id}] uses it"
    for vm in view.vms.values():
        if vm.etime is None and any(group_id in nic.security_groups for nic in vm.nics):
            return f"VM [{vm.id}] uses it"
    return ""


def owns_something(uid: int, view: View) -> bool:
    if any(vm.uid == uid and vm.etime is None for vm in view.vms.values()):
        return True
    if any(view.leases[i].uid == uid for i in view.leases_live()):
        return True
    pools: tuple[Any, ...] = (
        view.images,
        view.networks,
        view.templates,
        view.datastores,
        view.security_groups,
    )
    return any(obj.uid == uid for pool in pools for obj in pool.values())
