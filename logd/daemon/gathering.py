"""How long the pipeline waits for more records before it hands over the few that are there.

Each portion wakes the pipeline's thread, one thread of each output and the loop again, whatever it
holds; at 200 records a second from twenty processes that is ten times the work on the record
itself. So few records wait for more: `GATHER_S` at most, and only

- if the last portion left a short time ago: the first record after a pause goes at once;
- if they are few: a flood is never slowed down;
- if their sender does not answer each ack with the next record, as one does that waits for acks.
"""

from __future__ import annotations

GATHER_S = 0.012
"""Below 20 ms from the call to the readable line, with the writing."""

QUIET_S = 2 * GATHER_S
"""After this long without a portion the next one is handed over at once."""

ENOUGH_BYTES = 32_768
"""From this size on, records are no longer few: about a hundred."""

ANSWER_S = 0.002
"""A record that comes within this time after an ack may be the answer to it."""

ANSWERS_IN_A_ROW = 3
"""That many are no chance: the sender waits for each ack."""


class Lockstep:
    """Tells whether a session sends its next record in answer to the ack of the last."""

    __slots__ = ("_acked_at", "_answers", "_late_answers")

    def __init__(self) -> None:
        self._acked_at = float("-inf")
        self._answers = 0
        self._late_answers = 0

    def acked(self, now: float) -> None:
        """An ack is sent."""
        self._acked_at = now

    def received(self, now: float) -> None:
        """Records came."""
        is_answer = now - self._acked_at <= ANSWER_S
        self._answers = self._answers + 1 if is_answer else 0

    def received_late(self, now: float, late_s: float, *, is_all_acked: bool) -> bool:
        """Records came at most `late_s` ago; whether they seem to be answers, several in a row.

        Then it has to be looked at without delay.

        Args:
            now: the time.
            late_s: how long they may have waited to be read.
            is_all_acked: whether all is that the sender sent before.
        """
        self._answers = 0
        is_answer = is_all_acked and now - self._acked_at <= ANSWER_S + late_s
        self._late_answers = self._late_answers + 1 if is_answer else 0
        if self._late_answers < ANSWERS_IN_A_ROW:
            return False
        self._late_answers = 0
        return True

    @property
    def is_awaiting(self) -> bool:
        """Whether its sender waits for the ack of what it sent last, as far as can be seen."""
        return self._answers >= ANSWERS_IN_A_ROW
