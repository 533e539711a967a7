"""Tells one boot of the machine from another: what was not synced before a boot may be gone."""

from __future__ import annotations

from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Which run of the machine this is; "" if the system does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
