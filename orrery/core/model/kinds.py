"""Kinds of objects, and the fields that all owned objects share."""

from enum import Enum

from msgspec import Struct


class Kind(Enum):
    """Every kind of object the engine keeps; the value is the table's name."""

    VM = "vm"
    HOST = "host"
    IMAGE = "image"
    DATASTORE = "datastore"
    NETWORK = "network"
    TEMPLATE = "template"
    SECURITY_GROUP = "security_group"
    USER = "user"
    GROUP = "grp"
    CLUSTER = "cluster"
    LEASE = "lease"
    STAGED_IMAGE = "staged_image"


class Entity(Struct, frozen=True, kw_only=True):
    """What every object has. `gen` grows with each change: stale answers are told apart by it."""

    id: int
    name: str
    gen: int = 0


class Owned(Entity, frozen=True, kw_only=True):
    """An object with an owner. `permissions` are nine bits as in chmod: 0o640 = um- u-- ---,
    each digit USE 4, MANAGE 2, ADMIN 1."""

    uid: int
    gid: int
    permissions: int = 0o600
