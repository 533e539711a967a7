"""Who somebody is: a link with a token on a laptop, a name and password in a team, a proxy's
header.

A token stands in the fragment of a link, which browsers send to nobody; the page exchanges it for
a cookie. It works once, and for `TOKEN_S`. WebSessions are kept by a hash of their cookie, so that
what is read from this process' memory signs nobody in. Pure but for randomness; the clock comes in.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

_COOKIE = "logd_session"

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


def cookie_name(*, is_tls: bool, port: int) -> str:
    """What a session's cookie is called.

    With TLS browsers take it only from this very host, and only if it is secure. Without it is
    another one for each port: the servers of one machine share their cookies.
    """
    if is_tls:
        return f"__Host-{_COOKIE}"
    return f"{_COOKIE}_{port}" if port else _COOKIE


class Failures:
    """Counts failed logins, so that nobody guesses many passwords.

    Args:
        clock: seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def begin(self, peer: str) -> bool:
        """Count a try before it is looked at, for many may come at once; whether it is allowed."""
        network = _network(peer)
        times = self._times.pop(network, deque())
        while times and times[0] <= self._clock() - FAILURES_S:
            times.popleft()
        if len(self._times) >= MAX_PEERS:
            del self._times[next(iter(self._times))]
        self._times[network] = times
        if len(times) >= MAX_FAILURES:
            return False
        times.append(self._clock())
        return True

    def succeeded(self, peer: str) -> None:
        """The try that was counted was none of a guesser."""
        times = self._times.get(_network(peer))
        if times:
            times.pop()


def _network(peer: str) -> str:
    """Whose an address is: who has one of IPv6 has all of its network."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address) or address.ipv4_mapped is not None:
        return peer
    return str(ipaddress.ip_network((address.packed, 64), strict=False))
