"""What REQUIREMENTS and RANK see of a host."""

import pytest

from orrery.core.capacity import Capacity
from orrery.core.messages import ENGINE, UpdateTemplate
from orrery.core.model.kinds import Kind
from orrery.core.template import parse
from orrery.sched.match import Lookup, attributes, meeting
from orrery.sched.policy import Room
from tests.site import Site


def lookup() -> Lookup:
    site = Site()
    site.host("h1")
    template = parse('ZONE="a" SHARED="operator" RESERVED_CPU="100"')
    message = UpdateTemplate(
        cause="t", actor=ENGINE, kind=Kind.HOST, id=1, template=template, append=True
    )
    site.do(message)
    facts = parse('ARCH="x86_64" MODELNAME="big iron" SHARED="driver"')
    site.seen(1, Capacity(800, 8192), facts)
    host = site.state.hosts[1]
    return attributes(host, Room(500, 4096, 3, host.offered), "default")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ID", 1),
        ("NAME", "h1"),
        ("HOSTNAME", "h1"),
        ("CLUSTER", "default"),
        ("CLUSTER_ID", 0),
        ("VM_MAD", "sim"),
        ("FREE_CPU", 500),
        ("FREECPU", 500),
        ("USED_CPU", 200),
        ("CPU_USAGE", 200),
        ("FREE_MEMORY", 4096 * 1024),
        ("USED_MEMORY", 4096 * 1024),
        ("MAX_CPU", 700),
        ("TOTALCPU", 800),
        ("TOTALMEMORY", 8192 * 1024),
        ("MAX_MEM", 8192 * 1024),
        ("RUNNING_VMS", 3),
        ("HOST_SHARE/FREE_CPU", 500),
        ("ARCH", "x86_64"),
        ("TEMPLATE/ARCH", "x86_64"),
        ("MODELNAME", "big iron"),
        ("ZONE", "a"),
        ("SHARED", "driver"),
        ("NO_SUCH", None),
    ],
)
def test_a_name_stands_for(name: str, value: str | float | None) -> None:
    assert lookup()(name) == value


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", {1}),
        ('ARCH = "x86_64" & FREE_CPU > 400', {1}),
        ('ARCH = "arm*"', set()),
        ('NO_SUCH = "*"', set()),
        ("ID = 1 |", set()),
    ],
)
def test_hosts_that_meet_a_requirement(text: str, hosts: set[int]) -> None:
    assert meeting(text, {1: lookup()}) == hosts


def test_a_requirement_that_cannot_be_read_is_met_by_none() -> None:
    assert meeting("((", {1: lookup()}) == frozenset()
