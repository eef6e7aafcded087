"""Haizea's probes by their names, and those of users."""

import pytest

from orrery.core.errors import InvalidInput
from orrery.core.model.lease import LeaseStatus
from orrery.sched.leases.answer import Answer
from orrery.sched.leases.calendar import Calendar
from orrery.sched.leases.timeline import Step
from orrery.simulate.leases.metrics import measure
from orrery.simulate.leases.probes import PROBES, Chosen, Reading
from orrery.simulate.leases.run import Result, simulate
from orrery.simulate.leases.workload.model import Arrival
from tests.simulate.leases.small import PREEMPTED, SETTINGS, asked, run, workload

HAIZEAS = {
    "ar": {"Accepted AR", "Rejected AR"},
    "immediate": {"Accepted Immediate", "Rejected Immediate"},
    "best-effort": {"Best-effort completed", "Queue size"},
    "cpu-utilization": {"CPU utilization"},
    "disk-usage": {"Disk usage"},
    "lease": {"Requested", "Completed", "Rejected", "Rejected by user"},
    "lease-extras": set(),
    "deadline": set(),
    "price": {
        "Revenue",
        "Surcharge",
        "Missed revenue (undercharging)",
        "Missed revenue (reject)",
        "Missed revenue (reject by user)",
    },
}


def reading(name: str, *arrivals: Arrival) -> Reading:
    return Chosen([name]).readings(run(*arrivals))[name]


@pytest.mark.parametrize("name", HAIZEAS)
def test_counters_have_haizeas_names(name: str) -> None:
    assert set(reading(name, *PREEMPTED).counters) == HAIZEAS[name]
    assert set(PROBES) == set(HAIZEAS)


def test_accepted_reservations_are_those_that_were_planned() -> None:
    found = reading("ar", asked(1, 2, 300, start=500), asked(2, 1, 100, at=10, start=600))
    assert found.per_run == {"Total accepted AR": 1, "Total rejected AR": 1}
    rejected = found.counters["Rejected AR"]
    assert (rejected.series.times, rejected.leases) == ((10,), (2,))


def test_best_effort_waits_and_slowdowns_by_lease() -> None:
    found = reading("best-effort", *PREEMPTED)
    assert found.per_lease["Waiting time"] == {1: 0}
    assert found.per_lease["Slowdown"] == {1: pytest.approx(1.32)}
    assert found.per_run == {"Total best-effort completed": 1, "all-best-effort": 1320}


def test_of_changes_at_one_time_the_last_one_stands() -> None:
    found = reading("lease", asked(1, 1, 10), asked(2, 1, 10)).counters["Requested"]
    assert (found.series.times, found.series.values, found.leases) == ((0,), (2.0,), (2,))


def test_utilization_counts_vms_only() -> None:
    found = reading("cpu-utilization", *PREEMPTED).counters["CPU utilization"]
    assert found.series.at(495) == 0.0
    assert found.series.at(100) == 1.0


def test_extras_of_the_workload_are_values_of_leases() -> None:
    found = reading("lease-extras", asked(1, 1, 100, at=5, start=50, extras=(("color", "red"),)))
    plain = {name: values[1] for name, values in found.per_lease.items()}
    assert plain == {
        "State": "done",
        "Number of nodes": 1,
        "Requested duration": 100,
        "Actual duration": 100,
        "Start": 45,
        "Deadline": None,
        "color": "red",
    }


def test_worth_of_a_rejected_lease_is_missed_revenue() -> None:
    found = reading("price", asked(1, 3, 3600, start=100, extras=(("simul_userrate", "0.5"),)))
    assert found.per_run["Missed revenue (reject)"] == pytest.approx(1.5)
    assert found.per_run["Missed revenue (total)"] == pytest.approx(1.5)


def test_prices_are_earned_and_missed_by_what_users_would_have_paid() -> None:
    """The rate is 1 a node and hour; one user would pay 1.5, another one 0.5 and refuses."""
    willing = asked(1, 2, 3600, start=100, extras=(("simul_userrate", "1.5"),))
    unwilling = asked(2, 2, 3600, start=9000, extras=(("simul_userrate", "0.5"),))
    result = run(willing, unwilling)
    assert [result.bookings[number].user_rate for number in (1, 2)] == [1.5, 0.5]
    result.bookings[1].price = result.bookings[2].price = 2.0
    result.bookings[2].status = LeaseStatus.REJECTED_BY_USER
    found = Chosen(["price"]).readings(result)["price"]
    assert found.per_lease["Price"] == {1: 2.0, 2: 2.0}
    assert found.per_run == pytest.approx(
        {
            "Revenue": 2.0,
            "Surcharge": 0.0,
            "Missed revenue (undercharging)": 1.0,
            "Missed revenue (reject)": 0.0,
            "Missed revenue (reject by user)": 1.0,
            "Missed revenue (total)": 2.0,
        }
    )
    assert measure(result).revenue == pytest.approx(2.0)
    assert measure(result).states == {"reservation": {"done": 1, "rejected-by-user": 1}}


# --- of users -------------------------------------------------------------------------------------


def longest(result: Result) -> Reading:
    return Reading(per_run={"longest": max(one.duration for one in result.bookings.values())})


class Arrivals:
    """Watches requests."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def requested(self, arrival: Arrival, answer: Answer, now: int) -> None:
        self.seen.append(arrival.lease_id)

    def stepped(self, steps: list[Step], calendar: Calendar, now: int) -> None:
        pass

    def finish(self, result: Result) -> Reading:
        return Reading(per_run={"seen": len(self.seen)})


def test_a_function_of_the_result_is_a_probe() -> None:
    name = f"{__name__}:longest"
    assert reading(name, *PREEMPTED).per_run == {"longest": 1000}


def test_a_class_is_a_probe_that_watches_the_run() -> None:
    name = f"{__name__}:Arrivals"
    chosen = Chosen([name])
    result = simulate(workload(*PREEMPTED), SETTINGS, probes=chosen.watching)
    assert chosen.readings(result)[name].per_run == {"seen": 2}


@pytest.mark.parametrize("name", ["nothing", "no.such.module:x", "orrery.core.errors:x"])
def test_a_probe_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="probes"):
        Chosen([name])
