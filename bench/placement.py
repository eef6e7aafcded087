"""How long the planner takes to decide where many waiting VMs go."""

import time
from collections.abc import Callable, Iterator

from bench.reference import PLACEMENT_GOAL_S
from bench.site import FACTS, Site
from bench.table import Row
from orrery.core.messages import ApplyPlan
from orrery.core.template import Template
from orrery.sched.planner import Seen, plan

SECTION = "Placement: time to decide"
SIZES = ((1_000, 100), (10_000, 1_000))

Text = Callable[[int], str]

ALIKE = 'NAME="a" CPU="0.5" MEMORY="512"'

WISHES: dict[str, Text] = {
    "identical VMs": lambda number: ALIKE,
    "all different in size": lambda number: f'NAME="a" CPU="0.5" MEMORY="{128 + number}"',
    "identical, REQUIREMENTS and RANK": lambda number: (
        f'{ALIKE} SCHED_REQUIREMENTS="RACK != 3 & FREE_MEMORY > 1000" SCHED_RANK="FREE_MEMORY"'
    ),
    "all different, REQUIREMENTS and RANK": lambda number: (
        f'NAME="a" CPU="0.5" MEMORY="{128 + number}" '
        f'SCHED_REQUIREMENTS="RACK != {number % 10}" SCHED_RANK="FREE_MEMORY"'
    ),
}


def measure(seconds: float) -> Iterator[Row]:
    for vms, hosts in SIZES:
        for name, text in WISHES.items():
            yield decide(vms, hosts, name, text)


def decide(vms: int, hosts: int, name: str, text: Text) -> Row:
    site = Site()
    site.furnish()
    for number in range(hosts):
        facts = Template((*FACTS.attributes, ("RACK", str(number % 10))))
        site.host(f"node{number}", facts)
    for number in range(vms):
        site.vm(text(number))
    times, placed = swept(site)
    elapsed = sum(times)
    goal = PLACEMENT_GOAL_S[vms]
    return Row(
        section=SECTION,
        what=f"{vms:,} VMs on {hosts:,} hosts, {name}",
        value=f"{elapsed:.3f} s",
        per_second=vms / elapsed,
        goal=f"{goal:g} s",
        met=elapsed <= goal,
        note=f"{placed:,} placed in {len(times)} plans, the longest {max(times) * 1000:.0f} ms",
    )


def swept(site: Site) -> tuple[list[float], int]:
    """How long each plan of a sweep takes, and how many VMs they place; each is applied, off the
    clock, before the next one is made."""
    times: list[float] = []
    placed = 0
    seen: Seen = {}
    while seen or not times:
        begun = time.perf_counter()
        made = plan(site.state, site.now, seen=seen)
        times.append(time.perf_counter() - begun)
        seen = made.seen
        placed += len(made.placements)
        site.do(
            ApplyPlan(cause="bench", placements=made.placements, explanations=made.explanations)
        )
    return times, placed
