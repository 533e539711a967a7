"""What the formats of structured lines, JSON and logfmt, promise alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.batch import Batch
from logd.records.context import Context
from logd.records.entry import Entry
from logd.text import jsonlines, logfmtlines
from logd.text.escaping import is_safe
from logd.text.lines import LineFormat
from logd.text.reading import LineReader

TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: no'

_texts = st.one_of(st.text(), st.sampled_from([TRACEBACK, f"x\n{TRACEBACK}", f"\n{TRACEBACK}"]))
_keys = st.one_of(st.text(), st.sampled_from(["pid", "item.pid", "logger", "time", "msg"]))
_values = st.one_of(
    st.text(),
    st.none(),
    st.booleans(),
    st.integers(-(1 << 40), 1 << 40),
    st.floats(allow_nan=False, allow_infinity=False),
)


@pytest.mark.parametrize(
    ("make", "read"),
    [
        (jsonlines.JsonFormat, jsonlines.read),
        (logfmtlines.LogfmtFormat, logfmtlines.read),
    ],
    ids=["json", "logfmt"],
)
@given(
    messages=st.lists(_texts, min_size=1, max_size=4),
    items=st.dictionaries(_keys, _values, max_size=4),
    microseconds=st.integers(0, 4_000_000_000_000_000),
    threadname=st.text(),
)
def test_what_is_written_is_read(
    make: Callable[[], LineFormat],
    read: Callable[[str], Entry | None],
    messages: list[str],
    items: dict[str, Any],
    microseconds: int,
    threadname: str,
) -> None:
    """A line read back has the record as it was, and shows no character that drives a terminal."""
    context = Context(1, 2, threadname, "W", (("a.py", 1),), 1, "f")
    instant = microseconds / 1e6
    batch = Batch(
        (context,),
        bytes(len(messages)),
        range(len(messages)),
        [instant] * len(messages),
        messages,
        special={0: items} if items else {},
    )
    lines = make().format_batch(batch)
    assert make().encode_batch(batch) == "".join(f"{line}\n" for line in lines).encode()
    for row, line in enumerate(lines):
        assert is_safe(line)
        entry = read(line)
        assert entry is not None
        assert (entry.msg, entry.threadname, entry.cat) == (messages[row], threadname, "W")
        assert entry.special == (items if row == 0 else {})
        assert entry.time == int(instant * 1e6) / 1e6
        assert LineReader().read(line.encode()) == entry
