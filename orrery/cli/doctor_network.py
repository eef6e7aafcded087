"""Checks of what connects guests: bridges, nftables, dnsmasq, and who else filters here."""

import json
import os

from orrery.cli.diagnosis import Check, Finding, Machine, ask, fail, ok, warn

OWN_TABLES = "orrery"


def iproute(_: Machine) -> Finding:
    answer = ask(["ip", "-V"])
    return (
        ok(answer.first_line)
        if answer.worked
        else fail(answer.first_line, "apt-get install iproute2")
    )


def bridges(_: Machine) -> Finding:
    """Makes one in a network namespace that ends with the command: nothing is left."""
    if os.geteuid() != 0:
        return warn("can only be checked as root", "sudo orrery doctor")
    answer = ask(["unshare", "--net", "ip", "link", "add", "name", "orrcheck", "type", "bridge"])
    if not answer.worked:
        return fail(f"the kernel makes no bridge: {answer.first_line}", "modprobe bridge")
    return ok("the kernel makes bridges")


def nftables(_: Machine) -> Finding:
    version = ask(["nft", "--version"])
    if not version.worked:
        return fail(version.first_line, "apt-get install nftables")
    if os.geteuid() != 0:
        return warn(f"{version.first_line}, but rules are root's", "run the engine as root")
    answer = ask(["nft", "list", "tables"])
    if not answer.worked:
        return fail(f"nft: {answer.first_line}", "a kernel with nf_tables: 'modprobe nf_tables'")
    return ok(version.first_line)


def dnsmasq(_: Machine) -> Finding:
    answer = ask(["dnsmasq", "--version"])
    if not answer.worked:
        return fail(answer.first_line, "apt-get install dnsmasq-base")
    return ok(answer.first_line.partition("  ")[0])


def forwarding(_: Machine) -> Finding:
    """Others (Docker, ufw, firewalld) may drop what we let pass: every chain has its say."""
    if os.geteuid() != 0:
        return warn("can only be checked as root", "sudo orrery doctor")
    answer = ask(["nft", "--json", "list", "chains"])
    if not answer.worked:
        return warn(f"nft: {answer.first_line}", "see the check nftables")
    dropping = dropping_chains(answer.output)
    if dropping:
        return warn(
            f"{', '.join(dropping)} drops forwarded traffic",
            "let our bridges pass, for Docker: 'iptables -I DOCKER-USER -i BRIDGE -j ACCEPT' "
            "and the same with -o",
        )
    return ok("no other firewall drops forwarded traffic")


def dropping_chains(text: str) -> list[str]:
    """Chains of others at the forward hook whose policy is to drop."""
    try:
        entries = json.loads(text).get("nftables", [])
    except ValueError:
        return []
    chains = [entry["chain"] for entry in entries if "chain" in entry]
    return [
        f"{chain['family']} {chain['table']} {chain['name']}"
        for chain in chains
        if chain.get("hook") == "forward"
        and chain.get("policy") == "drop"
        and not chain["table"].startswith(OWN_TABLES)
    ]


CHECKS = (
    Check("ip", "Bridges and links are made with iproute2.", iproute),
    Check("bridges", "Virtual networks are bridges on the host.", bridges),
    Check("nftables", "Security groups and address translation are nftables rules.", nftables),
    Check("dnsmasq", "It gives guests of 'nat' networks their addresses.", dnsmasq),
    Check("forwarding", "Guests of 'nat' networks reach the world through this host.", forwarding),
)
