"""Closed sets with OpenNebula's numbers on them.

A VM's status is one value that carries both of OpenNebula's numbers: `state << 8 | lcm_state`.
"""

from enum import Enum, IntEnum


class VmStatus(IntEnum):
    """Where a VM is in its life; names are OpenNebula's, the state's name where LCM is 0."""

    PENDING = 1 << 8
    HOLD = 2 << 8
    SUSPENDED = 5 << 8
    DONE = 6 << 8
    POWEROFF = 8 << 8
    PROLOG = 3 << 8 | 1
    BOOT = 3 << 8 | 2
    RUNNING = 3 << 8 | 3
    SAVE_SUSPEND = 3 << 8 | 6
    EPILOG = 3 << 8 | 11
    SHUTDOWN = 3 << 8 | 12
    CLEANUP_RESUBMIT = 3 << 8 | 15
    UNKNOWN = 3 << 8 | 16
    SHUTDOWN_POWEROFF = 3 << 8 | 18
    BOOT_UNKNOWN = 3 << 8 | 19
    BOOT_POWEROFF = 3 << 8 | 20
    BOOT_SUSPENDED = 3 << 8 | 21
    CLEANUP_DELETE = 3 << 8 | 23
    BOOT_FAILURE = 3 << 8 | 36
    PROLOG_FAILURE = 3 << 8 | 39
    EPILOG_FAILURE = 3 << 8 | 40

    @property
    def state(self) -> int:
        """OpenNebula's STATE."""
        return self.value >> 8

    @property
    def lcm_state(self) -> int:
        """OpenNebula's LCM_STATE; 0 unless STATE is ACTIVE."""
        return self.value & 0xFF


ACTIVE = 3
"""OpenNebula's number of the state ACTIVE."""


class HostStatus(IntEnum):
    """OpenNebula's host states, as far as they are still in use."""

    INIT = 0
    MONITORED = 2
    ERROR = 3
    DISABLED = 4
    OFFLINE = 8


class ImageStatus(IntEnum):
    """OpenNebula's image states. USED and USED_PERS are never stored: they follow from the VMs."""

    INIT = 0
    READY = 1
    USED = 2
    DISABLED = 3
    LOCKED = 4
    ERROR = 5
    DELETE = 7
    USED_PERS = 8


class StagingStatus(IntEnum):
    """How far a copy of an image in the cache of a host is."""

    COMING = 0
    THERE = 1
    FAILED = 2
    """It could not be brought, or not be removed."""
    LEAVING = 3


class ImageType(IntEnum):
    """What an image holds."""

    OS = 0
    CDROM = 1
    DATABLOCK = 2
    KERNEL = 3
    RAMDISK = 4
    CONTEXT = 5


class DatastoreType(IntEnum):
    """What a datastore keeps: registered images, running disks, or plain files."""

    IMAGE = 0
    SYSTEM = 1
    FILE = 2


class DatastoreStatus(IntEnum):
    """Whether new images and disks may go there."""

    READY = 0
    DISABLED = 1


class NetworkStatus(IntEnum):
    """OpenNebula's virtual network states, as far as this engine enters them."""

    INIT = 0
    READY = 1
    ERROR = 5


class Right(IntEnum):
    """What a permission bit or an access rule may grant."""

    USE = 1
    MANAGE = 2
    ADMIN = 4
    CREATE = 8


class RecoverOperation(IntEnum):
    """The operations of one.vm.recover."""

    FAILURE = 0
    SUCCESS = 1
    RETRY = 2
    DELETE = 3
    DELETE_RECREATE = 4
    DELETE_DB = 5


class HistoryAction(IntEnum):
    """The ACTION of a history record: what ended that stay on a host."""

    NONE = 0
    HOLD = 7
    RELEASE = 8
    SUSPEND = 10
    RESUME = 11
    DELETE = 13
    DELETE_RECREATE = 14
    REBOOT = 15
    REBOOT_HARD = 16
    POWEROFF = 19
    POWEROFF_HARD = 20
    TERMINATE = 27
    TERMINATE_HARD = 28
    DEPLOY = 30
    RECOVER = 42
    RETRY = 43
    MONITOR = 44


class DomainState(Enum):
    """What a hypervisor says of a domain; ABSENT is an answer, not a failure to answer."""

    RUNNING = "running"
    PAUSED = "paused"
    ABSENT = "absent"
    SAVED = "saved"
    """Absent, with its whole memory on disk: a save whose answer was lost."""
