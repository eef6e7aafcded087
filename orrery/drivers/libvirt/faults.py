"""What an error of libvirt means for a call: no effect, or nobody knows. Knows no driver method."""

from orrery.core.messages import Failed, Outcome, Unknown
from orrery.drivers.libvirt.binding import libvirt


class NotConnected(Exception):
    """The call was not sent: there is no connection. It had no effect."""


class NotStarted(Exception):
    """The call was not sent: all threads are busy. It had no effect."""


class Overdue(Exception):
    """The call was sent and has not returned: it may still take effect."""


class Impossible(Exception):
    """The call cannot be done, and nothing was tried."""


LOST = frozenset({libvirt.VIR_ERR_RPC, libvirt.VIR_ERR_NO_CONNECT})
"""Errors of the connection itself. With others it depends on whether the connection still lives."""

PASSING = frozenset(
    {
        libvirt.VIR_ERR_OPERATION_TIMEOUT,  # the domain's lock was held: the call did not begin
        libvirt.VIR_ERR_RESOURCE_BUSY,
        libvirt.VIR_ERR_NO_MEMORY,
        libvirt.VIR_ERR_OPERATION_ABORTED,
        libvirt.VIR_ERR_MIGRATE_UNSAFE,
    }
)
"""The same call may succeed later."""

PASSING_TEXT = (
    'Failed to get "write" lock',
    "Cannot allocate memory",
    "monitor socket did not show",
)
"""libvirt reports these under its code for everything."""


def is_absent(error: Exception) -> bool:
    """True when the domain asked for does not exist."""
    return code(error) == int(libvirt.VIR_ERR_NO_DOMAIN)


def code(error: Exception) -> int | None:
    """libvirt's error number, None for another exception."""
    return error.get_error_code() if isinstance(error, libvirt.libvirtError) else None


def is_lost(error: Exception) -> bool:
    """True when the answer of a call was lost with the connection."""
    text = str(error).lower()
    return code(error) in LOST or any(
        mark in text
        for mark in ("keepalive", "client socket is closed", "connection closed", "broken pipe")
    )


def outcome_of(error: Exception, what: str) -> Outcome:
    """The outcome of a call that raised; `what` names the call for the reader of the message."""
    match error:
        case NotConnected() | NotStarted():
            return Failed(f"{what}: {error}", retryable=True)
        case Impossible():
            return Failed(f"{what}: {error}")
        case Overdue():
            return Unknown(f"{what}: {error}")
        case libvirt.libvirtError() if is_lost(error):
            return Unknown(f"{what}: connection lost: {error}")
        case libvirt.libvirtError():
            passing = code(error) in PASSING or any(t in str(error) for t in PASSING_TEXT)
            return Failed(f"{what}: {error}", retryable=passing)
        case _:
            return Unknown(f"{what}: {type(error).__name__}: {error}")
