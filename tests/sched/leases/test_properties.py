"""What holds on every site, under all settings, whatever is asked for and whatever happens."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orrery.core.model.lease import LeaseKind, LeaseStatus
from orrery.sched.leases.settings import Settings
from orrery.sched.leases.site import Site
from tests.sched.leases import drawn, long
from tests.sched.leases.drawn import Story
from tests.sched.leases.effort import examples
from tests.sched.leases.world import World


@given(st.data(), drawn.sites(), drawn.settings)
@examples(150)
def test_without_trouble_every_promise_is_kept_and_all_work_is_done(
    data: st.DataObject, site: Site, settings: Settings
) -> None:
    world = Story(data, World(site, settings), troubles=False).tell(14)
    world.audit_end()
    for booking in world.calendar.bookings.values():
        assert booking.status in (LeaseStatus.DONE, LeaseStatus.REJECTED, LeaseStatus.CANCELLED)


@given(st.data(), drawn.sites(), drawn.settings)
@examples(150)
def test_through_losses_and_changes_nothing_is_overbooked_and_nobody_forgotten(
    data: st.DataObject, site: Site, settings: Settings
) -> None:
    world = Story(data, World(site, settings)).tell(14)
    world.audit_end()
    for booking in world.calendar.bookings.values():
        assert booking.status.final
        if booking.status is LeaseStatus.FAILED:
            assert booking.kind is not LeaseKind.BEST_EFFORT
            assert "was lost" in (booking.reason or "")


@given(st.data(), drawn.sites(), drawn.settings)
@examples(40)
def test_capacity_holds_while_hosts_change_what_they_offer(
    data: st.DataObject, site: Site, settings: Settings
) -> None:
    world = World(site, settings)
    story = Story(data, world)
    story.actions += [story.change_host, story.change_host, story.add_host]
    story.tell(14)
    world.audit()


def test_the_same_input_gives_the_same_schedule_in_every_process() -> None:
    """Whatever the seed of the hashes of texts."""
    texts = {_schedule_in_a_process(seed) for seed in ("0", "1", "4711")}
    assert len(texts) == 1
    assert "SUSPEND" in texts.pop()


def _schedule_in_a_process(hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from tests.sched.leases.long import main; main()"],
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_a_long_workload_drains_and_keeps_every_promise() -> None:
    world = long.told(7, leases=1500)
    world.audit_end()
    kinds = Counter((b.kind, b.status) for b in world.calendar.bookings.values())
    assert kinds[LeaseKind.BEST_EFFORT, LeaseStatus.DONE] > 800
    assert kinds[LeaseKind.RESERVATION, LeaseStatus.DONE] > 50
    assert kinds[LeaseKind.DEADLINE, LeaseStatus.DONE] > 50
    assert sum(b.suspensions for b in world.calendar.bookings.values()) > 50
