"""Entries as lines, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.batch import Batch
from logd.records.context import Context
from logd.records.entry import exact_time
from logd.text.lines import LineFormat
from logd.text.reading import BREAK, MARK, LineReader, entry_text
from logd.text.timestamps import DEFAULT_FORMAT, Timestamps
from tests.query.log_making import START, record

TEXTS = st.text(max_size=30) | st.text("\\tnx1b\t\r\n\x1b\udc80a", max_size=8)
VALUES = st.one_of(
    TEXTS,
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False),
    st.booleans(),
    st.none(),
    st.sampled_from(["1", "1.5", "true", "null", "-inf", "a=b", " ", '"', "\\", "[1]"]),
    st.sampled_from([[1, "a b", None], {"a": {"b": ["c =", 1.5]}}, [], {}]),
)
RECORDS = st.builds(
    lambda pid, cat, name, func, msgid, microseconds, msg, special, peer: Batch(
        [Context(pid, 1, name, cat, (("/a/views.py", 42), (None, None)), 3, func)],
        bytes(1),
        [msgid],
        [START + microseconds / 1e6],
        [msg],
        {0: special} if special else None,
        peer=peer,
        ts=Timestamps(DEFAULT_FORMAT).texts([START + microseconds / 1e6]),
    ),
    st.integers(-(2**31), 2**40),
    st.sampled_from(["", "E", "W", "äöü", "two words"]),
    TEXTS,
    TEXTS,
    st.integers(-5, 2**63),
    st.integers(0, 10**12),
    TEXTS,
    st.dictionaries(TEXTS.filter(bool), VALUES, max_size=4),
    st.sampled_from(["", "10.0.0.7", "fe80::1%eth0"]),
)


def raw_of(line: str) -> bytes:
    """The entry as readers get it from a file."""
    return line.encode("utf-8", "backslashreplace").replace(BREAK, MARK)


@given(RECORDS)
def test_written_entries_are_read_back(batch: Batch) -> None:
    """Whatever a record holds, its line is read back field by field, and written the same again."""
    line = LineFormat(DEFAULT_FORMAT).format_batch(batch)[0]
    entry = LineReader().read(raw_of(line))
    assert entry.time is not None
    assert batch.ts is not None
    assert (entry.ts, entry.pid, entry.peer) == (batch.ts[0], batch.contexts[0].pid, batch.peer)
    assert entry.time == exact_time(batch.time[0])
    context = batch.contexts[0]
    assert (entry.tid, entry.threadname, entry.cfunc) == (1, context.threadname, context.cfunc)
    assert entry.msg == batch.msg[0].replace("\r\n", "\n")
    assert entry.msgid == batch.msgid[0]
    assert entry.cat == "_".join(batch.contexts[0].cat.split())
    assert entry.path == "views.py(42)<-..."
    assert entry.site == "views.py(42)"
    assert entry_text(entry) == line.encode("utf-8", "backslashreplace").decode()
    entry.raw = ""
    assert entry_text(entry) == line.encode("utf-8", "backslashreplace").decode()


@given(RECORDS)
def test_special_items_keep_their_types(batch: Batch) -> None:
    """Numbers, truth values, texts and nothing are told apart."""
    special = dict(batch.special.get(0, {}))
    entry = LineReader().read(raw_of(LineFormat(DEFAULT_FORMAT).format_batch(batch)[0]))
    assert dict(entry.special) == special
    assert list(map(type, entry.special.values())) == list(map(type, special.values()))


def test_old_lines() -> None:
    """Lines of logd 1.0 have no microseconds and no thread's id; their escapes stay as they are."""
    raw = b"2026-11-22T03:00:00.125+0000 E 7#1 a\\tb\tMain\tf\tviews.py(42)\tuser=ann\x1emore\\n"
    entry = LineReader().read(raw)
    assert (entry.time, entry.tid, entry.msg) == (1_795_316_400.125, 0, "a\\tb\nmore\\n")
    assert (entry.threadname, entry.cfunc, entry.site) == ("Main", "f", "views.py(42)")
    assert entry.special == {"user": "ann"}


@pytest.mark.parametrize("fmt", [DEFAULT_FORMAT, "%Y-%m-%d %H:%M:%S", "std2"])
@pytest.mark.parametrize("is_known", [True, False])
def test_times_are_exact(fmt: str, is_known: bool) -> None:
    """Whatever the timestamps show, the time is known to the microsecond."""
    for time in (START + 0.999_999_5, START + 0.123_456_7, START + 59.0):
        lines = LineFormat(fmt if is_known else None)
        line = lines.format_batch(record(1, time=time, timestamp=fmt))[0]
        reader = LineReader(fmt)
        reader.times.last_written = START + 100
        assert reader.read(raw_of(line)).time == exact_time(time)


@given(st.binary(max_size=200))
def test_any_line_is_an_entry(raw: bytes) -> None:
    """What is not of the layout is an entry with the line as its message, safe to show."""
    entry = LineReader().read(raw.replace(b"\n", b""))
    text = entry_text(entry)
    assert "\x1b" not in text
    assert "\x1e" not in text


def test_messages_of_several_lines() -> None:
    """Lines that continue an entry belong to its message."""
    line = LineFormat().format_batch(record(1, msg="one\ntwo\n\nfour"))[0]
    assert LineReader().read(raw_of(line)).msg == "one\ntwo\n\nfour"


def test_other_timestamps() -> None:
    """Timestamps with blanks, and none at all, are read; those without a day tell no time."""
    formats = {"%d.%m.%Y %H:%M:%S": True, "std2": True, "std1": False, None: False}
    for fmt, is_known in formats.items():
        line = LineFormat().format_batch(record(7, cat="E", timestamp=fmt))[0]
        entry = LineReader(fmt).read(raw_of(line))
        assert (entry.cat, entry.msgid, entry.msg) == ("E", 7, "record 7")
        assert (entry.time is not None) == is_known


def test_a_format_of_ones_own() -> None:
    """Lines in a format of the user's own are nothing but text."""
    raw = raw_of(LineFormat().format_batch(record(7))[0])
    entry = LineReader(is_own_format=False).read(raw)
    assert entry.msg.encode() == raw
    assert entry.time is None
