"""Settings by name and text."""

import pytest
from msgspec.structs import fields

from orrery.core.errors import InvalidInput
from orrery.sched.leases.settings import Backfilling, Settings, TransferSettings
from orrery.simulate.leases.catalogue import all_policies
from orrery.simulate.leases.knobs import (
    KNOBS,
    profiles_from,
    settings_from,
    shown_settings,
)

OTHER = {
    "backfilling": "7",
    "suspension": "serial-only",
    "suspend-rate": "12.5",
    "resume-rate": "13",
    "exclusion": "global",
    "migration": "yes-notransfer",
    "migration-mbit": "1000",
    "threshold-factor": "0.5",
    "fixed-threshold": "30",
    "estimates": "summed",
    "resume-after": "600",
    "fixed-suspend": "20",
    "fixed-resume": "21",
    "overhead": "2",
    "boot": "15",
    "shutdown": "5",
    "preparation": "imagetransfer",
    "transfer-mbit": "200",
    "transfer-mechanism": "unicast",
    "transfer-channels": "3",
    "transfer-piggyback": "no",
    "transfer-cache": "all",
    "transfer-fixed": "60",
    "lead": "10",
    "depth": "50",
    "preemption": "cheapest",
    "max-node-time": "3600",
    "least-notice": "60",
    "most-notice": "7200",
    "reserved-share": "0.5",
    "user-nodes": "12",
    "rekey": "30",
    "half-life": "3600",
    "shares": "7:2 8:0.5",
    "aging": "600",
    "rate": "0.25",
    "min-rate": "0.1",
    "max-rate": "3",
    "rate-seed": "5",
    "power-down-after": "300",
    "wake": "90",
    "keep-awake": "2",
    "order": "smallest",
    "backfill-order": "fcfs",
    "max-suspensions": "4",
}


def test_every_setting_of_the_scheduler_has_an_option() -> None:
    own = {field.name for field in fields(Settings)} - {"transfer", "backfilling_reservations"}
    transfer = {f"transfer.{field.name}" for field in fields(TransferSettings)}
    assert {knob.field for knob in KNOBS} == own | transfer


def test_settings_are_shown_as_they_were_given() -> None:
    assert shown_settings(settings_from(OTHER)) == shown_settings(Settings()) | OTHER


def test_the_defaults_can_be_given_too() -> None:
    assert settings_from(shown_settings(Settings())) == Settings()


@pytest.mark.parametrize(
    ("text", "backfilling", "reservations"),
    [("off", Backfilling.OFF, 1), ("0", Backfilling.OFF, 1), ("3", Backfilling.INTERMEDIATE, 3)],
)
def test_backfilling_by_name_or_number(
    text: str, backfilling: Backfilling, reservations: int
) -> None:
    found = settings_from({"backfilling": text})
    assert found.backfilling is backfilling
    assert found.backfilling_reservations == reservations


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("backfilling", "often"),
        ("suspension", "some"),
        ("suspend-rate", "0"),
        ("resume-rate", "nan"),
        ("boot", "soon"),
        ("transfer-piggyback", "perhaps"),
        ("transfer-mechanism", "broadcast"),
        ("transfer-cache", "-1"),
        ("preemption", "oldest"),
        ("order", "no.such.module:order"),
        ("reserved-share", "1.5"),
        ("shares", "7"),
        ("shares", "7:0"),
        ("colour", "red"),
    ],
)
def test_nonsense_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        settings_from({name: text})
    assert name in str(refused.value)


def test_profiles_are_values_or_sets() -> None:
    assert profiles_from(["off,4", "suspension=none+boot=20"]) == {
        "off": {"backfilling": "off"},
        "4": {"backfilling": "4"},
        "suspension=none+boot=20": {"suspension": "none", "boot": "20"},
    }


@pytest.mark.parametrize("text", ["off,off", "whatever", "boot=", "boot=late"])
def test_profiles_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        profiles_from([text])


def test_every_policy_says_what_it_does() -> None:
    found = list(all_policies())
    assert {"order", "preemption"} <= {kind for policy in found for kind in policy.kinds}
    assert [policy.name for policy in found if len(policy.about) < 10] == []


def farthest(asking: object, other: object, at: int) -> float | None:
    """Nobody, in a roundabout way."""
    return None


def test_a_policy_of_a_user_is_named_by_its_place() -> None:
    name = f"{__name__}:farthest"
    assert settings_from({"preemption": name}).preemption == name
    assert settings_from({"preemption": name}).preemption == name
    assert name in [policy.name for policy in all_policies()]
