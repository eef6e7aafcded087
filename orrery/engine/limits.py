"""Every bound of the engine in one value; the composition root fills it from the settings."""

from collections.abc import Mapping

from msgspec import Struct, field

from orrery.core.model.action import ActionKind

TIMEOUTS_S: dict[ActionKind, float] = {
    ActionKind.VM_PROLOG: 3600.0,
    ActionKind.VM_BOOT: 120.0,
    ActionKind.VM_SHUTDOWN: 150.0,
    ActionKind.VM_DESTROY: 60.0,
    ActionKind.VM_REBOOT: 60.0,
    ActionKind.VM_RESET: 60.0,
    ActionKind.VM_SAVE: 900.0,
    ActionKind.VM_RESTORE: 900.0,
    ActionKind.VM_EPILOG: 600.0,
    ActionKind.VM_CLEANUP: 600.0,
    ActionKind.IMAGE_REGISTER: 6 * 3600.0,
    ActionKind.IMAGE_DELETE: 600.0,
    ActionKind.IMAGE_STAGE: 3600.0,
    ActionKind.IMAGE_UNSTAGE: 600.0,
}
"""How long one step of each action may take before its outcome counts as unknown."""


class Limits(Struct, frozen=True, kw_only=True):
    """Times in seconds."""

    actions_per_host: int = 4
    actions_total: int = 64
    timeouts_s: Mapping[ActionKind, float] = field(default_factory=lambda: TIMEOUTS_S)
    shutdown_timeout_s: float = 120.0
    look_delay_s: float = 2.0
    """Before an unknown outcome is looked at; doubles each time."""
    look_attempts: int = 6
    monitor_period_s: float = 30.0
    monitor_timeout_s: float = 20.0
    monitor_parallel: int = 16
    reconcile_period_s: float = 300.0
    samples_kept_s: float = 14400.0
