"""The extended search of VM listings: `KEY=part&KEY2=part2`, or a bare part of any value."""

from collections.abc import Callable, Iterator

from orrery.core.errors import InvalidInput
from orrery.core.model.view import View
from orrery.core.model.vm import Disk, HistoryRecord, Nic, Vm
from orrery.core.template import Template

Fits = Callable[[Vm, View], bool]
Facts = Iterator[tuple[str, str]]

MAX_LENGTH = 4096
MAX_TERMS = 16


def matcher(query: str) -> Fits:
    """The condition a query states. Parts are compared without regard to case; all terms must fit.

    Raises:
        InvalidInput: too long, or a term without a key.
    """
    if len(query) > MAX_LENGTH:
        raise InvalidInput("query", query, f"is too long: at most {MAX_LENGTH} characters")
    if "=" not in query:
        part = query.strip().casefold()
        return lambda vm, view: any(part in value.casefold() for _, value in facts(vm, view))
    terms = [parse_term(term) for term in query.split("&") if term.strip()]
    if len(terms) > MAX_TERMS:
        raise InvalidInput("query", query, f"has too many terms: at most {MAX_TERMS}")
    return lambda vm, view: all_fit(terms, vm, view)


def parse_term(term: str) -> tuple[str, str]:
    key, equals, part = term.partition("=")
    path = key.strip().upper().replace("/", ".").removeprefix("VM.")
    if not equals or not path:
        raise InvalidInput(
            "query", term, "is no term: write KEY=part, like NAME=web or NIC.IP=10.0"
        )
    return path, part.strip().strip("'\"").casefold()


def all_fit(terms: list[tuple[str, str]], vm: Vm, view: View) -> bool:
    known = list(facts(vm, view))
    return all(
        any(
            part in value.casefold()
            for path, value in known
            if path == key or path.endswith(f".{key}")
        )
        for key, part in terms
    )


def facts(vm: Vm, view: View) -> Facts:
    """Every value of a VM that can be searched, with its path in the VM's XML."""
    user, group = view.users.get(vm.uid), view.groups.get(vm.gid)
    yield "ID", str(vm.id)
    yield "NAME", vm.name
    yield "UID", str(vm.uid)
    yield "GID", str(vm.gid)
    yield "UNAME", "" if user is None else user.name
    yield "GNAME", "" if group is None else group.name
    yield "STATE", str(vm.status.state)
    yield "LCM_STATE", str(vm.status.lcm_state)
    yield "DEPLOY_ID", vm.deploy_id or ""
    yield "TEMPLATE.MEMORY", str(vm.capacity.memory_mib)
    yield "TEMPLATE.VCPU", str(vm.vcpu)
    yield from of_template("TEMPLATE", vm.template)
    yield from of_template("USER_TEMPLATE", vm.user_template)
    for disk in vm.disks:
        yield from of_disk(disk)
    for nic in vm.nics:
        yield from of_nic(nic)
    for stay in vm.history:
        yield from of_stay(stay)


def of_template(path: str, template: Template) -> Facts:
    for name, value in template.attributes:
        if isinstance(value, str):
            yield f"{path}.{name}", value
        else:
            yield from ((f"{path}.{name}.{key}", text) for key, text in value)


def of_disk(disk: Disk) -> Facts:
    path = "TEMPLATE.DISK"
    yield f"{path}.IMAGE_ID", "" if disk.image_id is None else str(disk.image_id)
    yield f"{path}.TARGET", disk.target
    yield f"{path}.SIZE", str(disk.size_mib)
    yield from ((f"{path}.{key}", value) for key, value in disk.extra)


def of_nic(nic: Nic) -> Facts:
    path = "TEMPLATE.NIC"
    yield f"{path}.IP", nic.ip or ""
    yield f"{path}.MAC", nic.mac
    yield f"{path}.NETWORK_ID", str(nic.network_id)
    yield from ((f"{path}.{key}", value) for key, value in nic.extra)


def of_stay(stay: HistoryRecord) -> Facts:
    path = "HISTORY_RECORDS.HISTORY"
    yield f"{path}.HOSTNAME", stay.hostname
    yield f"{path}.HID", str(stay.host_id)
