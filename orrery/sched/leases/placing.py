"""Where the nodes of a lease go: hosts that are free from one time on, and the run there."""

from collections import Counter
from collections.abc import Iterable

from orrery.sched.leases.booking import Booking, Ending, Group, RunPlan
from orrery.sched.leases.durations import migration_s
from orrery.sched.leases.masks import mask_of
from orrery.sched.leases.policies.host_selection import Choice
from orrery.sched.leases.settings import Migration
from orrery.sched.leases.shapes import ShapeView
from orrery.sched.leases.slottable import FOREVER, Window
from orrery.sched.leases.timeline import Timeline

Place = tuple[tuple[int, ...], int]
"""(host of each node, until when all of them stay free)"""


def place(line: Timeline, booking: Booking, at: int, allowed: int | None) -> Place | None:
    """Hosts for all nodes from `at` on, free for as long as is useful.

    Args:
        at: start of the run, in seconds.
        allowed: mask of the hosts that may be used (bit h for host h); None for all.
    """
    if len(booking.groups) == 1:
        return _place_group(
            line, booking, booking.groups[0], at, at + length(line, booking), allowed
        )
    return _place_groups(line, booking, at, allowed)


def length(line: Timeline, booking: Booking) -> int:
    """Of a whole run on the hosts where its memory lies (or fresh), operations included."""
    settings = line.settings
    known = booking.hosts
    before = line.boot_s(booking) if known is None else line.resume_s(booking, known)
    return before + booking.remaining + settings.shutdown_s


def _place_group(
    line: Timeline, booking: Booking, group: Group, at: int, end: int, allowed: int | None
) -> Place | None:
    view = line.table.view(group.shape)
    window = line.window(view, at)
    best = _best(window, group.count, view.full if allowed is None else view.of_hosts(allowed))
    if best is None:
        return None
    until, _ = best
    target = min(until, end)
    known = None if booking.hosts is None else [booking.hosts[node] for node in group.nodes]
    preferred = 0 if known is None else view.of_hosts(mask_of(known))
    allowed_bits = view.full if allowed is None else view.of_hosts(allowed)
    usable = [mask & allowed_bits for free_until, mask in window if free_until >= target]
    choice = Choice(usable, at, target, view, line.table, line.hosts, booking)
    hosts = _choose(line.select_hosts(choice), choice, group.count, preferred)
    if target < until and (known is not None or len(booking.groups) > 1):
        until = _free_until(view, window, hosts, target)  # others have their length known
    return tuple(hosts if known is None else _stay_put(hosts, known)), until


def _free_until(view: ShapeView, window: Window, hosts: list[int], target: int) -> int:
    """Until when the hosts that were chosen are free: until `target` at the least."""
    bits = view.exactly(hosts)
    until = target
    for time, mask in window:
        if bits is None or mask & bits != bits:
            break
        until = max(until, time)
    return until


def _stay_put(hosts: list[int], before: list[int]) -> list[int]:
    """Which node goes to which of these hosts: those whose host is among them stay on it."""
    left = Counter(hosts)
    found: list[int | None] = []
    for host in before:
        stays = left[host] > 0
        left[host] -= stays
        found.append(host if stays else None)
    others = iter(left.elements())
    return [next(others) if host is None else host for host in found]


def _best(window: Window, count: int, allowed: int) -> tuple[int, int] | None:
    """The last entry with room for all."""
    best = None
    for entry in window:
        if (entry[1] & allowed).bit_count() < count:
            break
        best = entry
    return best


def _choose(masks: Iterable[int], choice: Choice, count: int, preferred: int) -> list[int]:
    """Hosts from masks in their order, those where its memory lies before all others."""
    view = choice.view
    hosts: list[int] = []
    taken = 0
    if preferred:
        bits = choice.usable[0] & preferred
        hosts = view.take(bits, min(count, bits.bit_count()))
        taken = bits
    for candidates in masks:
        bits = candidates & ~taken
        missing = count - len(hosts)
        if missing <= 0:
            break
        hosts += view.take(bits, min(missing, bits.bit_count()))
        taken |= bits
    return hosts


def _place_groups(line: Timeline, booking: Booking, at: int, allowed: int | None) -> Place | None:
    """Nodes that differ: the largest first, each kind on what those before it leave."""
    table = line.table
    end = at + length(line, booking)
    until = FOREVER
    hosts = [0] * booking.node_count
    tried: list[tuple[list[tuple[int, int]], int, int]] = []
    try:
        for group in booking.groups:
            found = _place_group(line, booking, group, at, min(end, until), allowed)
            if found is None:
                return None
            until = min(until, found[1])
            for node, host in zip(group.nodes, found[0], strict=True):
                hosts[node] = host
            held: dict[int, int] = {}
            for host in found[0]:
                held[host] = held.get(host, 0) + group.shape
            span = (list(held.items()), at, until)
            table.add(*span)
            line.version += 1
            tried.append(span)
    finally:
        for span in reversed(tried):
            table.remove(*span)
            line.version += 1
    return tuple(hosts), until


def place_again(line: Timeline, booking: Booking, at: int) -> Place | None:
    """The hosts on which its memory lies, when they are free from `at` on."""
    hosts = booking.hosts
    assert hosts is not None
    until = FOREVER
    for host, amount in line.held_by(booking, hosts):
        until = min(until, line.table.free_until(host, amount, at))
        if until <= at:
            return None
    return hosts, until


def compose(
    line: Timeline, booking: Booking, hosts: tuple[int, ...], at: int, until: int
) -> RunPlan | None:
    """The run on these hosts from `at` on, suspended before `until` when it does not fit whole.

    None when so short a run is of no use.
    """
    settings = line.settings
    migration = 0
    if booking.hosts is None:
        before = line.boot_s(booking)
    else:
        before = line.resume_s(booking, hosts)
        if hosts != booking.hosts:
            migration = moving_s(line, booking, hosts)
    vm_start = at + migration + before
    vm_end = vm_start + booking.remaining
    end = vm_end + settings.shutdown_s
    ending = Ending.COMPLETE
    if end > until:
        suspend = line.suspend_s(booking, hosts)
        if not line.may_suspend(booking) or not _worth(
            line, booking, until - at, before, suspend, until - suspend - vm_start
        ):
            return None
        end, vm_end, ending = until, until - suspend, Ending.SUSPEND
    held = line.held_by(booking, hosts)
    resumes = booking.hosts is not None
    return RunPlan(booking, hosts, held, at, vm_start, vm_end, end, ending, resumes, migration)


def _worth(
    line: Timeline, booking: Booking, window: int, before: int, suspend: int, useful: int
) -> bool:
    """Whether a run that is cut does enough; a cut may not fall into the shutdown."""
    if not 0 < useful < booking.remaining:
        return False
    return window >= line.threshold(booking, suspend, before)


def moving_s(line: Timeline, booking: Booking, hosts: tuple[int, ...]) -> int:
    """Seconds that its memory and disks need to these hosts."""
    assert booking.hosts is not None
    image = booking.terms.image_mib if line.preparation.managed else 0
    return migration_s(line.settings, booking.memory_of, image, booking.hosts, hosts)


def run_at(line: Timeline, booking: Booking, at: int, allowed: int | None = None) -> RunPlan | None:
    """A run of a lease from `at` on, or None: the hosts where its memory lies come first."""
    if booking.hosts is not None:
        again = place_again(line, booking, at)
        if again is not None:
            run = compose(line, booking, again[0], at, again[1])
            if run is not None:
                return run
        if line.settings.migration is Migration.NO:
            return None
    found = place(line, booking, at, allowed)
    return None if found is None else compose(line, booking, found[0], at, found[1])
