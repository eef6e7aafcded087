"""The Network port on a Linux host: reads facts, computes the difference, runs only what differs.

Everything it makes bears the engine's mark; what bears another mark or none is never touched.
Sysctls are switched on where they are needed and stay on: others may have come to rely on them.
"""

import asyncio
import logging
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

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


class Note(Struct, frozen=True):
    """What was written last, and how the kernel listed it: digests by family."""

    intended: dict[str, str] = {}
    listing: dict[str, str] = {}


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
        facts = self._facts()
        commands = links.bridge_commands(facts, intended.bridges, mark)
        changed = dhcp.stop_others(plans)
        for command in commands:
            self._runner.output(command)
            changed.append(" ".join(command))
        facts = self._facts() if commands else facts
        changed += self._set_sysctls(intended, tracking)
        changed += self._replace_tables(tables, mark)
        changed += dhcp.start(plans, facts)
        self._forget_when_empty(mark)
        return changed

    def _facts(self) -> links.Links:
        return links.parse_links(self._runner.output(links.FACTS))

    # --- filters ----------------------------------------------------------------------------------

    def _replace_tables(self, intended: dict[str, str], mark: Mark) -> list[str]:
        """What is to be otherwise than noted is written without looking: only where nothing is to
        change, the kernel's own listing tells whether somebody changed what we wrote."""
        path = self._state_dir / mark.short / "nft.json"
        note, present = _read_note(path), dict[str, str]()
        if note.intended == _digests(intended):
            present = self._listing(mark, self._present(mark))
            if note.listing == _digests(present):
                return []
        self._runner.output(("nft", "-f", "-"), firewall.replacement(intended, FAMILIES, mark))
        if intended:
            listed = self._listing(mark, intended)
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.encode(Note(_digests(intended), _digests(listed))))
        else:
            path.unlink(missing_ok=True)
        written = sorted({*intended, *note.intended, *present})
        return [f"nft table {family} {mark.table}" for family in written]

    def _present(self, mark: Mark) -> list[str]:
        tables = self._runner.output(("nft", "list", "tables")).splitlines()
        return [family for family in FAMILIES if f"table {family} {mark.table}" in tables]

    def _listing(self, mark: Mark, families: Iterable[str]) -> dict[str, str]:
        """One process each: nft 1.0.6 cannot list two tables at once without all others."""
        command = ("nft", "--stateless", "list", "table")
        return {family: self._runner.output((*command, family, mark.table)) for family in families}

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
        if not wanted:
            return []
        values = self._runner.output(("sysctl", "-n", *wanted)).splitlines()
        off = [key for key, value in zip(wanted, values, strict=True) if value != "1"]
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


def _digests(texts: dict[str, str]) -> dict[str, str]:
    return {family: sha256(text.encode()).hexdigest() for family, text in texts.items()}


def _read_note(path: Path) -> Note:
    """An unreadable note is like none: the tables are written anew."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):
        return Note()
