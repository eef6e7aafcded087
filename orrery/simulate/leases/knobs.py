"""The scheduler's settings by name and text, as the command line and study files give them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from orrery.core.errors import InvalidInput
from orrery.core.moments import parse_duration
from orrery.core.numbers import whole
from orrery.sched.leases.settings import (
    Backfilling,
    Estimates,
    Exclusion,
    Migration,
    Preparation,
    Settings,
    Suspension,
    TransferSettings,
)
from orrery.simulate.leases.catalogue import check_policy

MANY = 1 << 53
Value = object
Read = Callable[[str, str], Value]
"""(name, text) -> value; InvalidInput when it is none."""


class Knob(Struct, frozen=True):
    """One setting as users name it."""

    name: str
    field: str
    """Of Settings; `transfer.x` is one of TransferSettings."""
    read: Read
    help: str
    values: str
    """What can be given, for help."""
    words: tuple[str, ...] = ()
    """Its values, if they are a fixed set."""


# --- texts to values ------------------------------------------------------------------------------


def one_of(kind: type[Enum]) -> Read:
    def read(name: str, text: str) -> Value:
        for value in kind:
            if value.value == text:
                return value
        raise InvalidInput(name, text, f"is none of {', '.join(str(one.value) for one in kind)}")

    return read


def count(name: str, text: str) -> Value:
    number = whole(text, MANY)
    if number is None:
        raise InvalidInput(name, text, "is no whole number from 0")
    return number


def seconds(name: str, text: str) -> Value:
    return round(parse_duration(text, name))


def number(name: str, text: str) -> Value:
    value = decimal(text)
    if value is None or not 0 <= value < inf:
        raise InvalidInput(name, text, "is no number from 0")
    return value


def share(name: str, text: str) -> Value:
    value = decimal(text)
    if value is None or not 0 <= value <= 1:
        raise InvalidInput(name, text, "is no share from 0 to 1")
    return value


def shares(name: str, text: str) -> Value:
    """`7:2 8:0.5`, or none."""
    found: list[tuple[int, float]] = []
    for part in text.split() if text != "none" else ():
        user, _, amount = part.partition(":")
        value = decimal(amount)
        if whole(user, MANY) is None or value is None or not 0 < value < inf:
            raise InvalidInput(name, part, "is no USER:SHARE, with a share above 0")
        found.append((int(user), value))
    return tuple(found)


def rate(name: str, text: str) -> Value:
    value = decimal(text)
    if value is None or not 0 < value < inf:
        raise InvalidInput(name, text, "is no rate: give a number above 0")
    return value


def decimal(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def or_none(read: Read) -> Read:
    """`none` is no such limit or no fixed value."""
    return lambda name, text: None if text == "none" else read(name, text)


def cache(name: str, text: str) -> Value:
    return None if text == "all" else count(name, text)


def flag(name: str, text: str) -> Value:
    if text not in SWITCH:
        raise InvalidInput(name, text, f"is none of {', '.join(SWITCH)}")
    return SWITCH[text]


SWITCH = {"yes": True, "no": False, "true": True, "false": False}


def mechanism(name: str, text: str) -> Value:
    if text not in ("multicast", "unicast"):
        raise InvalidInput(name, text, "is neither multicast nor unicast")
    return text == "multicast"


def policy(kind: str) -> Read:
    def read(name: str, text: str) -> Value:
        check_policy(kind, text)
        return text

    return read


def backfilling(name: str, text: str) -> Value:
    """A number is that of the leases of the queue that may hold a reservation."""
    reservations = whole(text, MANY)
    if reservations is not None:
        return reservations
    try:
        return one_of(Backfilling)(name, text)
    except InvalidInput as error:
        remedy = "is none of off, aggressive, conservative and a number of reservations"
        raise InvalidInput(name, text, remedy) from error


# --- the table ------------------------------------------------------------------------------------


def words_of(kind: type[Enum]) -> tuple[str, ...]:
    return tuple(str(one.value) for one in kind)


def choice(name: str, kind: type[Enum], about: str) -> Knob:
    words = words_of(kind)
    return Knob(name, name.replace("-", "_"), one_of(kind), about, "|".join(words), words)


def of_policy(kind: str, about: str) -> Knob:
    return Knob(kind, kind.replace("-", "_"), policy(kind), about, "NAME")


KNOBS = (
    Knob(
        "backfilling",
        "backfilling",
        backfilling,
        "How many leases of the queue may hold a reservation: none, one, N or all.",
        "off|aggressive|N|conservative",
        ("off", "aggressive", "conservative"),
    ),
    choice("suspension", Suspension, "Which leases may be suspended."),
    Knob("suspend-rate", "suspend_rate", rate, "MiB of memory saved a second.", "RATE"),
    Knob("resume-rate", "resume_rate", rate, "MiB of memory read back a second.", "RATE"),
    choice("exclusion", Exclusion, "What shares a disk: the VMs of one host, or all VMs."),
    choice("migration", Migration, "Whether suspended leases may resume on other hosts."),
    Knob("migration-mbit", "migration_mbit", rate, "Mbit/s of a host's link for that.", "RATE"),
    Knob(
        "threshold-factor",
        "threshold_factor",
        number,
        "A run lasts at least 1 + F times what its suspension costs.",
        "F",
    ),
    Knob("fixed-threshold", "fixed_threshold_s", or_none(seconds), "A fixed threshold.", "TIME"),
    choice("estimates", Estimates, "What suspending a lease is taken to cost before it is placed."),
    Knob(
        "resume-after", "resume_after_s", seconds, "Suspended leases wait at least so long.", "TIME"
    ),
    Knob("fixed-suspend", "fixed_suspend_s", or_none(seconds), "For each VM saved.", "TIME"),
    Knob("fixed-resume", "fixed_resume_s", or_none(seconds), "For each VM resumed.", "TIME"),
    Knob("overhead", "overhead_s", seconds, "Of each command to suspend or resume.", "TIME"),
    Knob("boot", "boot_s", seconds, "From the start of a VM to its use.", "TIME"),
    Knob("boot-each", "boot_each_s", number, "For each further VM on its host.", "SECONDS"),
    Knob("shutdown", "shutdown_s", seconds, "From the end of its use to its end.", "TIME"),
    choice("preparation", Preparation, "Whether images have to be brought to hosts."),
    Knob(
        "transfer-mbit", "transfer.bandwidth_mbit", rate, "Mbit/s of the image repository.", "RATE"
    ),
    Knob(
        "transfer-mechanism",
        "transfer.multicast",
        mechanism,
        "Whether one transfer serves all nodes of a lease.",
        "multicast|unicast",
        ("multicast", "unicast"),
    ),
    Knob("transfer-channels", "transfer.channels", count, "Transfers at once.", "N"),
    Knob(
        "transfer-piggyback",
        "transfer.piggyback",
        flag,
        "Join a planned transfer of the same image.",
        "yes|no",
    ),
    Knob(
        "transfer-cache",
        "transfer.cache_mib",
        cache,
        "Room for images kept on each host; 0 keeps none.",
        "MIB|all",
    ),
    Knob("transfer-fixed", "transfer.fixed_s", or_none(seconds), "For each transfer.", "TIME"),
    Knob("lead", "lead_s", seconds, "Nothing is planned sooner than this from now.", "TIME"),
    Knob("depth", "depth", count, "Leases of the queue that one cycle looks at.", "N"),
    of_policy("admission", "Who may ask."),
    Knob("max-node-time", "max_node_s", or_none(seconds), "Of a lease: nodes x time.", "TIME|none"),
    Knob("least-notice", "least_notice_s", seconds, "Between request and reservation.", "TIME"),
    Knob("most-notice", "most_notice_s", or_none(seconds), "Between the two.", "TIME|none"),
    Knob("reserved-share", "reserved_share", share, "That reservations may hold.", "0..1"),
    Knob("user-nodes", "user_nodes", or_none(count), "Promised to one user at a time.", "N|none"),
    of_policy("preemption", "Who gives way first."),
    of_policy("host-selection", "Which hosts are taken."),
    of_policy("order", "Who is first in the queue."),
    of_policy("backfill-order", "Who is backfilled first."),
    Knob("rekey", "rekey_s", seconds, "Orders that change are computed so often.", "TIME"),
    Knob("half-life", "half_life_s", seconds, "Use so long ago counts half.", "TIME"),
    Knob("shares", "shares", shares, "Of users in fair share; 1 for others.", "'USER:SHARE ...'"),
    Knob("aging", "aging_s", seconds, "So much waiting is a point of priority.", "TIME"),
    of_policy("pricing", "What leases cost."),
    Knob("rate", "rate", number, "Price of a node for an hour.", "PRICE"),
    Knob("min-rate", "min_rate", number, "The lowest rate that is drawn.", "PRICE"),
    Knob("max-rate", "max_rate", number, "The highest rate that is drawn.", "PRICE"),
    Knob("rate-seed", "rate_seed", count, "Of rates that are drawn.", "N"),
    Knob(
        "max-suspensions",
        "max_suspensions",
        or_none(count),
        "A lease suspended so often is left alone.",
        "N|none",
    ),
    Knob(
        "power-down-after",
        "power_down_after_s",
        or_none(seconds),
        "Of a host that is empty.",
        "TIME|none",
    ),
    Knob("wake", "wake_s", seconds, "From power-up of a host to its use.", "TIME"),
    Knob("keep-awake", "keep_awake", count, "Hosts that are never powered down.", "N"),
)
BY_NAME = {knob.name: knob for knob in KNOBS}
POLICIES = tuple(knob.name for knob in KNOBS if knob.values == "NAME")
"""The kinds of policy, as `--policy KIND=NAME` has them."""


# --- use ------------------------------------------------------------------------------------------


def settings_from(texts: Mapping[str, str], base: Settings = Settings()) -> Settings:
    """The settings with what is given by name.

    Raises:
        InvalidInput: a name that is no setting, or a value that makes no sense.
    """
    own: dict[str, Value] = {}
    transfer: dict[str, Value] = {}
    for name, text in texts.items():
        knob = knob_of(name)
        value = knob.read(name, text)
        if knob.field.startswith("transfer."):
            transfer[knob.field.removeprefix("transfer.")] = value
        elif knob.field == "backfilling" and isinstance(value, int):
            own |= reservations(value)
        else:
            own[knob.field] = value
    transferred: TransferSettings = replace(base.transfer, **transfer)
    return replace(base, transfer=transferred, **own)


def reservations(count: int) -> dict[str, Value]:
    if count == 0:
        return {"backfilling": Backfilling.OFF}
    return {"backfilling": Backfilling.INTERMEDIATE, "backfilling_reservations": count}


def knob_of(name: str) -> Knob:
    knob = BY_NAME.get(name)
    if knob is None:
        raise InvalidInput("setting", name, f"is not known: use {', '.join(BY_NAME)}")
    return knob


def shown_settings(settings: Settings) -> dict[str, str]:
    """All settings as they can be given again."""
    return {knob.name: shown(knob, settings) for knob in KNOBS}


def shown(knob: Knob, settings: Settings) -> str:
    holder: object = settings
    for part in knob.field.split("."):
        holder = getattr(holder, part)
    if holder is Backfilling.INTERMEDIATE:
        return str(settings.backfilling_reservations)
    if knob.name == "transfer-mechanism":
        return "multicast" if holder else "unicast"
    if isinstance(holder, Enum):
        return str(holder.value)
    if isinstance(holder, bool):
        return "yes" if holder else "no"
    if isinstance(holder, tuple):
        return " ".join(f"{user}:{plain(amount)}" for user, amount in holder) or "none"
    if holder is None:
        return "all" if knob.name == "transfer-cache" else "none"
    return plain(holder)


def plain(value: object) -> str:
    return str(value).removesuffix(".0")


def pair(text: str, field: str) -> tuple[str, str]:
    """KEY=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise InvalidInput(field, text, "is not KEY=VALUE")
    return name, value


def policies_from(texts: Iterable[str]) -> dict[str, str]:
    """KIND=NAME each."""
    found = dict(pair(text, "policy") for text in texts)
    for kind in found:
        if kind not in POLICIES:
            raise InvalidInput("policy", kind, f"is no kind of policy: use {', '.join(POLICIES)}")
    return found


def profiles_from(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """Sets of settings by name, from words between commas: `off,aggressive,2` are values of the
    one setting that has them; `suspension=none+boot=20` says it in full."""
    words = [word.strip() for text in texts for word in text.split(",")]
    found: dict[str, dict[str, str]] = {}
    for word in words:
        if word in found:
            raise InvalidInput("compare", word, "is given twice")
        found[word] = profile_from(word)
        settings_from(found[word])
    return found


def profile_from(word: str) -> dict[str, str]:
    if "=" in word:
        return dict(pair(part, "compare") for part in word.split("+"))
    if whole(word, MANY) is not None:
        return {"backfilling": word}
    owners = [knob.name for knob in KNOBS if word in knob.words]
    if len(owners) != 1:
        remedy = "is no value of one setting: give KEY=VALUE, several joined with +"
        raise InvalidInput("compare", word, remedy)
    return {owners[0]: word}
