"""Users, groups and stored VM templates."""

from msgspec import Struct

from orrery.core.model.host import EMPTY
from orrery.core.model.kinds import Entity, Owned
from orrery.core.template import Template

ONEADMIN_UID = 0
ONEADMIN_GID = 0
USERS_GID = 1


class LoginToken(Struct, frozen=True, kw_only=True):
    """A token that stands for the password; only its SHA-256 is kept."""

    sha256: str
    expires_at: float | None
    egid: int | None = None


class User(Entity, frozen=True, kw_only=True):
    """Someone who may log in. `password_hash` is an argon2 string."""

    gid: int
    groups: tuple[int, ...]
    password_hash: str
    auth_driver: str = "core"
    enabled: bool = True
    tokens: tuple[LoginToken, ...] = ()
    template: Template = EMPTY


class Group(Entity, frozen=True, kw_only=True):
    """A group of users; members are found through the users."""

    admins: tuple[int, ...] = ()
    template: Template = EMPTY


class VmTemplate(Owned, frozen=True, kw_only=True):
    """The stored pool object that VMs are instantiated from."""

    regtime: float
    template: Template
