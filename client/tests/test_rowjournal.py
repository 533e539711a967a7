"""The journal of rows on disk: what was written before the log call returned is read as it was."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

from ack_server import decode_batch
from hypothesis import given, settings
from hypothesis import strategies as st

from logd_client.records import AnyRow, Context, EncodedBatch
from logd_client.rowjournal import RowJournal
from logd_client.rows import NumberedRows
from logd_client.spoolreader import LeftRecords, read_rows

CONTEXT = Context((1, 2, "t", "E", (("a.py", 3), (None, None)), 4, "f"))

TEXTS = st.text(st.characters(codec=None), max_size=30)
VALUES = st.one_of(
    TEXTS,
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
)
ITEMS = st.lists(st.tuples(TEXTS, VALUES), max_size=3).map(lambda pairs: sum(pairs, ()))
ROWS = st.lists(
    st.tuples(
        st.just(CONTEXT),
        st.integers(-(2**63) + 1, 2**63 - 1),
        st.floats(0.0, 253_402_300_799.0),
        TEXTS,
        ITEMS,
    ),
    min_size=1,
    max_size=20,
)


def journal_in(folder: Path, max_bytes: int = 1 << 20) -> RowJournal:
    """A journal whose errors are the test's."""

    def report(exc: BaseException) -> None:
        raise exc

    return RowJournal(lambda: folder, max_bytes, report)


def numbered(rows: list[AnyRow]) -> NumberedRows:
    """The rows as a buffer holds them."""
    made = NumberedRows()
    made.extend(rows)
    return made


def left(folder: Path, after: int = 0) -> list[EncodedBatch]:
    """What the next process finds; what is missing would be told in an entry."""
    return [entry for run in LeftRecords(folder, after, "damaged").runs() for entry in run]


def records(entries: list[EncodedBatch]) -> list[tuple[Any, ...]]:
    """(msgid, time, message, items) of each."""
    import pickle

    return [
        (msgid, when, msg, special)
        for entry in entries
        for msgid, when, msg, _, special in decode_batch(pickle.loads(entry.frame[4:]))
    ]


@settings(max_examples=100, deadline=None)
@given(rows=ROWS)
def test_rows_are_found_again(tmp_path_factory: Any, rows: list[AnyRow]) -> None:
    """Whatever a row contains, it is read as it was written, under its number."""
    folder = tmp_path_factory.mktemp("rows")
    journal = journal_in(folder)
    journal.write(numbered(rows))
    journal.close()
    entries = left(folder)
    assert (entries[0].first, entries[-1].last) == (1, len(rows))
    wanted = [(row[1], row[2], row[3], dict(zip(row[4][::2], row[4][1::2]))) for row in rows]
    assert repr(records(entries)) == repr(wanted)


def plain_rows(first: int, count: int, size: int = 0) -> list[AnyRow]:
    """Rows whose message ids are their numbers."""
    return [(CONTEXT, n, 1.0, "m" * size, ()) for n in range(first, first + count)]


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, 3000))
def test_a_torn_row_ends_the_reading(tmp_path_factory: Any, cut: int) -> None:
    """A file cut anywhere gives the rows before the cut."""
    folder = tmp_path_factory.mktemp("rows")
    journal = journal_in(folder)
    journal.write(numbered(plain_rows(1, 10)))
    used = journal._at[1]
    journal.close()
    end = max(0, used - cut)
    os.truncate(folder / "1.rows", end)
    length = (used - 16) // 10
    whole = max(0, end - 16) // length
    assert sum(entry.records for entry in left(folder)) == whole


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_one_row(tmp_path_factory: Any, position: int, bit: int) -> None:
    """A flipped bit anywhere, also in the head of the file, costs at most the row it is in."""
    folder = tmp_path_factory.mktemp("rows")
    journal = journal_in(folder)
    journal.write(numbered(plain_rows(1, 10)))
    used = journal._at[1]
    journal.close()
    path = folder / "1.rows"
    data = bytearray(path.read_bytes())
    position %= used
    data[position] ^= 1 << bit
    found = read_rows(bytes(data))
    length = (used - 16) // 10
    damaged = {(position - 16) // length + 1} if position >= 16 else set()
    assert found.rows.keys() == set(range(1, 11)) - damaged
    # The last row may as well be one that a kill cut off.
    assert found.is_damaged == (damaged != {10})


def test_what_a_message_contains_is_never_a_row(tmp_path: Path) -> None:
    """A row within the message of a damaged row is none: the checksum begins with the salt."""
    journal = journal_in(tmp_path)
    inner = journal._frame(99, plain_rows(99, 1)[0], 12345).decode("latin-1")
    rows: list[AnyRow] = [(CONTEXT, 1, 1.0, inner, ()), *plain_rows(2, 2)]
    journal.write(numbered(rows))
    journal.close()
    data = bytearray((tmp_path / "1.rows").read_bytes())
    data[20] ^= 1
    assert read_rows(bytes(data)).rows.keys() == {2, 3}


def test_stored_rows_are_passed_over(tmp_path: Path) -> None:
    """Only what the server has not stored is read."""
    journal = journal_in(tmp_path)
    journal.write(numbered(plain_rows(1, 10)))
    journal.close()
    assert [(e.first, e.records) for e in left(tmp_path, 7)] == [(8, 3)]
    assert left(tmp_path, 10) == left(tmp_path, 50) == []


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=60),
    released=st.integers(0, 60),
    ends=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_rows_are_read_back_while_they_wait(
    tmp_path_factory: Any, sizes: list[int], released: int, ends: tuple[int, int]
) -> None:
    """Rows are there from any number to any other, in full files and in the last; others not."""
    journal = journal_in(tmp_path_factory.mktemp("rows"), 1 << 16)
    rows = NumberedRows()
    for number, size in enumerate(sizes, 1):
        rows.extend(plain_rows(number, 1, size))
        journal.write(rows)
    journal.release(min(released, len(sizes)))
    first, last = min(ends), max(ends)
    wanted = rows[first - 1 : last]
    assert journal.has(first, last) == (len(wanted) == last - first + 1) or first <= released
    found = journal.read(first, last)
    if journal.has(first, last):
        assert list(found) == list(range(first, last + 1))
    assert [row[1:] for row in found.values()] == [rows[n - 1][1:] for n in found]
    journal.close()


def test_a_file_that_was_read_half_full_is_read_again(tmp_path: Path) -> None:
    """A connection that came back made it be read while rows were still written into it."""
    journal = journal_in(tmp_path)
    rows = NumberedRows()
    for number in range(1, 301):
        rows.extend(plain_rows(number, 1))
        journal.write(rows)
        if number == 40:
            assert sorted(journal.read(1, 300)) == list(range(1, 41))
    assert sorted(journal.read(1, 300)) == list(range(1, 301))
    journal.close()


def test_few_of_many_files_stay_mapped(tmp_path: Path) -> None:
    """An outage fills files, not the memory of the app; all rows are read back all the same."""
    journal = journal_in(tmp_path, 1 << 22)
    rows = NumberedRows()
    for first in range(1, 20_001, 500):
        rows.extend(plain_rows(first, 500, size=100))
        journal.write(rows)
        rows = NumberedRows(rows)
    maps = [line for line in Path("/proc/self/maps").read_text().splitlines() if ".rows" in line]
    files = list(tmp_path.glob("*.rows"))
    assert len(files) > 15
    assert len([line for line in maps if str(tmp_path) in line]) <= 9
    assert list(journal.read(1, 20_000)) == list(range(1, 20_001))
    journal.release(20_000)
    assert len(list(tmp_path.glob("*.rows"))) <= 4
    journal.close()


def test_records_go_along_to_a_new_folder(tmp_path: Path) -> None:
    """Where the folder is another process's, what waits is copied, and writing goes on there."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    moves = [new]

    def report(exc: BaseException) -> None:
        raise exc

    journal = RowJournal(lambda: old, 1 << 22, report, lambda: moves.pop() if moves else None)
    rows = numbered(plain_rows(1, 20_000, size=100))
    journal.write(rows)
    journal.release(10)
    rows.extend(plain_rows(20_001, 5))
    journal.write(rows)
    assert list(journal.read(11, 20_005)) == list(range(11, 20_006))
    journal.close()
    assert [record[0] for record in records(left(new, 10))] == list(range(11, 20_006))


def test_rows_behind_missing_ones_are_sent_with_a_word(tmp_path: Path) -> None:
    """Numbers that are nowhere are told of in a run of its own, with the rows behind them."""
    journal = journal_in(tmp_path)
    rows = numbered(plain_rows(1, 5))
    rows = NumberedRows(rows)
    rows.extend(plain_rows(6, 5))
    journal.write(rows)
    journal.close()
    found = left(tmp_path, 3)
    assert [(e.first, e.records) for e in found] == [(5, 1), (6, 5)]
    assert records(found)[0][2:] == ("2 records lost: damaged", {"lost": 2})
    assert [(e.first, e.records) for e in left(tmp_path, 5)] == [(6, 5)]


def test_files_are_used_again_and_old_rows_are_no_rows(tmp_path: Path) -> None:
    """Released files come back under another salt; what they held before is never read."""
    journal = journal_in(tmp_path, 1 << 18)
    rows = NumberedRows()
    for first in range(1, 20_000, 100):
        rows.extend(plain_rows(first, 100, size=first % 89))
        journal.write(rows)
        rows = NumberedRows(rows)
        journal.release(first + 49)
    journal.close()
    assert len(list(tmp_path.iterdir())) <= 5
    (entry,) = left(tmp_path, 19_950)
    assert [record[0] for record in records([entry])] == list(range(19_951, 20_001))


def test_rows_are_in_order_whatever_file_they_are_in(tmp_path: Path) -> None:
    """A file used again has a lower name than its predecessor; numbers decide."""
    journal = journal_in(tmp_path, 1 << 18)
    rows = NumberedRows()
    rows.extend(plain_rows(1, 600))
    journal.write(rows)
    journal.release(600)
    rows = NumberedRows(rows)
    rows.extend(plain_rows(601, 1200))
    journal.write(rows)
    journal.close()
    entries = left(tmp_path, 600)
    assert [record[0] for record in records(entries)] == list(range(601, 1801))


def test_an_interrupted_write_goes_on_at_the_same_place(tmp_path: Path) -> None:
    """A write in the midst of another one, as by a signal handler, leaves both whole."""
    journal = journal_in(tmp_path)
    rows = numbered(plain_rows(1, 3))
    real = journal._frame
    is_first = True

    def interrupted(sequence: int, row: AnyRow, salt: int) -> bytes:
        nonlocal is_first
        frame = real(sequence, row, salt)
        if is_first:
            is_first = False
            rows.extend(plain_rows(4, 500, size=100))
            journal.write(rows)
        return frame

    journal._frame = interrupted  # type: ignore[method-assign]
    journal.write(rows)
    rows.extend(plain_rows(504, 1))
    journal.write(rows)
    journal.close()
    assert [record[0] for record in records(left(tmp_path))] == list(range(1, 505))


def test_rows_go_to_the_page_cache_at_once(tmp_path: Path) -> None:
    """Another process sees a row as soon as it was written."""
    journal = journal_in(tmp_path)
    journal.write(numbered(plain_rows(1, 1)))
    with (
        (tmp_path / "1.rows").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as seen,
    ):
        assert seen[:12] == b"logd rows 1\n"
    assert [record[0] for record in records(left(tmp_path))] == [1]
    journal.close()
