"""What callers who wait for their records get back."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NotDelivered", "Receipt"]


class Receipt(NamedTuple):
    """The answer of `flush`: true if everything is stored, and how far it is.

    Attributes:
        complete: True when all records that were logged before the call are stored durably by
            the server: on its disk, for servers with `sync = batch`. This is also the truth value
            of the receipt. Records that had been dropped before (`lost`) do not count.
        sequence: everything up to this sequence number of the session is stored, whether
            complete or not; 0 for nothing yet, and for logs without a server of their own.
    """

    complete: bool
    sequence: int

    def __bool__(self) -> bool:
        return self.complete


class NotDelivered(Exception):
    """A record is not known to be stored: it was dropped, or the time to wait for it is over.

    Attributes:
        msgid: the message id of the record.
        is_lost: True if it will never be stored; False if it is still on its way.
    """

    def __init__(self, text: str, msgid: int | None = None, *, is_lost: bool = False) -> None:
        super().__init__(text)
        self.msgid = msgid
        self.is_lost = is_lost
