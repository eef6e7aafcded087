"""Who may do what with which object: nine permission bits, the administrators' rule, and the stock
access rules.

Knows nothing of requests or log-ins: it is given who asks and what is asked for.
"""

from typing import Protocol

from msgspec import Struct

from orrery.core.errors import InvalidInput, NotAuthorized
from orrery.core.model.kinds import Entity, Kind, Owned
from orrery.core.model.users import Group, User
from orrery.core.model.view import KIND_OF, View
from orrery.core.status import Right


class Caller(Protocol):
    """Who asks (`core.messages.Actor` is one)."""

    @property
    def uid(self) -> int: ...
    @property
    def gids(self) -> tuple[int, ...]: ...
    @property
    def is_admin(self) -> bool: ...


class Rule(Struct, frozen=True):
    """Grants rights on every object of a kind to everybody. Rules only ever grant."""

    kind: Kind
    rights: int


STOCK_RULES = (
    Rule(Kind.VM, Right.CREATE),
    Rule(Kind.IMAGE, Right.CREATE),
    Rule(Kind.TEMPLATE, Right.CREATE),
    Rule(Kind.SECURITY_GROUP, Right.CREATE),
    Rule(Kind.LEASE, Right.CREATE),
    Rule(Kind.HOST, Right.USE | Right.MANAGE),
    Rule(Kind.CLUSTER, Right.USE),
    Rule(Kind.NETWORK, Right.USE),
    Rule(Kind.DATASTORE, Right.USE),
)
"""What OpenNebula grants after installation: group users may create, its default data centre gives
the rest. Rules made by administrators will be looked up beside these."""

GRANTED: dict[Kind, int] = {rule.kind: rule.rights for rule in STOCK_RULES}

RULE_WORDS: dict[Kind, str] = {
    Kind.VM: "VM",
    Kind.HOST: "HOST",
    Kind.IMAGE: "IMAGE",
    Kind.DATASTORE: "DATASTORE",
    Kind.NETWORK: "NET",
    Kind.TEMPLATE: "TEMPLATE",
    Kind.SECURITY_GROUP: "SECGROUP",
    Kind.USER: "USER",
    Kind.GROUP: "GROUP",
    Kind.CLUSTER: "CLUSTER",
    Kind.LEASE: "LEASE",
    Kind.STAGED_IMAGE: "STAGED_IMAGE",
}
"""The words that OpenNebula's access rules and refusals use."""

DIGIT = {Right.USE: 4, Right.MANAGE: 2, Right.ADMIN: 1}
"""The right's bit within one octal digit of the permissions."""

ADMIN_BITS = 0o111

DEFAULT_UMASK = 0o177
BASE_BITS = 0o666
ADMIN_BASE_BITS = 0o777


def may(caller: Caller, right: Right, obj: Entity) -> bool:
    """True when owner bits, group bits, other bits or a rule grant it; administrators may do
    everything."""
    if caller.is_admin:
        return True
    if isinstance(obj, Owned) and granted_by_bits(caller, right, obj):
        return True
    kind = KIND_OF[type(obj)]
    return bool(GRANTED.get(kind, 0) & right) or granted_by_membership(caller, right, obj)


def granted_by_bits(caller: Caller, right: Right, obj: Owned) -> bool:
    bit = DIGIT.get(right, 0)
    if obj.permissions & bit:
        return True
    if obj.uid == caller.uid and obj.permissions >> 6 & bit:
        return True
    return obj.gid in caller.gids and bool(obj.permissions >> 3 & bit)


def granted_by_membership(caller: Caller, right: Right, obj: Entity) -> bool:
    """Users may see and change themselves, see their groups, and nothing else of either kind."""
    if isinstance(obj, User):
        return obj.id == caller.uid and right in (Right.USE, Right.MANAGE)
    if isinstance(obj, Group):
        return obj.id in caller.gids and right is Right.USE
    return False


def visible(caller: Caller, obj: Entity) -> bool:
    """Whether a pool shows it."""
    return may(caller, Right.USE, obj)


def require(caller: Caller, right: Right, obj: Entity) -> None:
    """Nothing, when the caller may.

    Raises:
        NotAuthorized: in OpenNebula's words.
    """
    if not may(caller, right, obj):
        word = RULE_WORDS[KIND_OF[type(obj)]]
        raise NotAuthorized(
            f"User [{caller.uid}] : Not authorized to perform {right.name} {word} [{obj.id}].",
            object_kind=word,
            object_id=obj.id,
        )


def require_create(caller: Caller, kind: Kind) -> None:
    """Nothing, when the caller may make objects of that kind.

    Raises:
        NotAuthorized: in OpenNebula's words.
    """
    if caller.is_admin or GRANTED.get(kind, 0) & Right.CREATE:
        return
    word = RULE_WORDS[kind]
    raise NotAuthorized(
        f"User [{caller.uid}] : Not authorized to perform CREATE {word}.", object_kind=word
    )


# --- permission bits ------------------------------------------------------------------------------


def apply_bits(permissions: int, bits: tuple[int, ...]) -> int:
    """chmod: nine numbers from owner-use to other-admin; 1 sets, 0 clears, -1 keeps."""
    result = permissions
    for place, bit in enumerate(check_bits(bits)):
        mask = 1 << (8 - place)
        if bit >= 0:
            result = result | mask if bit else result & ~mask
    return result


def check_bits(bits: tuple[int, ...]) -> tuple[int, ...]:
    """The nine numbers, if they are.

    Raises:
        InvalidInput: not nine, or another number than 1, 0 or -1.
    """
    if len(bits) != 9 or any(bit not in (-1, 0, 1) for bit in bits):
        shown = " ".join(str(bit) for bit in bits)
        raise InvalidInput(
            "permissions", shown, "are not nine numbers of 1 (set), 0 (clear), -1 (keep)"
        )
    return bits


def changes_admin(permissions: int, bits: tuple[int, ...]) -> bool:
    """Whether a chmod would change an ADMIN bit, which takes ADMIN right instead of MANAGE."""
    return bool((permissions ^ apply_bits(permissions, bits)) & ADMIN_BITS)


def default_permissions(caller: Caller, umask: str | None = None) -> int:
    """The bits of a new object: all of use and manage (and admin for administrators) less the
    user's UMASK.

    Raises:
        InvalidInput: UMASK is not three octal digits.
    """
    base = ADMIN_BASE_BITS if caller.is_admin else BASE_BITS
    return base & ~(DEFAULT_UMASK if umask is None else parse_umask(umask))


def initial_permissions(view: View, caller: Caller) -> int:
    """The bits of a new object of the caller, by the UMASK in the user's template."""
    user = view.users.get(caller.uid)
    return default_permissions(caller, None if user is None else user.template.get("UMASK"))


def parse_umask(text: str) -> int:
    if not (1 <= len(text) <= 3 and all(digit in "01234567" for digit in text)):
        raise InvalidInput("UMASK", text, 'is not an octal mask: three digits 0 to 7, like "177"')
    return int(text, 8)
