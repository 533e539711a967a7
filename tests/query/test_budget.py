"""An answer that had a budget, and what follows from where it stopped, are the whole answer."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from logd.outputs.tables.output import TableOutput
from logd.query.budget import Budget
from logd.query.files import indexing, raw
from logd.query.files.source import FileSource
from logd.query.grammar import parse
from logd.query.merged import MergedSource
from logd.query.positions import Placed, Position
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import LogSource
from logd.query.tables.source import TableSource
from tests.outputs.output_making import make_settings
from tests.query.log_making import START, Notes, records, write_log

RECORDS = 200
SOURCES = ["files", "with an index", "compressed", "table", "merged"]


def _files(folder: Path, notes: Notes, **more: str) -> FileSource:
    pattern = folder / "app_%d.log"
    batches = records(1, RECORDS)
    write_log(pattern, batches, lines=70, **more)
    for number, path in enumerate(sorted(folder.glob("app_*"))):
        os.utime(path, (START + number, START + number))
    return FileSource(str(pattern), notes)


@pytest.fixture(params=SOURCES)
def source(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LogSource]:
    """A log of 200 records in blocks of a few, as each kind of source."""
    monkeypatch.setattr(raw, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(indexing, "MIN_INDEXED_BYTES", 1 if "index" in request.param else 1 << 40)
    notes = Notes()
    made: LogSource
    match request.param:
        case "table":
            url = f"sqlite:///{tmp_path}/log.db"
            output = TableOutput(url, make_settings(tmp_path, table_pattern="log_%d"))
            output.open()
            output.write(records(1, RECORDS))
            output.close()
            made = TableSource(url, notes, pattern="log_%d")
        case "merged":
            made = MergedSource([_files(tmp_path, notes)], notes)
        case "compressed":
            made = _files(tmp_path, notes, compress="zstd")
        case _:
            made = _files(tmp_path, notes)
    if "index" in request.param:
        made.summarise(keys=["cat"])
        assert list(tmp_path.glob(".app_0.log.idx"))
    yield made
    made.close()


@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_are_the_whole(source: LogSource, newest_first: bool) -> None:
    """Page after page, in both directions, each entry comes once, in order."""
    whole = list(source.placed(newest_first=newest_first))
    found: list[Placed] = []
    place: Position | None = None
    pages = 0
    while True:
        budget = Budget(bytes=3000)
        at = {"end": place} if newest_first else {"start": place}
        found += source.placed(newest_first=newest_first, budget=budget, **at)
        pages += 1
        place = budget.next
        if place is None:
            break
    assert [one.entry for one in found] == [one.entry for one in whole]
    assert len(found) == RECORDS
    assert pages > 1


@pytest.mark.parametrize("wanted", ["", "cat:I", "text:record"])
def test_partial_counts_add_up(source: LogSource, wanted: str) -> None:
    """Counts come from the newest backwards, and their sum is the whole."""
    selection = Selection(since=START + 30.5, terms=parse(wanted))
    whole = source.summarise(selection, step=60, keys=["cat"])
    bars: Counter[int] = Counter()
    total = 0
    place: Position | None = None
    newest: list[int] = []
    while True:
        budget = Budget(bytes=3000)
        part = source.summarise(selection, step=60, keys=["cat"], end=place, budget=budget)
        total += part.total
        bars.update({start: sum(cats.values()) for start, cats in part.bars.items()})
        newest += [max(part.bars)] if part.bars else []
        place = budget.next
        if place is None:
            break
    assert total == whole.total
    assert bars == {start: sum(cats.values()) for start, cats in whole.bars.items()}
    assert newest == sorted(newest, reverse=True)


def test_what_is_cancelled_ends(source: LogSource) -> None:
    """Nothing more comes once nobody wants it."""
    seen: list[int] = []
    budget = Budget(cancelled=lambda: len(seen) >= 3)
    for placed in source.placed(budget=budget):
        seen.append(placed.entry.msgid)  # noqa: PERF401 - asked for one at a time
    assert len(seen) < RECORDS / 2
    assert budget.next is not None


def test_no_time_is_a_short_answer(source: LogSource) -> None:
    """Without time one block or row is read, and the answer says so."""
    budget = Budget(seconds=0)
    found = list(source.placed(newest_first=True, budget=budget))
    assert 0 < len(found) < RECORDS / 2
    assert budget.next is not None


def test_a_whole_answer_has_no_rest(source: LogSource) -> None:
    """A budget that is large enough changes nothing."""
    budget = Budget(bytes=1 << 30, seconds=600)
    assert source.summarise(EVERYTHING, keys=["cat"], budget=budget).total == RECORDS
    assert budget.next is None


def test_cancelling_within_a_block(tmp_path: Path) -> None:
    """A search that is slow for each entry ends after some of them, not after the block."""
    source = _files(tmp_path, Notes())
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1

    budget = Budget(cancelled=cancelled)
    write_log(tmp_path / "big_%d.log", records(1, 1000))
    source = FileSource(str(tmp_path / "big_%d.log"), Notes())
    assert list(source.placed(Selection(terms=parse("/rec.*d/")), budget=budget)) == []
    assert len(asked) <= 3
    assert budget.next is not None
