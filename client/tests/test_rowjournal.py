"""Rows on disk before the log call returns: nothing is lost by SIGKILL, not even the last one."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ack_server import AckServer, decode_batch
from hypothesis import given, settings
from hypothesis import strategies as st

from logd_client import createClientLog
from logd_client.records import AnyRow, Context, EncodedBatch
from logd_client.rowjournal import RowJournal
from logd_client.rows import NumberedRows
from logd_client.sizes import BATCH_BYTES
from logd_client.spoolreader import LeftRecords, read_rows

SOURCES = str(Path(__file__).parent.parent)
BOUND = 2_000_000
CONTEXT = Context((1, 2, "t", "E", (("a.py", 3), (None, None)), 4, "f"))

PRELUDE = """
import mmap, os, signal, struct, sys, threading, time
from logd_client import createClientLog
port, spool = int(sys.argv[1]), sys.argv[2]
log = createClientLog("127.0.0.1", (port,), spool=spool, exit_timeout_s=60.0)
def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""

COUNTED = """
counts = mmap.mmap(os.open(sys.argv[3], os.O_RDWR), 64)
print("started", flush=True)
def work(thread):
    n = 0
    while True:
        log(f"{thread} {n}")
        n += 1
        struct.pack_into("q", counts, 8 * thread, n)
for thread in range(1, int(sys.argv[4])):
    threading.Thread(target=work, args=(thread,)).start()
work(0)
"""

ADOPTER = """
while len(os.listdir(spool)) > 1:
    time.sleep(0.001)
"""


def start(code: str, port: int, spool: Path, *options: str) -> subprocess.Popen[str]:
    """A program that logs with a spool."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, str(port), str(spool), *options],
        env={**os.environ, "PYTHONPATH": SOURCES},
        stdout=subprocess.PIPE,
        text=True,
    )


def run_to_death(code: str, port: int, spool: Path) -> None:
    """A program that ends itself by SIGKILL."""
    process = start(code, port, spool)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def adopt(server: AckServer, spool: Path) -> None:
    """Let a new process deliver what dead ones left, all of it."""
    adopter = start(ADOPTER, server.port, spool)
    adopter.communicate(timeout=60)
    assert adopter.returncode == 0
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("is_up", [True, False])
@pytest.mark.parametrize("count", [1, 17, 30_000])
def test_a_sigkill_right_after_the_last_call_loses_nothing(
    tmp_path: Path, server: AckServer, count: int, is_up: bool
) -> None:
    """All that was passed to `log()` arrives once, in order, with the server there or away."""
    code = f"for n in range({count}): log(str(n))\ndie()"
    run_to_death(code, server.port if is_up else 1, tmp_path)
    adopt(server, tmp_path)
    assert server.texts == [str(n) for n in range(count)]


def test_contexts_items_and_odd_texts_survive(tmp_path: Path, server: AckServer) -> None:
    """A record from the journal is what the application logged, to the type of each item."""
    code = (
        "def charge():\n"
        "    items = {'a': True, 'b': 1, 'c': 0.5, 'd': None, 'e': '€'}\n"
        "    log('\\ud800 € \\0', 'E', special=items)\n"
        "    die()\n"
        "charge()"
    )
    run_to_death(code, 1, tmp_path)
    adopt(server, tmp_path)
    ((msgid, when, msg, context, special),) = server.records
    assert (msgid, msg) == (1, "\ud800 € \0")
    assert time.time() - 600 < when <= time.time()
    assert context[2:4] == ("MainThread", "E")
    assert [name for name, _ in context[4]] == ["<string>", "<string>"]
    assert context[6] == "charge"
    assert repr(special) == "{'a': True, 'b': 1, 'c': 0.5, 'd': None, 'e': '€'}"


def test_a_huge_message_survives_as_far_as_a_frame_can_take_it(
    tmp_path: Path, server: AckServer
) -> None:
    """What no frame takes is cut visibly, in the journal as elsewhere."""
    run_to_death("log('x' * 3_000_000)\nlog('y' * 900_000)\ndie()", 1, tmp_path)
    adopt(server, tmp_path)
    cut, whole = server.texts
    assert cut.endswith("[cut: 2400000 of 3000000 characters]")
    assert whole == "y" * 900_000


@pytest.mark.parametrize("is_up", [True, False])
def test_a_sigkill_at_a_random_moment_loses_nothing(
    tmp_path: Path, server: AckServer, is_up: bool
) -> None:
    """Of each thread, all whose call had returned arrives, and at most the call it died in."""
    chance = random.Random(7)
    for _ in range(4):
        server.records.clear()
        counts = tmp_path / "counts"
        counts.write_bytes(bytes(64))
        spool = tmp_path / "spool"
        app = start(COUNTED, server.port if is_up else 1, spool, str(counts), "3")
        assert app.stdout is not None
        assert app.stdout.readline() == "started\n"
        time.sleep(chance.uniform(0.0, 0.4))
        app.kill()
        app.communicate(timeout=60)
        adopt(server, spool)
        returned = struct.unpack("3q", counts.read_bytes()[:24])
        texts = server.texts
        for thread, least in enumerate(returned):
            prefix = f"{thread} "
            arrived = [text for text in texts if text.startswith(prefix)]
            assert arrived == [f"{prefix}{n}" for n in range(len(arrived))]
            assert least <= len(arrived) <= least + 1


def test_adopters_killed_at_random_moments_repeat_nothing(
    tmp_path: Path, server: AckServer
) -> None:
    """However often the process that delivers the rest is killed, each record arrives once."""
    chance = random.Random(8)
    run_to_death("for n in range(60_000): log(str(n))\ndie()", 1, tmp_path)
    for _ in range(8):
        adopter = start("print('started', flush=True)\n" + ADOPTER, server.port, tmp_path)
        assert adopter.stdout is not None
        assert adopter.stdout.readline() == "started\n"
        time.sleep(chance.uniform(0.0, 0.05))
        adopter.kill()
        adopter.communicate(timeout=60)
    adopt(server, tmp_path)
    assert server.texts == [str(n) for n in range(60_000)]


def test_signal_handlers_in_the_midst_of_calls_break_nothing(
    tmp_path: Path, server: AckServer
) -> None:
    """Records of a handler that interrupts log calls are in the journal, too, each once.

    Handlers interrupt each other, too, but four deep at most: on a busy machine the next signal
    always comes before a handler is done.
    """
    code = """
handled = []
depth = deepest = 0
def handle(*_):
    global depth, deepest
    if depth == 4:
        return
    depth += 1
    deepest = max(deepest, depth)
    number = len(handled)
    handled.append(number)
    if number % 2:
        signal.setitimer(signal.ITIMER_REAL, (1 + number % 40) * 1e-6, 0.0005)
    log(f"handled {number}")
    depth -= 1
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for n in range(50_000): log(str(n))
signal.setitimer(signal.ITIMER_REAL, 0)
log(f"end {len(handled)} {deepest}")
die()
"""
    run_to_death(code, 1, tmp_path)
    adopt(server, tmp_path)
    texts = server.texts
    word, count, deepest = texts[-1].split()
    assert word == "end"
    assert int(count) > 10
    assert int(deepest) > 1
    assert [t for t in texts if t.isdecimal()] == [str(n) for n in range(50_000)]
    assert len([t for t in texts if t.startswith("handled")]) == int(count)
    assert len(texts) == 50_000 + int(count) + 1


def test_forked_children_have_journals_of_their_own(tmp_path: Path, server: AckServer) -> None:
    """A child that is killed, and its parent, leave what each of them logged."""
    code = """
log("parent")
child = os.fork()
if child == 0:
    log("child")
    die()
os.waitpid(child, 0)
log("parent again")
die()
"""
    run_to_death(code, 1, tmp_path)
    adopt(server, tmp_path)
    assert sorted(server.texts) == ["child", "parent", "parent again"]
    assert len(server.marks) == 2


def test_an_orderly_end_leaves_no_files(tmp_path: Path, server: AckServer) -> None:
    """Where all is delivered, nothing stays in the directory."""
    app = start("for n in range(20_000): log(str(n))", server.port, tmp_path)
    app.communicate(timeout=60)
    assert app.returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert server.texts == [str(n) for n in range(20_000)]


def test_close_without_a_server_leaves_all(tmp_path: Path, server: AckServer) -> None:
    """What `close` could not deliver is adopted."""
    log = createClientLog("127.0.0.1", (1,), spool=tmp_path, exit_timeout_s=0.0)
    for n in range(100):
        log(str(n))
    assert not log.close()
    adopt(server, tmp_path)
    assert server.texts == [str(n) for n in range(100)]


def bytes_in(folder: Path) -> int:
    """The size of all files there, of which the sender may remove some meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size if path.is_file() else 0
    return size


def test_full_files_refuse_and_tell_of_the_gap(tmp_path: Path, server: AckServer) -> None:
    """At `spool_bytes` records are dropped and counted; each that was taken arrives."""
    log = createClientLog(
        "127.0.0.1", (1,), spool=tmp_path, spool_bytes=BOUND, when_full="drop", exit_timeout_s=0.0
    )
    returned = 0
    while log.server.lost < 1000:
        log(f"{returned} {'x' * 1000}")
        returned += 1
    assert BOUND * 3 // 4 < bytes_in(tmp_path) < BOUND * 5 // 4 + BATCH_BYTES
    lost = log.server.lost
    log.close()
    adopt(server, tmp_path)
    notices = [record for record in server.records if "lost" in record[4]]
    assert len(server.records) - len(notices) == returned - lost


def test_a_full_spool_takes_records_again_after_delivery(tmp_path: Path) -> None:
    """A call that waits for room goes on once the server has stored enough."""
    with AckServer() as server:
        server.acknowledges.clear()
        log = createClientLog(
            "127.0.0.1", (server.port,), spool=tmp_path, spool_bytes=200_000, block_timeout_s=0.1
        )
        while not log.server.lost:
            log("x" * 1000)
        server.acknowledges.set()
        server.cut()
        assert log.flush(60)
        lost = log.server.lost
        for n in range(100):
            log(str(n))
        assert log.close(60)
        assert log.server.lost == lost
        assert server.texts[-100:] == [str(n) for n in range(100)]
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_files_is_told_and_records_go_on(
    tmp_path: Path, server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a journal records are still delivered, and with one again later."""
    problems: list[str] = []

    class Handler:
        def handleException(self, e: BaseException) -> None:
            problems.append(str(e))

    def full(fd: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("logd_client.journalfile._fill", full)
        log = createClientLog("127.0.0.1", (server.port,), spool=tmp_path, errorHandler=Handler())
        log("1", sync=60)
        assert list(tmp_path.rglob("*.rows")) == []
    monkeypatch.setattr("logd_client.rowjournal._RETRY_S", 0.0)
    log.server._sender.buffer.journal._retry_at = 0.0
    log("2", sync=60)
    assert len(list(tmp_path.rglob("*.rows"))) == 1
    assert problems == ["[Errno 28] No space left on device"]
    assert log.close(60)
    assert server.texts == ["1", "2"]


# The journal alone.

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
