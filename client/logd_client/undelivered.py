"""What becomes of records that are not delivered: the fallback gets them, and people are told."""

from __future__ import annotations

import os
from collections.abc import Callable

from logd_client.connection import ServerAddress
from logd_client.courier import Courier
from logd_client.fallback import Fallback, keep
from logd_client.problems import RecordsLost, SessionProblem
from logd_client.records import AnyRow

__all__ = ["Undelivered"]


class Undelivered:
    """Used by one sender.

    Args:
        fallback: takes what is left at the end; None without one.
        address: where it should have gone.
        report: takes what people should know.
    """

    def __init__(
        self,
        fallback: Fallback | None,
        address: ServerAddress,
        report: Callable[[BaseException], None],
    ) -> None:
        self._fallback = fallback
        self._address = address
        self._report = report
        self._kept_until: tuple[Courier | None, int] = (None, 0)
        self._told_until: tuple[Courier | None, int] = (None, 0)

    def rows_of(self, courier: Courier, target: int) -> list[AnyRow]:
        """The records up to the number that are not stored, and not in the fallback yet."""
        if self._fallback is None:
            return []
        try:
            left = courier.rows_left(target)
        except (OSError, ValueError, RuntimeError):  # the thread still moves them
            return []
        after = _known(self._kept_until, courier)
        self._kept_until = courier, target
        return [row for number, row in left if number > after]

    def end(self, courier: Courier, target: int, left: list[AnyRow]) -> int:
        """Give what is left to the fallback, and tell people; returns how many are lost.

        The end may come in steps: each record counts in the first only that finds it undelivered.

        Args:
            courier: of the session that ends.
            target: the number of its last record.
            left: those that are not delivered and that the fallback can have.
        """
        count = target - max(courier.session.acked, _known(self._told_until, courier))
        if count <= 0:
            return 0
        self._told_until = courier, target
        error = courier.link.last_error
        reason = error or "no acknowledgement in time"
        text = f"by pid {os.getpid()}: not delivered to {self._address} before the end ({reason})"
        kept = 0
        if left and self._fallback is not None:
            try:
                kept = keep(left, self._fallback, reason)
                self._report(SessionProblem(f"{kept} record(s) given to the fallback {text}"))
            except Exception as exc:  # the disk, or the application's own handler
                self._report(exc)
        lost = max(0, count - kept)
        if lost:
            self._report(RecordsLost(f"{lost} record(s) lost {text}", lost))
        return lost

    def dropped(self, count: int, total: int, error: str) -> None:
        """Tell of records that were dropped: the buffer is full."""
        reason = f"; {error}" if error else ""
        text = (
            f"{count} record(s) dropped by pid {os.getpid()}, {total} so far: "
            f"the buffer is full{reason}"
        )
        self._report(RecordsLost(text, count))

    def at_risk(self, count: int, error: str) -> None:
        """Tell of records that wait in memory for a server that stays away."""
        text = (
            f"{count} record(s) of pid {os.getpid()} wait in memory ({error}); "
            "a sudden end of the process would lose them: set spool"
        )
        self._report(SessionProblem(text))


def _known(until: tuple[Courier | None, int], courier: Courier) -> int:
    """Up to which number something is done for the session."""
    return until[1] if until[0] is courier else 0
