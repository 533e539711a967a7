from __future__ import annotations

import struct
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.wire import FrameError, Frames, FrameSplitter
from logd.wire.frames import PIECE_BYTES, SKIPPED_HEAD_BYTES

payloads = st.lists(st.binary(max_size=30), max_size=12)


RECORD = b"}q\x00("


def stream_of(parts: list[bytes]) -> bytes:
    """The frames of the payloads as they go over the wire."""
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def all_of(frames: Frames | None) -> list[bytes]:
    """The payloads of the frames."""
    return [] if frames is None else [frames.payload(n) for n in range(frames.count)]


@given(payloads, st.data())
def test_any_split_gives_the_same_frames(parts: list[bytes], data: st.DataObject) -> None:
    """Frames come out whole and in order however the stream is cut; empty ones are skipped."""
    stream = stream_of(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter = FrameSplitter(64)
    got = []
    for start, stop in pairwise([0, *cuts, len(stream)]):
        got += all_of(splitter.feed(stream[start:stop]))
    assert got == [part for part in parts if part]
    assert not splitter.has_partial


@given(payloads)
def test_byte_by_byte_gives_the_same_frames(parts: list[bytes]) -> None:
    """A stream that arrives byte by byte gives the same frames."""
    stream = stream_of(parts)
    splitter = FrameSplitter(64)
    got = []
    for at in range(len(stream)):
        got += all_of(splitter.feed(stream[at : at + 1]))
    assert got == [part for part in parts if part]


def test_partial_frames_are_known() -> None:
    """Between frames nothing is kept; within one the kept bytes are counted."""
    splitter = FrameSplitter()
    assert splitter.feed(b"\0\0") is None
    assert (splitter.has_partial, splitter.partial_bytes) == (True, 2)
    assert splitter.feed(b"\0\3ab") is None
    assert splitter.partial_bytes == 6
    assert all_of(splitter.feed(b"c")) == [b"abc"]
    assert (splitter.has_partial, splitter.partial_bytes) == (False, 0)


@pytest.mark.parametrize("length", [99, 100])
def test_frames_up_to_the_limit_pass(length: int) -> None:
    """A frame just under and one at the limit are taken."""
    assert all_of(FrameSplitter(100).feed(stream_of([b"x" * length]))) == [b"x" * length]


def test_a_frame_over_the_limit_names_both_numbers() -> None:
    """The error says how long the frame is and how long it may be, before its bytes have come."""
    with pytest.raises(FrameError, match="frame of 101 bytes, at most 100 allowed"):
        FrameSplitter(100).feed(b"\0\0\0\x65")


def test_frames_before_a_bad_one_are_kept() -> None:
    """Whole frames of the same read are in the error."""
    with pytest.raises(FrameError) as caught:
        FrameSplitter(100).feed(stream_of([b"good", b"too"]) + b"\xff\xff\xff\xff")
    assert all_of(caught.value.frames) == [b"good", b"too"]


@pytest.mark.parametrize(
    ("head", "guess"),
    [
        (b"GET ", "an HTTP request"),
        (b"POST", "an HTTP request"),
        (b"\x16\x03\x01\x02", "a TLS handshake on a port without TLS"),
        (b"SSH-", "an SSH banner"),
        (b"HELO", "text"),
        (b"\xff\xff\xff\xff", ""),
    ],
)
def test_strangers_are_recognised(head: bytes, guess: str) -> None:
    """The error says what the peer seems to speak."""
    with pytest.raises(FrameError) as caught:
        FrameSplitter().feed(head)
    assert caught.value.looks_like == guess
    assert guess in caught.value.reason


def test_frames_of_payloads_and_from_a_number_on() -> None:
    """Frames can be made of payloads, and the first ones left out without copying."""
    frames = Frames.of(b"a", b"", b"bc")
    assert all_of(frames) == [b"a", b"", b"bc"]
    assert all_of(frames.from_frame(2)) == [b"bc"]
    assert frames.from_frame(3).count == 0


def test_a_long_frame_in_small_pieces_is_kept_without_overhead() -> None:
    """A frame that comes in pieces of two bytes is kept in little more than its size."""
    splitter = FrameSplitter()
    splitter.feed(struct.pack(">I", 1 << 18))
    tracemalloc.start()
    try:
        for _ in range((1 << 17) - 1):
            assert splitter.feed(b"xx") is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 << 18
    assert all_of(splitter.feed(b"xx")) == [b"x" * (1 << 18)]


@given(
    st.lists(
        st.binary(max_size=40)
        | st.integers(100, 400_000).map(lambda size: RECORD + b"x" * size)
        | st.sampled_from([65, 65_535, 65_536, 65_537]).map(lambda size: RECORD.ljust(size, b"y")),
        max_size=5,
    ),
    st.data(),
)
def test_records_that_are_too_long_are_skipped(parts: list[bytes], data: st.DataObject) -> None:
    """Of each the head comes out in its place, with its length, however the stream is cut."""
    stream = stream_of(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter = FrameSplitter(64, may_skip=True)
    got, cut = [], []
    for start, stop in pairwise([0, *cuts, len(stream)]):
        frames = splitter.feed(stream[start:stop])
        if frames is not None:
            got += all_of(frames)
            cut += [frames.cut.get(number) for number in range(frames.count)]
            for number in range(frames.count):
                rest = frames.from_frame(number)
                assert rest.payload(0) == frames.payload(number)
                assert rest.cut.get(0) == frames.cut.get(number)
        assert splitter.partial_bytes <= SKIPPED_HEAD_BYTES + 4
    sent = [part for part in parts if part]
    assert got == [part if len(part) <= 64 else part[:SKIPPED_HEAD_BYTES] for part in sent]
    assert cut == [None if len(part) <= 64 else len(part) for part in sent]
    assert not splitter.has_partial


@pytest.mark.parametrize(
    "start",
    [b"\0\0\1\0GE", b"\x08\0\0\x01}q", b"GET / H", b"\0\0\1\0\x80\x07", b"\0\0\1\0[1"],
)
def test_only_what_looks_like_a_record_is_skipped(start: bytes) -> None:
    """Other encodings, other protocols and lengths that nothing has end the connection."""
    with pytest.raises(FrameError):
        FrameSplitter(64, may_skip=True).feed(start)


def test_a_higher_limit_does_not_disturb_what_is_being_skipped() -> None:
    """A frame that was too long when it came is skipped to its end."""
    splitter = FrameSplitter(64, may_skip=True)
    stream = stream_of([RECORD.ljust(100_000), b"next"])
    assert splitter.feed(stream[:80_000]) is None
    splitter.max_frame_bytes = 1_000_000
    frames = splitter.feed(stream[80_000:])
    assert [len(one) for one in all_of(frames)] == [SKIPPED_HEAD_BYTES, 4]


def test_a_long_frame_comes_together_from_its_pieces() -> None:
    """Bytes are in order, and counted, across the pieces in which an incomplete frame is kept."""
    payload = bytes(range(256)) * (5 * PIECE_BYTES // 256)
    stream = stream_of([payload, b"next"])
    for size in (PIECE_BYTES - 1, PIECE_BYTES + 1, 100_000, 3 * PIECE_BYTES):
        splitter = FrameSplitter()
        got = []
        for at in range(0, len(stream), size):
            got += all_of(splitter.feed(memoryview(stream)[at : at + size]))
            if not got:
                assert splitter.partial_bytes == at + size
        assert got == [payload, b"next"]
        assert splitter.partial_bytes == 0
