"""SIGKILL of the engine at every commit of a real VM's life: nothing lost, doubled, orphaned."""

import contextlib
import http.client
import xmlrpc.client
from collections.abc import Iterator

import pytest

from orrery.core.status import VmStatus
from orrery.drivers.libvirt.probe import LETTER
from tests.real.site import RealSite, missing, real_site

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(missing()), reason=f"needs {', '.join(missing())}"),
]

S = VmStatus
VM = 'NAME="v" CPU="0.1" MEMORY="16" DISK=[IMAGE="tiny"] CONTEXT=[A="b"]'

COMMITS = {"create": 4, "suspend": 2, "resume": 2, "terminate": 3}
"""Commits that change the VM: one for the command, one for each outcome (and the placement)."""

POINTS = [(number, moment) for number in range(1, 5) for moment in ("before", "after")]


@pytest.fixture(scope="module")
def site() -> Iterator[RealSite]:
    with real_site() as site:
        site.start()
        site.add_host()
        site.add_image("tiny", site.tiny_image())
        site.stop()
        yield site


def killed_during(site: RealSite, command: str, number: int, moment: str, vm_id: int) -> int:
    """Start an engine that dies at that commit, give the command, start a sound one.

    Returns the VM's id: a client that got no answer looks whether its request was taken.
    """
    site.start(die_at=(number, moment))
    with contextlib.suppress(OSError, xmlrpc.client.ProtocolError, http.client.HTTPException):
        give(site, command, vm_id)
    site.wait_for_death()
    site.start()
    if number == 1 and moment == "before":
        return give(site, command, vm_id)
    pool = site.tree("one.vmpool.info", -2, -1, -1, -2)
    return max(int(vm.findtext("ID") or -1) for vm in pool.findall("VM"))


def give(site: RealSite, command: str, vm_id: int) -> int:
    if command == "create":
        return int(site.call("one.vm.allocate", VM, False))
    action = "terminate-hard" if command == "terminate" else command
    return int(site.call("one.vm.action", action, vm_id))


@pytest.mark.parametrize(("number", "moment"), POINTS, ids=[f"{m} commit {n}" for n, m in POINTS])
def test_a_life_with_an_engine_killed_at_that_commit_of_every_command(
    site: RealSite, number: int, moment: str
) -> None:
    vm_id = -1
    ends = {"create": S.RUNNING, "suspend": S.SUSPENDED, "resume": S.RUNNING, "terminate": S.DONE}
    for command, wanted in ends.items():
        if number <= COMMITS[command]:
            vm_id = killed_during(site, command, number, moment, vm_id)
        else:
            site.start()
            vm_id = give(site, command, vm_id) if command == "create" else vm_id
            if command != "create":
                give(site, command, vm_id)
        site.reach(vm_id, wanted)
        check_reality(site, vm_id, wanted)
        site.stop()


def check_reality(site: RealSite, vm_id: int, status: VmStatus) -> None:
    """One domain where the VM runs, none where it does not; one boot in all; one directory."""
    expected = 1 if status is S.RUNNING else 0
    site.wait(lambda: len(site.domains()) == expected, f"{expected} domains")
    if status is S.DONE:
        site.wait(lambda: site.directories() == [], "no directory to be left")
        return
    assert site.directories() == [str(vm_id)]
    site.wait(lambda: LETTER.decode() in site.console(vm_id), "the guest to have booted")
    assert site.console(vm_id).count(LETTER.decode()) == 1
