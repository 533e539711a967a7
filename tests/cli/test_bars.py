"""Counts as a table with bars."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logd.cli.bars import table
from logd.cli.cutting import columns
from logd.query.summaries import Count
from logd.text.escaping import is_safe

COUNTS = [Count("E", 1234567), Count("W", 617284), Count("", 0), Count("other", 1)]


def test_a_table() -> None:
    """Numbers are right-aligned with their thousands apart, bars fill the width."""
    assert table(COUNTS, 40) == [
        "E      1,234,567  " + "█" * 22,
        "W        617,284  " + "█" * 11,
        "               0",
        "other          1  ▏",
    ]
    assert table(COUNTS[:2], 40, is_unicode=False)[1] == "W    617,284  " + "#" * 13


def test_wide_characters() -> None:
    """Numbers stand below each other whatever the labels are made of."""
    wide = "\N{CJK UNIFIED IDEOGRAPH-65E5}"
    first, second = table([Count(wide * 3, 2), Count("abcd", 1)], None)
    assert (first, second) == (f"{wide * 3}  2", "abcd    1")
    assert table([Count(wide * 20, 2)], 20)[0] == f"{wide * 7}...  2"


def test_without_a_terminal() -> None:
    """Without a width there are no bars."""
    assert table(COUNTS, None)[0] == "E      1,234,567"
    assert table([], None) == []


@given(
    st.lists(st.builds(Count, st.text(max_size=100), st.integers(0, 10**12)), max_size=5),
    st.integers(20, 200),
)
def test_lines_fit(counts: list[Count], width: int) -> None:
    """No line is longer than the terminal is wide, and none can drive it."""
    for line in table(counts, width):
        assert columns(line) <= max(width, 32)
        assert is_safe(line)
