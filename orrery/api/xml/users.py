"""Users, groups and stored VM templates as XML. No hash and no token ever leaves."""

from orrery.api.xml.build import attributes, ids, owned, permissions, seconds, text, wrapped
from orrery.core.model.users import Group, LoginToken, User, VmTemplate

QUOTA_KINDS = "<DATASTORE_QUOTA/><NETWORK_QUOTA/><VM_QUOTA/><IMAGE_QUOTA/>"
DEFAULT_USER_QUOTAS = f"<DEFAULT_USER_QUOTAS>{QUOTA_KINDS}</DEFAULT_USER_QUOTAS>"
DEFAULT_GROUP_QUOTAS = f"<DEFAULT_GROUP_QUOTAS>{QUOTA_KINDS}</DEFAULT_GROUP_QUOTAS>"

NEVER = -1


def user(obj: User, gname: str) -> tuple[str]:
    """The elements of a USER in a pool, without its end: what follows differs."""
    return (
        f"<USER><ID>{obj.id}</ID><GID>{obj.gid}</GID>{ids('GROUPS', obj.groups or (obj.gid,))}"
        f"<GNAME>{text(gname)}</GNAME><NAME>{text(obj.name)}</NAME><PASSWORD></PASSWORD>"
        f"<AUTH_DRIVER>{text(obj.auth_driver)}</AUTH_DRIVER><ENABLED>{int(obj.enabled)}</ENABLED>"
        f"{''.join(login_token(token) for token in obj.tokens)}"
        f"{wrapped('TEMPLATE', attributes(obj.template))}",
    )


def login_token(token: LoginToken) -> str:
    """That there is one, and how long it lives; the token itself is not kept."""
    until = NEVER if token.expires_at is None else seconds(token.expires_at)
    egid = NEVER if token.egid is None else token.egid
    return (
        f"<LOGIN_TOKEN><TOKEN></TOKEN><EXPIRATION_TIME>{until}</EXPIRATION_TIME>"
        f"<EGID>{egid}</EGID></LOGIN_TOKEN>"
    )


def user_info(head: str) -> str:
    return f"{head}{QUOTA_KINDS}{DEFAULT_USER_QUOTAS}</USER>"


def quotas(object_id: int) -> str:
    return f"<QUOTAS><ID>{object_id}</ID>{QUOTA_KINDS}</QUOTAS>"


def group(obj: Group, members: tuple[int, ...]) -> tuple[str]:
    """The elements of a GROUP in a pool, without its end."""
    return (
        f"<GROUP><ID>{obj.id}</ID><NAME>{text(obj.name)}</NAME>"
        f"{wrapped('TEMPLATE', attributes(obj.template))}"
        f"{ids('USERS', members)}{ids('ADMINS', obj.admins)}",
    )


def vlan_rules(group_id: int) -> str:
    return f"<VLAN_RULES><ID>{group_id}</ID></VLAN_RULES>"


def group_info(head: str, group_id: int) -> str:
    return f"{head}{QUOTA_KINDS}{vlan_rules(group_id)}{DEFAULT_GROUP_QUOTAS}</GROUP>"


def vm_template(obj: VmTemplate, names: tuple[str, str]) -> tuple[str]:
    return (
        f"<VMTEMPLATE>{owned(obj.id, obj.uid, obj.gid, names[0], names[1], obj.name)}"
        f"{permissions(obj.permissions)}<REGTIME>{seconds(obj.regtime)}</REGTIME>"
        f"{wrapped('TEMPLATE', attributes(obj.template))}</VMTEMPLATE>",
    )
