"""What the RULEs of a security group may say: in words that a firewall knows."""

from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address

from orrery.core.errors import InvalidInput, NotFound
from orrery.core.model.view import View
from orrery.core.numbers import MAX_ID, known_id, whole
from orrery.core.template import Template

PROTOCOLS = ("ALL", "TCP", "UDP", "ICMP", "ICMPV6", "IPSEC")
DIRECTIONS = ("INBOUND", "OUTBOUND")
PORT_MAX = 65535


def check_rules(template: Template, view: View) -> None:
    """Every RULE says what it admits.

    Raises:
        InvalidInput, NotFound: which rule, which field.
    """
    text = template.get("RULE")
    if text is not None:
        raise InvalidInput("RULE", text, "is no list: RULE=[PROTOCOL=TCP, RULE_TYPE=inbound]")
    for index, rule in enumerate(template.vectors("RULE")):
        protocol = rule.get("PROTOCOL", "ALL").upper()
        if protocol not in PROTOCOLS:
            raise InvalidInput(
                f"RULE {index}/PROTOCOL", protocol, f"is not one of {', '.join(PROTOCOLS)}"
            )
        direction = rule.get("RULE_TYPE", "").upper()
        if direction not in DIRECTIONS:
            raise InvalidInput(f"RULE {index}/RULE_TYPE", direction, "is not INBOUND or OUTBOUND")
        check_ports(index, rule.get("RANGE", ""), protocol)
        check_icmp(index, rule.get("ICMP_TYPE", ""), protocol)
        check_peers(index, rule, view)


def check_ports(index: int, text: str, protocol: str) -> None:
    if not text:
        return
    field = f"RULE {index}/RANGE"
    if protocol not in ("TCP", "UDP"):
        raise InvalidInput(field, text, f"is for TCP and UDP, not for {protocol}: leave it out")
    for part in text.split(","):
        ends = [whole(end, PORT_MAX) for end in part.strip().split(":")]
        if len(ends) > 2 or None in ends:
            raise InvalidInput(field, text, "is not ports and ranges, like 22,53,1024:65535")
        if (ends[0] or 0) > (ends[-1] or 0):
            raise InvalidInput(field, text, f"has a range that ends before it begins: {part}")


def check_icmp(index: int, text: str, protocol: str) -> None:
    if not text:
        return
    field = f"RULE {index}/ICMP_TYPE"
    if not protocol.startswith("ICMP"):
        raise InvalidInput(field, text, f"is for ICMP, not for {protocol}: leave it out")
    if whole(text, 255) is None:
        raise InvalidInput(field, text, "is not an ICMP type: 0 to 255")


def check_peers(index: int, rule: Mapping[str, str], view: View) -> None:
    """The other end: IP and SIZE, or the ranges of a virtual network."""
    network = rule.get("NETWORK_ID")
    if network is not None and known_id(network, view.networks) is None:
        raise NotFound(f"RULE {index}/NETWORK_ID: there is no virtual network [{network[:20]}]")
    if "IP" not in rule:
        return
    try:
        first = int(IPv4Address(rule["IP"]))
    except AddressValueError:
        raise InvalidInput(f"RULE {index}/IP", rule["IP"], "is not an IPv4 address") from None
    size = rule.get("SIZE") or "1"
    if not whole(size, (1 << 32) - first):
        raise InvalidInput(
            f"RULE {index}/SIZE", size, "is not a number of addresses above 0, all of them IPv4"
        )


def names_network(template: Template, network_id: int) -> bool:
    """Whether a rule admits the addresses of that network."""
    return any(
        whole(rule.get("NETWORK_ID", ""), MAX_ID) == network_id for rule in template.vectors("RULE")
    )
