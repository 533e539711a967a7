"""Blocks are passed over only if none of their entries is of the time that is wanted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.query.files.timebounds import TimeBounds
from logd.text.jsonlines import JsonFormat
from logd.text.lines import LineFormat
from logd.text.logfmtlines import LogfmtFormat
from logd.text.reading import LineReader
from logd.text.timestamps import DEFAULT_FORMAT
from tests.query.log_making import START, record

FORMATS: dict[str, LineFormat] = {
    "default": LineFormat(DEFAULT_FORMAT),
    "json": JsonFormat(),
    "logfmt": LogfmtFormat(),
}


def _block(line_format: LineFormat, seconds: list[float]) -> bytes:
    return b"".join(
        line_format.encode_batch(record(n, msg="one\ntwo", time=START + second))
        for n, second in enumerate(seconds)
    )


@pytest.mark.parametrize("layout", FORMATS)
@given(
    seconds=st.lists(st.floats(0, 8000), min_size=1, max_size=8),
    since=st.none() | st.floats(0, 8000),
    until=st.none() | st.floats(0, 8000),
    stranger=st.sampled_from([b"", b"", b"what others wrote\n"]),
)
def test_nothing_is_missed(
    layout: str, seconds: list[float], since: float | None, until: float | None, stranger: bytes
) -> None:
    """A block that has an entry of the time wanted may have one."""
    bounds = TimeBounds(
        LineReader(),
        None if since is None else START + since,
        None if until is None else START + until,
    )
    wanted = [
        second
        for second in seconds
        if (since is None or second > since + 0.001) and (until is None or second < until - 0.001)
    ]
    assert bounds.may_have(_block(FORMATS[layout], seconds) + stranger) or not wanted


@pytest.mark.parametrize("layout", FORMATS)
def test_other_minutes_are_passed_over(layout: str) -> None:
    """A block of two minutes is looked at for one of them only."""
    block = _block(FORMATS[layout], [0.0, 59.0, 61.0])
    assert TimeBounds(LineReader(), START + 60, None).may_have(block)
    assert TimeBounds(LineReader(), None, START + 60).may_have(block)
    assert not TimeBounds(LineReader(), START + 120, None).may_have(block)
    assert not TimeBounds(LineReader(), None, START).may_have(block)
