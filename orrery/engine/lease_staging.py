"""Has the transfers of the plan carried out: which copies of images are to be brought to hosts, and
removed, and what the scheduler is told of them. Reads the view; does nothing itself.

It compares what the plan has under way with the copies as they are stored, so that a restart, or a
message that was lost, only makes it say again what is still missing.
"""

from collections.abc import Iterable, Iterator

from orrery.core import staging
from orrery.core.messages import LearnRates, StageImage, UnstageImage
from orrery.core.model.host import Host, Measured
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import Lease, LeaseKind, Operation, OperationKind
from orrery.core.model.storage import Image, StagedImage
from orrery.core.model.view import View
from orrery.core.status import HostStatus, StagingStatus
from orrery.sched.leases import learning, unsent
from orrery.sched.leases.booking import Booking, Stage
from orrery.sched.leases.calendar import Calendar
from orrery.sched.leases.masks import hosts_in
from orrery.sched.leases.repository import Transfer
from orrery.sched.leases.soon import back_to_queue
from orrery.sched.leases.transfer import Transfers

S = StagingStatus

CAUSE = "leasing"

TRIES = 2
"""Transfers of one image to one host that may fail in a row; each was tried several times."""

PATIENCE_S = 300.0
"""By how much a copy may be late before leases go without it, at the least."""

LEFT_ALONE_S = 300.0
"""Before it is tried again to remove what is left of a copy that failed."""


class Staging:
    """Between one calendar at a time and the stored copies."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._lost: set[int] = set()
        """Hosts that are lost: whatever is in their caches is not counted on."""
        self._failures: dict[tuple[int, int], int] = {}
        """(image, host): transfers in a row that failed."""
        self._ordered: set[tuple[int, int]] = set()
        """(transfer, host): copies that were ordered for a transfer that is under way."""
        self._arrived: list[StagedImage] = []
        """Copies that were made and not learned from yet."""

    def note(self, copy: StagedImage) -> None:
        """A copy has changed."""
        if copy.status is S.THERE:
            self._failures.pop((copy.image_id, copy.host_id), None)
            if copy.seconds is not None:
                self._arrived.append(copy)

    # --- what happened ----------------------------------------------------------------------------

    def tell_hosts(self, calendar: Calendar, host_ids: Iterable[int]) -> None:
        """Hosts that were lost have come back, with the copies on them."""
        for host_id in sorted(host_ids):
            host = self._view.hosts.get(host_id)
            if host is None or host.status is HostStatus.ERROR:
                self._lost.add(host_id)
            elif host_id in self._lost and host.status is HostStatus.MONITORED:
                self._lost.discard(host_id)
                self._tell_copies(calendar, host_id)

    def tell(self, calendar: Calendar, now: int) -> bool:
        """Transfers that have ended, well or not, and promises that wait no longer for theirs;
        whether there were any."""
        preparation = transfers_of(calendar)
        if preparation is None:
            return False
        before = preparation.under_way()
        for transfer in before:
            image = self._image_of(transfer)
            failed: StagedImage | None = None
            missing = 0
            for index in hosts_in(transfer.hosts):
                host = self._host(calendar, index)
                if not self._is_there(image, host):
                    missing |= 1 << index
                    copy = self._copy(image, host)
                    failed = copy if self._has_failed(copy, transfer, now) else failed
            if failed is not None:
                self._fail(calendar, transfer, transfer.hosts & ~missing, failed, now)
            elif not missing:
                calendar.transferred(transfer.id, now)
        after = preparation.under_way()
        ids = {transfer.id for transfer in after}
        self._ordered = {entry for entry in self._ordered if entry[0] in ids}
        return unsent.start_without(calendar.line, now) or len(after) < len(before)

    def next_time(self, calendar: Calendar) -> int | None:
        """When a lease waits no longer for its image, though nothing happens."""
        return None if transfers_of(calendar) is None else unsent.next_start(calendar.line)

    def _has_failed(self, copy: StagedImage | None, transfer: Transfer, now: int) -> bool:
        """Whether it failed for this transfer, not for one before it, or is given up."""
        if copy is None:
            return False
        if copy.status is S.FAILED:
            return (transfer.id, copy.host_id) in self._ordered
        planned = copy.end - copy.start
        return now - copy.began > planned + max(PATIENCE_S, 2 * planned)

    def _is_there(self, image: Image | None, host: Host | None) -> bool:
        """Whether nothing is to be done: it is there, or cannot be brought there by anybody."""
        if image is None or not staging.is_stageable(image):
            return True
        if host is None or staging.CAPABILITY not in host.capabilities:
            return True
        copy = self._copy(image, host)
        return copy is not None and copy.status is S.THERE

    def _copy(self, image: Image | None, host: Host | None) -> StagedImage | None:
        if image is None or host is None:
            return None
        return self._view.staged_image(image.id, host.id)

    def _fail(
        self, calendar: Calendar, transfer: Transfer, there: int, copy: StagedImage, now: int
    ) -> None:
        key = (copy.image_id, copy.host_id)
        self._failures[key] = self._failures.get(key, 0) + 1
        host = self._view.hosts[copy.host_id]
        problem = copy.error or f"it has been on its way for {now - int(copy.began)} s"
        why = f"image {copy.name} could not be brought to host {host.name}: {problem}"
        again = self._failures[key] < TRIES and copy.status is S.FAILED
        unsent.fail(calendar.line, transfer, there, why, now, again=again)

    # --- what is to be done -----------------------------------------------------------------------

    def orders(self, calendar: Calendar, now: int) -> Iterator[StageImage | UnstageImage]:
        """What is missing of the transfers under way, and the copies that nobody needs."""
        preparation = transfers_of(calendar)
        if preparation is not None:
            for transfer in preparation.under_way():
                yield from self._missing(calendar, transfer)
        if self._view.staged_images:
            yield from self._needless(calendar, preparation, now)

    def _needless(
        self, calendar: Calendar, preparation: Transfers | None, now: int
    ) -> Iterator[UnstageImage]:
        """Where images are nobody's concern any more, that is all there is."""
        needed = {} if preparation is None else preparation.needed()
        for copy in self._view.staged_images.values():
            index = calendar.line.index_of.get(copy.host_id)
            hosts = needed.get(copy.name, 0) | needed.get(self._present_name(copy), 0)
            is_needed = index is not None and bool(hosts >> index & 1)
            if self._may_go(copy, now, is_needed=is_needed):
                if index is not None and preparation is not None and self._is_last(copy):
                    preparation.forget(copy.name, index)
                yield UnstageImage(cause=CAUSE, staged_id=copy.id)

    def _present_name(self, copy: StagedImage) -> str:
        image = self._view.images.get(copy.image_id)
        return copy.name if image is None else image.name

    def _missing(self, calendar: Calendar, transfer: Transfer) -> Iterator[StageImage]:
        """To all hosts at once, or where the plan has it so, to one after another."""
        image = self._image_of(transfer)
        for index in hosts_in(transfer.hosts):
            host = self._host(calendar, index)
            if self._is_there(image, host):
                continue
            copy = self._copy(image, host)
            if copy is None or copy.status is not S.COMING:
                assert image is not None and host is not None  # else there were nothing to do
                self._ordered.add((transfer.id, host.id))
                lease = next((i for i in transfer.shares if i in self._view.leases), None)
                yield StageImage(
                    cause=CAUSE if lease is None else f"lease-{lease}",
                    image_id=image.id,
                    host_id=host.id,
                    name=str(transfer.image),
                    mib=transfer.mib,
                    start=float(transfer.start),
                    end=float(transfer.end),
                )
            if not calendar.line.settings.transfer.multicast:
                return

    def _may_go(self, copy: StagedImage, now: int, *, is_needed: bool) -> bool:
        """Whether it is of no use any more, and in nobody's way."""
        if copy.status is S.LEAVING or staging.is_used(copy, self._view):
            return False
        if copy.host_id not in self._view.hosts:
            return True
        if copy.host_id in self._lost:
            return False  # it is looked at when its host is back
        if copy.status is S.FAILED and now - (copy.ended or 0.0) < LEFT_ALONE_S:
            return False
        if not staging.is_current(copy, self._view):
            return True
        return not is_needed and copy.status is not S.COMING

    def _is_last(self, copy: StagedImage) -> bool:
        """Whether it is no older copy of an image that has been brought anew."""
        fresh = self._view.staged_image(copy.image_id, copy.host_id)
        return fresh is None or fresh.id == copy.id

    # --- after a restart --------------------------------------------------------------------------

    def restore(self, calendar: Calendar, now: int) -> None:
        """Tell a new scheduler what is on hosts and under way, and have it plan the rest for the
        leases that it has taken over."""
        preparation = transfers_of(calendar)
        if preparation is None:
            return
        for host_id in self._view.hosts:
            self._tell_copies(calendar, host_id)
        coming: dict[tuple[str, int, float, float], int] = {}
        for copy in self._view.staged_images.values():
            index = calendar.line.index_of.get(copy.host_id)
            if copy.status is S.COMING and index is not None:
                key = (copy.name, copy.mib, copy.start, copy.end)
                coming[key] = coming.get(key, 0) | 1 << index
        for (name, mib, start, end), hosts in coming.items():
            preparation.goes_on(name, mib, (int(start), int(end)), hosts, now)
        for booking in sorted(calendar.bookings.values(), key=_by_start):
            self._take_over(calendar, preparation, booking, now)

    def _tell_copies(self, calendar: Calendar, host_id: int) -> None:
        """The copies on one host; those whose use is longest past make room for the others."""
        preparation = transfers_of(calendar)
        index = calendar.line.index_of.get(host_id)
        if preparation is None or index is None:
            return
        there = [
            (self._last_use(copy), copy.id, copy)
            for copy in self._view.staged_images.values()
            if copy.host_id == host_id
            and copy.status is S.THERE
            and staging.is_current(copy, self._view)
        ]
        for used, _, copy in sorted(there):
            preparation.found(copy.name, copy.mib, index, used)

    def _last_use(self, copy: StagedImage) -> int:
        """When it came, or the last lease that used it was over."""
        uses = [
            lease.ended
            for lease in self._view.leases.values()
            if lease.ended is not None
            and lease.terms.image == copy.name
            and any(copy.host_id in run.hosts for run in lease.runs)
        ]
        return int(max([copy.ended or copy.began, *uses]))

    def _take_over(
        self, calendar: Calendar, preparation: Transfers, booking: Booking, now: int
    ) -> None:
        """What there is on the hosts of a lease is for it; what is not is planned again."""
        run = booking.run
        hosts = booking.hosts if run is None else run.hosts
        if hosts is None:
            return
        image = self._lease_image(self._view.leases[booking.id])
        there = 0
        for index in hosts:
            host_id = calendar.line.hosts[index].id
            copy = None if image is None else self._view.staged_image(image.id, host_id)
            if copy is not None and copy.status is S.THERE:
                there |= 1 << index
        preparation.uses(booking, there)
        if run is None or run.stage is not Stage.PLANNED:
            return
        planned = preparation.book(booking, run.hosts, run.start, now)
        if not planned and booking.kind is LeaseKind.BEST_EFFORT:
            calendar.line.drop(run)
            back_to_queue(calendar.line, booking, now)

    # --- which image, which host ------------------------------------------------------------------

    def _host(self, calendar: Calendar, index: int) -> Host | None:
        return self._view.hosts.get(calendar.line.hosts[index].id)

    def _image_of(self, transfer: Transfer) -> Image | None:
        """None: nobody knows what is meant, and nothing can be brought."""
        if not isinstance(transfer.image, str):
            return None
        for lease_id in transfer.shares:
            lease = self._view.leases.get(lease_id)
            if lease is not None:
                return self._lease_image(lease)
        for copy in self._view.staged_images.values():
            if copy.name == transfer.image and staging.is_current(copy, self._view):
                return self._view.images[copy.image_id]
        return None

    def _lease_image(self, lease: Lease) -> Image | None:
        """That of the first disk of its VMs; as long as it has none, the one of that name."""
        for vm_id in lease.vms[:1]:
            ids = [d.image_id for d in self._view.vms[vm_id].disks if d.image_id is not None]
            return self._view.images.get(ids[0]) if ids else None
        name = lease.terms.image
        if name is None:
            return None
        if name.isascii() and name.isdigit():
            return self._view.images.get(int(name))
        found = self._view.by_name(Kind.IMAGE, name, lease.uid)
        if found is None:
            found = self._view.by_name(Kind.IMAGE, name)
        return None if found is None else self._view.images[found]

    # --- what is stored of it ---------------------------------------------------------------------

    def operations(
        self, calendar: Calendar, lease: Lease, booking: Booking
    ) -> tuple[Operation, ...]:
        """The transfers of a lease as they were planned and as they went; what has ended stays as
        it was stored."""
        done = {op.start: op for op in lease.transfers if op.ended is not None}
        for start, end, hosts in booking.transfers if hosts_of(booking) else ():
            if float(start) not in done and hosts:
                operation = self._operation(calendar, lease, booking, (start, end, hosts))
                done[operation.start] = operation
        return tuple(done[start] for start in sorted(done))

    def _operation(
        self,
        calendar: Calendar,
        lease: Lease,
        booking: Booking,
        planned: tuple[int, int, tuple[int, ...]],
    ) -> Operation:
        start, end, hosts = planned
        image = self._lease_image(lease)
        found = [
            self._view.staged_image(image.id, calendar.line.hosts[index].id)
            for index in (hosts if image is not None else ())
            if image is not None
        ]
        copies = [copy for copy in found if copy is not None and copy.start == start]
        ends = [copy.ended for copy in copies if copy.status is S.THERE and copy.ended is not None]
        return Operation(
            kind=OperationKind.TRANSFER,
            start=float(start),
            end=max((copy.end for copy in copies), default=float(end)),
            nodes=tuple(n for n, index in enumerate(hosts_of(booking)) if index in hosts),
            began=min((copy.began for copy in copies), default=None),
            ended=max(ends) if ends and len(ends) == len(hosts) else None,
        )

    def rates(self, others: Iterable[LearnRates]) -> tuple[LearnRates, ...]:
        """What is learned of hosts, with what copies took that have come since."""
        fresh: dict[int, tuple[Measured, ...]] = {one.host_id: one.measured for one in others}
        arrived, self._arrived = self._arrived, []
        for copy in arrived:
            host = self._view.hosts.get(copy.host_id)
            if host is not None and copy.seconds is not None and copy.mib > 0:
                known = fresh.get(host.id, host.measured)
                per_mib = copy.seconds / copy.mib
                fresh[host.id] = learning.observed(known, learning.TRANSFER, per_mib)
        return tuple(
            LearnRates(cause=CAUSE, host_id=host_id, measured=measured)
            for host_id, measured in sorted(fresh.items())
        )


def transfers_of(calendar: Calendar) -> Transfers | None:
    """None where images are nobody's concern."""
    preparation = calendar.line.preparation
    return preparation if isinstance(preparation, Transfers) else None


def hosts_of(booking: Booking) -> tuple[int, ...]:
    """The host of each node, of the run ahead or of the last one."""
    if booking.run is not None:
        return booking.run.hosts
    return booking.runs[-1].hosts if booking.runs else ()


def _by_start(booking: Booking) -> tuple[int, int]:
    return (0 if booking.run is None else booking.run.start, booking.id)
