"""Several facets of files in one pass: the counts are those of one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logd.query.files import indexing, raw
from logd.query.files.indexkeeping import keep
from logd.query.files.listing import RingFiles
from logd.query.files.source import FileSource
from logd.query.files.ways import segments
from logd.query.grammar import parse
from logd.query.selection import Selection
from logd.query.source import LogSource
from tests.query.log_making import START, Notes, record, write_log

KEYS = ["cat", "host", "logger", "exc", "pid", "user"]
WANTED = ["", "cat:E", "cat:E host:10.0.0.7", "logger:a user:1 -cat:W", "pid:3 exc:KeyError",
          "logger:a -logger:b", '"record 1" cat:E,W', "-cat:E"]  # fmt: skip
TRACEBACK = (
    "failed\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'x'"
)


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A log of some closed files with indexes, and a current one."""
    found = tmp_path_factory.mktemp("log") / "app_%d.log"
    batches = [
        record(
            number,
            cat="EIW"[number % 3],
            pid=number % 5,
            peer=["", "10.0.0.7"][number // 40 % 2],
            msg=TRACEBACK if number % 11 == 0 else None,
            special={"logger": "abc"[number // 10 % 3], "user": number % 4},
        )
        for number in range(400)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "BLOCK_BYTES", 1000)
        patch.setattr(indexing, "MIN_INDEXED_BYTES", 1)
        write_log(found, batches, lines=120)
        assert len(list(keep(RingFiles(str(found))))) == 3
        yield found


@given(
    wanted=st.sampled_from(WANTED),
    keys=st.lists(st.sampled_from(KEYS), min_size=1, unique=True),
    since=st.sampled_from([None, START + 50, START + 130.5]),
    step=st.sampled_from([None, 60, "minute", "auto"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_counts_are_those_of_one_after_the_other(
    pattern: Path, wanted: str, keys: list[str], since: float | None, step: object
) -> None:
    """Whatever is chosen: each facet without its own conditions, the total with all."""
    source = FileSource(str(pattern), Notes())
    selection = Selection(since=since, terms=parse(wanted))
    expected = LogSource.picture(source, selection, step=step, keys=keys)  # type: ignore[arg-type]
    found = source.picture(selection, step=step, keys=keys)  # type: ignore[arg-type]
    assert found == expected


def test_blocks_are_read_once(pattern: Path) -> None:
    """Two facets that are chosen from read what one reads, not three times as much."""
    source = FileSource(str(pattern), Notes())
    once: list[float] = []
    source.summarise(keys=["pid"], watch=once.append)
    together: list[float] = []
    selection = Selection(terms=parse("pid:3 user:3"))
    summary = source.picture(selection, keys=["pid", "user"], watch=together.append)
    assert len(together) == len(once)
    assert len(summary.facets["pid"]) == 10


def test_damage_is_told(tmp_path: Path) -> None:
    """What can be read of a damaged file is counted, and a note says which it is."""
    log = tmp_path / "app_1.log.gz"
    log.write_bytes(b"\x1f\x8bnothing")
    notes = Notes()
    source = FileSource(str(tmp_path / "app_%d.log"), notes)
    assert source.picture(Selection(terms=parse("cat:E")), keys=["cat"]).total == 0
    assert source.is_damaged
    assert "app_1.log.gz can't be read to its end" in notes[0]


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        ([[(0, None)], []], [(0, None, [0])]),
        ([[(0, 10)], [(5, 20)]], [(0, 5, [0]), (5, 10, [0, 1]), (10, 20, [1])]),
        ([[(0, 10), (10, None)], [(10, None)]], [(0, 10, [0]), (10, None, [0, 1])]),
        ([[(0, 5), (8, None)], [(5, 8)]], [(0, 5, [0]), (5, 8, [1]), (8, None, [0])]),
        ([[], []], []),
        ([[(3, 3)], [(1, 4)]], [(1, 4, [1])]),
    ],
)
def test_stretches_are_cut_where_questions_differ(
    each: list[list[tuple[int, int | None]]], expected: list[tuple[int, int | None, list[int]]]
) -> None:
    """Each stretch has the questions that need it, and no stretch is there twice."""
    assert segments(each) == expected
