"""What requests of the JSON API carry, and how it becomes what the use cases take."""

from typing import Any

from msgspec import Struct

from orrery.core.errors import InvalidInput
from orrery.core.template import Attribute, Template, write
from orrery.service.objects import Bits

TemplateIn = str | dict[str, Any]
"""A template as text, or as an object: {"CPU": "1", "DISK": [{"IMAGE_ID": "0"}]}."""


class CreateVm(Struct, forbid_unknown_fields=True):
    """`template`, or `template_id` with `extra` attributes that replace those of the stored one."""

    template: TemplateIn | None = None
    template_id: int | None = None
    extra: TemplateIn = ""
    name: str = ""
    hold: bool = False


class ActOnVm(Struct, forbid_unknown_fields=True):
    """`host_id` and `enforce` are for deploy, `operation` (success, retry, delete ...) for
    recover.
    """

    action: str
    host_id: int | None = None
    datastore_id: int | None = None
    enforce: bool = False
    operation: str | None = None


class CreateHost(Struct, forbid_unknown_fields=True):
    name: str
    driver: str
    cluster_id: int = 0


class ActOnHost(Struct, forbid_unknown_fields=True):
    """enable, disable or offline."""

    action: str


class CreateCluster(Struct, forbid_unknown_fields=True):
    name: str


class CreateImage(Struct, forbid_unknown_fields=True):
    template: TemplateIn
    datastore_id: int = 1


class ActOnImage(Struct, forbid_unknown_fields=True):
    """enable, disable, persistent or nonpersistent."""

    action: str


class CreateFromTemplate(Struct, forbid_unknown_fields=True):
    """NAME is in the template."""

    template: TemplateIn
    cluster_id: int = 0


class CreateUser(Struct, forbid_unknown_fields=True):
    name: str
    password: str
    groups: tuple[int, ...] = ()


class CreateToken(Struct, forbid_unknown_fields=True):
    """`valid_s` -1 is for ever."""

    valid_s: int = 36_000


class Change(Struct, forbid_unknown_fields=True):
    """What is left out stays. `permissions` is octal, like "640"; `append` merges the template."""

    name: str | None = None
    template: TemplateIn | None = None
    append: bool = True
    permissions: str | None = None
    owner_id: int | None = None
    group_id: int | None = None
    password: str | None = None


class Created(Struct, frozen=True):
    id: int


class EndToken(Struct, forbid_unknown_fields=True):
    """The token that is to end."""

    token: str


class TokenOut(Struct, frozen=True):
    """The only time the token is seen."""

    token: str


# --- from JSON to what services take --------------------------------------------------------------


def text_of(given: TemplateIn) -> str:
    """Template text.

    Raises:
        InvalidInput: a value is neither text, number, nor an object or list of these.
    """
    if isinstance(given, str):
        return given
    attributes: list[Attribute] = []
    for name, value in given.items():
        items = value if isinstance(value, list) else [value]
        attributes += [(name, attribute_value(name, item)) for item in items]
    return write(Template(tuple(attributes)))


def attribute_value(name: str, value: Any) -> str | tuple[tuple[str, str], ...]:
    if isinstance(value, dict):
        return tuple((key, scalar(f"{name}/{key}", item)) for key, item in value.items())
    return scalar(name, value)


def scalar(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "YES" if value else "NO"
    if isinstance(value, str | int | float):
        return str(value)
    raise InvalidInput(name, str(value), "is not a text, a number or an object of these")


def bits_of(permissions: str) -> Bits:
    """Three octal digits as nine numbers."""
    if len(permissions) != 3 or any(digit not in "01234567" for digit in permissions):
        raise InvalidInput("permissions", permissions, 'are not three octal digits, like "640"')
    number = int(permissions, 8)
    u, m, a, gu, gm, ga, ou, om, oa = (number >> place & 1 for place in range(8, -1, -1))
    return (u, m, a, gu, gm, ga, ou, om, oa)
