"""The planner: nothing over capacity, nothing left without a reason, the same plan every time."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrery.config import BY_NAME
from orrery.core import expr
from orrery.core.capacity import Capacity
from orrery.core.messages import (
    ENGINE,
    AllocateCluster,
    AllocateDatastore,
    AllocateHost,
    AllocateNetwork,
    AllocateVm,
    ApplyPlan,
    DeleteObject,
    HoldVm,
    SetHostStatus,
    UpdateTemplate,
)
from orrery.core.model.kinds import Kind
from orrery.core.status import VmStatus
from orrery.core.template import Template, parse
from orrery.sched.match import attributes, clusters_of, requirement_text
from orrery.sched.planner import Plan, plan
from orrery.sched.policy import POLICIES, Room
from tests.site import Site


def vm(site: Site, cpu: str = "1", memory: int = 512, extra: str = "") -> int:
    return site.vm(f'CPU="{cpu}" MEMORY="{memory}"\n{extra}')


def host(site: Site, name: str, cpu: int = 400, memory: int = 4096, facts: str = "") -> int:
    host_id = site.host(name, Capacity(cpu, memory))
    site.seen(host_id, Capacity(cpu, memory), parse(facts) if facts else Template())
    return host_id


def placed(made: Plan) -> dict[int, int]:
    return {one.vm_id: one.host_id for one in made.placements}


def reason(made: Plan, vm_id: int) -> str:
    return next(one.text for one in made.explanations if one.vm_id == vm_id)


def cluster(site: Site, name: str, *, with_datastore: bool = True) -> int:
    cluster_id = site.do(AllocateCluster(cause="t", actor=ENGINE, name=name))
    assert cluster_id is not None
    if with_datastore:
        template = parse(f'NAME="system-{name}" TYPE="SYSTEM_DS"')
        message = AllocateDatastore(
            cause="t", actor=ENGINE, template=template, cluster_id=cluster_id
        )
        site.do(message)
    return cluster_id


def host_in(site: Site, name: str, cluster_id: int) -> int:
    message = AllocateHost(
        cause="t", actor=ENGINE, name=name, im_mad="sim", vm_mad="sim", cluster_id=cluster_id
    )
    host_id = site.do(message)
    assert host_id is not None
    site.seen(host_id, Capacity(400, 4096))
    return host_id


# --- whatever is asked ----------------------------------------------------------------------------

HOSTS = st.lists(
    st.tuples(st.sampled_from([0, 100, 250, 400]), st.sampled_from([0, 512, 1024, 4096])),
    max_size=5,
)
TEXTS = [
    "",
    'NAME = "h1"',
    'NAME = "h*"',
    "ID > 2",
    "FREE_CPU >= 200",
    "TOTALMEMORY > 2000000",
    'NO_SUCH = "x"',
    '!(NAME = "h0") & FREE_MEMORY > 1',
]
RANKS = ["", "FREE_CPU", "- RUNNING_VMS", "ID", "1 / 0"]
VMS = st.lists(
    st.tuples(
        st.sampled_from(["0.1", "1", "2", "9"]),
        st.sampled_from([1, 512, 1024, 9000]),
        st.sampled_from(TEXTS),
        st.sampled_from(RANKS),
    ),
    max_size=12,
)


def built(hosts: list[tuple[int, int]], vms: list[tuple[str, int, str, str]]) -> Site:
    site = Site()
    for number, (cpu, memory) in enumerate(hosts):
        host(site, f"h{number}", cpu, memory)
    for cpu_text, memory, requirement, rank in vms:
        quoted = requirement.replace('"', '\\"')
        vm(site, cpu_text, memory, f'SCHED_REQUIREMENTS="{quoted}" SCHED_RANK="{rank}"')
    return site


@settings(max_examples=80, deadline=None)
@given(HOSTS, VMS, st.sampled_from(sorted(POLICIES)))
def test_every_vm_is_placed_within_capacity_or_explained(
    hosts: list[tuple[int, int]], vms: list[tuple[str, int, str, str]], policy: str
) -> None:
    site = built(hosts, vms)
    made = plan(site.state, site.now, policy)
    waiting = {one.vm_id for one in made.explanations}
    assert not waiting & placed(made).keys()
    assert waiting | placed(made).keys() == set(site.state.vms_pending())
    assert all(one.text for one in made.explanations)
    cpu: Counter[int] = Counter()
    memory: Counter[int] = Counter()
    for vm_id, host_id in placed(made).items():
        cpu[host_id] += site.state.vms[vm_id].capacity.cpu_pct
        memory[host_id] += site.state.vms[vm_id].capacity.memory_mib
    for one in site.state.hosts.values():
        assert Capacity(cpu[one.id], memory[one.id]).fits(one.offered)


@settings(max_examples=80, deadline=None)
@given(HOSTS, VMS)
def test_the_engine_takes_every_placement_of_a_plan(
    hosts: list[tuple[int, int]], vms: list[tuple[str, int, str, str]]
) -> None:
    site = built(hosts, vms)
    made = plan(site.state, site.now)
    site.decide(ApplyPlan(cause="s", placements=made.placements, explanations=made.explanations))
    for vm_id, host_id in placed(made).items():
        assert site.state.vms[vm_id].status is VmStatus.PROLOG
        assert site.state.vms[vm_id].host_id == host_id
    for one in made.explanations:
        assert site.state.vms[one.vm_id].sched_message == one.text
    assert plan(site.state, site.now).placements == ()


@settings(max_examples=60, deadline=None)
@given(HOSTS, VMS, st.sampled_from(sorted(POLICIES)))
def test_the_same_state_gives_the_same_plan(
    hosts: list[tuple[int, int]], vms: list[tuple[str, int, str, str]], policy: str
) -> None:
    first, second = built(hosts, vms), built(hosts, vms)
    made = plan(first.state, first.now, policy)
    assert plan(first.state, first.now, policy) == made
    assert plan(second.state, second.now, policy) == made


def meets_at_start(site: Site, vm_id: int, host_id: int) -> bool:
    """Judged with the host as it was before the plan."""
    found = site.state.hosts[host_id]
    left = found.offered - site.state.host_usage(host_id)
    room = Room(left.cpu_pct, left.memory_mib, len(site.state.vms_on(host_id)), found.offered)
    text = requirement_text(site.state.vms[vm_id])
    return expr.requirement(text)(attributes(found, room, "default"))


@settings(max_examples=80, deadline=None)
@given(HOSTS, VMS)
def test_requirements_are_met_and_nobody_waits_in_vain(
    hosts: list[tuple[int, int]], vms: list[tuple[str, int, str, str]]
) -> None:
    site = built(hosts, vms)
    made = plan(site.state, site.now)
    for vm_id, host_id in placed(made).items():
        assert meets_at_start(site, vm_id, host_id)
    left = {one.id: one.offered for one in site.state.hosts.values()}
    for vm_id, host_id in placed(made).items():
        left[host_id] -= site.state.vms[vm_id].capacity
    for one in made.explanations:
        wanted = site.state.vms[one.vm_id].capacity
        for host_id, room in left.items():
            assert not (wanted.fits(room) and meets_at_start(site, one.vm_id, host_id))


# --- order ----------------------------------------------------------------------------------------


def test_the_oldest_comes_first() -> None:
    site = Site()
    host(site, "h1", cpu=200)
    ids = [vm(site) for _ in range(3)]
    made = plan(site.state, site.now)
    assert list(placed(made)) == ids[:2]
    assert [one.vm_id for one in made.explanations] == ids[2:]


def test_a_small_vm_passes_a_large_one_that_must_wait() -> None:
    site = Site()
    host(site, "h1", cpu=200)
    large, small = vm(site, "4"), vm(site, "1")
    made = plan(site.state, site.now)
    assert placed(made) == {small: 1}
    assert "lacks CPU" in reason(made, large)


@pytest.mark.parametrize(
    ("rank", "wanted"),
    [
        ("FREE_CPU", "h2"),
        ("-FREE_CPU", "h1"),
        ("FREE_MEMORY", "h1"),
        ("SPEED", "h3"),
        ("0 - SPEED", "h1"),
        ("NO_SUCH", "h1"),
        ("1 / 0", "h1"),
        ("SPEED * 0 + ID", "h3"),
    ],
)
def test_the_host_of_the_highest_rank_is_taken(rank: str, wanted: str) -> None:
    site = Site()
    host(site, "h1", 100, 4096, 'SPEED="1"')
    host(site, "h2", 400, 1024, 'SPEED="2"')
    host(site, "h3", 200, 1024, 'SPEED="3"')
    vm_id = vm(site, extra=f'SCHED_RANK="{rank}"')
    chosen = placed(plan(site.state, site.now, "packing"))[vm_id]
    assert site.state.hosts[chosen].name == wanted


def test_a_rank_on_what_changes_is_looked_at_again_for_each_vm() -> None:
    site = Site()
    host(site, "h1", 400)
    host(site, "h2", 300)
    for _ in range(5):
        vm(site, extra='SCHED_RANK="FREE_CPU"')
    assert list(placed(plan(site.state, site.now)).values()) == [1, 2, 1, 2, 1]


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ("striping", [1, 2, 3, 1, 2, 3]),
        ("packing", [1, 1, 1, 1, 2, 2]),
        ("load-aware", [1, 2, 3, 3, 1, 2]),
    ],
)
def test_a_policy_chooses_where_a_vm_has_no_rank(policy: str, wanted: list[int]) -> None:
    site = Site()
    for name, cpu in (("h1", 400), ("h2", 400), ("h3", 800)):
        host(site, name, cpu, 16384)
    for _ in range(6):
        vm(site)
    hosts = list(placed(plan(site.state, site.now, policy)).values())
    assert hosts == wanted


def test_running_vms_count_for_the_policy() -> None:
    site = Site().furnished()
    site.running()
    host(site, "h2")
    vm_id = vm(site)
    assert placed(plan(site.state, site.now, "striping")) == {vm_id: 2}
    assert placed(plan(site.state, site.now, "packing")) == {vm_id: 1}


def test_every_policy_is_a_setting() -> None:
    check = BY_NAME["scheduler_policy"].check
    assert check is not None
    for name in POLICIES:
        check(name)


# --- which hosts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [1, 2], ids=["disabled", "offline"])
def test_hosts_that_are_not_monitored_take_nothing(status: int) -> None:
    site = Site()
    host(site, "h1")
    vm_id = vm(site)
    site.do(SetHostStatus(cause="t", actor=ENGINE, host_id=1, status=status))
    made = plan(site.state, site.now)
    assert made.placements == ()
    assert reason(made, vm_id).endswith(f"1 host is {('', 'DISABLED', 'OFFLINE')[status]}")


def test_what_is_reserved_is_not_given() -> None:
    site = Site()
    host(site, "h1", 400, 4096)
    template = parse('RESERVED_CPU="350" RESERVED_MEM="50%"')
    message = UpdateTemplate(
        cause="t", actor=ENGINE, kind=Kind.HOST, id=1, template=template, append=True
    )
    site.do(message)
    vm_id = vm(site, "1", 3000)
    text = reason(plan(site.state, site.now), vm_id)
    assert "1 host lacks memory: 3000 MiB needed, at most 2048 free" in text
    assert "1 host lacks CPU: 1 needed, at most 0.5 free" in text


def test_vms_on_hold_are_left_alone() -> None:
    site = Site()
    host(site, "h1")
    site.do(HoldVm(cause="t", actor=ENGINE, vm_id=vm(site)))
    assert plan(site.state, site.now) == Plan()


def test_a_vm_goes_where_its_networks_reach() -> None:
    site = Site()
    near = cluster(site, "near")
    host(site, "h1")
    inside = host_in(site, "h2", near)
    template = parse('NAME="n" VN_MAD="dummy" AR=[TYPE="ETHER", SIZE="9"]')
    site.do(AllocateNetwork(cause="t", actor=ENGINE, template=template, cluster_id=near))
    bound = vm(site, extra='NIC=[NETWORK="n"]')
    free = vm(site)
    assert placed(plan(site.state, site.now)) == {bound: inside, free: 1}
    assert clusters_of(site.state.vms[bound], site.state) == frozenset({near})
    assert clusters_of(site.state.vms[free], site.state) is None


def test_a_vm_whose_image_and_network_share_no_cluster_waits_and_says_so() -> None:
    site = Site().furnished()
    far = cluster(site, "far")
    template = parse('NAME="n" VN_MAD="dummy" AR=[TYPE="ETHER", SIZE="9"]')
    site.do(AllocateNetwork(cause="t", actor=ENGINE, template=template, cluster_id=far))
    vm_id = vm(site, extra='DISK=[IMAGE="os"] NIC=[NETWORK="n"]')
    assert "1 host in clusters without its images or networks" in reason(
        plan(site.state, site.now), vm_id
    )


def test_a_cluster_without_a_system_datastore_takes_nothing() -> None:
    site = Site()
    host_in(site, "h1", cluster(site, "bare", with_datastore=False))
    vm_id = vm(site)
    assert "1 host is without a system datastore" in reason(plan(site.state, site.now), vm_id)


def test_disks_go_to_the_system_datastore_of_the_hosts_cluster() -> None:
    site = Site()
    host_in(site, "h1", cluster(site, "own"))
    vm(site)
    (placement,) = plan(site.state, site.now).placements
    assert site.state.datastores[placement.ds_id].name == "system-own"


# --- reasons --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "wish", "text"),
    [
        ([], ("1", 512, ""), "There are no hosts: add one (onehost create)"),
        (
            [("h1", 100, 4096), ("h2", 50, 4096)],
            ("2", 512, ""),
            "No host can take it now: 2 hosts lack CPU: 2 needed, at most 1 free",
        ),
        (
            [("h1", 400, 256)],
            ("1", 512, ""),
            "No host can take it now: 1 host lacks memory: 512 MiB needed, at most 256 free",
        ),
        (
            [("h1", 400, 4096)],
            ("1", 512, 'NAME = \\"other\\" & ID > 0'),
            'No host can take it now: 1 host does not meet NAME = "other"',
        ),
        (
            [("h1", 100, 4096), ("h2", 400, 4096)],
            ("2", 512, "ID = 1"),
            "No host can take it now: 1 host does not meet ID = 1; "
            "1 host lacks CPU: 2 needed, at most 1 free",
        ),
    ],
)
def test_a_reason_counts_hosts_and_says_by_how_much(
    hosts: list[tuple[str, int, int]], wish: tuple[str, int, str], text: str
) -> None:
    site = Site()
    for name, cpu, memory in hosts:
        host(site, name, cpu, memory)
    cpu_text, wanted, requirement = wish
    vm_id = vm(site, cpu_text, wanted, f'SCHED_REQUIREMENTS="{requirement}"')
    assert reason(plan(site.state, site.now), vm_id) == text


def test_a_reason_is_that_of_the_end_of_the_plan() -> None:
    site = Site()
    host(site, "h1", 200)
    vm(site), vm(site)
    late = vm(site)
    assert "at most 0 free" in reason(plan(site.state, site.now), late)


def test_a_host_that_goes_away_takes_its_room_with_it() -> None:
    site = Site()
    host(site, "h1")
    vm_id = vm(site)
    site.do(DeleteObject(cause="t", actor=ENGINE, kind=Kind.HOST, id=1))
    assert reason(plan(site.state, site.now), vm_id).startswith("There are no hosts")


# --- many -----------------------------------------------------------------------------------------


def test_a_thousand_vms_on_a_hundred_hosts_are_spread_evenly_until_all_is_full() -> None:
    site = Site()
    for number in range(100):
        host(site, f"h{number}", 800, 8192)
    template = parse('CPU="1" MEMORY="1024"')
    for _ in range(1000):
        site.do(AllocateVm(cause="t", actor=ENGINE, template=template, hold=False))
    made = plan(site.state, site.now)
    assert set(Counter(placed(made).values()).values()) == {8}
    assert len(made.placements) == 800
    assert len({one.text for one in made.explanations}) == 1
    assert "100 hosts lack memory: 1024 MiB needed, at most 0 free" in made.explanations[0].text


def test_a_vm_that_is_too_big_for_now_does_not_keep_smaller_ones_waiting() -> None:
    site = Site()
    site.host("h1", Capacity(400, 1000))
    for memory in (900, 800, 50, 950, 40):
        site.vm(f'CPU="0.5" MEMORY="{memory}"')
    assert placed(plan(site.state, site.now)) == {0: 1, 2: 1, 4: 1}
