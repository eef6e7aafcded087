"""How a lease looks: columns, sheet, and the answer to a request. Calls nothing."""

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

from orrery.cli import pools, tree
from orrery.cli.local_time import iso, length, short, shown, stretch
from orrery.cli.measures import size_mib
from orrery.cli.noun import Noun
from orrery.cli.sheet import (
    common_columns,
    field,
    heading,
    opening,
    permissions,
    template_section,
    text_of,
)
from orrery.cli.table import Column

Piece = tuple[float, str, int, Element]
"""(planned start, what, nodes, its times)"""


BEFORE = ("boot", "resume")
AFTER = ("suspend", "shutdown")
"""Operations at the two ends of a run."""


def state_of(lease: Element) -> str:
    """`suspended-queued`: words, as OpenNebula has none for these."""
    return tree.value(lease, "STATE_STR").lower().replace("_", "-")


def time_of(lease: Element, path: str) -> str:
    return short(tree.number(lease, path))


def each(lease: Element, path: str) -> list[str]:
    """One amount for each set of nodes."""
    return [tree.value(one, path) for one in lease.findall("TERMS/NODE_SET")]


def memory(lease: Element) -> str:
    return ",".join(size_mib(float(one or 0)) for one in each(lease, "MEMORY"))


def reason_of(element: Element) -> str:
    return " ".join(tree.value(element, "REASON").split())


COLUMNS = (
    *common_columns(),
    Column("STAT", state_of, "State"),
    Column("KIND", text_of("KIND"), "What is promised about time"),
    Column("NODES", text_of("TERMS/NODES"), "How many VMs", right=True),
    Column("CPU", lambda one: ",".join(each(one, "CPU")), "CPU of each node", right=True),
    Column("MEM", memory, "Memory of each node", right=True),
    Column("START", lambda one: time_of(one, "START"), "When it runs first"),
    Column("END", lambda one: time_of(one, "END"), "When it ends"),
    Column("LENGTH", lambda one: length(tree.number(one, "TERMS/DURATION")), "How long it runs"),
    Column("SUBMITTED", lambda one: time_of(one, "SUBMITTED"), "When it was asked", shown=False),
    Column("SERVED", lambda one: length(tree.number(one, "SERVED")), "Time had", shown=False),
    Column("PRIORITY", text_of("TERMS/PRIORITY"), "In the queue", right=True, shown=False),
    Column("SUSPENDED", text_of("SUSPENSIONS"), "How often", right=True, shown=False),
    Column("SERIES", text_of("SERIES_ID"), "First of its series", right=True, shown=False),
    Column("REASON", reason_of, "Why it is refused or waits", shrinks=True, shown=False),
)


def sheet(lease: Element) -> list[str]:
    """All about one lease."""
    return [
        *facts(lease),
        *terms(lease),
        *permissions(lease),
        *runs(lease),
        *template_section(lease, "USER_TEMPLATE", "USER TEMPLATE"),
        *template_section(lease, "TEMPLATE", "TEMPLATE OF ITS VMS"),
    ]


def facts(lease: Element) -> list[str]:
    vms = ",".join(map(str, tree.ids(lease, "VMS")))
    lines = [
        *opening("LEASE", lease),
        field("STATE", state_of(lease)),
        field("KIND", tree.value(lease, "KIND")),
        field("SUBMITTED", shown(tree.number(lease, "SUBMITTED"))),
        field("START", shown(tree.number(lease, "START"))),
        field("END", shown(tree.number(lease, "END"))),
        field("SERVED", length(tree.number(lease, "SERVED"))),
        field("SUSPENSIONS", tree.value(lease, "SUSPENSIONS")),
        field("VMS", vms or "-"),
    ]
    optional = (
        ("SERIES", tree.value(lease, "SERIES_ID")),
        ("PRICE", tree.value(lease, "PRICE")),
        ("OFFER HELD UNTIL", until(lease)),
        ("REASON", reason_of(lease)),
    )
    return [*lines, *(field(name, text) for name, text in optional if text)]


def until(element: Element) -> str:
    expires = tree.number(element, "OFFER_EXPIRES")
    return shown(expires) if expires else ""


def terms(lease: Element) -> list[str]:
    lines = ["", heading("TERMS")]
    for one in lease.findall("TERMS/NODE_SET"):
        size = f"{tree.value(one, 'CPU')} CPU, {size_mib(tree.number(one, 'MEMORY'))} memory"
        lines.append(field("NODES", f"{tree.value(one, 'COUNT')} with {size}"))
    lines.append(field("DURATION", length(tree.number(lease, "TERMS/DURATION"))))
    for name in ("START", "DEADLINE"):
        moment = tree.number(lease, f"TERMS/{name}")
        if moment:
            lines.append(field(name, shown(moment)))
    lines.append(field("PREEMPTIBLE", tree.value(lease, "TERMS/PREEMPTIBLE").lower()))
    image = tree.value(lease, "TERMS/IMAGE")
    lines += [field("IMAGE", image)] if image else []
    return [*lines, field("PRIORITY", tree.value(lease, "TERMS/PRIORITY"))]


def runs(lease: Element) -> list[str]:
    """Planned against actual, for each operation and each stretch of running."""
    found = list(piece_lines(operations(lease.findall("TRANSFERS/OPERATION"))))
    found += [line for run in lease.findall("RUNS/RUN") for line in run_lines(run)]
    title = f"{'WHAT':<10} {'NODES':>5}  {'PLANNED':<45} ACTUAL"
    return ["", heading("PLAN"), title, *found] if found else []


def run_lines(run: Element) -> Iterator[str]:
    yield from piece_lines(
        [
            *operations(run.findall("OPERATION")),
            (tree.number(run, "VM_START"), "run", len(tree.ids(run, "HOSTS")), run),
        ]
    )


def operations(found: Iterable[Element]) -> list[Piece]:
    return [
        (tree.number(one, "START"), tree.value(one, "KIND"), len(tree.ids(one, "NODE_IDS")), one)
        for one in found
    ]


def piece_lines(pieces: Iterable[Piece]) -> Iterator[str]:
    for start, what, nodes, piece in sorted(pieces, key=lambda one: one[:3]):
        planned = run_planned(piece) if what == "run" else stretch(start, tree.number(piece, "END"))
        yield f"{what:<10} {nodes:>5}  {planned:<45} {actual(piece)}".rstrip()


def run_planned(run: Element) -> str:
    """Between the operations around it: those keep the times they were planned for."""
    before = [one for one in run.findall("OPERATION") if tree.value(one, "KIND") in BEFORE]
    after = [one for one in run.findall("OPERATION") if tree.value(one, "KIND") in AFTER]
    start = tree.number(before[-1], "END") if before else tree.number(run, "VM_START")
    end = tree.number(after[0], "START") if after else tree.number(run, "VM_END")
    return stretch(start, end)


def actual(piece: Element) -> str:
    began, ended = tree.number(piece, "BEGAN"), tree.number(piece, "ENDED")
    if not began:
        return "-"
    return stretch(began, ended) if ended else f"since {shown(began)}"


# --- answers --------------------------------------------------------------------------------------


def accepted(verdict: Element) -> bool:
    return tree.value(verdict, "ACCEPTED") == "YES"


def answer(verdict: Element) -> list[str]:
    """The engine's answer in words; what can be had instead, and how to take it."""
    start, end = tree.number(verdict, "START"), tree.number(verdict, "END")
    planned = stretch(start, end) if start else "it waits in the queue"
    if accepted(verdict):
        return [f"accepted ({state_of(verdict)}): {times(verdict)}{planned}", *price(verdict)]
    if tree.value(verdict, "STATE_STR") == "OFFERED":
        lease_id = tree.value(verdict, "LEASE_ID")
        return [
            f"offered instead: {tree.value(verdict, 'TERMS/NODES')} nodes, {planned}",
            f"It is held until {until(verdict)}: take it with 'onelease accept {lease_id}'",
            *alternatives(verdict),
        ]
    return alternatives(verdict)


def times(verdict: Element) -> str:
    """Of a recurring one; what is planned is then its last time."""
    count = len(tree.ids(verdict, "SERIES"))
    return f"{count} times, the last " if count else ""


def price(verdict: Element) -> list[str]:
    found = tree.value(verdict, "PRICE")
    return [f"price: {found}"] if found else []


def alternatives(verdict: Element) -> list[str]:
    found = verdict.findall("ALTERNATIVES/ALTERNATIVE")
    if not found:
        return []
    return [
        "Nearest alternatives:",
        *map(alternative, found),
        "To take one, ask again with the option behind it; with --hold-offer the nearest is held"
        " until you accept it.",
    ]


def alternative(one: Element) -> str:
    what = tree.value(one, "WHAT")
    when = stretch(tree.number(one, "START"), tree.number(one, "END"))
    nodes = tree.value(one, "TERMS/NODES")
    return f"  {what:<12} {nodes:>5} nodes  {when:<45} {option(one, what)}"


def option(one: Element, what: str) -> str:
    if what == "fewer nodes":
        return f"--nodes {tree.value(one, 'TERMS/NODES')}"
    if what == "shorter":
        return f"--duration '{length(tree.number(one, 'TERMS/DURATION'))}'"
    return f"--start {iso(tree.number(one, 'START'))}"


LEASE = Noun(pools.LEASE, COLUMNS, sheet)
