"""The objects of the first start, with OpenNebula's ids and names."""

from orrery.core.messages import NOTHING_TO_DO, Bootstrap, Decision
from orrery.core.model.host import Cluster
from orrery.core.model.kinds import Kind
from orrery.core.model.network import SecurityGroup
from orrery.core.model.storage import Datastore
from orrery.core.model.users import ONEADMIN_GID, ONEADMIN_UID, USERS_GID, Group, User
from orrery.core.model.view import View
from orrery.core.status import DatastoreType
from orrery.core.template import Template

DATASTORES = (
    (0, "system", DatastoreType.SYSTEM),
    (1, "default", DatastoreType.IMAGE),
    (2, "files", DatastoreType.FILE),
)

FIRST_IDS = {
    Kind.CLUSTER: 100,
    Kind.GROUP: 100,
    Kind.DATASTORE: 100,
    Kind.SECURITY_GROUP: 100,
    Kind.HOST: 1,
    Kind.USER: 2,
}
"""Where ids start after the first start. A host 0 would be taken for a failure by clients; user 1
is serveradmin's number; the rest start at 100 as OpenNebula's."""

ALLOW_ALL = Template(
    (
        ("DESCRIPTION", "Everything is allowed, both ways"),
        ("RULE", (("PROTOCOL", "ALL"), ("RULE_TYPE", "OUTBOUND"))),
        ("RULE", (("PROTOCOL", "ALL"), ("RULE_TYPE", "INBOUND"))),
    )
)


def bootstrap(m: Bootstrap, view: View, now: float) -> Decision:
    """The default objects; nothing when they exist."""
    if view.users:
        return NOTHING_TO_DO
    stores = tuple(
        Datastore(
            id=number,
            name=name,
            uid=ONEADMIN_UID,
            gid=ONEADMIN_GID,
            permissions=0o640,
            type=kind,
            ds_mad=m.driver,
            tm_mad=m.driver,
            base_path=f"{m.datastore_dir}/{number}",
        )
        for number, name, kind in DATASTORES
    )
    return Decision(
        put=(
            Group(id=ONEADMIN_GID, name="oneadmin"),
            Group(id=USERS_GID, name="users"),
            User(
                id=ONEADMIN_UID,
                name="oneadmin",
                gid=ONEADMIN_GID,
                groups=(ONEADMIN_GID,),
                password_hash=m.password_hash,
            ),
            Cluster(id=0, name="default"),
            *stores,
            SecurityGroup(
                id=0,
                name="default",
                uid=ONEADMIN_UID,
                gid=ONEADMIN_GID,
                permissions=0o644,
                template=ALLOW_ALL,
            ),
        )
    )
