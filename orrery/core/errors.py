"""Every way in which a request can be refused: one tree, each class with a stable reason code.

A refused request has changed nothing. A failed driver call is not here: it is data, an outcome
(`core.messages`).
"""

from enum import Enum


class Reason(Enum):
    """Why a request was refused. Each API maps these codes to its own, once."""

    INVALID = "invalid"
    WRONG_STATE = "wrong-state"
    IN_USE = "in-use"
    NOT_FOUND = "not-found"
    EXISTS = "exists"
    NO_CAPACITY = "no-capacity"
    NOT_AUTHENTICATED = "not-authenticated"
    NOT_AUTHORIZED = "not-authorized"
    QUOTA = "quota"
    LOCKED = "locked"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class Refused(Exception):
    """Base of all refusals; `object_kind` and `object_id` name the object that refused, if there is
    one."""

    reason = Reason.INTERNAL

    def __init__(
        self, message: str, *, object_kind: str | None = None, object_id: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.object_kind = object_kind
        self.object_id = object_id


class InvalidInput(Refused):
    """A value of the request is wrong: says which field, which value and what to do instead."""

    reason = Reason.INVALID

    def __init__(self, field: str, value: str, remedy: str) -> None:
        shown = value if len(value) <= 80 else value[:77] + "..."
        super().__init__(f"{field}: {shown!r} {remedy}")
        self.field = field
        self.value = value
        self.remedy = remedy


class WrongState(Refused):
    """The object exists, but its state does not allow the action."""

    reason = Reason.WRONG_STATE


class InUse(Refused):
    """The object cannot be changed or removed while others use it."""

    reason = Reason.IN_USE


class NotFound(Refused):
    """No object of that kind and id (or name) that the caller may know of."""

    reason = Reason.NOT_FOUND


class Exists(Refused):
    """The name is taken."""

    reason = Reason.EXISTS


class NoCapacity(Refused):
    """Nothing has room for it: a host, a datastore or an address range."""

    reason = Reason.NO_CAPACITY


class NotAuthenticated(Refused):
    """The credentials are not right. The message never says which part was wrong."""

    reason = Reason.NOT_AUTHENTICATED


class NotAuthorized(Refused):
    """The caller is known but may not do this."""

    reason = Reason.NOT_AUTHORIZED


class QuotaExceeded(Refused):
    """The request would go over a limit of its owner or group."""

    reason = Reason.QUOTA


class Locked(Refused):
    """The object carries a lock that forbids the action."""

    reason = Reason.LOCKED


class Unavailable(Refused):
    """The engine cannot take the request now; the same request may succeed later."""

    reason = Reason.UNAVAILABLE


class BrokenInvariant(AssertionError):
    """A mistake of ours: the engine stops rather than go on with a wrong state."""
