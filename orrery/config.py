"""The settings: one table with name, type, default and help, read from file, environment and
arguments.

Precedence: argument, environment (ORRERY_<NAME>), file (TOML), default.
`docs/reference/settings.md` is generated from this table.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from orrery import plugins
from orrery.core.errors import InvalidInput

Value = str | int | float | bool


class Setting(Struct, frozen=True):
    """One row. `check` raises ValueError with the remedy when a value makes no sense."""

    name: str
    default: Value
    help: str
    check: Callable[[Value], None] | None = None


def positive(value: Value) -> None:
    if not isinstance(value, int | float) or value <= 0:
        raise ValueError("give a number above 0")


def natural(value: Value) -> None:
    if not isinstance(value, int | float) or value < 0 or value != int(value):
        raise ValueError("give a whole number, 0 or more")


def not_negative(value: Value) -> None:
    if not isinstance(value, int | float) or not value >= 0:
        raise ValueError("give a number, 0 or more")


def one_of(*allowed: str) -> Callable[[Value], None]:
    def check(value: Value) -> None:
        if value not in allowed:
            raise ValueError(f"use one of {', '.join(allowed)}")

    return check


def policy(kind: str) -> Callable[[Value], None]:
    """The name of a policy, one that a site adds among them."""

    def check(value: Value) -> None:
        try:
            plugins.make_known(kind, str(value), kind)
        except InvalidInput as error:
            raise ValueError(error.remedy) from None

    return check


def address(value: Value) -> None:
    host, colon, port = str(value).rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("give HOST:PORT, like 127.0.0.1:2633 (port 0 takes a free one)")


def prefix(value: Value) -> None:
    if not re.fullmatch("[a-z][a-z0-9]{0,4}", str(value)):
        raise ValueError("give a letter and up to four letters or digits, all small")


def database(value: Value) -> None:
    if value and not str(value).startswith("sqlite:///"):
        raise ValueError("give sqlite:///PATH")


SETTINGS: tuple[Setting, ...] = (
    Setting("home", "", "Directory that holds all the engine owns: database, credentials, disks"),
    Setting(
        "listen", "127.0.0.1:2633", "Address of the API; loopback unless told otherwise", address
    ),
    Setting("database", "", "URL of the database; sqlite:///HOME/orrery.db when empty", database),
    Setting(
        "name_prefix",
        "one",
        "What names of domains and taps on hosts begin with; engines that share a host need others",
        prefix,
    ),
    Setting("datastore_dir", "", "Where the default datastores lie; HOME/datastores when empty"),
    Setting("datastore_driver", "fs", "Driver of the default datastores", one_of("fs", "sim")),
    Setting(
        "log_level",
        "info",
        "Least level that is logged",
        one_of("debug", "info", "warning", "error"),
    ),
    Setting(
        "log_format",
        "auto",
        "json, text, or auto: text on a terminal",
        one_of("auto", "json", "text"),
    ),
    Setting("libvirt_uri", "qemu:///system", "Libvirt of this machine, for host localhost"),
    Setting(
        "scheduler_policy",
        "striping",
        "Which host to prefer where a VM has no RANK",
        one_of("striping", "packing", "load-aware"),
    ),
    Setting(
        "lease_backfilling",
        "aggressive",
        "Leases of the queue that may hold a reservation ahead: off, aggressive (one), "
        "intermediate, conservative (all)",
        one_of("off", "aggressive", "intermediate", "conservative"),
    ),
    Setting(
        "lease_backfilling_reservations",
        1,
        "How many of them with intermediate backfilling",
        positive,
    ),
    Setting(
        "lease_suspension",
        "all",
        "Which leases may be suspended for others: none, serial-only (of one node), all",
        one_of("none", "serial-only", "all"),
    ),
    Setting(
        "lease_suspend_rate",
        50.0,
        "MiB of memory a host saves in a second, until it is measured",
        positive,
    ),
    Setting(
        "lease_resume_rate",
        50.0,
        "MiB of memory a host restores in a second, until it is measured",
        positive,
    ),
    Setting(
        "lease_exclusion",
        "local",
        "Whose suspensions go one after another: those on one host (local) or all (global)",
        one_of("local", "global"),
    ),
    Setting(
        "lease_boot_s", 10, "Seconds a VM takes from its order to its use, until measured", natural
    ),
    Setting(
        "lease_shutdown_s", 10, "Seconds the VMs of a lease take to end, until measured", natural
    ),
    Setting(
        "lease_preparation",
        "unmanaged",
        "Whether images are brought to hosts before leases start there: unmanaged, imagetransfer",
        one_of("unmanaged", "imagetransfer"),
    ),
    Setting(
        "lease_transfer_rate",
        100.0,
        "MiB of an image that are brought to a host in a second, until it is measured",
        positive,
    ),
    Setting(
        "lease_transfer",
        "unicast",
        "Whether one image goes to several hosts one after another (unicast) or to all at once "
        "(multicast), which other leases may join",
        one_of("unicast", "multicast"),
    ),
    Setting("lease_transfers", 1, "Images that are brought to hosts at a time", positive),
    Setting(
        "lease_cache_mib",
        20480,
        "MiB of images kept in the cache of each host; 0: none that no lease needs",
        natural,
    ),
    Setting("lease_lead_s", 0, "Nothing is planned sooner than so many seconds from now", natural),
    Setting("lease_overhead_s", 0, "Added to each suspension and resumption of a VM", natural),
    Setting(
        "lease_threshold_factor",
        1.0,
        "A run lasts at least (1 + this) times what its suspension costs",
        not_negative,
    ),
    Setting(
        "lease_preemption",
        "ar-preempts-be",
        "Who gives way to whom",
        policy("preemption"),
    ),
    Setting("lease_admission", "accept-all", "Whose requests are let in", policy("admission")),
    Setting(
        "lease_least_notice",
        0,
        "Seconds before its start that a reservation has to be asked for (admission `limits`)",
        natural,
    ),
    Setting(
        "lease_reserved_share",
        1.0,
        "Share of CPU and memory that reservations may hold (admission `limits`)",
        not_negative,
    ),
    Setting(
        "lease_host_selection",
        "longest",
        "Which of the hosts that would do are taken",
        policy("host-selection"),
    ),
    Setting("lease_order", "fcfs", "Order of the queue", policy("order")),
    Setting("lease_backfill_order", "auto", "Order of backfilling", policy("order")),
    Setting(
        "lease_half_life",
        604_800,
        "Seconds after which use counts half in the order `fair-share`",
        positive,
    ),
    Setting(
        "lease_max_suspensions",
        0,
        "A lease suspended so often is not preempted again; 0: no limit",
        natural,
    ),
    Setting("lease_depth", 2000, "Leases of the queue that one look at it considers", positive),
    Setting(
        "lease_learning",
        "on",
        "Plan with what boots, suspensions and resumptions took (mean + 2 sigma)",
        one_of("on", "off"),
    ),
    Setting("lease_max_nodes", 0, "Nodes in all leases of a user; 0: no limit", natural),
    Setting("lease_max_duration", 0.0, "Longest lease in seconds; 0: no limit", not_negative),
    Setting(
        "lease_max_ahead", 0.0, "Seconds ahead that a lease may begin; 0: no limit", not_negative
    ),
    Setting(
        "lease_max_node_s",
        0.0,
        "Nodes times seconds in all leases of a user; 0: no limit",
        not_negative,
    ),
    Setting("lease_offer_s", 60.0, "Seconds that a counter-offer is held", positive),
    Setting("lease_group_s", 3.0, "Seconds that a GROUP of VMs waits for more of them", positive),
    Setting("actions_per_host", 4, "Driver actions at a time on one host", positive),
    Setting("actions_total", 64, "Driver actions at a time in all", positive),
    Setting("shutdown_timeout_s", 120.0, "How long a guest may take to shut down", positive),
    Setting("monitor_period_s", 20.0, "Seconds between two looks at a host", positive),
    Setting("monitor_timeout_s", 20.0, "How long a host may take to answer", positive),
    Setting(
        "reconcile_period_s", 120.0, "Seconds between two full comparisons with reality", positive
    ),
    Setting(
        "records_kept_days", 90.0, "How long history, events and logs of VMs are kept", positive
    ),
    Setting("samples_kept_s", 14400.0, "How long monitoring samples are kept", positive),
    Setting("request_limit_mib", 16, "Largest request the API takes", positive),
    Setting(
        "sim_latency_ms", 200, "Longest time a simulated driver call takes (at least 1)", positive
    ),
    Setting(
        "sim_transfer_rate",
        200.0,
        "MiB of an image that come to the cache of a simulated host in a second",
        positive,
    ),
    Setting("sim_seed", 1, "Seed of the simulated world", None),
    Setting("sim_fail_rate", 0.0, "Share of simulated calls that fail", None),
    Setting("sim_hang_rate", 0.0, "Share of simulated calls that never answer", None),
)

BY_NAME = {setting.name: setting for setting in SETTINGS}


class Settings(Struct, frozen=True):
    """Checked values by name."""

    values: Mapping[str, Value]

    def text(self, name: str) -> str:
        return str(self.values[name])

    def number(self, name: str) -> float:
        return float(self.values[name])

    def whole(self, name: str) -> int:
        return int(self.values[name])

    @property
    def home(self) -> Path:
        return Path(self.text("home"))

    @property
    def datastore_dir(self) -> Path:
        return Path(self.text("datastore_dir") or self.home / "datastores")

    @property
    def database_path(self) -> Path:
        url = self.text("database")
        return Path(url.removeprefix("sqlite://")) if url else self.home / "orrery.db"

    @property
    def listen(self) -> tuple[str, int]:
        host, _, port = self.text("listen").rpartition(":")
        return host.strip("[]"), int(port)


def default_home(environment: Mapping[str, str], uid: int) -> Path:
    """/var/lib/orrery for root, the user's data directory for others."""
    if uid == 0:
        return Path("/var/lib/orrery")
    data = environment.get("XDG_DATA_HOME") or str(
        Path(environment.get("HOME", "/")) / ".local/share"
    )
    return Path(data) / "orrery"


def read_settings(
    arguments: Mapping[str, str | None],
    environment: Mapping[str, str] = os.environ,
    file: Path | None = None,
) -> Settings:
    """All settings.

    Args:
        arguments: values from the command line by setting name; None where not given.

    Raises:
        InvalidInput: a setting that does not exist, or a value that makes no sense; says where it
        stood.
    """
    values: dict[str, Value] = {s.name: s.default for s in SETTINGS}
    for name, value in from_file(file).items():
        values[name] = checked(name, value, f"{file}: {name}")
    for name in BY_NAME:
        text = environment.get(f"ORRERY_{name.upper()}")
        if text is not None:
            values[name] = checked(name, text, f"ORRERY_{name.upper()}")
    for name, given in arguments.items():
        if given is not None:
            values[name] = checked(name, given, f"--{name.replace('_', '-')}")
    if not values["home"]:
        values["home"] = str(default_home(environment, os.getuid()))
    values["home"] = str(Path(str(values["home"])).absolute())
    return Settings(values)


def from_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        found = tomllib.loads(file.read_text())
    except OSError as error:
        raise InvalidInput("--config", str(file), f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("--config", str(file), f"is not TOML: {error}") from error
    for name in found:
        if name not in BY_NAME:
            raise InvalidInput(f"{file}", name, f"is not a setting; known: {', '.join(BY_NAME)}")
    return found


def checked(name: str, value: Any, where: str) -> Value:
    """The value in its setting's type."""
    setting = BY_NAME[name]
    try:
        fresh = convert(value, type(setting.default))
        if setting.check is not None:
            setting.check(fresh)
    except ValueError as error:
        raise InvalidInput(where, str(value), f"makes no sense: {error}") from None
    return fresh


def convert(value: Any, kind: type) -> Value:
    if kind is str:
        return str(value)
    try:
        return int(value) if kind is int else float(value)
    except (TypeError, ValueError):
        raise ValueError("give a number") from None
