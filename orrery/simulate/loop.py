"""An asyncio event loop whose time jumps to the next timer instead of waiting for it.

A whole engine runs on it, thousands of times faster than real time and the same way every time.
Threads are refused, because real time would leak in; a program in which everybody waits and no
timer is set is reported instead of hanging for ever.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

CLOCK_RESOLUTION_S = 1e-3
"""asyncio calls a timer due at `time() + resolution`. A nanosecond, its usual value, is below the
resolution of a float after 194 days of loop time: then a due timer would never be due."""


class EverybodyWaits(RuntimeError):
    """All tasks wait and no timer will ever wake one: a deadlock, found for free."""


class _JumpingSelector(selectors.DefaultSelector):
    """Polls real files, and lets the loop's time jump where a real selector would sleep."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise EverybodyWaits("all tasks wait and no timer is set")
        self.loop.jump(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time starts at zero."""

    def __init__(self) -> None:
        self._now = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = CLOCK_RESOLUTION_S

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds

    def run_in_executor(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override] # refused
        raise RuntimeError("threads live in real time: not under virtual time")


class VirtualClock:
    """`ports.clock.Clock` on a loop: an epoch plus the loop's time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch: float = 1_700_000_000.0) -> None:
        self._loop = loop
        self._epoch = epoch

    def now(self) -> float:
        return self._epoch + self._loop.time()


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end under virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        _cancel_rest(loop)
        loop.close()


def _cancel_rest(loop: VirtualLoop) -> None:
    rest = asyncio.all_tasks(loop)
    for task in rest:
        task.cancel()
    if rest:
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
