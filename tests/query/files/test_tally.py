"""Counting raw bytes finds what counting entries finds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.query.barsteps import Step
from logd.query.files.outlines import MINUTE, Outlines
from logd.query.files.prefilter import Prefilter
from logd.query.files.tally import RawTally
from logd.query.selection import EVERYTHING
from logd.query.summaries import Key, Tally
from logd.text.jsonlines import JsonFormat
from logd.text.lines import LineFormat
from logd.text.logfmtlines import LogfmtFormat
from logd.text.reading import BREAK, MARK, LineReader
from logd.text.timestamps import DEFAULT_FORMAT
from tests.query.log_making import START, record

KEYS: list[Key] = [
    "cat",
    "host",
    "pid",
    "tid",
    "site",
    "path",
    "func",
    "thread",
    "logger",
    "hour",
    "user",
    "item.pid",
    "odd key",
    ("host", "cat"),
    ("day", "user", "minute"),
]
FORMATS: dict[str, LineFormat] = {
    "default": LineFormat(DEFAULT_FORMAT),
    "json": JsonFormat(),
    "logfmt": LogfmtFormat(),
}
CATS = ["E", "W", "", "long name"]
MESSAGES = [
    "ok",
    "user=eve",
    "failed\nuser=eve badly",
    "a\tb",
    'said "no" pid=5\\',
    '","logger":"x","special":{"user":1}}',
    "no\nTraceback (most recent call last):\nValueError: pid=7",
]
VALUES = ["ann", "3", 3, "", "a b", 'x user="y"', "\\t", True, None, [1, "user=b"], {"user": 5}]
OLD = b"2026-09-21T16:20:00.125+0200 E 7#1 a\\tb\tMain\tf\tviews.py(42)\tuser=ann"


def _raw(line_format: LineFormat, number: int, **fields: Any) -> bytes:
    file = "/srv/a\\t.py" if number % 7 == 0 else "b.py"
    path = () if number % 5 == 0 else ((file, 1),)
    batch = record(number, time=START + number * 7.000_123, path=path, **fields)
    (line,) = line_format.format_batch(batch)
    return line.encode("utf-8", "backslashreplace").replace(BREAK, MARK)


def _raws(*formats: LineFormat) -> st.SearchStrategy[bytes]:
    keys = ["user", "n", "odd key", "xuser", "logger", "pid"]
    return st.builds(
        _raw,
        st.sampled_from(formats),
        st.integers(0, 2000),
        cat=st.sampled_from(CATS),
        msg=st.sampled_from(MESSAGES),
        peer=st.sampled_from(["", "10.0.0.7"]),
        special=st.dictionaries(st.sampled_from(keys), st.sampled_from(VALUES)),
    )


LINES = {
    **{name: _raws(line_format) for name, line_format in FORMATS.items()},
    "any": _raws(*FORMATS.values()) | st.just(OLD),
}


@pytest.mark.parametrize("layout", LINES)
@given(
    data=st.data(),
    step=st.sampled_from([None, "auto", "minute", "hour", "day", 5, 300]),
    keys=st.sampled_from([KEYS, [*KEYS, "exc"], ["user", ("cat", "logger")], []]),
)
def test_raw_bytes_count_like_entries(
    layout: str, data: st.DataObject, step: Step | None, keys: list[Key]
) -> None:
    """Each facet and each bar has the same numbers, whatever stands in the lines."""
    raws = data.draw(st.lists(LINES[layout], max_size=30))
    reader = LineReader()
    by_bytes, by_entry = RawTally(step, keys, reader), Tally(step, keys)
    for place in range(0, len(raws), 7):
        some = raws[place : place + 7]
        by_bytes.add_raw(some, is_fast=Prefilter(EVERYTHING, reader).is_fast(some))
    for raw in raws:
        by_entry.add(reader.read(raw))
    assert by_bytes.summary() == by_entry.summary()


@pytest.mark.parametrize("layout", ["json", "logfmt"])
def test_lines_of_one_place_are_read_once(layout: str) -> None:
    """Records of the same place, minute and items that count are one outline."""
    raws = [
        _raw(FORMATS[layout], 5, msg=msg, special={"logger": "shop", "n": n, "user": "ann"})
        for n, msg in enumerate(MESSAGES)
    ]
    found = Outlines(LineReader(), ["logger", "user"]).counted(raws, MINUTE)
    assert found is not None
    ((entry, number),) = found
    assert (number, entry.cat, entry.cfunc, entry.pid) == (len(raws), "I", "charge", 4711)
    assert entry.special == {"logger": "shop", "user": "ann"}
    assert entry.time == START // 60 * 60
