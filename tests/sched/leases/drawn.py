"""Random sites, settings, leases and events."""

from hypothesis import strategies as st
from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.model.lease import LeaseStatus, NodeSet, Terms
from orrery.sched.leases.settings import (
    Backfilling,
    Exclusion,
    Migration,
    Settings,
    Suspension,
)
from orrery.sched.leases.site import Site, SiteHost
from tests.sched.leases.world import World

capacities = st.builds(
    Capacity, st.sampled_from([100, 200, 400]), st.sampled_from([1024, 2048, 3000])
)
devices = st.sampled_from([(), (("gpu", 1),), (("gpu", 2), ("nic", 1))])


@st.composite
def sites(draw: st.DrawFn) -> Site:
    if draw(st.booleans()):
        count = draw(st.integers(1, 6))
        whole = Capacity(100, 1024)
        return Site(hosts=tuple(SiteHost(id=n, name=f"h{n}", capacity=whole) for n in range(count)))
    count = draw(st.integers(1, 4))
    return Site(
        hosts=tuple(
            SiteHost(id=10 - n, name=f"h{n}", capacity=draw(capacities), other=draw(devices))
            for n in range(count)
        )
    )


settings = st.builds(
    Settings,
    backfilling=st.sampled_from(Backfilling),
    backfilling_reservations=st.integers(0, 4),
    suspension=st.sampled_from([*Suspension, Suspension.ALL, Suspension.ALL]),
    suspend_rate=st.sampled_from([50.0, 102.4, 1024.0]),
    resume_rate=st.sampled_from([50.0, 102.4, 1024.0]),
    exclusion=st.sampled_from(Exclusion),
    migration=st.sampled_from(Migration),
    migration_mbit=st.sampled_from([100.0, 2000.0]),
    threshold_factor=st.sampled_from([0.0, 1.0, 2.5]),
    fixed_threshold_s=st.sampled_from([None, None, None, 0, 40]),
    fixed_suspend_s=st.sampled_from([None, None, None, 0, 7]),
    fixed_resume_s=st.sampled_from([None, None, None, 0, 9]),
    overhead_s=st.sampled_from([0, 0, 2]),
    boot_s=st.sampled_from([0, 0, 3]),
    shutdown_s=st.sampled_from([0, 0, 5]),
    lead_s=st.sampled_from([0, 0, 0, 4]),
    preemption=st.sampled_from(["ar-preempts-be", "cheapest", "no-preemption"]),
    host_selection=st.sampled_from(["longest", "tightest", "first"]),
    order=st.just("fcfs"),
    backfill_order=st.sampled_from(["fcfs", "shortest", "smallest"]),
    max_suspensions=st.sampled_from([None, None, 1, 2]),
)

node_sets = st.builds(
    NodeSet,
    count=st.integers(1, 4),
    capacity=st.builds(
        Capacity,
        st.sampled_from([100, 100, 50, 200, 0]),
        st.sampled_from([1024, 1024, 512, 300, 0]),
    ),
    other=st.sampled_from([(), (), (), (("gpu", 1),)]),
)
durations = st.integers(1, 200)


@st.composite
def terms(draw: st.DrawFn, now: int) -> Terms:
    node_count = 2 if draw(st.integers(0, 3)) == 0 else 1
    nodes = tuple(draw(node_sets) for _ in range(node_count))
    duration = draw(durations)
    kind = draw(st.sampled_from(["best effort", "best effort", "exact", "now", "deadline"]))
    preemptible = draw(st.sampled_from([None, None, None, True, False]))
    start = now + draw(st.integers(0, 300))
    return Terms(
        nodes=nodes,
        duration=duration,
        preemptible=preemptible,
        start=start if kind in ("exact", "deadline") else None,
        immediate=kind == "now",
        deadline=start + duration + draw(st.integers(0, 400)) if kind == "deadline" else None,
        priority=draw(st.sampled_from([0, 0, 0, 1, -1])),
    )


class Story:
    """Things that happen to a world, drawn one after another."""

    def __init__(self, data: st.DataObject, world: World, *, troubles: bool = True) -> None:
        self.data = data
        self.world = world
        self.last = 0
        actions = [self.submit, self.submit, self.submit, self.ask, self.cancel]
        if troubles:
            actions += [
                self.lengthen,
                self.shorten,
                self.move,
                self.prioritise,
                self.lose,
                self.bring_back,
            ]
        self.actions = actions

    def draw_int(self, least: int, most: int) -> int:
        return self.data.draw(st.integers(least, most))

    def tell(self, most: int) -> World:
        """Up to so many events, then the rest of time."""
        for _ in range(self.draw_int(1, most)):
            delay = self.draw_int(0, 120) if self.data.draw(st.booleans()) else 0
            self.world.run(self.world.now + delay)
            self.data.draw(st.sampled_from(self.actions))()
            self.world.audit()
        for host_id in list(self.world.lost):
            self.world.bring_back(host_id)
        return self.world.run()

    def submit(self) -> None:
        self.last += 1
        asked = self.data.draw(terms(self.world.now))
        real = None
        if self.data.draw(st.booleans()):
            real = self.draw_int(1, int(asked.duration))
        self.world.submit(self.last, asked, real=real)

    def ask(self) -> None:
        """What is answered beforehand is what then happens; what is offered can be had."""
        world, calendar = self.world, self.world.calendar
        asked = self.data.draw(terms(world.now))
        before = world.schedule()
        said = calendar.when(asked, world.now)
        offers = calendar.alternatives(asked, world.now)
        expected = [calendar.when(offer.terms, world.now) for offer in offers]
        assert world.schedule() == before
        for offer, answer in zip(offers, expected, strict=True):
            assert answer.accepted, (offer, answer)
            assert (answer.start, answer.end) == (offer.start, offer.end)
        takes = self.data.draw(st.booleans())
        if offers and takes:
            self.last += 1
            offer = offers[self.draw_int(0, len(offers) - 1)]
            answer = world.submit(self.last, offer.terms)
            assert answer.accepted
            assert (answer.start, answer.end) == (offer.start, offer.end)
        else:
            self.last += 1
            answer = calendar.submit(self.last, asked, world.now)
            assert answer.accepted == said.accepted
            if said.status is LeaseStatus.SCHEDULED:
                assert (answer.start, answer.end) == (said.start, said.end)
            world.go_on()

    def one(self) -> int | None:
        return self.draw_int(1, self.last) if self.last else None

    def cancel(self) -> None:
        lease_id = self.one()
        if lease_id is not None:
            self.world.calendar.cancel(lease_id, self.world.now)
            self.world.go_on()

    def lengthen(self) -> None:
        self._change(1)

    def shorten(self) -> None:
        self._change(-1)

    def _change(self, sign: int) -> None:
        lease_id = self.one()
        if lease_id is None:
            return
        seconds = self.draw_int(1, 150)
        calendar = self.world.calendar
        change = calendar.extend if sign > 0 else calendar.shorten
        if change(lease_id, seconds, self.world.now).possible:
            self.world.changed.add(lease_id)
        self.world.go_on()

    def move(self) -> None:
        lease_id = self.one()
        if lease_id is None:
            return
        start = self.world.now + self.draw_int(-10, 300)
        self.world.calendar.move(lease_id, start, self.world.now)
        self.world.go_on()

    def prioritise(self) -> None:
        lease_id = self.one()
        if lease_id is not None:
            self.world.calendar.prioritise(lease_id, self.draw_int(-2, 2), self.world.now)
            self.world.go_on()

    def lose(self) -> None:
        hosts = [h.id for h in self.world.calendar.line.hosts if h.id not in self.world.lost]
        if hosts:
            self.world.lose(self.data.draw(st.sampled_from(hosts)))

    def bring_back(self) -> None:
        if self.world.lost:
            self.world.bring_back(self.data.draw(st.sampled_from(sorted(self.world.lost))))

    def change_host(self) -> None:
        hosts = self.world.calendar.line.hosts
        known = self.data.draw(st.sampled_from(hosts))
        offer = replace(known, capacity=self.data.draw(capacities))
        self.world.change_host(offer)

    def add_host(self) -> None:
        number = 100 + len(self.world.calendar.line.hosts)
        new = SiteHost(
            id=number,
            name=f"h{number}",
            capacity=self.data.draw(capacities),
            other=self.data.draw(devices),
        )
        self.world.add_host(new)
