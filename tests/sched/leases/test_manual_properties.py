"""Whatever takes longer or shorter than planned: in reality no host ever has more than it can."""

import heapq

from hypothesis import given
from hypothesis import strategies as st

from orrery.core.model.lease import LeaseStatus
from orrery.sched.leases.booking import RunPlan, Stage
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.site import Site
from orrery.sched.leases.timeline import Step, StepKind
from tests.sched.leases import drawn
from tests.sched.leases.drawn import Story
from tests.sched.leases.effort import examples
from tests.sched.leases.world import LIMIT, World

BEGINS = (StepKind.START, StepKind.RESUME, StepKind.MIGRATE)
ENDS = (StepKind.SUSPEND, StepKind.STOP, StepKind.KILL)


class Reality:
    """Carries out what the calendar says, each operation with a length of its own."""

    def __init__(self, data: st.DataObject, world: World) -> None:
        self.data = data
        self.world = world
        self.due: list[tuple[int, int, RunPlan, bool]] = []
        self.held: dict[int, RunPlan] = {}
        """Runs whose VMs are on their hosts."""
        self._last = 0

    def take(self, steps: list[Step]) -> None:
        for step in steps:
            if step.kind in BEGINS:
                self.held[id(step.run)] = step.run
                self._later(step.run, step.run.vm_start, ends=False)
            elif step.kind in ENDS:
                if step.run.stage is Stage.OVER:
                    self.held.pop(id(step.run), None)  # it was cancelled
                else:
                    self._later(step.run, step.run.end, ends=True)
            self.audit()

    def _later(self, run: RunPlan, planned: int, *, ends: bool) -> None:
        now = self.world.now
        length = max(0, planned - now + self.data.draw(st.integers(-6, 25)))
        self._last += 1
        heapq.heappush(self.due, (now + length, self._last, run, ends))

    def audit(self) -> None:
        hosts = self.world.calendar.line.hosts
        taken: dict[tuple[int, str], int] = {}
        for run in self.held.values():
            for index, node in zip(run.hosts, run.booking.terms.capacities(), strict=True):
                capacity = node.capacity
                amounts = [("cpu", capacity.cpu_pct), ("memory", capacity.memory_mib), *node.other]
                for name, amount in amounts:
                    key = (hosts[index].id, name)
                    taken[key] = taken.get(key, 0) + amount
        for (host_id, name), amount in taken.items():
            assert amount <= self.world.capacities[host_id].get(name, 0), (host_id, name, amount)

    def run(self, until: int | None) -> None:
        world = self.world
        for _ in range(LIMIT):
            times = [world.calendar.next_time(), self.due[0][0] if self.due else None]
            at = min((time for time in times if time is not None), default=None)
            if at is None or (until is not None and at > until):
                break
            world.now = max(world.now, at)
            self._confirm()
            self.take(world.go_on())
        else:
            raise AssertionError("it never comes to an end")
        if until is not None:
            world.now = until

    def _confirm(self) -> None:
        calendar, now = self.world.calendar, self.world.now
        while self.due and self.due[0][0] <= now:
            _, _, run, ends = heapq.heappop(self.due)
            lease_id = run.booking.id
            if run.stage is Stage.OVER or run.booking.run is not run:
                continue
            if ends:
                self.held.pop(id(run), None)
                calendar.suspended(lease_id, now)
            elif run.stage is Stage.PREPARING:
                calendar.started(lease_id, now)
            self.take([])


@given(st.data(), drawn.sites(), drawn.settings)
@examples(120)
def test_no_host_has_more_than_it_can_however_long_operations_take(
    data: st.DataObject, site: Site, settings: Settings
) -> None:
    world = World(site, settings, automatic=False)
    story = Story(data, world, troubles=False)
    story.actions = [story.submit, story.submit, story.submit, story.cancel]
    reality = Reality(data, world)
    for _ in range(data.draw(st.integers(1, 9))):
        reality.run(world.now + data.draw(st.integers(0, 80)))
        seen = len(world.steps)
        data.draw(st.sampled_from(story.actions))()
        reality.take(world.steps[seen:])
    reality.run(None)
    for booking in world.calendar.bookings.values():
        assert booking.status.final, (booking.id, booking.status)
        if booking.status is LeaseStatus.FAILED:
            assert booking.reason
