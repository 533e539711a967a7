"""Numbers of things as people write them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """The number with its noun: "1 record", "54,321 records"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
