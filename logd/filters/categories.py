"""Lets records through by their category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from logd.records.categories import category_set

if TYPE_CHECKING:
    from logd.records.batch import Batch
    from logd.records.job import MsgJob

__all__ = ["Categories"]


class Categories:
    """Keeps or drops records by category, as `Log(catsEnable, catsDisable)` does at the sender.

    Args:
        enable: only these categories are written.
        disable: these categories are not written.

    Raises:
        ValueError: both given, or neither.
        TypeError: a plain string instead of a sequence of strings.
    """

    def __init__(
        self, enable: Sequence[str] | None = None, disable: Sequence[str] | None = None
    ) -> None:
        if (enable is None) == (disable is None):
            raise ValueError("expected either enable or disable, got both or neither of them")
        self._enabled = category_set(enable, "enable")
        self._disabled = category_set(disable, "disable") or frozenset()

    def __call__(self, jobhist: Sequence[MsgJob], writer: object) -> None:
        """Drop the current record if its category is not wanted."""
        job = jobhist[-1]
        if not self._is_wanted(job.cat):
            job.drop()

    def wanted_rows(self, batch: Batch) -> Sequence[int]:
        """The records that are kept, for the server, which asks once for a whole batch."""
        wanted = [self._is_wanted(context.cat) for context in batch.contexts]
        if all(wanted):
            return range(len(batch))
        return [row for row, position in enumerate(batch.index) if wanted[position]]

    def _is_wanted(self, cat: str) -> bool:
        return cat not in self._disabled and (self._enabled is None or cat in self._enabled)
