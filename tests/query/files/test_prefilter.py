"""What can be told from raw bytes is what parsing would tell."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from logd.query.files.prefilter import Prefilter
from logd.query.selection import Selection
from logd.text.jsonlines import JsonFormat
from logd.text.lines import LineFormat
from logd.text.logfmtlines import LogfmtFormat
from logd.text.reading import BREAK, MARK, LineReader
from logd.text.timestamps import DEFAULT_FORMAT
from tests.query.log_making import START, record, select


def _entries(makes: st.SearchStrategy[Callable[[], LineFormat]]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda make, number, cat, msg, pid, peer, special, timestamp: (
            make()
            .format_batch(
                record(
                    number,
                    cat=cat,
                    msg=msg,
                    pid=pid,
                    peer=peer,
                    special=special,
                    time=START + number / 8 + number * 0.000_123,
                    timestamp=timestamp,
                )
            )[0]
            .encode("utf-8", "backslashreplace")
            .replace(BREAK, MARK)
        ),
        makes,
        st.integers(0, 40),
        st.sampled_from(["E", "W", "", "EE", "long name"]),
        st.sampled_from(["ok", "it failed", " E ", "failed\nbadly", "user=ann", "é", '"failed"']),
        st.sampled_from([1, 11, 471]),
        st.sampled_from(["", "10.0.0.7"]),
        st.dictionaries(
            st.sampled_from(["user", "n", "odd key"]), st.sampled_from(["ann", "3", 3, ""])
        ),
        st.sampled_from([DEFAULT_FORMAT] * 5 + ["%H:%M.%S", None]),
    )


ENTRIES = _entries(st.sampled_from([LineFormat] * 4 + [JsonFormat, LogfmtFormat]))
SELECTIONS = st.builds(
    lambda cats, since, until, pid, grep, where: select(
        cats=cats,
        since=since,
        until=until,
        pid=pid,
        grep=None if grep is None else re.compile(grep),
        where=where,
    ),
    st.none() | st.frozensets(st.sampled_from(["E", "W", "", "EE", "I", "long_name"])),
    st.none() | st.integers(0, 40).map(lambda number: START + number / 8 + number * 0.000_123),
    st.none() | st.integers(0, 40).map(lambda number: START + number / 8 + number * 0.000_123),
    st.sampled_from([None, 1, 11]),
    st.sampled_from([None, "failed", "fail.d", "^ok$", "E|é", "failed\nbadly", "(?i)FAILED", "é"]),
    st.sampled_from(
        [
            (),
            (("user", "ann"),),
            (("n", "3"),),
            (("odd key", ""),),
            (("site", "views.py"),),
            (("host", "10.0.0.7"),),
            (("user", "a*"), ("func", "charge")),
        ]
    ),
)
UNIFORM = st.sampled_from([JsonFormat, LogfmtFormat]).flatmap(
    lambda make: st.lists(_entries(st.just(make)), max_size=8)
)


@given(st.lists(ENTRIES | st.sampled_from([b"", b"other text", b"  | torn"])) | UNIFORM, SELECTIONS)
def test_it_sifts_as_the_selection_would(entries: list[bytes], selection: Selection) -> None:
    """The same entries pass, and no block is left out that has one of them."""
    reader = LineReader()
    prefilter = Prefilter(selection, reader)
    wanted = [entry for entry in entries if selection.matches(reader.read(entry))]
    assert prefilter.wanted(list(entries)) == wanted
    block = b"".join(entry.replace(MARK, BREAK) + b"\n" for entry in entries)
    assert prefilter.may_match(block) or not wanted
