"""Counting raw bytes finds what counting entries finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logd.query.files.prefilter import Prefilter
from logd.query.files.tally import RawTally
from logd.query.selection import EVERYTHING
from logd.query.summaries import Key, Step, Tally
from logd.text.lines import LineFormat
from logd.text.reading import BREAK, MARK, LineReader
from logd.text.timestamps import DEFAULT_FORMAT
from tests.query.log_making import START, record

KEYS: list[Key] = [
    "cat",
    "host",
    "pid",
    "site",
    "path",
    "func",
    "thread",
    "hour",
    "user",
    "odd key",
    "exc",
    ("host", "cat"),
    ("day", "user", "minute"),
]
VALUES = st.sampled_from(["ann", "3", 3, "", "a b", 'x user="y"', "\\t", True, None, [1, "user=b"]])
RAWS = st.builds(
    lambda number, cat, msg, peer, special: (
        LineFormat(DEFAULT_FORMAT)
        .format_batch(
            record(
                number,
                cat=cat,
                msg=msg,
                peer=peer,
                special=special,
                time=START + number * 7.000_123,
                path=()
                if number % 5 == 0
                else (("/srv/a\\t.py" if number % 7 == 0 else "b.py", 1),),
            )
        )[0]
        .encode("utf-8", "backslashreplace")
        .replace(BREAK, MARK)
    ),
    st.integers(0, 2000),
    st.sampled_from(["E", "W", "", "long name"]),
    st.sampled_from(["ok", "user=eve", "failed\nuser=eve badly", "a\tb"]),
    st.sampled_from(["", "10.0.0.7"]),
    st.dictionaries(st.sampled_from(["user", "n", "odd key", "xuser"]), VALUES),
)
OLD = b"2026-09-21T16:20:00.125+0200 E 7#1 a\\tb\tMain\tf\tviews.py(42)\tuser=ann"


@given(
    st.lists(RAWS | st.just(OLD), max_size=30),
    st.sampled_from([None, "auto", "minute", "hour", "day", 5, 300]),
)
def test_raw_bytes_count_like_entries(raws: list[bytes], step: Step | None) -> None:
    """Each facet and each bar has the same numbers, whatever stands in the lines."""
    reader = LineReader()
    by_bytes, by_entry = RawTally(step, KEYS, reader), Tally(step, KEYS)
    for place in range(0, len(raws), 7):
        some = raws[place : place + 7]
        by_bytes.add_raw(some, is_fast=Prefilter(EVERYTHING, reader).is_fast(some))
    for raw in raws:
        by_entry.add(reader.read(raw))
    assert by_bytes.summary() == by_entry.summary()
