"""Which command or event the running task works for: carried into drivers and their logs."""

from contextvars import ContextVar

CAUSE: ContextVar[str] = ContextVar("cause", default="")
"""Set by who begins a chain of driver calls; read by who makes them."""
