"""States, sizes, ids and options: what words mean."""

from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.cli import states, vm_options
from orrery.cli.failure import CommandFailed
from orrery.cli.measures import age, duration, mib, moment, size_kib
from orrery.cli.noun import expand
from orrery.cli.text_input import vector
from orrery.cli.verbs import mode_bits
from orrery.core.status import HostStatus, ImageStatus, VmStatus


@pytest.mark.parametrize("status", list(VmStatus))
def test_every_vm_status_of_the_engine_has_its_name(status: VmStatus) -> None:
    assert states.vm_state(status.state, status.lcm_state) == status.name


@pytest.mark.parametrize("status", list(HostStatus))
def test_every_host_status_of_the_engine_has_its_name(status: HostStatus) -> None:
    assert states.nth(states.HOST_STATE_NAMES, status) == status.name


@pytest.mark.parametrize("status", list(ImageStatus))
def test_every_image_status_of_the_engine_has_its_name(status: ImageStatus) -> None:
    assert states.nth(states.IMAGE_STATE_NAMES, status) == status.name


@pytest.mark.parametrize(
    ("status", "short"),
    [
        (VmStatus.RUNNING, "runn"),
        (VmStatus.PENDING, "pend"),
        (VmStatus.SUSPENDED, "susp"),
        (VmStatus.POWEROFF, "poff"),
        (VmStatus.SAVE_SUSPEND, "save"),
        (VmStatus.CLEANUP_DELETE, "clea"),
        (VmStatus.BOOT_FAILURE, "fail"),
        (VmStatus.UNKNOWN, "unkn"),
    ],
)
def test_short_states_are_those_of_the_tables(status: VmStatus, short: str) -> None:
    assert states.vm_state_short(status.state, status.lcm_state) == short


def test_states_nobody_knows_are_shown_as_numbers() -> None:
    assert states.vm_state(99, 0) == "99"
    assert states.vm_state(3, 200) == "200"


def test_failures_and_ends_are_settled_and_transitions_are_not() -> None:
    assert states.is_settled("BOOT_FAILURE")
    assert states.is_settled("DONE")
    assert not states.is_settled("PENDING")
    assert not states.is_settled("SAVE_SUSPEND")


@pytest.mark.parametrize(
    ("kib", "text"),
    [(0, "0K"), (1023, "1023K"), (131072, "128M"), (1.5 * (1 << 20), "1.5G"), (1 << 20, "1G")],
)
def test_sizes_are_short(kib: float, text: str) -> None:
    assert size_kib(kib) == text


@pytest.mark.parametrize(
    ("text", "amount"),
    [("128", 128), ("128m", 128), ("1.5g", 1536), ("2GiB", 2048), ("1t", 1 << 20)],
)
def test_sizes_of_options_are_in_mib(text: str, amount: int) -> None:
    assert mib(text, "--memory") == amount


@pytest.mark.parametrize("text", ["", "much", "-1", "0.5", "1k"])
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(CommandFailed, match="--memory: "):
        mib(text, "--memory")


def test_times_are_short() -> None:
    assert age(3 * 86400 + 7 * 3600 + 12 * 60 + 5) == "3d 07h12"
    assert duration(4.24) == "4.2 s"
    assert duration(75) == "1 min 15 s"
    assert moment(0) == "-"


def test_ranges_and_lists_expand_in_order_and_once() -> None:
    assert expand(["3..5,1", "web", "4"]) == ["3", "4", "5", "1", "web"]


@pytest.mark.parametrize("text", ["5..3", "0..99999999"])
def test_ranges_that_fall_or_have_no_end_are_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="must rise"):
        expand([text])


def test_modes_are_nine_bits() -> None:
    assert mode_bits("640") == [1, 1, 0, 1, 0, 0, 0, 0, 0]
    with pytest.raises(click.UsageError, match="three octal digits"):
        mode_bits("rw")


GIVEN: dict[str, Any] = {
    "cpu": None,
    "vcpu": None,
    "memory": None,
    "disks": (),
    "nics": (),
    "ssh": None,
    "net_context": False,
    "context": (),
    "startscript": None,
    "vnc": False,
    "vnc_password": None,
    "boot": None,
    "arch": None,
    "raw": None,
}


def test_no_options_make_no_template() -> None:
    assert vm_options.template_of(None, GIVEN) == ""


def test_options_make_opennebulas_template() -> None:
    given = GIVEN | {
        "cpu": 0.5,
        "memory": "1g",
        "disks": ("debian:size=2048,7", "alice[data disk]"),
        "nics": ("lan",),
        "net_context": True,
        "ssh": "ssh-ed25519 AAAA me",
        "context": ("set_hostname=web",),
        "vnc": True,
        "boot": "disk0",
    }
    assert vm_options.template_of("web", given).splitlines() == [
        'NAME="web"',
        'CPU="0.5"',
        'MEMORY="1024"',
        'DISK=[ IMAGE="debian", SIZE="2048" ]',
        'DISK=[ IMAGE_ID="7" ]',
        'DISK=[ IMAGE="data disk", IMAGE_UNAME="alice" ]',
        'NIC=[ NETWORK="lan" ]',
        'GRAPHICS=[ TYPE="vnc", LISTEN="127.0.0.1" ]',
        'OS=[ BOOT="disk0" ]',
        'CONTEXT=[ NETWORK="YES", SSH_PUBLIC_KEY="ssh-ed25519 AAAA me", SET_HOSTNAME="web" ]',
    ]


@given(st.text(alphabet=st.characters(exclude_characters='"\\', exclude_categories=["C"])))
def test_values_are_quoted_as_they_are(text: str) -> None:
    assert vector("A", [("K", text)]) == f'A=[ K="{text}" ]'
