"""Cuts a byte stream into frames: 4 bytes of big-endian length, then that many bytes.

This runs on the event loop for every read, so it does the least that can be done there: it walks
the lengths. The frames of one read stay together in one bytes object with lists of offsets; they
are sliced later, in the thread that decodes them. It knows nothing of what frames contain.
"""

from __future__ import annotations

from struct import Struct

from logd.errors import LogdError

MAX_FRAME_BYTES = 1 << 20
"""Default limit of a frame: 128 times a generous record, 1/64 of the default intake queue."""

FRAME_COST_BYTES = 72
"""What a frame takes in memory besides its bytes: two offsets and their places in lists. A flood
of tiny frames weighs many times what it was on the wire."""

_LENGTH = Struct(">I")
_HEADER_BYTES = 4

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


class Frames:
    """Whole frames as they arrived in one read. Not changed after it was made.

    Attributes:
        data: the bytes read, headers and keep-alives between the frames included.
        starts: where each payload begins in `data`.
        stops: where each payload ends.
    """

    __slots__ = ("data", "starts", "stops")

    def __init__(self, data: bytes, starts: list[int], stops: list[int]) -> None:
        self.data = data
        self.starts = starts
        self.stops = stops

    @classmethod
    def of(cls, *payloads: bytes) -> Frames:
        """Frames of the payloads given, for callers that have no stream to split."""
        starts, stops, at = [], [], 0
        for payload in payloads:
            starts.append(at)
            at += len(payload)
            stops.append(at)
        return cls(b"".join(payloads), starts, stops)

    def payload(self, number: int) -> bytes:
        """The bytes of one frame, counted from 0."""
        return self.data[self.starts[number] : self.stops[number]]

    def from_frame(self, number: int) -> Frames:
        """The frames from `number` on, without copying their bytes; may hold none."""
        return Frames(self.data, self.starts[number:], self.stops[number:])

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


class FrameSplitter:
    """Splits the stream of one connection; lives as long as the connection.

    What came of an incomplete frame is kept and grows in place, so that the total cost is linear
    in the bytes however they are cut.

    Args:
        max_frame_bytes: a frame may be this long, not counting its 4 bytes of length.
    """

    __slots__ = ("_needed", "_rest", "max_frame_bytes")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._rest = bytearray()
        self._needed = _HEADER_BYTES
        """Bytes that `_rest` must have before it is worth looking at."""

    @property
    def has_partial(self) -> bool:
        """Whether a frame has begun and waits for its other bytes."""
        return bool(self._rest)

    @property
    def partial_bytes(self) -> int:
        """How many bytes of an incomplete frame are kept."""
        return len(self._rest)

    def drop(self) -> None:
        """Let go of what is kept of an incomplete frame; nothing is to be fed after that."""
        self._rest = bytearray()

    def feed(self, received: bytes | memoryview) -> Frames | None:
        """Take what was read; return the frames that are now whole, None where there are none.

        It is copied once, with what was kept before it. Frames of length 0 are keep-alives and are
        skipped.

        Raises:
            FrameError: a length over the limit. The stream is lost; close the connection. Frames
                that were whole before it are in the error.
        """
        if self._rest:
            if len(self._rest) + len(received) < self._needed:
                self._rest += received
                return None
            data = b"".join((self._rest, received))
            self._rest = bytearray()
        else:
            data = bytes(received)
        starts: list[int] = []
        stops: list[int] = []
        unpack = _LENGTH.unpack_from
        limit = self.max_frame_bytes
        start = _HEADER_BYTES
        end = len(data)
        while start <= end:
            length: int = unpack(data, start - _HEADER_BYTES)[0]
            if length > limit:
                raise self._too_long(data, start, Frames(data, starts, stops) if starts else None)
            stop = start + length
            if stop > end:
                self._needed = _HEADER_BYTES + length
                break
            if length:
                starts.append(start)
                stops.append(stop)
            start = stop + _HEADER_BYTES
        else:
            self._needed = _HEADER_BYTES
        if start - _HEADER_BYTES < end:
            self._rest += data[start - _HEADER_BYTES :]
        return Frames(data, starts, stops) if starts else None

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
