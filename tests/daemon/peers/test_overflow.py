"""What waits on disk, undecoded: it comes back as it came, and its space is given back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.daemon.peers import overflow
from logd.daemon.peers.overflow import Overflow, Overflowed
from logd.wire.frames import Frames, FrameSplitter

MANY = 1 << 20


def frames(*payloads: bytes, rest: bytes = b"") -> Frames:
    """Frames as they come from a socket, and what came of the next one."""
    stream = b"".join(len(one).to_bytes(4, "big") + one for one in payloads) + rest
    found = FrameSplitter().feed(stream)
    assert found is not None
    return found


def payloads(found: Frames) -> list[bytes]:
    """What the frames hold."""
    return [found.payload(number) for number in range(found.count)]


def kept(on_disk: Overflow, found: Frames) -> Overflowed:
    """Frames that are on disk now."""
    one = on_disk.keep(found)
    assert one is not None
    return one


@given(
    st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), max_size=12),
    st.permutations(range(12)),
    st.sampled_from([1, 50, MANY]),
)
def test_frames_come_back_as_they_came(
    reads: list[list[bytes]], order: list[int], file_bytes: int
) -> None:
    """In whatever order they are taken, and however they lie in files; then no space is used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overflow, "FILE_BYTES", file_bytes)
        on_disk = Overflow(limit_bytes=MANY)
        # A length of 0 is a keep-alive.
        sent = [read for read in reads if any(read)]
        waiting = [(kept(on_disk, frames(*read, rest=b"\0\0")), read) for read in sent]
        for number in order:
            if number >= len(waiting):
                continue
            one, read = waiting[number]
            size = one.size
            found = one.take()
            assert payloads(found) == [payload for payload in read if payload]
            assert found.size <= size
        assert on_disk.waiting_bytes == 0
        assert on_disk.used_bytes == 0
        on_disk.close()


def test_the_limit_holds_and_ends_with_what_is_taken() -> None:
    """What does not fit is not kept; there is room again once the first is taken."""
    on_disk = Overflow(limit_bytes=120)
    large, small = bytes(range(80)), bytes(range(30))  # nothing of them repeats itself
    first = kept(on_disk, frames(large))
    assert on_disk.keep(frames(small)) is None
    assert payloads(first.take()) == [large]
    assert kept(on_disk, frames(small)).take().count == 1
    on_disk.close()


def test_what_resembles_itself_takes_little_room() -> None:
    """Records of one program do, and a disk that is nearly full holds many of them."""
    on_disk = Overflow(limit_bytes=MANY)
    found = frames(*(b"a record of the program, number %d" % number for number in range(1000)))
    one = kept(on_disk, found)
    assert on_disk.used_bytes * 5 < len(found.data)
    assert payloads(one.take()) == payloads(found)
    on_disk.close()


def test_a_disk_that_is_short_or_refuses_keeps_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Then memory has to do; that the disk refuses is said, once a minute."""
    short = Overflow(tmp_path, limit_bytes=MANY, min_free_bytes=1 << 60)
    assert short.keep(frames(b"x")) is None
    refusing = Overflow(tmp_path / "none", limit_bytes=MANY)
    assert refusing.keep(frames(b"x")) is None
    assert refusing.keep(frames(b"x")) is None
    assert len(caplog.records) == 1
    assert "can't wait on disk" in caplog.text


def test_what_cannot_be_read_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that gives back less or other bytes costs these records, and nothing else."""
    on_disk = Overflow(limit_bytes=MANY)
    pread = os.pread
    for wrong in (b"", b"\xff" * 9):
        one = kept(on_disk, frames(b"x", b"y"))
        monkeypatch.setattr(os, "pread", lambda *_, wrong=wrong: wrong)
        assert one.take().count == 0
        monkeypatch.setattr(os, "pread", pread)
    assert caplog.text.count("2 records that waited on disk are lost") == 2
    assert on_disk.used_bytes == 0
    on_disk.close()


def test_the_head_of_a_record_that_is_too_long_stays_in_memory() -> None:
    """It is no frame as it came."""
    long = FrameSplitter(1 << 17, may_skip=True)
    found = long.feed((1 << 18).to_bytes(4, "big") + b"}q\0".ljust(1 << 18, b"x"))
    assert found is not None
    assert found.cut
    assert Overflow(limit_bytes=MANY).keep(found) is None
