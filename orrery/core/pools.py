"""Making objects that have no life cycle: VM templates, datastores, clusters, security groups,
users."""

from msgspec.structs import replace

from orrery.core.access import initial_permissions
from orrery.core.errors import InvalidInput, NotFound
from orrery.core.firewall_rules import check_rules
from orrery.core.messages import (
    AddToken,
    AllocateCluster,
    AllocateDatastore,
    AllocateSecurityGroup,
    AllocateTemplate,
    AllocateUser,
    Decision,
    Message,
    RevokeToken,
    SetPassword,
)
from orrery.core.model.host import Cluster
from orrery.core.model.kinds import Kind
from orrery.core.model.network import SecurityGroup
from orrery.core.model.storage import Datastore
from orrery.core.model.users import USERS_GID, LoginToken, User, VmTemplate
from orrery.core.model.view import Object, View
from orrery.core.names import check_name, check_user_name
from orrery.core.objects import changed, find, record, refuse_taken
from orrery.core.status import DatastoreType
from orrery.core.template import Template

MAX_TOKENS = 10


def created(kind: Kind, obj: Object, message: Message, now: float) -> Decision:
    return Decision(
        put=(obj,), records=(record(kind, obj, "created", message, now),), result=obj.id
    )


def named(template: Template, kind: Kind, view: View, uid: int | None) -> str:
    name = check_name("NAME", template.get("NAME") or "")
    refuse_taken(view, kind, name, uid)
    return name


def allocate_template(m: AllocateTemplate, view: View, now: float) -> Decision:
    stored = VmTemplate(
        id=view.next_id(Kind.TEMPLATE),
        name=named(m.template, Kind.TEMPLATE, view, m.actor.uid),
        uid=m.actor.uid,
        gid=m.actor.gids[0],
        permissions=initial_permissions(view, m.actor),
        regtime=now,
        template=m.template.without({"NAME"}),
    )
    return created(Kind.TEMPLATE, stored, m, now)


STORES = {
    "IMAGE_DS": DatastoreType.IMAGE,
    "SYSTEM_DS": DatastoreType.SYSTEM,
    "FILE_DS": DatastoreType.FILE,
}


def allocate_datastore(m: AllocateDatastore, view: View, now: float) -> Decision:
    """A datastore beside the default ones, in a directory named after its id unless BASE_PATH says
    where."""
    template = m.template
    name = named(template, Kind.DATASTORE, view, m.actor.uid)
    text = (template.get("TYPE") or "IMAGE_DS").upper()
    if text not in STORES:
        raise InvalidInput("TYPE", text, f"is not a datastore type: {', '.join(STORES)}")
    default = view.datastores[0]
    mad = template.get("TM_MAD") or default.tm_mad
    datastore_id = view.next_id(Kind.DATASTORE)
    base = default.base_path.rsplit("/", 1)[0]
    path = template.get("BASE_PATH") or f"{base}/{datastore_id}"
    if not path.startswith("/") or "/.." in path or not path.isprintable():
        raise InvalidInput("BASE_PATH", path, "is not an absolute path, like /srv/images")
    find(view, Kind.CLUSTER, m.cluster_id)
    store = Datastore(
        id=datastore_id,
        name=name,
        uid=m.actor.uid,
        gid=m.actor.gids[0],
        permissions=initial_permissions(view, m.actor),
        type=STORES[text],
        ds_mad=template.get("DS_MAD") or default.ds_mad,
        tm_mad=mad,
        base_path=path,
        clusters=(m.cluster_id,),
        template=template.without({"NAME", "TYPE", "DS_MAD", "TM_MAD", "BASE_PATH"}),
    )
    return created(Kind.DATASTORE, store, m, now)


def allocate_cluster(m: AllocateCluster, view: View, now: float) -> Decision:
    check_name("NAME", m.name)
    refuse_taken(view, Kind.CLUSTER, m.name, None)
    return created(Kind.CLUSTER, Cluster(id=view.next_id(Kind.CLUSTER), name=m.name), m, now)


def allocate_security_group(m: AllocateSecurityGroup, view: View, now: float) -> Decision:
    group = SecurityGroup(
        id=view.next_id(Kind.SECURITY_GROUP),
        name=named(m.template, Kind.SECURITY_GROUP, view, m.actor.uid),
        uid=m.actor.uid,
        gid=m.actor.gids[0],
        permissions=initial_permissions(view, m.actor),
        template=m.template.without({"NAME"}),
    )
    check_rules(group.template, view)
    return created(Kind.SECURITY_GROUP, group, m, now)


# --- users ----------------------------------------------------------------------------------------


def allocate_user(m: AllocateUser, view: View, now: float) -> Decision:
    name = check_user_name(m.name)
    refuse_taken(view, Kind.USER, name, None)
    for gid in m.gids:
        find(view, Kind.GROUP, gid)
    groups = tuple(dict.fromkeys(m.gids)) or (USERS_GID,)
    user = User(
        id=view.next_id(Kind.USER),
        name=name,
        gid=groups[0],
        groups=groups,
        password_hash=m.password_hash,
        auth_driver=m.auth_driver or "core",
    )
    return created(Kind.USER, user, m, now)


def user_of(view: View, user_id: int) -> User:
    user = find(view, Kind.USER, user_id)
    assert isinstance(user, User)
    return user


def set_password(m: SetPassword, view: View, now: float) -> Decision:
    """A new password ends every session and token that the old one made."""
    user = replace(user_of(view, m.user_id), password_hash=m.password_hash, tokens=())
    return changed(Kind.USER, user, "password", m, now)


def add_token(m: AddToken, view: View, now: float) -> Decision:
    user = user_of(view, m.user_id)
    if m.egid is not None and m.egid not in user.groups:
        raise InvalidInput("egid", str(m.egid), f"is no group of user {user.name}")
    live = tuple(t for t in user.tokens if t.expires_at is None or t.expires_at > now)
    if len(live) >= MAX_TOKENS:
        raise InvalidInput(
            "token", str(len(live)), f"are too many: at most {MAX_TOKENS} live tokens a user"
        )
    token = LoginToken(sha256=m.sha256, expires_at=m.expires_at, egid=m.egid)
    return changed(Kind.USER, replace(user, tokens=(*live, token)), "token-added", m, now)


def revoke_token(m: RevokeToken, view: View, now: float) -> Decision:
    user = user_of(view, m.user_id)
    kept = tuple(t for t in user.tokens if m.sha256 is not None and t.sha256 != m.sha256)
    if kept == user.tokens and m.sha256 is not None:
        raise NotFound(f"User {user.name} [{user.id}] has no such token")
    return changed(Kind.USER, replace(user, tokens=kept), "token-revoked", m, now)
