"""The settings of leases, from the table of settings to those of the scheduler and of the use
cases."""

from orrery.config import Settings
from orrery.sched.leases import settings as s
from orrery.sched.leases.durations import MIB_PER_MBIT
from orrery.service.engine import LeaseLimits


def scheduler_settings(settings: Settings) -> s.Settings:
    """A suspended VM resumes where its memory lies: hosts have no disk in common."""
    return s.Settings(
        backfilling=s.Backfilling(settings.text("lease_backfilling")),
        backfilling_reservations=settings.whole("lease_backfilling_reservations"),
        suspension=s.Suspension(settings.text("lease_suspension")),
        suspend_rate=settings.number("lease_suspend_rate"),
        resume_rate=settings.number("lease_resume_rate"),
        exclusion=s.Exclusion(settings.text("lease_exclusion")),
        migration=s.Migration.NO,
        threshold_factor=settings.number("lease_threshold_factor"),
        overhead_s=settings.whole("lease_overhead_s"),
        boot_s=settings.whole("lease_boot_s"),
        shutdown_s=settings.whole("lease_shutdown_s"),
        preparation=s.Preparation(settings.text("lease_preparation")),
        transfer=transfer_settings(settings),
        lead_s=settings.whole("lease_lead_s"),
        depth=settings.whole("lease_depth"),
        preemption=settings.text("lease_preemption"),
        admission=settings.text("lease_admission"),
        least_notice_s=settings.whole("lease_least_notice"),
        reserved_share=settings.number("lease_reserved_share"),
        host_selection=settings.text("lease_host_selection"),
        half_life_s=settings.whole("lease_half_life"),
        order=settings.text("lease_order"),
        backfill_order=settings.text("lease_backfill_order"),
        max_suspensions=settings.whole("lease_max_suspensions") or None,
    )


def transfer_settings(settings: Settings) -> s.TransferSettings:
    return s.TransferSettings(
        bandwidth_mbit=settings.number("lease_transfer_rate") / MIB_PER_MBIT,
        multicast=settings.text("lease_transfer") == "multicast",
        channels=settings.whole("lease_transfers"),
        cache_mib=settings.whole("lease_cache_mib"),
    )


def lease_limits(settings: Settings) -> LeaseLimits:
    """0 stands for no limit."""
    return LeaseLimits(
        max_nodes=settings.whole("lease_max_nodes") or None,
        max_duration_s=settings.number("lease_max_duration") or None,
        max_ahead_s=settings.number("lease_max_ahead") or None,
        max_node_s=settings.number("lease_max_node_s") or None,
        offer_s=settings.number("lease_offer_s"),
        gather_s=settings.number("lease_group_s"),
    )
