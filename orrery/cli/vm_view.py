"""How a VM looks: the columns of `vm list` and the sheet of `vm show`. Calls nothing."""

import time
from xml.etree.ElementTree import Element

from orrery.cli import pools, states, tree
from orrery.cli.measures import age, moment, size_kib, size_mib
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

WITHOUT_HOST = frozenset({"INIT", "PENDING", "HOLD", "DONE"})
NIC_PATH = "TEMPLATE/NIC"


def state_of(vm: Element) -> str:
    """RUNNING, SUSPENDED, BOOT ...: one name for STATE and LCM_STATE."""
    return states.vm_state(tree.number(vm, "STATE"), tree.number(vm, "LCM_STATE"))


def short_state(vm: Element) -> str:
    return states.vm_state_short(tree.number(vm, "STATE"), tree.number(vm, "LCM_STATE"))


def stays(vm: Element) -> list[Element]:
    return vm.findall("HISTORY_RECORDS/HISTORY")


def host_of(vm: Element) -> str:
    """The host it is on now."""
    found = stays(vm)
    if not found or state_of(vm) in WITHOUT_HOST:
        return ""
    return tree.value(found[-1], "HOSTNAME")


def addresses(vm: Element) -> list[str]:
    return [tree.value(nic, "IP") for nic in vm.findall(NIC_PATH) if tree.value(nic, "IP")]


def lifetime(vm: Element) -> str:
    until = tree.number(vm, "ETIME") or int(time.time())
    return age(until - tree.number(vm, "STIME", until))


def memory(vm: Element) -> str:
    return size_mib(tree.number(vm, "TEMPLATE/MEMORY"))


def used_memory(vm: Element) -> str:
    found = tree.value(vm, "MONITORING/MEMORY")
    return size_kib(float(found)) if found else ""


def error_of(vm: Element) -> str:
    """Why it failed or waits, on one line."""
    text = tree.value(vm, "USER_TEMPLATE/ERROR") or tree.value(vm, "USER_TEMPLATE/SCHED_MESSAGE")
    return " ".join(text.split())


COLUMNS = (
    *common_columns(name_about="The VM's name"),
    Column("STAT", short_state, "Short state"),
    Column("CPU", text_of("TEMPLATE/CPU"), "CPU it asked for", right=True),
    Column("MEM", memory, "Memory it asked for", right=True),
    Column("UCPU", text_of("MONITORING/CPU"), "CPU it uses, percent", right=True, shown=False),
    Column("UMEM", used_memory, "Memory it uses", right=True, shown=False),
    Column("HOST", host_of, "Where it runs", shrinks=True),
    Column("IP", lambda vm: ",".join(addresses(vm)), "Its addresses", shrinks=True),
    Column("STATE", state_of, "Full state", shown=False),
    Column("MESSAGE", error_of, "Error or reason to wait", shrinks=True, shown=False),
    Column("TIME", lifetime, "Time since it was created", right=True),
)


def sheet(vm: Element) -> list[str]:
    """All about one VM."""
    return [
        *facts(vm),
        *permissions(vm),
        *monitoring(vm),
        *disks(vm),
        *nics(vm),
        *history(vm),
        *template_section(vm, "USER_TEMPLATE", "USER TEMPLATE"),
        *template_section(vm, "TEMPLATE", "VIRTUAL MACHINE TEMPLATE"),
    ]


def facts(vm: Element) -> list[str]:
    lines = [
        *opening("VIRTUAL MACHINE", vm),
        field("STATE", states.nth(states.VM_STATES, tree.number(vm, "STATE"))),
        field("LCM_STATE", states.nth(states.LCM_STATES, tree.number(vm, "LCM_STATE"))),
        field("HOST", host_of(vm) or "-"),
        field("START TIME", moment(tree.number(vm, "STIME"))),
        field("END TIME", moment(tree.number(vm, "ETIME"))),
        field("DEPLOY ID", tree.value(vm, "DEPLOY_ID") or "-"),
    ]
    message = error_of(vm)
    return [*lines, field("MESSAGE", message)] if message else lines


def monitoring(vm: Element) -> list[str]:
    found = vm.find("MONITORING")
    if found is None or len(found) == 0:
        return []
    shown = [field(one.tag, one.text or "") for one in found if len(one) == 0]
    return ["", heading("VIRTUAL MACHINE MONITORING"), *shown]


def disks(vm: Element) -> list[str]:
    found = vm.findall("TEMPLATE/DISK")
    lines = [
        f"{tree.value(one, 'DISK_ID'):>3} {tree.value(one, 'TARGET'):<7}"
        f"{tree.value(one, 'IMAGE') or tree.value(one, 'TYPE'):<28}"
        f"{size_mib(tree.number(one, 'SIZE')):>7} {tree.value(one, 'FORMAT'):<6}"
        f" {'persistent' if tree.value(one, 'PERSISTENT').upper() == 'YES' else ''}".rstrip()
        for one in found
    ]
    title = f"{'ID':>3} {'TARGET':<7}{'IMAGE':<28}{'SIZE':>7} FORMAT"
    return ["", heading("VM DISKS"), title, *lines] if found else []


def nics(vm: Element) -> list[str]:
    found = vm.findall(NIC_PATH)
    lines = [
        f"{tree.value(one, 'NIC_ID'):>3} {tree.value(one, 'NETWORK'):<20}"
        f"{tree.value(one, 'BRIDGE'):<13}{tree.value(one, 'IP'):<16}{tree.value(one, 'MAC')}"
        for one in found
    ]
    title = f"{'ID':>3} {'NETWORK':<20}{'BRIDGE':<13}{'IP':<16}MAC"
    return ["", heading("VM NICS"), title, *lines] if found else []


def history(vm: Element) -> list[str]:
    found = stays(vm)
    lines = [
        f"{tree.value(one, 'SEQ'):>3} {tree.value(one, 'HOSTNAME'):<24}"
        f"{moment(tree.number(one, 'STIME')):<16}{moment(tree.number(one, 'ETIME')):<16}"
        f"{stay_time(one):>10}"
        for one in found
    ]
    title = f"{'SEQ':>3} {'HOST':<24}{'START':<16}{'END':<16}{'TIME':>10}"
    return ["", heading("VIRTUAL MACHINE HISTORY"), title, *lines] if found else []


def stay_time(stay: Element) -> str:
    until = tree.number(stay, "ETIME") or int(time.time())
    return age(until - tree.number(stay, "STIME", until))


VM = Noun(pools.VM, COLUMNS, sheet)
