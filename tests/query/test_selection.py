"""Which entries are wanted."""

from __future__ import annotations

import re

import pytest

from logd.query.selection import EVERYTHING, Selection
from logd.records.entry import Entry

ENTRY = Entry(100.0, "", "E", 7, "", 1, "it failed\nbadly", special={"n": 3, "s": "3", "b": True})
UNDATED = Entry(None, "", "", 7, "", 1, "x")


@pytest.mark.parametrize(
    ("selection", "is_wanted"),
    [
        (EVERYTHING, True),
        (Selection(cats=frozenset("EW")), True),
        (Selection(cats=frozenset("W")), False),
        (Selection(pid=7), True),
        (Selection(pid=8), False),
        (Selection(since=100.0), True),
        (Selection(since=100.1), False),
        (Selection(until=100.0), False),
        (Selection(until=100.1), True),
        (Selection(grep=re.compile("^badly", re.MULTILINE)), True),
        (Selection(grep=re.compile("Failed")), False),
        (Selection(where=(("n", "3"), ("s", "3"), ("b", "true"))), True),
        (Selection(where=(("n", "4"),)), False),
        (Selection(where=(("absent", "None"),)), False),
        (Selection(cats=frozenset("E"), pid=8), False),
    ],
)
def test_filters(selection: Selection, is_wanted: bool) -> None:
    """An entry has to pass all filters."""
    assert selection.matches(ENTRY) == is_wanted


def test_entries_without_a_time() -> None:
    """What has no time is in no range of time, but else like any other."""
    assert EVERYTHING.matches(UNDATED)
    assert Selection(cats=frozenset({""})).matches(UNDATED)
    assert not Selection(since=0.0).matches(UNDATED)
