"""The Network port on a Linux host: reads facts, computes the difference, runs only what differs.

Everything it makes bears the engine's mark; what bears another mark or none is never touched.
Sysctls are switched on where they are needed and stay on: others may have come to rely on them.
"""

import asyncio
import json
import logging
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path

from orrery.core.errors import InvalidInput
from orrery.core.messages import Done, Failed, Outcome, Unknown
from orrery.drivers.network import firewall, links
from orrery.drivers.network.dnsmasq import Dnsmasq
from orrery.drivers.network.firewall import Tracking
from orrery.drivers.network.names import Mark
from orrery.drivers.network.runner import CommandFailed, Runner
from orrery.ports.driver import HostNetwork

log = logging.getLogger(__name__)

FAMILIES = ("bridge", "inet")
FORWARDING = "net.ipv4.ip_forward"
BRIDGE_SYSCTLS = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")
_PROBE = """table bridge orrery_probe {
\tchain probe {
\t\ttype filter hook forward priority filter; policy accept;
\t\tct state established accept
\t}
}
"""


class LinuxNetwork:
    """Bridges, nftables and dnsmasq of this host; `run` (`ip netns exec N`) precedes commands."""

    name = "linux"

    def __init__(self, state_dir: Path, run: tuple[str, ...] = ()) -> None:
        self._state_dir = state_dir
        self._runner = Runner(run)
        self._tracking: Tracking | None = None
        # One thread: applies follow each other, and none works on half of another's facts.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="network")

    async def apply(self, intended: HostNetwork) -> Outcome:
        """Make it so; nothing changes when it is so already."""
        return await self._in_thread(partial(self._apply, intended))

    async def clear(self, engine_id: str) -> Outcome:
        """Remove everything that bears this engine's mark."""
        return await self._in_thread(partial(self._apply, HostNetwork(engine_id=engine_id)))

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], list[str]]) -> Outcome:
        loop = asyncio.get_running_loop()
        try:
            changed = await loop.run_in_executor(self._thread, work)
        except subprocess.TimeoutExpired as error:
            return Unknown(f"{' '.join(error.cmd)}: no answer within {error.timeout:g} s")
        except InvalidInput as error:
            return Failed(error.message)
        except (CommandFailed, OSError) as error:
            return Failed(str(error), retryable=True)
        return Done({"changed": [*changed]})

    def _apply(self, intended: HostNetwork) -> list[str]:
        """Links first (filters and DHCP name them), filters before any service answers."""
        mark = Mark(intended.engine_id)
        tracking = self._probe_tracking() if firewall.needs_tracking(intended) else Tracking.BRIDGE
        tables = firewall.ruleset(intended, tracking)
        dhcp = Dnsmasq(self._state_dir / mark.short, self._runner)
        plans = dhcp.plan(intended.bridges)
        facts = links.parse_links(self._runner.output(links.FACTS))
        commands = links.bridge_commands(facts, intended.bridges, mark)
        changed = dhcp.stop_others(plans)
        for command in commands:
            self._runner.output(command)
            changed.append(" ".join(command))
        changed += self._set_sysctls(intended, tracking)
        changed += self._replace_tables(tables, mark)
        changed += dhcp.start(plans)
        self._forget_when_empty(mark)
        return changed

    # --- filters ----------------------------------------------------------------------------------

    def _replace_tables(self, intended: dict[str, str], mark: Mark) -> list[str]:
        """The kernel's own listing tells whether somebody changed what we wrote."""
        note = self._state_dir / mark.short / "nft.json"
        present = self._listing(mark)
        if set(present) == set(intended) and _read_note(note) == _note(intended, present):
            return []
        self._runner.output(("nft", "-f", "-"), firewall.replacement(intended, present, mark))
        if intended:
            note.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            note.write_text(json.dumps(_note(intended, self._listing(mark))))
        else:
            note.unlink(missing_ok=True)
        return [f"nft table {family} {mark.table}" for family in sorted({*intended, *present})]

    def _listing(self, mark: Mark) -> dict[str, str]:
        tables = self._runner.output(("nft", "list", "tables")).splitlines()
        return {
            family: self._runner.output(("nft", "--stateless", "list", "table", family, mark.table))
            for family in FAMILIES
            if f"table {family} {mark.table}" in tables
        }

    def _probe_tracking(self) -> Tracking:
        if self._tracking is None:
            works = self._runner.succeeds(("nft", "--check", "-f", "-"), _PROBE)
            self._tracking = Tracking.BRIDGE if works else Tracking.MARK
            log.info("stateful rules on bridges use %s", self._tracking.value)
        return self._tracking

    # --- sysctls ----------------------------------------------------------------------------------

    def _set_sysctls(self, intended: HostNetwork, tracking: Tracking) -> list[str]:
        wanted: list[str] = []
        if any(bridge.nat for bridge in intended.bridges):
            wanted.append(FORWARDING)
        if tracking is Tracking.MARK and firewall.needs_tracking(intended):
            self._load_br_netfilter()
            wanted += BRIDGE_SYSCTLS
        off = [key for key in wanted if self._runner.output(("sysctl", "-n", key)).strip() != "1"]
        for key in off:
            self._runner.output(("sysctl", "-q", "-w", f"{key}=1"))
        return [f"sysctl {key}=1" for key in off]

    def _load_br_netfilter(self) -> None:
        if self._runner.succeeds(("sysctl", "-n", BRIDGE_SYSCTLS[0])):
            return
        if not self._runner.succeeds(("modprobe", "br_netfilter")):
            raise CommandFailed(
                "security groups need the kernel module br_netfilter or nf_conntrack_bridge: "
                "neither is there; install the distribution's full kernel package"
            )

    def _forget_when_empty(self, mark: Mark) -> None:
        directory = self._state_dir / mark.short
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()


def _note(intended: dict[str, str], listing: dict[str, str]) -> dict[str, dict[str, str]]:
    return {"intended": _digests(intended), "listing": _digests(listing)}


def _digests(texts: dict[str, str]) -> dict[str, str]:
    return {family: sha256(text.encode()).hexdigest() for family, text in texts.items()}


def _read_note(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
