"""Who somebody is: a link with a token on a laptop, a name and password in a team, a proxy's
header.

A token stands in the fragment of a link, which browsers send to nobody; the page exchanges it for
a cookie. It works once, and for `TOKEN_S`. WebSessions are kept by a hash of their cookie, so that
what is read from this process' memory signs nobody in. Pure but for randomness; the clock comes in.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

COOKIE = "logd_session"
COOKIE_TLS = "__Host-logd_session"
"""With TLS a browser takes this name only from this very host, and only if it is secure."""

SESSION_S = 12 * 3600.0
TOKEN_S = 600.0
MAX_SESSIONS = 1000
MAX_FAILURES = 5
FAILURES_S = 60.0
MAX_PEERS = 10_000


@dataclass(frozen=True)
class User:
    """Somebody who is signed in.

    Attributes:
        name: for the audit.
        role: "viewer", or "editor", who may save views.
        only: what the user may see at all: lines of the grammar, all of which hold.
    """

    name: str
    role: str = "viewer"
    only: tuple[str, ...] = ()

    @property
    def may_edit(self) -> bool:
        """Whether the user may save views."""
        return self.role == "editor"


OWNER = User("token", "editor")
"""Somebody with the link that the terminal showed."""


@dataclass
class WebSessions:
    """Tokens and sessions of one server.

    Args:
        clock: seconds that only rise.
    """

    clock: Callable[[], float] = time.monotonic
    _sessions: dict[bytes, tuple[User, float]] = field(default_factory=dict)
    _token: tuple[bytes, float] | None = None

    def new_token(self) -> str:
        """A token that works once; an earlier one works no more."""
        token = secrets.token_urlsafe(24)
        self._token = (_hash(token), self.clock() + TOKEN_S)
        return token

    @property
    def has_token(self) -> bool:
        """Whether there is one that still works."""
        return self._token is not None and self._token[1] > self.clock()

    def take_token(self, token: str) -> bool:
        """Use a token up; whether it was right."""
        if self._token is None or not self.has_token:
            return False
        if not hmac.compare_digest(_hash(token), self._token[0]):
            return False
        self._token = None
        return True

    def begin(self, user: User) -> str:
        """A session; returns what its cookie holds."""
        now = self.clock()
        self._sessions = {key: s for key, s in self._sessions.items() if s[1] > now}
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        value = secrets.token_urlsafe(32)
        self._sessions[_hash(value)] = (user, now + SESSION_S)
        return value

    def find(self, value: str) -> User | None:
        """Whose session a cookie is of."""
        found = self._sessions.get(_hash(value))
        return found[0] if found is not None and found[1] > self.clock() else None

    def end(self, value: str) -> None:
        """Sign out."""
        self._sessions.pop(_hash(value), None)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Failures:
    """Counts failed logins, so that nobody guesses many passwords.

    Args:
        clock: seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def is_too_many(self, peer: str) -> bool:
        """Whether the peer has to wait."""
        return len(self._recent(peer)) >= MAX_FAILURES

    def add(self, peer: str) -> None:
        """A login of the peer failed."""
        if len(self._times) >= MAX_PEERS:
            del self._times[next(iter(self._times))]
        times = self._recent(peer)
        times.append(self._clock())
        self._times[peer] = times

    def _recent(self, peer: str) -> deque[float]:
        times = self._times.get(peer, deque())
        while times and times[0] <= self._clock() - FAILURES_S:
            times.popleft()
        return times
