"""Sizes and times for people, and sizes from people. Pure."""

import re

from orrery.cli.failure import CommandFailed

UNITS = "KMGTP"
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
MIB_OF = {"K": 1 / 1024, "M": 1.0, "": 1.0, "G": 1024.0, "T": 1024.0 * 1024}


def size_kib(kib: float) -> str:
    """KiB as 512K, 128M, 1.5G; nothing is 0K."""
    amount, unit = float(kib), 0
    while amount >= 1024 and unit < len(UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    text = f"{amount:.1f}" if unit >= 2 and amount < 100 else f"{amount:.0f}"
    return text.removesuffix(".0") + UNITS[unit]


def size_mib(mib: float) -> str:
    return size_kib(mib * 1024)


def mib(text: str, option: str) -> int:
    """128, 128m, 1.5g in MiB."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise CommandFailed(f"{option}: {text!r} is not a size: write 512, 512M or 1.5G")
    amount = float(match[1]) * MIB_OF[match[2].upper()]
    if amount < 1:
        raise CommandFailed(f"{option}: {text!r} is less than 1 MiB")
    return round(amount)


def age(seconds: float) -> str:
    """Days and time as in OpenNebula's tables: `3d 07h12`."""
    minutes = max(0, int(seconds)) // 60
    return f"{minutes // 1440:d}d {minutes // 60 % 24:02d}h{minutes % 60:02d}"


def moment(seconds: int) -> str:
    """Local time as in OpenNebula's sheets, `-` when there is none."""
    from time import localtime, strftime

    return strftime("%m/%d %H:%M:%S", localtime(seconds)) if seconds > 0 else "-"


def duration(seconds: float) -> str:
    """Short times with one decimal, long ones in minutes."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def yes_no(text: str) -> str:
    return "Yes" if text == "1" else "No"
