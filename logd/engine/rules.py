"""Which pieces of a partition are written: each record once, in its session's order, none lost.

Pieces of a session may come any number of times, late and out of order: a daemon that takes records
repeats what the engine did not acknowledge, a client that changes its daemon sends again what was
not acknowledged to it. What was acknowledged stands in the partition behind all that came before
it. The floor of a piece is what its client, or the daemon, knew to be acknowledged: numbers up to
it never come again. So these rules suffice, with `known` the higher one of the session's mark and
the piece's floor:

    1. `last <= known`: a repetition, left out.
    2. `prev > known`: a gap. Something before it was not stored, so it was not acknowledged
       itself, and comes again: left out.
    3. else the records above `known` are written, and the mark is `last`.
    4. `floor > mark > 0` with 3.: the numbers between were given up by the client, or lost after
       they had been acknowledged. A hole: to be told.

A message that nobody can read breaks the reasoning of rule 2: what it held was acknowledged, and
does not come again. After it each session may have one gap, in its next piece, which is written
and told as a hole.

Pure: no clock, no engine. Time is that of the messages, so that a store that was away for a day
forgets nothing that is repeated in what it missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from logd.outputs.marks import MAX_AGE_S, MAX_MARKS


class Verdict(Enum):
    """What is to be done with a piece."""

    WRITE = "write"
    REPETITION = "repetition"
    GAP = "gap"


class Judgement(NamedTuple):
    """What is to be done with a piece.

    Attributes:
        verdict: whether it is written.
        known: if so, its records above this number are.
        hole: first and last number of what is missing before it for good; None without that.
    """

    verdict: Verdict
    known: int = 0
    hole: tuple[int, int] | None = None


class Rules:
    """The rules for one partition, with the marks of its sessions.

    Args:
        marks: session -> highest number written, from the ring.
        now: the time of the last message before, in seconds since the epoch.
        is_after_unreadable: a message before could not be read, some sessions may not have come
            to their next piece since.
        limit: how many sessions are known at most.

    Attributes:
        pushed_out: how many sessions were forgotten for the limit, before a day was over.
    """

    def __init__(
        self,
        marks: Mapping[bytes, int],
        now: float,
        *,
        is_after_unreadable: bool = False,
        limit: int = MAX_MARKS,
    ) -> None:
        self._limit = limit
        self.pushed_out = 0
        # In the order in which sessions were last seen.
        self._marks = {session: (last, now) for session, last in marks.items()}
        self._excused = set(self._marks) if is_after_unreadable else set[bytes]()

    def __len__(self) -> int:
        """How many sessions are known."""
        return len(self._marks)

    def mark(self, session: bytes) -> int:
        """The highest number of a session that was written; 0 if it is unknown."""
        return self._marks.get(session, (0, 0.0))[0]

    def judge(self, session: bytes, prev: int, floor: int, last: int, now: float) -> Judgement:
        """Decide on the next piece, and take it for written if that is the decision.

        Args:
            session: whose it is.
            prev: it covers the numbers above this one,
            floor: of which those up to this one never come again,
            last: up to this one.
            now: when the engine stored it.
        """
        mark = self.mark(session)
        known = max(mark, floor)
        if last <= known:
            self._see(session, mark, now)
            return Judgement(Verdict.REPETITION)
        is_excused = session in self._excused
        self._excused.discard(session)
        if prev > known and not is_excused:
            self._see(session, mark, now)
            return Judgement(Verdict.GAP)
        self._marks.pop(session, None)
        self._marks[session] = (last, now)
        missing_to = max(floor, prev)
        hole = (mark + 1, missing_to) if missing_to > mark > 0 else None
        return Judgement(Verdict.WRITE, known, hole)

    @property
    def is_excusing(self) -> bool:
        """Whether some session may still have a gap in its next piece."""
        return bool(self._excused)

    def excuse(self) -> None:
        """A message can't be read: each session may have a gap in its next piece."""
        self._excused = set(self._marks)

    def prune(self, now: float) -> list[bytes]:
        """Forget sessions unseen for a day at `now`, and those over the limit; returns them.

        Nothing of theirs gets lost: the next piece of each says by its floor that what came before
        was acknowledged. Only what is repeated late may be written twice.
        """
        surplus = len(self._marks) - self._limit
        gone: list[bytes] = []
        for session, (_, seen) in self._marks.items():
            is_old = now - seen > MAX_AGE_S
            if not is_old and len(gone) >= surplus:
                break
            self.pushed_out += not is_old
            gone.append(session)
        self._forget(gone)
        return gone

    def _see(self, session: bytes, mark: int, now: float) -> None:
        if self._marks.pop(session, None) is not None:
            self._marks[session] = (mark, now)

    def _forget(self, sessions: Iterable[bytes]) -> None:
        for session in sessions:
            del self._marks[session]
            self._excused.discard(session)
