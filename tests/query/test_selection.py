"""Which entries are wanted."""

from __future__ import annotations

import pytest

from logd.query.selection import EVERYTHING, Selection
from logd.records.entry import Entry
from tests.query.log_making import select

ENTRY = Entry(100.0, "", "E", 7, "", 1, "it failed\nbadly", special={"n": 3, "s": "3", "b": True})
UNDATED = Entry(None, "", "", 7, "", 1, "x")


@pytest.mark.parametrize(
    ("selection", "is_wanted"),
    [
        (EVERYTHING, True),
        (select(cats=frozenset("EW")), True),
        (select(cats=frozenset("W")), False),
        (select(pid=7), True),
        (select(pid=8), False),
        (select(since=100.0), True),
        (select(since=100.1), False),
        (select(until=100.0), False),
        (select(until=100.1), True),
        (select(grep="(?m)^badly"), True),
        (select(grep="Failed"), False),
        (select(where=(("n", "3"), ("s", "3"), ("b", "true"))), True),
        (select(where=(("n", "4"),)), False),
        (select(where=(("absent", "None"),)), False),
        (select(cats=frozenset("E"), pid=8), False),
    ],
)
def test_filters(selection: Selection, is_wanted: bool) -> None:
    """An entry has to pass all filters."""
    assert selection.matches(ENTRY) == is_wanted


def test_entries_without_a_time() -> None:
    """What has no time is in no range of time, but else like any other."""
    assert EVERYTHING.matches(UNDATED)
    assert select(cats=frozenset({""})).matches(UNDATED)
    assert not select(since=0.0).matches(UNDATED)
