"""Cuts a byte stream into frames: 4 bytes of big-endian length, then that many bytes.

This runs on the event loop for every read, so it does the least that can be done there: it walks
the lengths. The frames of one read stay together in one bytes object with lists of offsets; they
are sliced later, in the thread that decodes them. It knows nothing of what frames contain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct
from types import MappingProxyType

from logd.errors import LogdError

MAX_FRAME_BYTES = 1 << 20
"""Default limit of a frame: 128 times a generous record, 1/64 of the default intake queue."""

FRAME_COST_BYTES = 72
"""What a frame takes in memory besides its bytes: two offsets and their places in lists. A flood
of tiny frames weighs many times what it was on the wire."""

_LENGTH = Struct(">I")
_HEADER_BYTES = 4

PIECE_BYTES = 65_536
"""What came of an incomplete frame is kept in pieces that grow up to this. One that grew with the
frame would have to move again and again: five times the work beside sixty others that grow."""

SKIPPED_HEAD_BYTES = 65_536
"""This much is kept of a record that is longer than a frame may be; the rest is skipped."""

MAX_SKIPPED_BYTES = 128 << 20
"""Read as a length all text is more than that: what is longer is no frame of ours."""

# How pickles of a dict begin, in all protocols. Only `SocketHandler` sends frames that are too
# long, as the application can make a message of any size.
_RECORD_BEGINNINGS = (
    b"}q",
    b"}(",
    b"}.",
    b"(d",
    b"\x80\x02",
    b"\x80\x03",
    b"\x80\x04",
    b"\x80\x05",
)
_BEGINNING_BYTES = 2

# The first bytes of what else is found on a port. Read as a length each is over any sane limit,
# so such peers are recognised by the limit alone, and this table only finds the word for it.
_STRANGERS = (
    (b"\x16\x03", "a TLS handshake on a port without TLS"),
    (b"SSH-", "an SSH banner"),
    (b"HTTP", "an HTTP answer"),
    (b"PRI ", "an HTTP/2 request"),
    (b"PROX", "a PROXY protocol header"),
    (b"\r\n\r\n", "a port scanner or a PROXY protocol header"),
    (b"<", "a syslog message"),
    (b"{", "JSON without a length before it"),
    (b"[", "JSON without a length before it"),
)
_HTTP_METHODS = (b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"PATC", b"CONN", b"TRAC")


_NOT_CUT: Mapping[int, int] = MappingProxyType({})


class Frames:
    """Whole frames as they arrived in one read. Not changed after it was made.

    Attributes:
        data: the bytes read, headers and keep-alives between the frames included.
        starts: where each payload begins in `data`.
        stops: where each payload ends.
        cut: number of a frame -> how long it was, for those of which only the head is there.
    """

    __slots__ = ("cut", "data", "starts", "stops")

    def __init__(
        self,
        data: bytes,
        starts: list[int],
        stops: list[int],
        cut: Mapping[int, int] = _NOT_CUT,
    ) -> None:
        self.data = data
        self.starts = starts
        self.stops = stops
        self.cut = cut

    @classmethod
    def of(cls, *payloads: bytes) -> Frames:
        """Frames of the payloads given, for callers that have no stream to split."""
        starts, stops, at = [], [], 0
        for payload in payloads:
            starts.append(at)
            at += len(payload)
            stops.append(at)
        return cls(b"".join(payloads), starts, stops)

    @classmethod
    def joined(cls, parts: Sequence[Frames]) -> Frames:
        """The frames of several reads as if they had come in one; none of them may be cut."""
        starts: list[int] = []
        stops: list[int] = []
        at = 0
        for part in parts:
            starts += [at + start for start in part.starts]
            stops += [at + stop for stop in part.stops]
            at += len(part.data)
        return cls(b"".join([part.data for part in parts]), starts, stops)

    @classmethod
    def of_reads(cls, reads: Sequence[bytes]) -> Frames:
        """The frames of several reads; each read is whole frames, see `whole_frames`."""
        data = reads[0] if len(reads) == 1 else b"".join(reads)
        starts: list[int] = []
        stops: list[int] = []
        at, end = 0, len(data)
        while at < end:
            start = at + _HEADER_BYTES
            at = start + _LENGTH.unpack_from(data, at)[0]
            starts.append(start)
            stops.append(at)
        return cls(data, starts, stops)

    def payload(self, number: int) -> bytes:
        """The bytes of one frame, counted from 0."""
        return self.data[self.starts[number] : self.stops[number]]

    def from_frame(self, number: int) -> Frames:
        """The frames from `number` on, without copying their bytes; may hold none."""
        cut = self.cut
        if cut:
            cut = {one - number: size for one, size in cut.items() if one >= number}
        return Frames(self.data, self.starts[number:], self.stops[number:], cut)

    @property
    def count(self) -> int:
        """How many frames these are."""
        return len(self.starts)

    @property
    def size(self) -> int:
        """What they take in memory, in bytes: as such they count in the budget of a queue."""
        return len(self.data) + FRAME_COST_BYTES * len(self.starts)


class FrameError(LogdError):
    """The stream can't be cut into frames any more; the connection is to be closed.

    Attributes:
        reason: one line for a person: what, expected and got.
        length: what the bad bytes are when they are read as a length.
        looks_like: what the peer seems to speak instead ("an HTTP request"), "" if unknown.
        frames: the whole frames that stood before the bad bytes in the same read, None for none.
    """

    def __init__(
        self,
        reason: str,
        *,
        length: int = 0,
        looks_like: str = "",
        frames: Frames | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.length = length
        self.looks_like = looks_like
        self.frames = frames


def whole_frames(data: bytes, max_frame_bytes: int) -> int:
    """How many frames a read is made of; 0 if it is anything else than whole frames."""
    count = at = 0
    end = len(data)
    while at + _HEADER_BYTES <= end:
        length: int = _LENGTH.unpack_from(data, at)[0]
        if not 0 < length <= max_frame_bytes:
            return 0
        at += _HEADER_BYTES + length
        count += 1
    return count if at == end else 0


class FrameSplitter:
    """Splits the stream of one connection; lives as long as the connection.

    What came of an incomplete frame is kept in pieces, so that the total cost is linear in the
    bytes however they are cut.

    Args:
        max_frame_bytes: a frame may be this long, not counting its 4 bytes of length.
        may_skip: a longer record is skipped, but for its head, if it looks like one.
    """

    __slots__ = ("_kept", "_needed", "_pieces", "_unread", "max_frame_bytes", "may_skip")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES, *, may_skip: bool = False) -> None:
        self.max_frame_bytes = max_frame_bytes
        self.may_skip = may_skip
        self._pieces: list[bytearray] = []
        """What is kept of an incomplete frame, from its length on."""
        self._kept = 0
        """Bytes of `_pieces`."""
        self._needed = _HEADER_BYTES
        """Bytes that must be there before they are worth looking at."""
        self._unread = 0
        """Bytes still to come of a frame that is skipped; what is kept is its head."""

    @property
    def has_partial(self) -> bool:
        """Whether a frame has begun and waits for its other bytes."""
        return bool(self._kept)

    @property
    def partial_bytes(self) -> int:
        """How many bytes of an incomplete frame are kept."""
        return self._kept

    def count_whole(self, received: bytes) -> int:
        """How many frames a read is made of that need nothing else; 0 if it has to be fed."""
        if self._kept or self._unread:
            return 0
        length = len(received) - _HEADER_BYTES
        if 0 < length <= self.max_frame_bytes and _LENGTH.unpack_from(received)[0] == length:
            return 1  # nearly always
        return whole_frames(received, self.max_frame_bytes)

    def drop(self) -> None:
        """Let go of what is kept of an incomplete frame; nothing is to be fed after that."""
        self._pieces = []
        self._kept = 0

    def feed(self, received: bytes | memoryview) -> Frames | None:
        """Take what was read; return the frames that are now whole, None if there are none.

        It is copied once, with what was kept before it. Frames of length 0 are keep-alives and are
        skipped.

        Raises:
            FrameError: a length over the limit, and no record that may be skipped. The stream is
                lost; close the connection. Frames that were whole before it are in the error.
        """
        if self._unread:
            return self._feed_skipped(received)
        if not self._kept:
            return self._split(bytes(received), [], [], {}, _HEADER_BYTES)
        if self._kept + len(received) < self._needed:
            self._keep(received)
            return None
        return self._split(self._joined_with(received), [], [], {}, _HEADER_BYTES)

    def _keep(self, more: bytes | memoryview) -> None:
        self._kept += len(more)
        if self._pieces and len(self._pieces[-1]) < PIECE_BYTES:
            self._pieces[-1] += more
        else:
            self._pieces.append(bytearray(more))

    def _joined_with(self, more: bytes | memoryview) -> bytes:
        """What is kept, and more, in one; nothing is kept any longer."""
        data = b"".join((*self._pieces, more))
        self.drop()
        return data

    def _feed_skipped(self, received: bytes | memoryview) -> Frames | None:
        """Pass over what comes of a frame that is too long; its head follows when it is over."""
        passed = min(self._unread, len(received))
        self._unread -= passed
        if self._unread:
            return None
        head = self._kept
        data = self._joined_with(received[passed:])
        size = _LENGTH.unpack_from(data)[0]
        return self._split(data, [_HEADER_BYTES], [head], {0: size}, head + _HEADER_BYTES)

    def _split(
        self, data: bytes, starts: list[int], stops: list[int], cut: dict[int, int], start: int
    ) -> Frames | None:
        """The frames of `data`, the first of which stand in the lists already."""
        unpack = _LENGTH.unpack_from
        limit = self.max_frame_bytes
        end = kept_end = len(data)
        while start <= end:
            length: int = unpack(data, start - _HEADER_BYTES)[0]
            stop = start + length
            if length > limit:
                if not self._may_be_skipped(length, data, start):
                    frames = Frames(data, starts, stops, cut) if starts else None
                    raise self._too_long(data, start, frames)
                head = start + min(length, SKIPPED_HEAD_BYTES)
                if head > end:
                    self._needed = _HEADER_BYTES + head - start
                    break
                if stop > end:
                    self._unread = stop - end
                    kept_end = head
                    break
                cut[len(starts)] = length
                starts.append(start)
                stops.append(head)
            elif stop > end:
                self._needed = _HEADER_BYTES + length
                break
            elif length:
                starts.append(start)
                stops.append(stop)
            start = stop + _HEADER_BYTES
        else:
            self._needed = _HEADER_BYTES
        if start - _HEADER_BYTES < end:
            self._keep(memoryview(data)[start - _HEADER_BYTES : kept_end])
        return Frames(data, starts, stops, cut) if starts else None

    def _may_be_skipped(self, length: int, data: bytes, start: int) -> bool:
        """Whether a frame that is too long looks like a record, as far as it is there."""
        beginning = data[start : start + _BEGINNING_BYTES]
        return (
            self.may_skip
            and length <= MAX_SKIPPED_BYTES
            and any(one.startswith(beginning) for one in _RECORD_BEGINNINGS)
        )

    def _too_long(self, data: bytes, start: int, frames: Frames | None) -> FrameError:
        head = data[start - _HEADER_BYTES : start]
        length = _LENGTH.unpack(head)[0]
        looks_like = _guess(head)
        text = f"frame of {length} bytes, at most {self.max_frame_bytes} allowed"
        if looks_like:
            text += f" (looks like {looks_like})"
        return FrameError(text, length=length, looks_like=looks_like, frames=frames)


def _guess(head: bytes) -> str:
    if head.startswith(_HTTP_METHODS):
        return "an HTTP request"
    for beginning, name in _STRANGERS:
        if head.startswith(beginning):
            return name
    return "text" if head.isascii() and head.decode().isprintable() else ""
