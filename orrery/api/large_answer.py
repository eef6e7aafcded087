"""Sends a large answer over a connection without copying it: megabytes go from where they were
made into the kernel, as fast as it takes them.

A transport of asyncio would copy what does not fit at once into a buffer of its own, and again
with every piece that is sent: for a list of ten thousand VMs that is most of the time.
"""

import asyncio
import os
from collections.abc import Callable

AT_A_TIME = 1 << 21
"""Bytes given to the kernel before anybody else has a turn."""

Ended = Callable[[OSError | None], None]


class LargeAnswer:
    """One answer on its way. The transport must have nothing to send meanwhile.

    A second descriptor of the same socket is watched, since the loop keeps the first for the
    transport.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        body: bytes,
        ended: Ended,
    ) -> None:
        self._loop = loop
        self._left = memoryview(body)
        self._ended = ended
        self._fd = os.dup(transport.get_extra_info("socket").fileno())
        self._watched = False

    def start(self) -> None:
        """Send what goes at once; `ended` is called when all went, or the client did."""
        self._send()

    def stop(self) -> None:
        """Forget the rest."""
        if self._fd >= 0:
            if self._watched:
                self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._left.release()

    def _send(self) -> None:
        try:
            sent = os.write(self._fd, self._left[:AT_A_TIME])
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.stop()
            self._ended(error)
            return
        if sent == len(self._left):
            self.stop()
            self._ended(None)
            return
        self._left = self._left[sent:]
        if not self._watched:
            self._watched = True
            self._loop.add_writer(self._fd, self._send)
