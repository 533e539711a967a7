"""What can be wrong with bytes from a peer: one error for the framing, one for what is inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from logd.errors import LogdError

if TYPE_CHECKING:
    from logd.batch import Batch
    from logd.wire.frames import Frames


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


class WireError(LogdError):
    """The content of a frame is not what any sender of logd sends; the connection is to be closed.

    Attributes:
        reason: one line for a person: what, expected and got. It never holds more than a few
            characters of what the peer sent, escaped.
        frame: number of the bad frame in the frames given, counted from 0.
        batches: what the frames before the bad one held; it is to be written like any other.
    """

    def __init__(self, reason: str, *, frame: int = 0, batches: Sequence[Batch] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.frame = frame
        self.batches = batches
