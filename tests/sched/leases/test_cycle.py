"""What the queue saves by not looking changes nothing: a cycle decides as a naive one does, which
tries every lease that waits, in order."""

from hypothesis import given
from hypothesis import strategies as st

from orrery.core.model.lease import Terms
from orrery.sched.leases.booking import Booking, Stage
from orrery.sched.leases.cycle import run_cycle
from orrery.sched.leases.settings import Backfilling, Settings, Suspension
from orrery.sched.leases.site import Site
from orrery.sched.leases.soon import reserve, start_soon
from orrery.sched.leases.timeline import Timeline
from tests.sched.leases import drawn
from tests.sched.leases.drawn import Story
from tests.sched.leases.effort import examples
from tests.sched.leases.world import World, best_effort, reservation, run_text, site


def naive_cycle(line: Timeline, now: int) -> None:
    """Every reservation of the queue planned anew, then every lease that waits."""
    if line.gain:
        line.gain = False
        _renew(line, now)
    waiting = list(line.queue.in_order())
    if line.settings.backfilling is Backfilling.OFF:
        for booking in waiting:
            if not start_soon(line, booking, now):
                return
            line.queue.remove(booking)
        return
    rest: list[Booking] = []
    for booking in waiting:
        if len(line.futures) >= line.futures_allowed:
            rest.append(booking)
        elif start_soon(line, booking, now) or reserve(line, booking, now):
            line.queue.remove(booking)
        else:
            rest.append(booking)
    key = line.queue._backfill_order
    for booking in sorted(rest, key=lambda one: key(one, line.standing)):
        if start_soon(line, booking, now):
            line.queue.remove(booking)


def _renew(line: Timeline, now: int) -> None:
    for booking in sorted(line.futures.values(), key=lambda one: one.order):
        run = booking.run
        if run is None or run.start <= now:
            continue
        line.drop(run)
        if not (start_soon(line, booking, now) or reserve(line, booking, now)):
            line.enqueue(booking)
        elif booking.run is not None and booking.run.start >= run.start:
            line.drop(booking.run)  # no earlier, at best elsewhere: it stays where it was
            run.stage = Stage.PLANNED
            line.book(run)
            line.future(booking)


def plan(line: Timeline) -> list[str]:
    return [
        f"{booking.id} {booking.status.name} {booking.future} "
        + " | ".join(run_text(run) for run in booking.runs)
        for booking in line.bookings.values()
    ]


class Twin:
    """Two worlds to which the same happens; one of them looks at its queue naively."""

    def __init__(self, data: st.DataObject, on: Site, settings: Settings) -> None:
        self.story = Story(data, World(on, settings))
        self.other = World(on, settings)

    def drift(self) -> None:
        """The same leases at the same moments, none of them looked at yet."""
        world = self.story.world
        for number in range(1, self.story.draw_int(2, 8)):
            terms = self.story.data.draw(drawn.terms(0))
            for one in (world, self.other):
                one.calendar.submit(number, terms, 0)

    def leave(self, number: int, now: int) -> None:
        for one in (self.story.world, self.other):
            one.calendar.cancel(number, now)


@given(st.data(), drawn.sites(), drawn.settings)
@examples(150)
def test_a_cycle_decides_as_a_walk_through_the_whole_queue(
    data: st.DataObject, on: Site, settings: Settings
) -> None:
    twin = Twin(data, on, settings)
    twin.drift()
    quick, slow = twin.story.world.calendar.line, twin.other.calendar.line
    assert plan(quick) == plan(slow)
    run_cycle(quick, 0)
    naive_cycle(slow, 0)
    assert plan(quick) == plan(slow)
    now = data.draw(st.integers(0, 3))
    twin.story.world.run(now)
    twin.other.run(now)
    if plan(quick) != plan(slow):
        return  # what follows is the calendar's own walk, not this one's
    for number in data.draw(st.lists(st.sampled_from(sorted(quick.bookings)), max_size=3)):
        twin.leave(number, now)
    quick.gain = slow.gain = True
    run_cycle(quick, now)
    naive_cycle(slow, now)
    assert plan(quick) == plan(slow)


@given(st.data(), drawn.sites(), drawn.settings)
@examples(60)
def test_when_a_cycle_is_over_nothing_that_waits_could_start(
    data: st.DataObject, on: Site, settings: Settings
) -> None:
    """Everything that becomes free is noticed, in whatever way it came about."""
    world = World(on, settings)
    story = Story(data, world)
    for _ in range(data.draw(st.integers(1, 12))):
        world.run(world.now + data.draw(st.integers(0, 120)))
        data.draw(st.sampled_from(story.actions))()
        line = world.calendar.line
        if settings.backfilling is Backfilling.OFF:
            head = line.queue.head()
            waiting = [] if head is None else [head]
        else:
            waiting = list(line.queue.in_order())
        for booking in waiting:
            assert not start_soon(line, booking, world.now), booking.id


waiting = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 120)), min_size=4, max_size=16).map(
    lambda sizes: [best_effort(count, duration) for count, duration in sizes]
)


@given(
    waiting, st.integers(2, 8), st.sampled_from(["fcfs", "fcfs", "shortest", "smallest"]), st.data()
)
@examples(200)
def test_a_long_queue_is_backfilled_in_its_order(
    leases: list[Terms], hosts: int, order: str, data: st.DataObject
) -> None:
    """Promises ahead make holes of many lengths, so that most of the queue does not fit."""
    suspension = data.draw(st.sampled_from([Suspension.NONE, Suspension.NONE, Suspension.ALL]))
    settings = Settings(backfill_order=order, suspension=suspension)
    worlds = [World(site(hosts), settings) for _ in range(2)]
    ahead = data.draw(st.lists(st.integers(1, 120), min_size=hosts // 2, max_size=hosts))
    for world in worlds:
        for number, start in enumerate(ahead, 100):
            world.calendar.submit(number, reservation(start), 0)
        for number, terms in enumerate(leases, 1):
            if terms.node_count <= hosts:
                world.calendar.submit(number, terms, 0)
    quick, slow = (world.calendar.line for world in worlds)
    run_cycle(quick, 0)
    naive_cycle(slow, 0)
    assert plan(quick) == plan(slow)
