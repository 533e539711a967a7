"""Which of several servers a session may go to, when it leaves one, and when it goes back.

A server that did not acknowledge what it was sent may have stored it. If the servers share their
marks, the next one knows, and the session may go there. If they don't, it would store the same
records again: what was sent and not acknowledged waits for the server that has it. Nothing holds
a session whose records are all acknowledged.
"""

from __future__ import annotations

import random
from functools import partial

from logd_client.approach import Approach
from logd_client.clientsession import Session
from logd_client.connection import ServerAddress
from logd_client.places import Place

__all__ = ["Roaming"]

CONNECT_TIMEOUT_S = 5.0
"""How long each place may take until the server has answered."""

BACK_TIMEOUT_S = 1.0
"""The same if there is one that works, and the first is tried again."""

SILENCE_S = 60.0
SILENCE_OF_SEVERAL_S = 8.0
"""A server that lives says so every 3 s: two of its words may be late or lost. What it takes to
notice and to connect elsewhere stays well below 10 s."""

_NEVER = float("inf")

_random = random.SystemRandom()
"""The app's own random numbers (`random.seed`) are none of our business."""


class Roaming:
    """The places of one session.

    Args:
        address: where servers may be; remembers for all sessions what they said of their marks.
        session: the session.

    Attributes:
        avoided: the place that failed last, to be tried after all others; None without one.
        is_going_back: whether a connection was given up for one to the first place.
    """

    def __init__(self, address: ServerAddress, session: Session) -> None:
        self._address = address
        self._session = session
        self._sent_to: Place | None = None
        self._back_at = _NEVER
        self.avoided: Place | None = None
        self.is_going_back = False

    @property
    def silence_s(self) -> float:
        """How long the server may say nothing while something waits for its acknowledgement."""
        if self._address.moving.silence_s is not None:
            return self._address.moving.silence_s
        return SILENCE_OF_SEVERAL_S if self._address.has_several else SILENCE_S

    @property
    def has_shared_marks(self) -> bool:
        """Whether the server that answered last shares its marks with others."""
        return self._session.has_shared_marks

    @property
    def bound_to(self) -> Place | None:
        """The place that alone may get what it did not acknowledge; None if all may."""
        session, failover = self._session, self._address.moving.failover
        if failover is None:
            failover = self._address.has_shared_marks
        return None if failover or session.acked >= session.sent_sequence else self._sent_to

    @property
    def sure_place(self) -> Place | None:
        """The place to try if there is time for one only."""
        sure, bound_to = self._address.sure_place, self.bound_to
        if not self._address.has_several:
            return sure
        is_open = sure != self.avoided and bound_to in (None, sure)
        return sure if is_open else None

    def approach(self) -> Approach:
        """A round over the places where this session may go.

        Raises:
            NoServer: there is no such place.
        """
        timeout_s = BACK_TIMEOUT_S if self.is_going_back else CONNECT_TIMEOUT_S
        return Approach(
            self._address,
            self._session.opening,
            timeout_s,
            only=self.bound_to,
            avoided=self.avoided,
        )

    def quick_approach(self) -> Approach | None:
        """One to the place that is sure, without a look-up; None if there is no such place."""
        sure = self.sure_place
        if sure is None or not self._address.resolved(sure):
            return None
        # The answer to a new session is known, it is 0: no need to wait for it.
        opening = partial(self._session.opening, is_eager=True)
        return Approach(self._address, opening, CONNECT_TIMEOUT_S, only=sure, at_once=True)

    def sent(self, place: Place) -> None:
        """The place is sent something, before it has answered."""
        self._sent_to = place

    def answered(self, place: Place, now: float) -> None:
        """The place has greeted."""
        self._sent_to = place
        self.avoided = None
        self.is_going_back = False
        self._address.last_answered = place
        self._address.has_shared_marks = self._session.has_shared_marks
        self._back_at = _NEVER
        if self._address.moving.failback_s and not self._address.is_first(place):
            self._back_at = now + self._address.moving.failback_s * _random.uniform(0.75, 1.25)

    def left(self, place: Place | None) -> None:
        """The connection to the place has ended."""
        self.avoided = place
        self._back_at = _NEVER

    def is_back_due(self, now: float) -> bool:
        """Whether it is time to go back to the first place, once all that was sent is stored."""
        return now >= self._back_at

    def back_s(self, now: float) -> float | None:
        """After how long that is; None if it is not going to be."""
        return None if self._back_at == _NEVER else max(0.0, self._back_at - now)

    def go_back(self) -> None:
        """The connection is given up for one to the first place."""
        self._back_at = _NEVER
        self.avoided = None
        self.is_going_back = True

    def explained(self, error: str) -> str:
        """What goes wrong, and what the user can do if a server alone may have records."""
        if self.bound_to is None or not self._address.has_several:
            return error
        return (
            f"{error}; what was sent to {self.bound_to} waits for it, as it may be stored there: "
            "let the servers share their marks, or set failover"
        )
