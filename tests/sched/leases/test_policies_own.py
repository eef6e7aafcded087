"""A site's own policies: by their dotted path, or by an entry point of an installed package."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from orrery import plugins
from orrery.config import read_settings
from orrery.core.errors import InvalidInput
from orrery.daemon.leases import scheduler_settings
from orrery.sched.leases.booking import Booking
from orrery.sched.leases.policies import registry
from orrery.sched.leases.policies.admission import Books
from orrery.sched.leases.settings import Settings
from orrery.simulate.leases.knobs import settings_from
from tests.sched.leases.world import World, best_effort, site

SOURCE = '''
def weekdays_only(booking, books, now):
    """Nobody may ask on the sixth and seventh day of a week that begins at 0."""
    return "ask again on Monday" if now // 86_400 % 7 >= 5 else None

NUMBER = 7
'''
ENTRY_POINTS = """[orrery.policies]
admission.weekdays = siterules:weekdays_only
admission.lost = siterules:nowhere
order.number = siterules:NUMBER
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Installed as pip would: a module and its dist-info."""
    (tmp_path / "siterules.py").write_text(SOURCE)
    info = tmp_path / "siterules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: siterules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("siterules", None)
    for table in registry._TABLES.values():
        for name in [n for n, f in table.items() if getattr(f, "__module__", "") == "siterules"]:
            del table[name]


def refused_on_saturday(settings: Settings) -> str | None:
    world = World(site(1), settings)
    world.run(5 * 86_400)
    return world.submit(1, best_effort()).reason


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("name", ["weekdays", "siterules:weekdays_only"])
def test_the_simulation_takes_a_policy_that_is_installed(name: str) -> None:
    assert refused_on_saturday(settings_from({"admission": name})) == "ask again on Monday"


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("name", ["weekdays", "siterules:weekdays_only"])
def test_the_daemon_takes_it_too(name: str) -> None:
    given = read_settings({"lease_admission": name}, {})
    assert refused_on_saturday(scheduler_settings(given)) == "ask again on Monday"


def test_the_command_shows_it_and_another_process_uses_it(package: Path) -> None:
    run = [sys.executable, "-m", "orrery", "simulate", "synthetic:20,4,0", "--json"]
    done = subprocess.run(
        [*run, "--admission", "weekdays"],
        env={"PYTHONPATH": f"{package}:."},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("package")
def test_one_that_cannot_be_loaded_is_named_with_the_reason() -> None:
    with pytest.raises(InvalidInput, match=r"siterules:nowhere.*AttributeError"):
        plugins.make_known("admission", "lost", "admission")


@pytest.mark.usefixtures("package")
def test_an_entry_point_that_is_no_function_is_refused() -> None:
    with pytest.raises(InvalidInput, match="is no function"):
        plugins.make_known("order", "number", "order")


@pytest.mark.usefixtures("package")
def test_a_name_that_is_not_known_lists_those_that_are() -> None:
    with pytest.raises(InvalidInput, match=r"accept-all.*limits.*weekdays"):
        plugins.make_known("admission", "weekday", "admission")
    with pytest.raises(InvalidInput, match=r"LEASE_ADMISSION.*weekday.*accept-all"):
        read_settings({}, {"ORRERY_LEASE_ADMISSION": "weekday"})


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"nosuchmodule:rule.*ModuleNotFoundError"):
        plugins.make_known("pricing", "nosuchmodule:rule", "pricing")


def other(booking: Booking, books: Books, now: int) -> str | None:
    del booking, books, now
    return None


def test_a_name_stands_for_one_policy() -> None:
    with pytest.raises(InvalidInput, match="another"):
        registry.register("admission", "limits", other)
    registry.register("admission", "limits", registry.lookup("admission", "limits"))


def test_kinds_are_known() -> None:
    with pytest.raises(InvalidInput, match="host-selection"):
        registry.register("hosts", "mine", other)


def test_settings_that_name_no_policy_are_refused_by_the_scheduler() -> None:
    with pytest.raises(InvalidInput, match=r"preemption policy.*'rude'.*cheapest"):
        World(site(1), replace(Settings(), preemption="rude"))
