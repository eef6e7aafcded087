"""OpenNebula's state numbers as names and as the short names of its tables. Data only."""

VM_STATES = [
    "INIT",
    "PENDING",
    "HOLD",
    "ACTIVE",
    "STOPPED",
    "SUSPENDED",
    "DONE",
    "FAILED",
    "POWEROFF",
    "UNDEPLOYED",
    "CLONING",
    "CLONING_FAILURE",
]

LCM_STATES = [
    "LCM_INIT",
    "PROLOG",
    "BOOT",
    "RUNNING",
    "MIGRATE",
    "SAVE_STOP",
    "SAVE_SUSPEND",
    "SAVE_MIGRATE",
    "PROLOG_MIGRATE",
    "PROLOG_RESUME",
    "EPILOG_STOP",
    "EPILOG",
    "SHUTDOWN",
    "CANCEL",
    "FAILURE",
    "CLEANUP_RESUBMIT",
    "UNKNOWN",
    "HOTPLUG",
    "SHUTDOWN_POWEROFF",
    "BOOT_UNKNOWN",
    "BOOT_POWEROFF",
    "BOOT_SUSPENDED",
    "BOOT_STOPPED",
    "CLEANUP_DELETE",
    "HOTPLUG_SNAPSHOT",
    "HOTPLUG_NIC",
    "HOTPLUG_SAVEAS",
    "HOTPLUG_SAVEAS_POWEROFF",
    "HOTPLUG_SAVEAS_SUSPENDED",
    "SHUTDOWN_UNDEPLOY",
    "EPILOG_UNDEPLOY",
    "PROLOG_UNDEPLOY",
    "BOOT_UNDEPLOY",
    "HOTPLUG_PROLOG_POWEROFF",
    "HOTPLUG_EPILOG_POWEROFF",
    "BOOT_MIGRATE",
    "BOOT_FAILURE",
    "BOOT_MIGRATE_FAILURE",
    "PROLOG_MIGRATE_FAILURE",
    "PROLOG_FAILURE",
    "EPILOG_FAILURE",
    "EPILOG_STOP_FAILURE",
    "EPILOG_UNDEPLOY_FAILURE",
    "PROLOG_MIGRATE_POWEROFF",
    "PROLOG_MIGRATE_POWEROFF_FAILURE",
    "PROLOG_MIGRATE_SUSPEND",
    "PROLOG_MIGRATE_SUSPEND_FAILURE",
    "BOOT_UNDEPLOY_FAILURE",
    "BOOT_STOPPED_FAILURE",
    "PROLOG_RESUME_FAILURE",
    "PROLOG_UNDEPLOY_FAILURE",
    "DISK_SNAPSHOT_POWEROFF",
    "DISK_SNAPSHOT_REVERT_POWEROFF",
    "DISK_SNAPSHOT_DELETE_POWEROFF",
    "DISK_SNAPSHOT_SUSPENDED",
    "DISK_SNAPSHOT_REVERT_SUSPENDED",
    "DISK_SNAPSHOT_DELETE_SUSPENDED",
    "DISK_SNAPSHOT",
    "DISK_SNAPSHOT_REVERT",
    "DISK_SNAPSHOT_DELETE",
    "PROLOG_MIGRATE_UNKNOWN",
    "PROLOG_MIGRATE_UNKNOWN_FAILURE",
    "DISK_RESIZE",
    "DISK_RESIZE_POWEROFF",
    "DISK_RESIZE_UNDEPLOYED",
    "HOTPLUG_NIC_POWEROFF",
    "HOTPLUG_RESIZE",
    "HOTPLUG_SAVEAS_UNDEPLOYED",
    "HOTPLUG_SAVEAS_STOPPED",
    "BACKUP",
    "BACKUP_POWEROFF",
    "RESTORE",
]

ACTIVE = 3

SHORT_STATES = {
    "POWEROFF": "poff",
    "CLONING_FAILURE": "fail",
}

SHORT_LCM_BEGINNINGS = {
    "CLEANUP": "clea",
    "HOTPLUG_SNAPSHOT": "snap",
    "HOTPLUG_RESIZE": "hrsz",
    "DISK_SNAPSHOT": "snap",
    "DISK_RESIZE": "drsz",
    "PROLOG_MIGRATE": "migr",
    "UNKNOWN": "unkn",
}

HOST_STATES = ("init", "update", "on", "err", "dsbl", "err", "init", "dsbl", "off")
HOST_STATE_NAMES = [
    "INIT",
    "MONITORING_MONITORED",
    "MONITORED",
    "ERROR",
    "DISABLED",
    "MONITORING_ERROR",
    "MONITORING_INIT",
    "MONITORING_DISABLED",
    "OFFLINE",
]

IMAGE_STATES = [
    "init",
    "rdy",
    "used",
    "disa",
    "lock",
    "err",
    "clon",
    "dele",
    "used",
    "lock",
    "lock",
]
IMAGE_STATE_NAMES = [
    "INIT",
    "READY",
    "USED",
    "DISABLED",
    "LOCKED",
    "ERROR",
    "CLONE",
    "DELETE",
    "USED_PERS",
    "LOCKED_USED",
    "LOCKED_USED_PERS",
]
IMAGE_TYPES = ("OS", "CDROM", "DATABLOCK", "KERNEL", "RAMDISK", "CONTEXT", "BACKUP", "FILESYSTEM")
IMAGE_TYPES_SHORT = ("OS", "CD", "DB", "KL", "RD", "CX", "BK", "FS")

DATASTORE_TYPES = ("IMAGE", "SYSTEM", "FILE", "BACKUP")
DATASTORE_TYPES_SHORT = ("img", "sys", "fil", "bck")
DATASTORE_STATES = ("READY", "DISABLED")

NETWORK_STATES = ("INIT", "READY", "LOCK_CREATE", "LOCK_DELETE", "DONE", "ERROR", "UPDATE_FAILURE")
NETWORK_STATES_SHORT = ("init", "rdy", "lock", "lock", "done", "err", "fail")

SETTLED = frozenset(
    [
        "RUNNING",
        "SUSPENDED",
        "POWEROFF",
        "DONE",
        "HOLD",
        "STOPPED",
        "UNDEPLOYED",
        "UNKNOWN",
        "CLONING_FAILURE",
    ]
)
"""A VM in one of these (or in any *_FAILURE) stays there until somebody or something acts."""

GOOD = frozenset({"runn", "on", "rdy", "used", "active"})
QUIET = frozenset(
    {"poff", "susp", "stop", "done", "hold", "off", "dsbl", "cancelled", "queued", "scheduled"}
)
BAD = frozenset({"fail", "err", "unkn", "failed", "rejected", "rejected-by-user"})


def vm_state(state: int, lcm_state: int) -> str:
    """One name for both numbers: the life-cycle state's while ACTIVE, else the state's."""
    if state == ACTIVE:
        return nth(LCM_STATES, lcm_state)
    return nth(VM_STATES, state)


def vm_state_short(state: int, lcm_state: int) -> str:
    """The STAT of a table: runn, pend, susp ..."""
    name = vm_state(state, lcm_state)
    if state != ACTIVE:
        return SHORT_STATES.get(name, name[:4].lower())
    if name.endswith("_FAILURE"):
        return "fail"
    found = (short for start, short in SHORT_LCM_BEGINNINGS.items() if name.startswith(start))
    return next(found, name[:4].lower())


def is_settled(name: str) -> bool:
    """Whether a VM in that state stays there by itself."""
    return name in SETTLED or name.endswith("_FAILURE")


def nth(names: list[str] | tuple[str, ...], number: int) -> str:
    """The name of a number, or the number itself when it is not known here."""
    return names[number] if 0 <= number < len(names) else str(number)
