"""The extended search of VM listings: `KEY=part&KEY2=part2`, or a bare part of any value."""

from collections.abc import Callable, Iterator

from orrery.core.errors import InvalidInput
from orrery.core.model.view import View
from orrery.core.model.vm import Vm
from orrery.core.template import Template

Fits = Callable[[Vm, View], bool]

Facts = Iterator[tuple[str, str, str]]
"""(where in the VM's XML, the element there, its value); where is empty at the top."""

MAX_LENGTH = 4096
MAX_TERMS = 16

DISK = "TEMPLATE.DISK"
NIC = "TEMPLATE.NIC"
HISTORY = "HISTORY_RECORDS.HISTORY"


def matcher(query: str) -> Fits:
    """The condition a query states. Parts are compared without regard to case; all terms must fit.

    Raises:
        InvalidInput: too long, too many terms, or a term without a key.
    """
    if len(query) > MAX_LENGTH:
        raise InvalidInput("query", query, f"is too long: at most {MAX_LENGTH} characters")
    if "=" not in query:
        part = query.strip().casefold()
        return lambda vm, view: part in "\n".join([f[2] for f in facts(vm, view)]).casefold()
    terms = [parse_term(term) for term in query.split("&") if term.strip()]
    if len(terms) > MAX_TERMS:
        raise InvalidInput("query", query, f"has too many terms: at most {MAX_TERMS}")
    return lambda vm, view: all(fits(term, vm, view) for term in terms)


Term = tuple[str, str, str]
"""(end of the way there, element, part of its value)."""


def parse_term(term: str) -> Term:
    key, equals, part = term.partition("=")
    path = key.strip().upper().replace("/", ".").removeprefix("VM.")
    if not equals or not path:
        raise InvalidInput(
            "query", term, "is no term: write KEY=part, like NAME=web or NIC.IP=10.0"
        )
    where, _, element = path.rpartition(".")
    return where, element, part.strip().strip("'\"").casefold()


def fits(term: Term, vm: Vm, view: View) -> bool:
    where, wanted, part = term
    return any(
        part in value.casefold()
        for place, element, value in facts(vm, view)
        if element == wanted and ends_with(place, where)
    )


def ends_with(place: str, where: str) -> bool:
    return not where or place == where or place.endswith(f".{where}")


def facts(vm: Vm, view: View) -> Facts:
    """Every value of a VM that can be searched."""
    user, group = view.users.get(vm.uid), view.groups.get(vm.gid)
    yield "", "ID", str(vm.id)
    yield "", "NAME", vm.name
    yield "", "UID", str(vm.uid)
    yield "", "GID", str(vm.gid)
    yield "", "UNAME", "" if user is None else user.name
    yield "", "GNAME", "" if group is None else group.name
    yield "", "STATE", str(vm.status.state)
    yield "", "LCM_STATE", str(vm.status.lcm_state)
    yield "", "DEPLOY_ID", vm.deploy_id or ""
    yield "TEMPLATE", "MEMORY", str(vm.capacity.memory_mib)
    yield "TEMPLATE", "VCPU", str(vm.vcpu)
    yield from of_template("TEMPLATE", vm.template)
    yield from of_template("USER_TEMPLATE", vm.user_template)
    yield from of_parts(vm)
    for stay in vm.history:
        yield HISTORY, "HOSTNAME", stay.hostname
        yield HISTORY, "HID", str(stay.host_id)


def of_template(where: str, template: Template) -> Facts:
    for name, value in template.attributes:
        if isinstance(value, str):
            yield where, name, value
        else:
            for key, text in value:
                yield f"{where}.{name}", key, text


def of_parts(vm: Vm) -> Facts:
    """Disks and NICs."""
    for disk in vm.disks:
        yield DISK, "IMAGE_ID", "" if disk.image_id is None else str(disk.image_id)
        yield DISK, "TARGET", disk.target
        yield DISK, "SIZE", str(disk.size_mib)
        for key, text in disk.extra:
            yield DISK, key, text
    for nic in vm.nics:
        yield NIC, "IP", nic.ip or ""
        yield NIC, "MAC", nic.mac
        yield NIC, "NETWORK_ID", str(nic.network_id)
        for key, text in nic.extra:
            yield NIC, key, text
