"""Which of a log's files is older."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.outputs.files.age import Age, KnownFiles, oldest_first
from logd.outputs.files.journalentries import Append, Entry, Opened, Rotating, Snapshot
from logd.outputs.files.names import parse_pattern

TIMES = st.integers(0, 9)
NAMES = parse_pattern("a_%d", naming="ring", count=None, rotates=True, utc=True)[1]


def order(found: dict[str, int], known: str = "") -> str:
    """The files, oldest first, without their common beginning."""
    # 0 stands for a file that tells nothing.
    ages = {f"a_{key}": Age(age or 50, is_read=age > 0) for key, age in found.items()}
    names = oldest_first(ages, named(known), NAMES, ages.__getitem__)
    return " ".join(name.removeprefix("a_") for name in names)


def named(texts: str) -> list[str]:
    """Names of files."""
    return [f"a_{text}" for text in texts.split()]


@pytest.mark.parametrize(
    ("found", "known", "expected"),
    [
        # The journal's order holds, whatever numbers and times say.
        ({"0": 5, "1": 5, "2": 5}, "1 2 0", "1 2 0"),
        ({"0": 1, "1": 9, "2": 5}, "1 2 0", "1 2 0"),
        ({"0": 1, "1.gz": 9, "2.zst": 5}, "1 2 0", "1.gz 2.zst 0"),
        # Files it does not know stand where their age puts them, before the current one.
        ({"0": 10, "1": 20, "2": 30, "7": 15, "8": 99}, "0 1 2", "0 7 1 8 2"),
        # One without a record that can be read is no measure for others.
        ({"0": 10, "1": 0, "2": 30, "3": 40, "7": 35}, "0 1 2 3", "0 1 2 7 3"),
        # Someone compressed the current file: what is in there came before.
        ({"0": 10, "1": 30, "1.gz": 20}, "0 1", "0 1.gz 1"),
        # Without a journal: by age, and by number for those of one instant.
        ({"2": 1, "3": 2, "0": 3, "1": 4}, "", "2 3 0 1"),
        ({"0": 5, "1": 5, "8": 5, "9": 5}, "", "8 9 0 1"),
        ({"3": 5, "4": 5, "8": 5}, "", "3 4 8"),
        # A date in a name says more than a time.
        ({"20260921-141320": 9, "20250921-141320": 8}, "", "20250921-141320 20260921-141320"),
        ({"20260921-141320": 8, "20250921-141320": 9}, "", "20250921-141320 20260921-141320"),
        ({"x": 1}, "", ""),
    ],
)
def test_order(found: dict[str, int], known: str, expected: str) -> None:
    """Age comes from the journal, then from records, and from numbers only within one instant."""
    assert order(found, known) == expected


def opened(number: int, lines: int = 0) -> Opened:
    """A file is begun or taken up."""
    return Opened(f"a_{number}", 1, 0, lines, 0.0)


def test_what_a_journal_tells() -> None:
    """The order in which files were begun, with their records; a name that returns is new."""
    append = Append(1, 0, 0, 1, 0, 10, 0.0, {})
    entries: list[Entry] = [
        Snapshot("", True, 0, [], opened(2, lines=4), [("a_0", 7), ("a_1", 10)]),
        append,
        Rotating("a_0", 1),
        opened(0),
        append,
        append,
        opened(0, lines=20),
        Rotating("a_1", 1),
        opened(1),
    ]
    known = KnownFiles.of_journal(entries)
    assert known.closed == {"a_2": 14, "a_0": 20}
    assert known.current == "a_1"
    assert known.names == ["a_2", "a_0", "a_1"]
    assert KnownFiles.of_journal([]).names == []


@given(
    st.dictionaries(
        st.sampled_from([f"a_{n}{end}" for n in range(7) for end in ("", ".gz")]), TIMES
    ),
    st.lists(st.sampled_from([f"a_{n}" for n in range(7)]), unique=True),
)
def test_nothing_is_left_out(found: dict[str, int], known: list[str]) -> None:
    """Every file has its place, once; the current one is the last."""
    names = oldest_first(found, known, NAMES, lambda name: Age(found[name]))
    assert sorted(names) == sorted(found)
    if known and known[-1] in found:
        assert names[-1] == known[-1]
