"""Few frames of `SocketHandler` at once: the same records as frame by frame, or none."""

from __future__ import annotations

import logging
import logging.handlers
import pickle
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.batch import Batch
from logd.wire import Decoder
from logd.wire.frames import Frames

ITEMS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["request_id", "user", "ms", "ok"]),
    st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.none(), st.floats()),
    max_size=3,
)


FIELDS = ["pid", "tid", "threadname", "cat", "path", "cfunc", "msgid", "time", "msg", "peer"]


def frame(site: int, process: int, text: str, items: dict[str, Any]) -> bytes:
    """A record from one of several places in one of several processes."""
    record = logging.LogRecord(
        f"shop.{site % 2}", 20 + 10 * (site % 3), f"/srv/m{site}.py", site, text, None, None, "f"
    )
    record.process = 1000 + process
    vars(record).update(items)
    return logging.handlers.SocketHandler("", 0).makePickle(record)


def rows(batches: list[Batch]) -> list[tuple[Any, ...]]:
    """All that is known of each record."""
    return [
        (*map(job.__getattribute__, FIELDS), repr(dict(job.special)))
        for batch in batches
        for job in batch.jobs()
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.text(max_size=20), ITEMS),
        min_size=1,
        max_size=12,
    ),
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
)
def test_the_same_records_as_frame_by_frame(
    records: list[tuple[int, int, str, dict[str, Any]]], together: list[int]
) -> None:
    """However the frames are divided among reads, and whatever items they have."""
    frames = [frame(*record) for record in records]
    reads, at = [], 0
    while at < len(frames):
        count = together[at % len(together)]
        reads.append(b"".join(frames[at : at + count]))
        at += count
    decoder = Decoder()
    for _ in range(3):  # until all are known
        expected = rows(decoder.decode(Frames.of_reads(reads), peer="10.0.0.7"))
    known = decoder.known_records(reads, "10.0.0.7")
    if known is not None:
        assert rows([known]) == expected
    assert known is not None or any(items for *_, items in records)


@pytest.mark.parametrize(
    "odd", [pickle.dumps("ping", 1), b"}q\x00(!.", pickle.dumps({"msg": "no record"}, 1)]
)
def test_anything_else_is_left_alone(odd: bytes) -> None:
    """One that is not known, or no record, among those that are: nothing is returned."""
    decoder = Decoder()
    usual = frame(1, 1, "usual", {})
    for _ in range(3):
        decoder.decode(Frames.of_reads([usual]))
    assert decoder.known_records([usual, usual], "") is not None
    other = struct.pack(">L", len(odd)) + odd
    assert decoder.known_records([usual, other], "") is None
    assert decoder.known_records([other + usual], "") is None
    assert decoder.known_records([frame(2, 1, "new", {})], "") is None
