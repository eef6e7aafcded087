"""Time as a constructor argument."""

from typing import Protocol


class Clock(Protocol):
    """Seconds since the epoch; under virtual time it jumps."""

    def now(self) -> float: ...
