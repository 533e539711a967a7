from __future__ import annotations

import pytest

from logd.text.quantities import counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 records"), (1, "1 record"), (2, "2 records"), (5432, "5,432 records")],
)
def test_counted(number: int, text: str) -> None:
    """One thing has no s; thousands have commas."""
    assert counted(number, "record") == text
