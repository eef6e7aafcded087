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
    fixed_suspend_s: int | None = None
    fixed_resume_s: int | None = None
    overhead_s: int = 0
    """Added to each suspend and resume of a VM: the time a command takes."""
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
    preemption: str = "ar-preempts-be"
    host_selection: str = "longest"
    order: str = "fcfs"
    backfill_order: str = "shortest"
    pricing: str = "free"
    max_suspensions: int | None = None
    """A lease suspended so often is not preempted again."""
