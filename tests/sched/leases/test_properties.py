"""What holds on every site, under all settings, whatever is asked for and whatever happens."""

from hypothesis import given
from hypothesis import strategies as st

from orrery.core.model.lease import LeaseKind, LeaseStatus
from tests.sched.leases import drawn
from tests.sched.leases.drawn import Story
from tests.sched.leases.effort import examples
from tests.sched.leases.world import World


@given(st.data(), drawn.sites(), drawn.settings)
@examples(150)
def test_without_trouble_every_promise_is_kept_and_all_work_is_done(
    data: st.DataObject, site: drawn.Site, settings: drawn.Settings
) -> None:
    world = Story(data, World(site, settings), troubles=False).tell(14)
    world.audit_end()
    for booking in world.calendar.bookings.values():
        assert booking.status in (LeaseStatus.DONE, LeaseStatus.REJECTED, LeaseStatus.CANCELLED)


@given(st.data(), drawn.sites(), drawn.settings)
@examples(150)
def test_through_losses_and_changes_nothing_is_overbooked_and_nobody_forgotten(
    data: st.DataObject, site: drawn.Site, settings: drawn.Settings
) -> None:
    world = Story(data, World(site, settings)).tell(14)
    world.audit_end()
    for booking in world.calendar.bookings.values():
        assert booking.status.final
        if booking.status is LeaseStatus.FAILED:
            assert booking.kind is not LeaseKind.BEST_EFFORT
            assert "was lost" in (booking.reason or "")
