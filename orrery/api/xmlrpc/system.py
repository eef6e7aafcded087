"""one.system.*, the zone, the pools that are always empty, and what this version does not have."""

from orrery.api.xml.documents import whole
from orrery.api.xml.zone import configuration, zone, zone_pool
from orrery.api.xmlrpc.method import Api, Method, Result, Run, method
from orrery.core.errors import NotAuthorized, NotFound
from orrery.core.messages import Actor
from orrery.service.objects import not_available

VERSION = "7.5.80"
"""The version of OpenNebula whose API this is: clients compare it with their own."""

EMPTY_POOLS = {
    "acl.info": "ACL_POOL",
    "vdcpool.info": "VDC_POOL",
    "hookpool.info": "HOOK_POOL",
    "marketpool.info": "MARKETPLACE_POOL",
    "marketapppool.info": "MARKETPLACEAPP_POOL",
    "vrouterpool.info": "VROUTER_POOL",
    "vntemplatepool.info": "VNTEMPLATE_POOL",
    "vmgrouppool.info": "VM_GROUP_POOL",
    "documentpool.info": "DOCUMENT_POOL",
    "backupjobpool.info": "BACKUPJOB_POOL",
}
"""Pools of what this version does not have: clients ask for them and take an empty one."""

LATER = {
    "vm": (
        "migrate updateconf resize lock unlock attach detach diskresize disksaveas "
        "disksnapshotcreate disksnapshotdelete disksnapshotrevert disksnapshotrename "
        "attachnic detachnic updatenic attachsg detachsg attachpci detachpci "
        "snapshotcreate snapshotrevert snapshotdelete schedadd schedupdate scheddelete "
        "backup backupcancel restore exec retryexec cancelexec vmgroupadd vmgroupdel"
    ),
    "vmpool": "showback calculateshowback",
    "cluster": (
        "delhost adddatastore deldatastore addvnet delvnet optimize planexecute plandelete"
    ),
    "vn": "update_ar free_ar reserve recover lock unlock",
    "vntemplate": "allocate clone instantiate info update rename chmod chown lock unlock delete",
    "image": "clone chtype snapshotdelete snapshotrevert snapshotflatten restore lock unlock",
    "datastore": "enable",
    "template": "lock unlock",
    "document": "allocate clone info update rename chmod chown lock unlock delete",
    "vmgroup": (
        "allocate roleadd roledelete roleupdate info update rename chmod chown lock unlock delete"
    ),
    "secgroup": "clone commit",
    "vrouter": (
        "allocate instantiate attachnic detachnic info update rename chmod chown lock unlock delete"
    ),
    "user": "chauth chgrp addgroup delgroup quota enable rename",
    "userquota": "info update",
    "groupquota": "info update",
    "group": "allocate addadmin deladmin vlan update delete quota",
    "acl": "addrule delrule",
    "vdc": (
        "allocate addgroup delgroup addcluster delcluster addhost delhost adddatastore "
        "deldatastore addvnet delvnet info update rename delete"
    ),
    "system": "sql sqlquery",
    "zone": (
        "raftstatus allocate update rename delete enable addserver delserver resetserver "
        "updatedb replicate fedreplicate voterequest"
    ),
    "hook": "allocate info update rename delete lock unlock retry",
    "hooklog": "info",
    "market": "allocate enable info update rename chmod chown delete",
    "marketapp": "allocate enable info update rename chmod chown lock unlock delete",
    "backupjob": (
        "allocate backup cancel retry priority schedadd schedupdate scheddelete info "
        "update rename chmod chown lock unlock delete"
    ),
}
"""Methods of OpenNebula that answer ACTION: known, but not in this version."""


def version(api: Api, actor: Actor) -> Result:
    """Tells the version of the API."""
    return VERSION


def config(api: Api, actor: Actor) -> Result:
    """Shows the settings, to administrators."""
    if not actor.is_admin:
        raise NotAuthorized(f"User [{actor.uid}] : Not authorized to perform ADMIN CONFIGURATION.")
    return whole(configuration(api.settings))


def zone_info(api: Api, actor: Actor, *, oid: int, decrypt: bool) -> Result:
    """Shows the one zone, 0."""
    if oid != 0:
        raise NotFound(f"Error getting zone [{oid}].", object_kind="ZONE", object_id=oid)
    return whole(zone(api.endpoint))


def zones(api: Api, actor: Actor) -> Result:
    """Lists the one zone."""
    return whole(zone_pool(api.endpoint))


def empty(root: str) -> Run:
    def run(api: Api, actor: Actor) -> Result:
        """Lists nothing: this version has no such objects."""
        return whole(f"<{root}/>")

    return run


def later(name: str) -> Method:
    def run(api: Api, actor: Actor) -> Result:
        """Is not available in this version."""
        raise not_available(f"Method one.{name}")

    return method(name, "", run)


METHODS = (
    method("system.version", "", version),
    method("system.config", "", config),
    method("zone.info", "oid:i decrypt:b=false", zone_info),
    method("zonepool.info", "", zones),
    *(method(name, "", empty(root)) for name, root in EMPTY_POOLS.items()),
)

NOT_YET = tuple(
    later(f"{family}.{name}") for family, names in LATER.items() for name in names.split()
)
