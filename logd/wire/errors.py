"""What can be wrong inside a frame; `frames.py` has the error for the framing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from logd.errors import LogdError

if TYPE_CHECKING:
    from logd.records.batch import Batch
    from logd.wire.pickles.made import Mapped


class WireError(LogdError):
    """The content of a frame is not what any sender of logd sends.

    Attributes:
        reason: one line for a person: what, expected and got. It never holds more than a few
            characters of what the peer sent, escaped.
        frame: number of the bad frame in the frames given, counted from 0.
        batches: what the frames before the bad one held; it is to be written like any other.
        is_hostile: it would run code instead of giving a record; no honest sender does that.
    """

    def __init__(
        self,
        reason: str,
        *,
        frame: int = 0,
        batches: Sequence[Batch] = (),
        is_hostile: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.frame = frame
        self.batches = batches
        self.is_hostile = is_hostile


class TooLongError(WireError):
    """A pickle takes more work than is spent on one frame; nothing in it was wrong so far.

    Attributes:
        beginning: what there was of the outermost dict, as the machine makes it; None if it is no
            dict.
    """

    beginning: Mapped | None = None
