"""What a guest is told on its context volume: names and texts of files, from a VM and its networks.

One volume serves two kinds of guests. `context.sh` is for OpenNebula's guest packages, `meta-data`,
`user-data` and `network-config` are for cloud-init's NoCloud; all four are always there, and the
volume's label says which of the two is meant: CONTEXT, or cidata if CONTEXT has CLOUD_INIT="YES".
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from ipaddress import AddressValueError, IPv4Address, ip_network

from orrery.core.model.network import VirtualNetwork
from orrery.core.model.vm import Nic, Vm
from orrery.core.template import Pairs

OPENNEBULA_LABEL, NOCLOUD_LABEL = "CONTEXT", "cidata"
START_SCRIPT_PATH = "/var/lib/orrery-start-script"

_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\$(VMID|NAME|UID|GID)(?![A-Za-z0-9_])")
_VERBATIM = frozenset({"START_SCRIPT", "START_SCRIPT_BASE64", "USER_DATA", "SSH_PUBLIC_KEY"})
"""Attributes in which a `$NAME` is the guest's own."""
_FROM_NETWORK = (
    ("MASK", "NETWORK_MASK"),
    ("NETWORK", "NETWORK_ADDRESS"),
    ("GATEWAY", "GATEWAY"),
    ("DNS", "DNS"),
    ("SEARCH_DOMAIN", "SEARCH_DOMAIN"),
    ("MTU", "GUEST_MTU"),
)
DEFAULT_MASK = "255.255.255.0"


def context_files(vm: Vm, networks: Mapping[int, VirtualNetwork]) -> tuple[str, dict[str, str]]:
    """The volume's label and its files; a network that is gone tells nothing of its NIC."""
    pairs = context_pairs(vm, networks)
    context = dict(pairs)
    nics = {i: nic_values(nic, networks.get(nic.network_id)) for i, nic in enumerate(vm.nics)}
    files = {"context.sh": context_script(pairs), **nocloud_files(vm, context, nics)}
    return (NOCLOUD_LABEL if _yes(context, "CLOUD_INIT") else OPENNEBULA_LABEL), files


def context_pairs(vm: Vm, networks: Mapping[int, VirtualNetwork]) -> Pairs:
    """The VM's CONTEXT with $VMID, $NAME, $UID, $GID filled in; with NETWORK=YES also its NICs.

    What the user wrote wins over what is worked out here.
    """
    given = {key: _filled(key, value, vm) for key, value in _context(vm).items()}
    worked_out: dict[str, str] = {}
    if _yes(given, "NETWORK"):
        for i, nic in enumerate(vm.nics):
            values = nic_values(nic, networks.get(nic.network_id))
            worked_out |= {f"ETH{i}_{key}": value for key, value in values.items()}
    return tuple({**worked_out, **given}.items())


def context_script(pairs: Iterable[tuple[str, str]]) -> str:
    """`context.sh`: assignments that a shell reads as they are, whatever the values hold."""
    lines = [f"{key}={_quoted(value)}" for key, value in pairs if _SHELL_NAME.fullmatch(key)]
    return "\n".join(["# Context of this virtual machine", *lines, ""])


def nic_values(nic: Nic, network: VirtualNetwork | None) -> dict[str, str]:
    """What context tells of a NIC: its own attributes before its range's before the network's."""
    values = {"MAC": nic.mac}
    if nic.ip:
        values["IP"] = nic.ip
    known = _attributes(nic, network)
    values |= {key: known[name] for key, name in _FROM_NETWORK if known.get(name)}
    if nic.ip and "NETWORK" not in values and "MASK" in values:
        subnet = _subnet(nic.ip, values["MASK"])
        values |= {"NETWORK": subnet.split("/")[0]} if subnet else {}
    if network is not None and network.vn_mad == "nat" and "GATEWAY" in values:
        values.setdefault("DNS", values["GATEWAY"])
    return values


def _attributes(nic: Nic, network: VirtualNetwork | None) -> dict[str, str]:
    if network is None:
        return dict(nic.extra)
    names = {name for _, name in _FROM_NETWORK}
    of_network = {name: network.template.get(name) or "" for name in names}
    of_range = next((dict(r.extra) for r in network.ranges if r.id == nic.ar_id), {})
    return {**of_network, **of_range, **dict(nic.extra)}


# --- cloud-init -----------------------------------------------------------------------------------


def nocloud_files(
    vm: Vm, context: Mapping[str, str], nics: Mapping[int, Mapping[str, str]]
) -> dict[str, str]:
    """NoCloud's files from the same data."""
    host = host_name(context.get("SET_HOSTNAME") or context.get("HOSTNAME") or vm.name, vm.id)
    files = {
        "meta-data": f"instance-id: orrery-vm-{vm.id}\nlocal-hostname: {host}\n",
        "user-data": _user_data(context, host),
    }
    if nics and context.get("NETWORK", "YES").upper() != "NO":
        files["network-config"] = network_config(nics)
    return files


def host_name(text: str, vm_id: int) -> str:
    """The text as a host name: other characters become hyphens."""
    labels = [re.sub(r"[^a-z0-9]+", "-", part).strip("-") for part in text.lower().split(".")]
    return ".".join(label[:63] for label in labels if label)[:253] or f"one-{vm_id}"


def network_config(nics: Mapping[int, Mapping[str, str]]) -> str:
    """Netplan's format, version 2: cards are found by MAC, whatever the guest calls them."""
    lines = ["version: 2", "ethernets:"]
    for i, nic in nics.items():
        lines += [f"  eth{i}:", "    match:", f"      macaddress: {_text(nic['MAC'].lower())}"]
        lines += [f"    {line}" for line in _addressing(nic)]
    return "\n".join([*lines, ""])


def _addressing(nic: Mapping[str, str]) -> list[str]:
    lines = [f"mtu: {nic['MTU']}"] if nic.get("MTU", "").isdigit() else []
    if not nic.get("IP"):
        return [*lines, "dhcp4: true"]
    subnet = _subnet(nic["IP"], nic.get("MASK") or DEFAULT_MASK) or "/24"
    lines += ["dhcp4: false", "addresses:", f"  - {nic['IP']}/{subnet.split('/')[1]}"]
    if _is_ipv4(nic.get("GATEWAY", "")):
        lines.append(f"gateway4: {nic['GATEWAY']}")
    servers, domains = nic.get("DNS", "").split(), nic.get("SEARCH_DOMAIN", "").split()
    if servers or domains:
        lines.append("nameservers:")
        lines += [f"  addresses: [{', '.join(map(_text, servers))}]"] if servers else []
        lines += [f"  search: [{', '.join(map(_text, domains))}]"] if domains else []
    return lines


def _user_data(context: Mapping[str, str], host: str) -> str:
    """The user's own text, else keys, host name and start script as #cloud-config."""
    given = context.get("USER_DATA") or context.get("USERDATA")
    encoding = context.get("USER_DATA_ENCODING") or context.get("USERDATA_ENCODING") or ""
    if given:
        return _decoded(given) if encoding.lower() == "base64" else given
    lines = ["#cloud-config", f"hostname: {_text(host)}"]
    keys = [key.strip() for key in context.get("SSH_PUBLIC_KEY", "").splitlines() if key.strip()]
    if keys:
        lines += ["ssh_authorized_keys:", *(f"  - {_text(key)}" for key in keys)]
    script = _start_script(context)
    if script:
        lines += [
            "write_files:",
            f"  - path: {START_SCRIPT_PATH}",
            "    permissions: '0755'",
            "    encoding: b64",
            f"    content: {script}",
            "runcmd:",
            f"  - [{START_SCRIPT_PATH}]",
        ]
    return "\n".join([*lines, ""])


def _start_script(context: Mapping[str, str]) -> str | None:
    """In base64, from whichever of the two attributes is there."""
    if context.get("START_SCRIPT"):
        return base64.b64encode(context["START_SCRIPT"].encode()).decode()
    return "".join(context.get("START_SCRIPT_BASE64", "").split()) or None


# --- texts ----------------------------------------------------------------------------------------


def _context(vm: Vm) -> Mapping[str, str]:
    return vm.template.vector("CONTEXT") or {}


def _yes(context: Mapping[str, str], name: str) -> bool:
    return context.get(name, "").upper() == "YES"


def _filled(key: str, value: str, vm: Vm) -> str:
    if key in _VERBATIM:
        return value
    known = {"VMID": str(vm.id), "NAME": vm.name, "UID": str(vm.uid), "GID": str(vm.gid)}
    return _VARIABLE.sub(lambda match: known[match[1]], value)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _text(value: str) -> str:
    """A YAML scalar in double quotes; JSON's rules are a part of YAML's."""
    return json.dumps(value, ensure_ascii=False)


def _decoded(text: str) -> str:
    """What does not decode is handed on as it is: the guest's own log then shows it."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text


def _subnet(ip: str, mask: str) -> str | None:
    try:
        return str(ip_network(f"{ip}/{mask.removeprefix('/')}", strict=False))
    except ValueError:
        return None


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True
