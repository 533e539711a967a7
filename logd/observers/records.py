"""How observers show a record, as JSON or as a line of text, and which records they take."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from logd.records.categories import category_set
from logd.records.shape import of_job

if TYPE_CHECKING:
    from logd.records.job import MsgJob

__all__ = ["JobSelection", "record_as_dict", "to_json"]


class JobSelection:
    """Which records an observer cares for.

    Args:
        cats: these categories; None: any.
        pattern: regular expression to be found in the message; None: any message.

    Raises:
        TypeError: a plain string for cats.
        ValueError: a pattern that does not compile.
    """

    def __init__(self, cats: Sequence[str] | None, pattern: str | None) -> None:
        self._cats = category_set(cats)
        try:
            self._search = None if pattern is None else re.compile(pattern).search
        except re.error as exc:
            raise ValueError(f"pattern: {exc}") from exc

    def __contains__(self, job: MsgJob) -> bool:
        return (self._cats is None or job.cat in self._cats) and (
            self._search is None or self._search(job.msg) is not None
        )


def record_as_dict(job: MsgJob) -> dict[str, Any]:
    """The record as records are everywhere as JSON, see `logd.records.shape`."""
    return of_job(job)


def to_json(value: object) -> bytes:
    """`value` as JSON in ASCII: lone surrogates, which no encoding takes, are escaped too."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")
