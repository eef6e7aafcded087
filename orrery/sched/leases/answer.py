"""What the scheduler answers to a request, a change or a question."""

from msgspec import Struct

from orrery.core.model.lease import LeaseStatus, Terms


class Answer(Struct, frozen=True):
    """What became of a request."""

    status: LeaseStatus
    reason: str | None = None
    start: int | None = None
    """When its VMs are planned to run."""
    end: int | None = None
    price: float | None = None
    possible: bool = True
    """False: a change that was asked for was refused, and the lease is as it was."""

    @property
    def accepted(self) -> bool:
        return self.possible and not self.status.final


class Offer(Struct, frozen=True):
    """Something else that could be had, with what makes it differ from what was asked for."""

    terms: Terms
    start: int
    """When its VMs would run."""
    end: int
    what: str
    """`later`, `fewer nodes` or `shorter`."""
