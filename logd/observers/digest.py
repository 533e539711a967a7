"""Collects messages for the next mail and says when it is to leave. No thread, clock or mail here.

`mailnotifier` adds messages and asks `due_at`; when that time has come it takes the text of a mail.
What a mail can't hold is counted, not kept, so that memory stays bounded however much comes.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from datetime import datetime

__all__ = ["Digest"]

_HOUR_S = 3600.0
_MAX_CATS = 20


class Digest:
    """The next mail, as far as it has come. Times are seconds of one clock that goes forward.

    Args:
        max_bytes: how long the text of a mail may grow, in UTF-8, not counting the summary of what
            was left out.
        max_mails_per_hour: in any 3,600 seconds; what comes when they are used up waits for the
            next mail that may leave.
        interval_s: from one mail to the next at least.
    """

    def __init__(self, *, max_bytes: int, max_mails_per_hour: int, interval_s: float) -> None:
        if max_bytes < 1:
            raise ValueError(f"max_mail_bytes: expected at least 1, got {max_bytes}")
        if max_mails_per_hour < 1:
            raise ValueError(f"max_mails_per_hour: expected at least 1, got {max_mails_per_hour}")
        self._max_bytes = max_bytes
        self._max_mails = max_mails_per_hour
        self._interval_s = interval_s
        self._mails: deque[float] = deque(maxlen=max_mails_per_hour)  # when the last ones left
        self._notes: list[str] = []
        self._clear()

    def _clear(self) -> None:
        self._lines: list[str] = []
        self._bytes = 0
        self._wanted_at = math.inf
        self._left_out: Counter[str] = Counter()
        self._left_out_times: tuple[float, float] | None = None

    def __len__(self) -> int:
        """How many messages wait, those left out included."""
        return len(self._lines) + self._left_out.total()

    def add(self, line: str, cat: str, time: float, wanted_at: float) -> None:
        """Put a message in the next mail, or count it if that is full.

        Args:
            line: the message as it will stand in the mail, of one or several lines.
            cat: its category, for the summary.
            time: when it was logged, in seconds since the epoch, for the summary.
            wanted_at: when it should be mailed at the latest.
        """
        self._wanted_at = min(self._wanted_at, wanted_at)
        size = len(line.encode("utf-8", "replace")) + 1
        if not self._left_out and self._bytes + size <= self._max_bytes:
            self._lines.append(line)
            self._bytes += size
            return
        if not self._lines and not self._left_out:
            # Longer than a whole mail: its beginning says what it is about.
            kept = line.encode("utf-8", "replace")[: self._max_bytes].decode("utf-8", "ignore")
            self._lines.append(f"{kept}... ({len(line) - len(kept):,} characters left out)")
            self._bytes = self._max_bytes
            return
        known = cat in self._left_out or len(self._left_out) < _MAX_CATS
        self._left_out[cat if known else "others"] += 1
        first, last = self._left_out_times or (time, time)
        self._left_out_times = min(first, time), max(last, time)

    def add_note(self, note: str) -> None:
        """Have the next mail, whenever it leaves, end with a remark; the last ten are kept."""
        self._notes = [*self._notes[-9:], note]

    def due_at(self) -> float:
        """When the next mail is to leave; infinite while there is nothing to mail."""
        due = self._wanted_at
        if self._mails:
            due = max(due, self._mails[-1] + self._interval_s)
        if len(self._mails) == self._max_mails:
            due = max(due, self._mails[0] + _HOUR_S)
        return due

    def take(self, now: float) -> str:
        """The text of the mail that leaves at `now`; the next one starts empty."""
        text = "\n".join(self._lines)
        remarks = [*self._notes, *([self._summary()] if self._left_out else ())]
        if remarks:
            text += "\n\n" + "\n".join(remarks)
        self._mails.append(now)
        self._notes = []
        self._clear()
        return text + "\n"

    def _summary(self) -> str:
        counts = ", ".join(
            f"{_printable(cat)} {count:,}" for cat, count in self._left_out.most_common()
        )
        first, last = (_local(time) for time in self._left_out_times or (0.0, 0.0))
        return (
            f"{self._left_out.total():,} more messages were left out ({counts}), logged between "
            f"{first} and {last}: a mail holds {self._max_bytes:,} bytes, and "
            f"{self._max_mails:,} mails leave in an hour, at most."
        )


def _printable(cat: str) -> str:
    if not cat:
        return "no category"
    return "".join(char if char.isprintable() else "?" for char in cat[:32])


def _local(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().isoformat(timespec="seconds")
