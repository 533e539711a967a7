"""Looking for a server: attempts, and the pauses between them, until one has answered. Never waits.

A search has begun as long as a round over the places (`approach.py`) goes on. `backoff.py` says how
long the pause before the next round is, `roaming.py` where the session may go.
"""

from __future__ import annotations

from logd_client.approach import Approach, NoServer
from logd_client.backoff import RETRY_MAX_S, Backoff
from logd_client.connection import Place, ServerAddress
from logd_client.descriptors import GuardedSocket
from logd_client.natives import READABLE, monotonic, wait_ready
from logd_client.roaming import Roaming

__all__ = ["HERE_S", "Search"]

HERE_S = 0.1
"""How much longer a connection to this machine may take: it is there at once, or not at all, unless
the machine is busy."""


class Search:
    """Used by the session's `Link`.

    Args:
        address: where the server may be.
        roaming: where of that the session may go.
    """

    def __init__(self, address: ServerAddress, roaming: Roaming) -> None:
        self._address = address
        self._roaming = roaming
        self._backoff = Backoff()
        self._round: Approach | None = None
        self._answered_at = 0.0

    @property
    def has_begun(self) -> bool:
        """False during a pause, and once a server has answered."""
        return self._round is not None

    @property
    def place(self) -> Place | None:
        """The one that is tried, None for none."""
        return None if self._round is None else self._round.place

    @property
    def wanted(self) -> tuple[int, int]:
        """The descriptor to wait for until there is a socket, -1 without one, and the events."""
        wanted = None if self._round is None else self._round.wanted
        return (-1, READABLE) if wanted is None else wanted

    def left_s(self, now: float, *, has_socket: bool) -> float:
        """After how long there is something to do even if nothing happens."""
        if self._round is None:
            return self._backoff.left_s(now)
        if not has_socket and self._round.wanted is None:
            return 0.0
        return max(0.0, self._round.deadline - now)

    def advance(self) -> GuardedSocket | None:
        """Go on if it is time; returns a socket on which the session's opening was sent.

        Raises:
            NoServer: the round is over.
        """
        if self._round is None:
            if not self._backoff.is_over:
                return None
            self._round = self._roaming.approach()
        return self._round.advance()

    def advance_within(self, within_s: float) -> GuardedSocket | None:
        """Begin, with the place that is sure, and wait that long for its socket.

        Raises:
            NoServer: it is not there.
        """
        deadline = monotonic() + within_s
        self._round = tried = self._roaming.quick_approach()
        if tried is None:
            return None
        if self._address.is_here(tried.place):
            deadline += HERE_S
        while (connected := tried.advance()) is None:
            # What is ready counts, even if this thread had to wait long for its turn.
            left_s = max(0.0, deadline - monotonic())
            if tried.wanted is None or not wait_ready([tried.wanted], left_s):
                return None
        return connected

    @property
    def may_begin_for_records(self) -> bool:
        """True if `advance_within` may try: the pause is over, or a record came long into it."""
        return self._round is None and self._backoff.is_over_for_records

    def is_late(self, now: float) -> bool:
        """Whether the place that is tried has used up its time."""
        return self._round is not None and now > self._round.deadline

    def next_place(self) -> None:
        """Leave the place that has used up its time; the caller has closed its socket.

        Raises:
            NoServer: there is no other.
        """
        assert self._round is not None  # noqa: S101
        self._round.too_late()

    def failed(self, exc: BaseException) -> None:
        """The place is none, or not for us: go on with the next. As `next_place`."""
        assert self._round is not None  # noqa: S101
        self._round.failed(self._address.explained(exc, self._round.place))

    def check_answer(self, data: bytes) -> None:
        """See that what came is none of another protocol. Raises ConnectionFailed."""
        if self._round is not None:
            self._address.check_answer(data, self._round.place)

    def found(self) -> Place:
        """The session has begun at this place: the search is over."""
        assert self._round is not None  # noqa: S101
        place = self._round.place
        self._round = None
        self._answered_at = monotonic()
        self._roaming.answered(place, self._answered_at)
        return place

    # Pauses.

    def gave_up(self, exc: NoServer, plan: tuple[float, float] | None = None) -> None:
        """The round is over.

        Args:
            exc: why.
            plan: what `plan` was before, if the round was one before its time.
        """
        if exc.is_refusal:
            self._backoff.pause_for_people()
        else:
            self._backoff.pause()
        if plan is not None:
            self._backoff.pause_as_planned(plan)

    @property
    def plan(self) -> tuple[float, float]:
        """When the next round is due, and how long the pause before it was."""
        return self._backoff.plan

    def pause(self) -> None:
        """Begin no round for a while."""
        self._backoff.pause()

    def pause_after_break(self) -> None:
        """The same after the end of a connection: a short while if that had lasted."""
        if monotonic() - self._answered_at > RETRY_MAX_S:
            self._backoff.begin_anew()
        self._backoff.pause()

    def pause_for_people(self) -> None:
        """Begin no round soon: only a person can help."""
        self._backoff.pause_for_people()

    def end_pause(self) -> None:
        """Let the next round begin at once."""
        self._backoff.end_pause()

    def end_pause_within(self, now: float, within_s: float) -> None:
        """Do not let a pause last longer than that: somebody waits."""
        self._backoff.end_within(now, within_s)

    def was_worth_it(self) -> None:
        """The server stores what it gets: the next pause is a short one."""
        self._backoff.begin_anew()

    def close(self) -> None:
        """Give up what is being tried."""
        if self._round is not None:
            self._round.close()
            self._round = None
