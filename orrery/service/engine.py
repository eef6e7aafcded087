"""What the use cases expect of the engine: a view to read, a way to ask, numbers and records to
pass on. Types only.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from orrery.core.messages import Command, Record
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import Terms
from orrery.core.model.view import View
from orrery.ports.clock import Clock
from orrery.ports.store import Sample as Sample
from orrery.sched.leases.answer import Answer, Offer

Submit = Callable[[Command], Awaitable[int | None]]
"""Hands a command to the writer; returns Decision.result after the commit, or raises a
`core.errors.Refused`.
"""

Values = Mapping[str, float]
"""Numbers by OpenNebula's names, TIMESTAMP (seconds since the epoch) among them.

A new sample is a new mapping: whoever formats one may remember it by identity.
"""


class Planning(Protocol):
    """The scheduler of leases, as the use cases see it."""

    def when(self, terms: Terms, uid: int) -> Answer:
        """What would become of a request now. Nothing is promised by it."""
        ...

    def alternatives(self, terms: Terms, uid: int) -> list[Offer]:
        """The nearest that could be had, where the request itself cannot."""
        ...

    async def answered(self, lease_id: int, timeout_s: float) -> bool:
        """Wait until the scheduler has dealt with what was asked of the lease; False after the
        time-out. What it answered is stored with the lease then."""
        ...


class LeaseLimits(Struct, frozen=True, kw_only=True):
    """What one user may ask for; None where there is no limit."""

    max_nodes: int | None = None
    """Nodes in all leases of a user that are not over."""
    max_duration_s: float | None = None
    max_ahead_s: float | None = None
    """How far ahead a lease may begin."""
    max_node_s: float | None = None
    """Nodes times seconds in all leases of a user that are not over."""
    offer_s: float = 60.0
    """How long a counter-offer is held."""
    gather_s: float = 3.0
    """How long the lease of a GROUP of VMs waits for more of them."""
    answer_s: float = 30.0
    """How long a request waits for the scheduler's answer."""


class Engine(Struct, frozen=True):
    """The engine as seen from a use case. `view` always shows the last published state."""

    view: View
    submit: Submit
    new_cause: Callable[[], str]
    clock: Clock
    planning: Planning | None = None
    """None: this engine plans no leases."""
    lease_limits: LeaseLimits = LeaseLimits()


class Monitoring(Protocol):
    """The newest numbers in memory, older ones from wherever they are kept."""

    @property
    def revision(self) -> int:
        """Grows whenever one of the newest numbers changes."""
        ...

    @property
    def vm_samples(self) -> Mapping[int, object]:
        """The newest sample of each VM: tells a new one by identity; `last_vm` has the numbers."""
        ...

    def last_vm(self, vm_id: int) -> Values | None:
        """CPU (percent of one core), MEMORY (KiB), NETRX, NETTX, DISKRDBYTES, DISKWRBYTES,
        DISKRDIOPS, DISKWRIOPS.
        """
        ...

    def last_host(self, host_id: int) -> Values | None:
        """USED_CPU, FREE_CPU (hundredths), USED_MEMORY, FREE_MEMORY (KiB), NETRX, NETTX."""
        ...

    def last_datastore(self, datastore_id: int) -> Values | None:
        """TOTAL_MB, FREE_MB, USED_MB."""
        ...

    async def series(self, kind: Kind, ids: Sequence[int] | None, since: float) -> list[Sample]:
        """Samples of VMs or hosts taken at or after `since`, oldest first; `ids` None means all."""
        ...


class Journal(Protocol):
    """What is kept of single objects beside their state."""

    async def history(self, kind: Kind, object_id: int) -> list[Record]:
        """All records of one object that are still kept, oldest first."""
        ...

    async def console(self, vm_id: int, limit: int) -> bytes:
        """The last bytes that a VM wrote to its serial console.

        Raises:
            Unavailable: its host does not answer.
        """
        ...

    def progress(self, kind: Kind, object_id: int) -> float | None:
        """How far the action on it is, 0 to 1; None where nothing is going on or nobody knows."""
        ...


class Events(Protocol):
    """The stream of what has been committed."""

    def follow(self, after: int | None = None) -> AsyncIterator[Record]:
        """Every record with seq > `after`, then the new ones as they come; None starts with
        the new ones.

        Ends when the engine stops. A reader that is too slow may be ended too: it comes back
        with the last seq.
        """
        ...
