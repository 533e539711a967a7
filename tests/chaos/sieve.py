"""A filter for the chaos: drops whole stretches of a sender's records, and changes some others.

What it does depends on a record's number alone, so the oracle knows what must be left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from logd.records.job import MsgJob

STRETCH = 100
"""So many records are dropped in a row, and as many kept: more than a batch at a modest rate."""

CHANGE_EVERY = 5
MARK = " (seen by the filter)"

_NUMBER = re.compile(r"sender \d+ record (\d+) ")


def keeps(number: int) -> bool:
    """Whether the filter lets a sender's record through."""
    return number // STRETCH % 2 == 0


def changes(number: int) -> bool:
    """Whether it writes its mark behind the record's text."""
    return number % CHANGE_EVERY == 0


def sift(jobhist: Sequence[MsgJob], writer: object) -> bool | None:
    """The filter."""
    job = jobhist[-1]
    match = _NUMBER.match(job.msg)
    if match is None:
        return None
    number = int(match[1])
    if not keeps(number):
        return False
    if changes(number):
        job.msg += MARK
    return None


def unchanged(message: str) -> str:
    """A text as it was before the filter; as it is if it was changed wrongly."""
    match = _NUMBER.match(message)
    if match is not None and changes(int(match[1])):
        return message.removesuffix(MARK) if message.endswith(MARK) else f"not changed: {message}"
    return message


def left_of(sent: Mapping[int, int]) -> int:
    """How many records are left of what was sent."""
    return sum(sum(map(keeps, range(count))) for count in sent.values())
