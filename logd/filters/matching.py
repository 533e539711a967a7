"""Lets records through by a regular expression."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from logd.records.job import MsgJob

__all__ = ["FIELDS", "Matching"]

FIELDS = ("msg", "cat", "threadname", "cfunc", "path", "peer")
"""What of a record can be searched, besides its special items."""


class Matching:
    """Keeps or drops the records in which a regular expression is found.

    Args:
        pattern: searched anywhere in the field, in the syntax of Python's `re`. It runs over text
            that others chose: avoid nested repeats such as `(a+)+`, whose time explodes.
        action: "drop" drops what matches, "keep" drops what does not.
        field: one of `FIELDS`, or "special.NAME" for a special item; a record without that item
            does not match.
        ignore_case: whether upper and lower case are the same.
        max_chars: the search ends after this many characters, which bounds the time.

    Raises:
        ValueError: a pattern that does not compile, an unknown action or field, max_chars below 1.
    """

    def __init__(
        self,
        pattern: str,
        action: Literal["drop", "keep"] = "drop",
        field: str = "msg",
        *,
        ignore_case: bool = False,
        max_chars: int = 16_384,
    ) -> None:
        if action not in ("drop", "keep"):
            raise ValueError(f'action: expected "drop" or "keep", got {action!r}')
        if field not in FIELDS and not field.startswith("special."):
            raise ValueError(
                f"field: expected one of {', '.join(FIELDS)} or special.NAME, got {field!r}"
            )
        if max_chars < 1:
            raise ValueError(f"max_chars: expected at least 1, got {max_chars}")
        try:
            self._search = re.compile(pattern, re.IGNORECASE if ignore_case else 0).search
        except re.error as exc:
            raise ValueError(f"pattern: {exc}") from exc
        self._drops_matches = action == "drop"
        self._field = field
        self._max_chars = max_chars

    def __call__(self, jobhist: Sequence[MsgJob], writer: object) -> None:
        """Drop the current record if the pattern says so."""
        job = jobhist[-1]
        text = self._text(job)
        found = text is not None and self._search(text[: self._max_chars]) is not None
        if found is self._drops_matches:
            job.drop()

    def _text(self, job: MsgJob) -> str | None:
        if self._field == "path":
            return job.pathStr()
        if self._field.startswith("special."):
            value = job.special.get(self._field.removeprefix("special."))
            return None if value is None else str(value)
        return str(getattr(job, self._field))
