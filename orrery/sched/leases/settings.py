"""Every knob of the lease scheduler, with Haizea's names where it has them."""

from enum import Enum

from msgspec import Struct


class Backfilling(Enum):
    """How many leases of the queue may hold a reservation ahead of time."""

    OFF = "off"
    AGGRESSIVE = "aggressive"
    INTERMEDIATE = "intermediate"
    CONSERVATIVE = "conservative"


class Suspension(Enum):
    """Which leases may be suspended."""

    NONE = "none"
    SERIAL_ONLY = "serial-only"
    ALL = "all"


class Exclusion(Enum):
    """Which suspensions and resumptions share a disk, and so go one after another."""

    LOCAL = "local"
    GLOBAL = "global"


class Migration(Enum):
    """Whether a suspended lease may resume on other hosts."""

    NO = "no"
    YES = "yes"
    NO_TRANSFER = "yes-notransfer"


class Estimates(Enum):
    """What suspending, moving and resuming a lease is taken to cost before its hosts are chosen."""

    PLACED = "placed"
    """What it costs on the hosts that are looked at."""
    SUMMED = "summed"
    """Haizea's: the sum over its VMs, as if all were moved and handled one after another."""


class Preparation(Enum):
    """Whether disk images have to be brought to the hosts."""

    UNMANAGED = "unmanaged"
    TRANSFER = "imagetransfer"


class TransferSettings(Struct, frozen=True, kw_only=True):
    """How images come to hosts (Haizea's deploy-imagetransfer)."""

    bandwidth_mbit: float = 100.0
    multicast: bool = True
    channels: int = 1
    """Transfers that the repository serves at once, each with the full bandwidth."""
    piggyback: bool = True
    """Join a transfer of the same image that is planned already."""
    cache_mib: int | None = 0
    """Room for images kept on each host: 0 keeps none, None keeps all."""
    fixed_s: int | None = None
    """Length of every transfer, whatever its size."""


class Settings(Struct, frozen=True, kw_only=True):
    """Rates are MiB/s, times whole seconds."""

    backfilling: Backfilling = Backfilling.AGGRESSIVE
    backfilling_reservations: int = 1
    """For `intermediate`."""
    suspension: Suspension = Suspension.ALL
    suspend_rate: float = 50.0
    resume_rate: float = 50.0
    exclusion: Exclusion = Exclusion.LOCAL
    migration: Migration = Migration.YES
    migration_mbit: float = 100.0
    """Bandwidth of a host's link for the memory and disk of a suspended VM."""
    threshold_factor: float = 1.0
    """A run must last (1 + factor) times what its suspension (and resumption) costs."""
    fixed_threshold_s: int | None = None
    estimates: Estimates = Estimates.PLACED
    fixed_suspend_s: int | None = None
    fixed_resume_s: int | None = None
    resume_after_s: int = 0
    """A suspended lease is resumed no sooner than so long after the look at it: until then what is
    free goes to leases that have not begun."""
    overhead_s: int = 0
    """Added to each suspend and resume of a VM: the time a command takes."""
    boot_each_s: float = 0.0
    """Added to `boot_s` for each further VM that starts on the same host."""
    boot_s: int = 0
    """Between the start of a VM and its use, planned before the lessee's time."""
    shutdown_s: int = 0
    preparation: Preparation = Preparation.UNMANAGED
    transfer: TransferSettings = TransferSettings()
    lead_s: int = 0
    """Nothing is planned sooner than now plus this: the time that a decision takes to arrive."""
    depth: int = 2_000
    """Leases of the queue that one cycle looks at."""
    admission: str = "accept-all"
    max_node_s: int | None = None
    """Nodes times seconds of one lease, where admission looks at it; None: no limit."""
    least_notice_s: int = 0
    """How long before its start a reservation has to be asked for."""
    most_notice_s: int | None = None
    reserved_share: float = 1.0
    """Of CPU and of memory that reservations may hold at any time."""
    user_nodes: int | None = None
    """Nodes in all leases of a user that are promised a time."""
    preemption: str = "ar-preempts-be"
    host_selection: str = "longest"
    order: str = "fcfs"
    backfill_order: str = "auto"
    rekey_s: int = 300
    """Orders that change with time are computed anew so often."""
    half_life_s: int = 604_800
    """Use so long ago counts half as much in fair share."""
    shares: tuple[tuple[int, float], ...] = ()
    """(user, share) of those whose share in fair share is not 1."""
    aging_s: int = 86_400
    """So much waiting is worth one point of priority in the order `aging`."""
    pricing: str = "free"
    rate: float = 1.0
    """Price of a node for an hour, where pricing has one; the others are for `random`."""
    min_rate: float = 0.5
    max_rate: float = 1.5
    rate_seed: int = 0
    max_suspensions: int | None = None
    """A lease suspended so often is not preempted again."""
    power_down_after_s: int | None = None
    """An empty host is powered down after so long; None: never."""
    wake_s: int = 0
    """From powering up a host until leases can start on it."""
    keep_awake: int = 0
    """Hosts that are on at any time, however little there is to do."""
