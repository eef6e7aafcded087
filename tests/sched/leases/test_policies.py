"""Admission, prices, host selection and the order of the queue: each by its formula."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orrery.core.capacity import Capacity
from orrery.core.model.lease import LeaseStatus, Terms
from orrery.sched.leases.answer import Answer
from orrery.sched.leases.booking import Stage
from orrery.sched.leases.calendar import Calendar
from orrery.sched.leases.policies.admission import most_held
from orrery.sched.leases.policies.pricing import mixed
from orrery.sched.leases.settings import Settings, Suspension
from orrery.sched.leases.site import Site, SiteHost
from orrery.sched.leases.usage import Standing, Usage
from tests.sched.leases import drawn
from tests.sched.leases.effort import examples
from tests.sched.leases.world import (
    World,
    best_effort,
    by_deadline,
    immediate,
    nodes,
    reservation,
    site,
)

RATES = Settings(suspend_rate=102.4, resume_rate=102.4)
HOUR = 3600


def world(hosts: int, **given: object) -> World:
    return World(site(hosts), replace(RATES, **given))


# --- admission ------------------------------------------------------------------------------------


def test_everybody_is_let_in_unless_the_site_says_otherwise() -> None:
    assert world(1).submit(1, reservation(100)).accepted


def test_without_reservations_all_other_kinds_are_let_in() -> None:
    one = world(4, admission="no-ARs")
    assert "no advance reservations" in (one.submit(1, reservation(100)).reason or "")
    for lease_id, terms in enumerate((best_effort(), immediate(), by_deadline(500)), 2):
        assert one.submit(lease_id, terms).accepted


@pytest.mark.parametrize("policy", ["node-time", "limits"])
def test_node_time_is_bounded(policy: str) -> None:
    one = world(4, admission=policy, max_node_s=400)
    assert one.submit(1, best_effort(4, 100)).accepted
    answer = one.submit(2, best_effort(4, 101))
    assert answer.reason == ("4 nodes for 101 s are 404 node seconds: a lease may have 400")


def test_a_lease_may_not_be_extended_beyond_its_limit() -> None:
    one = world(1, admission="node-time", max_node_s=150)
    one.submit(1, best_effort(1, 100))
    assert one.calendar.extend(1, 50, 0).possible
    assert not one.calendar.extend(1, 1, 0).possible
    assert one.calendar.shorten(1, 10, 0).possible


@pytest.mark.parametrize("start", [49, 1001])
def test_reservations_need_notice_and_not_too_much_of_it(start: int) -> None:
    one = world(1, admission="notice", least_notice_s=50, most_notice_s=1000)
    assert "before its start" in (one.submit(1, reservation(start)).reason or "")
    assert one.submit(2, reservation(50)).accepted
    assert not one.calendar.move(2, start, 0).possible


def test_a_reservation_that_runs_may_be_extended_without_notice() -> None:
    one = world(1, admission="notice", least_notice_s=50)
    one.submit(1, reservation(50))
    one.run(60)
    assert one.calendar.extend(1, 10, 60).possible


def test_what_is_offered_instead_is_let_in() -> None:
    one = world(1, admission="notice", least_notice_s=50)
    offers = one.calendar.alternatives(reservation(20), 0)
    assert [offer.start for offer in offers] == [50]
    assert one.submit(1, offers[0].terms).accepted


def test_the_question_is_answered_as_the_request_is() -> None:
    one = world(1, admission="no-ARs")
    assert one.calendar.when(reservation(100), 0).reason == one.submit(1, reservation(100)).reason


def test_reservations_may_hold_a_share_of_the_site_at_any_time() -> None:
    one = world(4, admission="reserved-share", reserved_share=0.5)
    assert one.submit(1, reservation(100, 2, 100)).accepted
    assert not one.submit(2, reservation(150, 1, 100)).accepted
    assert one.submit(3, reservation(200, 2, 100)).accepted
    assert one.submit(4, best_effort(4, 50)).accepted


def test_nodes_of_a_user_in_promised_leases_are_bounded() -> None:
    calendar = Calendar(site(4), replace(RATES, admission="user-nodes", user_nodes=2))
    assert calendar.submit(1, reservation(100, 2), 0, user=7).accepted
    assert "holds 2 nodes" in (calendar.submit(2, reservation(100), 0, user=7).reason or "")
    assert calendar.submit(3, reservation(100, 2), 0, user=8).accepted
    assert calendar.submit(4, best_effort(4), 0, user=7).accepted


spans = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 20), st.integers(0, 5), st.integers(0, 5)).map(
        lambda drawn: (drawn[0], drawn[0] + drawn[1], (drawn[2], drawn[3]))
    )
)


@given(spans, st.integers(0, 20), st.integers(1, 20))
def test_the_most_that_is_held_is_the_largest_sum_at_any_second(
    held: list[tuple[int, int, tuple[int, int]]], start: int, seconds: int
) -> None:
    sums = [
        [sum(span[2][field] for span in held if span[0] <= at < span[1]) for field in (0, 1)]
        for at in range(start, start + seconds)
    ]
    expected = (max(s[0] for s in sums), max(s[1] for s in sums))
    assert most_held(held, start, start + seconds) == expected


@given(st.data())
@examples(30)
def test_reservations_never_hold_more_than_their_share(data: st.DataObject) -> None:
    settings = replace(RATES, admission="limits", reserved_share=0.5, preemption="no-preemption")
    one = World(site(4), settings)
    for lease_id in range(1, 15):
        one.submit(lease_id, data.draw(drawn.terms(0)))
    held = [
        (run.start, run.end, (booking.node_count, booking.cpu_pct))
        for booking in one.calendar.bookings.values()
        if booking.kind.value == "reservation"
        for run in booking.runs
        if run.stage is not Stage.OVER
    ]
    assert most_held(held, 0, 10_000)[1] <= 200


# --- prices ---------------------------------------------------------------------------------------


def ask(
    one: World, lease_id: int, terms: Terms, *, rate: float | None = None, user: int = 0
) -> Answer:
    answer = one.calendar.submit(lease_id, terms, one.now, user=user, rate=rate)
    one.go_on()
    return answer


def test_nothing_has_a_price_where_leases_are_free() -> None:
    assert ask(world(2), 1, reservation(100)).price is None


def test_a_price_is_hours_times_nodes_times_rate() -> None:
    one = world(2, pricing="constant", rate=3.0)
    for lease_id, terms in enumerate(
        (best_effort(2, HOUR // 2), reservation(9000, 2, HOUR // 2), by_deadline(99_999, 1, HOUR))
    ):
        assert ask(one, lease_id, terms).price == pytest.approx(3.0)
    assert one.calendar.when(reservation(50_000, 2, HOUR), 0).price == pytest.approx(6.0)


def test_who_gives_way_is_paid_for() -> None:
    one = world(1, pricing="constant", rate=36.0)
    ask(one, 1, best_effort(1, 10_000))
    assert ask(one, 2, reservation(1000, 1, HOUR)).price == pytest.approx(36.0 + 20 * 36 / HOUR)
    market = one.calendar.line.market
    assert market.surcharge == pytest.approx(0.2)
    assert one[2].surcharge == pytest.approx(0.2)


def test_without_suspension_there_is_no_surcharge() -> None:

    one = world(1, pricing="constant", rate=36.0, suspension=Suspension.NONE)
    ask(one, 1, best_effort(1, 10_000))
    assert ask(one, 2, reservation(1000, 1, HOUR)).price == pytest.approx(36.0)


@pytest.mark.parametrize(
    "terms",
    [
        best_effort(1, HOUR),
        reservation(100, 1, HOUR),
        immediate(1, HOUR),
        by_deadline(9000, 1, HOUR),
    ],
)
def test_users_refuse_what_costs_more_than_they_pay(terms: Terms) -> None:
    one = world(1, pricing="constant", rate=2.0)
    before = one.calendar.line.table.times[:]
    answer = ask(one, 1, terms, rate=1.99)
    assert answer.status is LeaseStatus.REJECTED_BY_USER
    assert answer.reason == "it costs 2.00: its user pays 1.99 at the most"
    assert one.calendar.line.table.times == before
    assert ask(one, 2, terms, rate=2.0).accepted


def test_what_has_no_room_is_rejected_whatever_it_costs() -> None:
    one = world(1, pricing="constant", rate=2.0)
    ask(one, 1, reservation(100, 1, HOUR))
    assert ask(one, 2, reservation(100, 1, HOUR), rate=1.0).status is LeaseStatus.REJECTED
    assert ask(one, 3, by_deadline(200, 1, 100, start=90), rate=1.0).status is LeaseStatus.REJECTED


def test_the_sums_are_kept() -> None:
    one = world(2, pricing="constant", rate=2.0)
    ask(one, 1, reservation(100, 2, HOUR), rate=3.0)
    ask(one, 2, reservation(9000, 1, HOUR), rate=1.0)
    ask(one, 3, reservation(200, 1, HOUR), rate=5.0)
    market = one.calendar.line.market
    assert (market.revenue, market.missed_undercharging) == pytest.approx((4.0, 2.0))
    assert (market.missed_reject_by_user, market.missed_reject) == pytest.approx((1.0, 5.0))


def test_a_longer_lease_costs_more() -> None:
    one = world(1, pricing="constant", rate=2.0)
    ask(one, 1, reservation(100, 1, HOUR))
    one.calendar.extend(1, HOUR // 2, 0)
    assert one[1].price == pytest.approx(3.0)


def test_the_maximum_is_what_the_user_would_just_pay() -> None:
    one = world(1, pricing="maximum", rate=2.0)
    assert ask(one, 1, reservation(100, 1, HOUR), rate=7.5).price == pytest.approx(7.5)
    assert ask(one, 2, reservation(9000, 1, HOUR)).price == pytest.approx(2.0)


def adapted(answers: Sequence[tuple[int, float]]) -> list[float]:
    """The prices of an hour that users with these rates are asked for, one after another."""
    one = world(1, pricing="adaptive", rate=4.0)
    prices = []
    for number, (user, rate) in enumerate(answers):
        terms = reservation(HOUR * 2 * (number + 1), 1, HOUR)
        prices.append(ask(one, number + 1, terms, rate=rate, user=user).price or 0.0)
    return prices


def test_an_adaptive_price_closes_in_on_what_the_user_pays() -> None:
    assert adapted([(1, 7.0)] * 5) == pytest.approx([4.0, 6.0, 9.0, 7.5, 6.75])


def test_the_price_falls_while_nobody_accepts() -> None:
    assert adapted([(1, 1.0)] * 4) == pytest.approx([4.0, 2.0, 1.0, 1.5])


def test_the_price_is_the_median_of_what_users_seem_to_pay() -> None:
    assert adapted([(1, 7.0), (2, 1.0), (3, 7.0), (4, 7.0)]) == pytest.approx([4.0, 6.0, 4.5, 6.0])


def test_random_prices_depend_on_seed_and_lease_only() -> None:
    def prices(seed: int) -> list[float]:
        one = world(4, pricing="random", min_rate=1.0, max_rate=3.0, rate_seed=seed)
        return [ask(one, n, reservation(100 * n, 1, HOUR)).price or 0.0 for n in (1, 2, 3)]

    assert prices(1) == prices(1) != prices(2)
    assert all(1.0 <= price < 3.0 for price in prices(1))


def test_random_prices_are_spread_evenly() -> None:
    parts = [mixed(number) / (1 << 64) for number in range(4000)]
    for tenth in range(10):
        assert 330 < sum(tenth <= part * 10 < tenth + 1 for part in parts) < 470


# --- host selection -------------------------------------------------------------------------------


def hosts_of(one: World, lease_id: int) -> tuple[int, ...]:
    return one[lease_id].runs[-1].hosts


def test_cheap_hosts_are_taken_first() -> None:
    hosts = tuple(
        SiteHost(id=n, name=f"h{n}", capacity=Capacity(100, 1024), cost=cost)
        for n, cost in enumerate((3.0, 1.0, 2.0))
    )
    one = World(Site(hosts=hosts), replace(RATES, host_selection="cheapest"))
    one.submit(1, best_effort(2, 50))
    assert sorted(hosts_of(one, 1)) == [1, 2]


def test_greedy_prefers_empty_hosts_and_of_these_the_ones_that_stay_so() -> None:
    one = World(site(3, cpu=200, memory=2048), replace(RATES, host_selection="greedy"))
    one.submit(1, best_effort(1, 500))
    one.submit(2, reservation(50, 1, 20))
    assert (hosts_of(one, 1), hosts_of(one, 2)) == ((0,), (1,))
    one.submit(3, best_effort(1, 100))
    assert hosts_of(one, 3) == (2,)
    one.submit(4, best_effort(1, 40))
    assert hosts_of(one, 4) == (1,)


def test_packed_fills_hosts_that_are_in_use() -> None:
    one = World(site(3, cpu=200, memory=2048), replace(RATES, host_selection="packed"))
    for lease_id in (1, 2, 3):
        one.submit(lease_id, best_effort(1, 500))
    assert [hosts_of(one, lease_id) for lease_id in (1, 2, 3)] == [(0,), (0,), (1,)]


# --- order ----------------------------------------------------------------------------------------


def started(one: World) -> list[int]:
    """Leases in the order in which they began."""
    one.run()
    begun = [b for b in one.calendar.bookings.values() if b.first_start is not None]
    return [b.id for b in sorted(begun, key=lambda b: (b.first_start or 0, b.id))]


def busy(order: str, **given: object) -> World:
    """One host, taken from 0 to 1000."""
    one = world(1, order=order, backfill_order=order, rekey_s=10, **given)
    one.submit(99, by_deadline(1000, duration=1000))
    return one


def submit(one: World, lease_id: int, terms: Terms, user: int, at: int) -> None:
    one.run(at)
    one.calendar.submit(lease_id, terms, at, user=user)
    one.go_on()


def test_who_used_less_of_late_goes_first() -> None:
    one = world(1, order="fair-share", rekey_s=10)
    submit(one, 1, best_effort(1, 500), 7, 0)
    submit(one, 2, best_effort(1, 100), 7, 10)
    submit(one, 3, best_effort(1, 100), 7, 20)
    submit(one, 4, best_effort(1, 100), 8, 30)
    assert started(one) == [1, 4, 2, 3]


def test_use_is_forgotten_by_half_lives() -> None:
    one = world(2, order="fair-share", rekey_s=10, half_life_s=100)
    submit(one, 1, best_effort(2, 1000), 7, 0)
    submit(one, 2, best_effort(1, 400), 8, 2000)
    submit(one, 3, best_effort(1, 800), 9, 2000)
    submit(one, 4, best_effort(1, 50), 8, 2100)
    submit(one, 5, best_effort(1, 50), 7, 2110)
    order = started(one)
    assert order.index(5) < order.index(4)


def test_a_larger_share_may_be_used_more() -> None:
    one = world(1, order="fair-share", rekey_s=10, shares=((7, 20.0),))
    submit(one, 1, best_effort(1, 300), 7, 0)
    submit(one, 2, best_effort(1, 200), 8, 10)
    submit(one, 3, best_effort(1, 100), 8, 320)
    submit(one, 4, best_effort(1, 100), 7, 330)
    assert started(one) == [1, 2, 4, 3]


def test_priority_goes_before_share() -> None:
    one = world(1, order="fair-share", rekey_s=10)
    submit(one, 1, best_effort(1, 500), 7, 0)
    submit(one, 2, best_effort(1, 100), 8, 10)
    submit(one, 3, best_effort(1, 100, priority=1), 7, 20)
    assert started(one) == [1, 3, 2]


def test_waiting_is_worth_priority_in_the_end() -> None:
    one = busy("aging", aging_s=100)
    submit(one, 1, best_effort(1, 10), 0, 0)
    submit(one, 2, best_effort(1, 10, priority=1), 0, 90)
    submit(one, 3, best_effort(1, 10, priority=1), 0, 110)
    assert started(one) == [99, 2, 1, 3]


def test_short_leases_expand_sooner() -> None:
    one = busy("expansion-factor")
    submit(one, 1, best_effort(1, 1000), 0, 0)
    submit(one, 2, best_effort(1, 100), 0, 500)
    submit(one, 3, best_effort(1, 10), 0, 990)
    assert started(one) == [99, 2, 1, 3] or started(one) == [99, 2, 3, 1]


def test_wfp_favours_large_leases_of_equal_age() -> None:
    one = world(2, order="wfp", rekey_s=10)
    submit(one, 99, by_deadline(1000, 2, 1000), 0, 0)
    submit(one, 1, best_effort(1, 100), 0, 10)
    submit(one, 2, best_effort(2, 100), 0, 10)
    submit(one, 3, best_effort(1, 900), 0, 500)  # whenever somebody asks, keys are looked at
    assert started(one) == [99, 2, 1, 3]


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50), st.integers(1, 800)), max_size=6),
    st.integers(1, 500),
)
def test_recent_use_is_the_integral_of_its_decay(
    used: list[tuple[int, int, int]], half_life: int
) -> None:
    usage = Usage(replace(RATES, half_life_s=half_life), ages=True)
    for start, seconds, cpu in used:
        usage.add(1, cpu, start, start + seconds)
    fine = 50
    expected = sum(
        cpu / 100 / fine * 2 ** -((200 - (start + (step + 0.5) / fine)) / half_life)
        for start, seconds, cpu in used
        for step in range(seconds * fine)
    )
    assert usage.recent(1, 200) == pytest.approx(expected, rel=1e-3, abs=1e-9)


def test_factors_are_those_of_the_formula() -> None:
    standing = Standing(replace(RATES, shares=((1, 3.0),)), 0)
    standing.look({1: 300.0, 2: 100.0, 3: 0.0}, 10)
    assert standing.factor(1) == pytest.approx(2 ** -(0.75 / (3 / 5)))
    assert standing.factor(2) == pytest.approx(2 ** -(0.25 / (1 / 5)))
    assert standing.factor(3) == standing.factor(4) == 1.0


def test_lost_work_is_use_too() -> None:

    one = world(1, suspension=Suspension.NONE)
    one.calendar.submit(1, best_effort(1, 500), 0, user=7)
    one.go_on()
    one.submit(2, reservation(100, 1, 50))
    one.run()
    account = one.calendar.usage()[7]
    assert (account.node_s, account.cpu_s) == (600, 600.0)


def test_orders_can_be_changed_while_leases_wait() -> None:
    one = busy("fcfs")
    submit(one, 1, best_effort(1, 200), 0, 10)
    submit(one, 2, best_effort(1, 100), 0, 20)
    one.calendar.use(replace(one.settings, order="smallest", backfill_order="smallest"))
    one.go_on()
    assert started(one) == [99, 2, 1]


def test_small_nodes_are_counted_by_their_cpu() -> None:
    one = world(1)
    half = replace(best_effort(duration=100), nodes=(nodes(2, 50, 512),))
    one.submit(1, half)
    one.run()
    account = one.calendar.usage()[0]
    assert (account.node_s, account.cpu_s) == (200, 100.0)
