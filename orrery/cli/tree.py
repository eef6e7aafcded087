"""Reads the engine's XML: guarded parsing, values by path, and the same as JSON. Calls nothing."""

import re
from xml.etree.ElementTree import Element, ParseError, fromstring

from orrery.cli.failure import CommandFailed

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

# The engine sends no DOCTYPE. One would let entities grow without bound, so it is refused unparsed.
PROLOG = re.compile(r"\s*(<\?xml[^>]*\?>\s*)?<[A-Za-z_]")

REPEATED = frozenset(
    [
        "ACL",
        "ALTERNATIVE",
        "AR",
        "CLUSTER",
        "DATASTORE",
        "DISK",
        "DS",
        "GROUP",
        "HISTORY",
        "HOST",
        "IMAGE",
        "LEASE",
        "LOGIN_TOKEN",
        "NIC",
        "NODE_SET",
        "OPERATION",
        "PCI",
        "QUOTAS",
        "RULE",
        "RUN",
        "SCHED_ACTION",
        "SECURITY_GROUP",
        "SECURITY_GROUP_RULE",
        "SLOT",
        "SNAPSHOT",
        "USER",
        "VM",
        "VMTEMPLATE",
        "VNET",
    ]
)
"""Elements that are a list in JSON even when there is one: programs need no special case."""

ID_LISTS = frozenset(
    [
        "ADMINS",
        "APP_CLONES",
        "CLONES",
        "CLUSTERS",
        "DATASTORES",
        "ERROR_VMS",
        "GROUPS",
        "HOSTS",
        "IMAGES",
        "NODE_IDS",
        "OUTDATED_VMS",
        "SERIES",
        "UPDATED_VMS",
        "UPDATING_VMS",
        "USERS",
        "VMS",
        "VNETS",
        "VROUTERS",
    ]
)


def parse(text: str) -> Element:
    """The root of a document that has no document type."""
    if not PROLOG.match(text):
        raise CommandFailed("the answer is not the XML of an object")
    try:
        return fromstring(text)  # noqa: S314 - documents with a DOCTYPE were refused above
    except ParseError as error:
        raise CommandFailed(f"the answer is not well-formed XML: {error}") from error


def value(element: Element, path: str, default: str = "") -> str:
    """The text at a path of tags, `TEMPLATE/CPU`."""
    return element.findtext(path) or default


def number(element: Element, path: str, default: int = 0) -> int:
    """The whole number at a path; `default` when there is none."""
    try:
        return int(float(value(element, path)))
    except ValueError:
        return default


def ids(element: Element, path: str) -> list[int]:
    """The numbers of an id list."""
    return [int(child.text or 0) for child in element.findall(f"{path}/ID")]


def plain(element: Element) -> Json:
    """An element as JSON: leaves are text, repeated tags are lists, empty elements are {}."""
    if len(element) == 0:
        if element.tag in ID_LISTS:
            return {"ID": []}
        text = element.text or ""
        return text.strip() if text.strip() == "" else text
    found: dict[str, Json] = {}
    for child in element:
        put(found, child, is_list=child.tag in REPEATED or is_id_list(element, child))
    return found


def put(found: dict[str, Json], child: Element, *, is_list: bool) -> None:
    """Add a child; a tag that comes again becomes a list."""
    content = plain(child)
    # A leaf with a list's name (<CLUSTER>default</CLUSTER>) is that text and not a list.
    nested = is_list and (len(child) > 0 or child.tag == "ID")
    if child.tag not in found:
        found[child.tag] = [content] if nested else content
        return
    before = found[child.tag]
    found[child.tag] = [*(before if isinstance(before, list) else [before]), content]


def is_id_list(parent: Element, child: Element) -> bool:
    return parent.tag in ID_LISTS and child.tag == "ID"


def document(element: Element) -> Json:
    """A whole answer as JSON, with its root's name. An empty pool holds an empty list."""
    if len(element) == 0 and element.tag.endswith("_POOL"):
        return {element.tag: {element.tag.removesuffix("_POOL"): []}}
    return {element.tag: plain(element)}


def template_text(element: Element, indent: str = "") -> str:
    """A template element in OpenNebula's notation, names in order."""
    lines: list[str] = []
    for child in sorted(element, key=lambda one: one.tag):
        lines.extend(attribute_lines(child))
    return "\n".join(indent + line for line in lines)


def attribute_lines(element: Element) -> list[str]:
    """NAME="value", or a vector with one pair on each line."""
    if len(element) == 0:
        return [f"{element.tag}={quoted(element.text or '')}"]
    pairs = [f"  {child.tag}={quoted(child.text or '')}" for child in element]
    return [f"{element.tag}=[", *(f"{pair}," for pair in pairs[:-1]), f"{pairs[-1]} ]"]


def quoted(text: str) -> str:
    """A value in double quotes."""
    return '"' + text.replace('"', '\\"') + '"'
