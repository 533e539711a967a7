"""Tokens, sessions and failed logins."""

from __future__ import annotations

from logd.web import sessions
from logd.web.sessions import OWNER, Failures, User, WebSessions


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_works_once_and_not_for_long() -> None:
    """A token is worth nothing the second time, when another was made, or after ten minutes."""
    clock = Clock()
    kept = WebSessions(clock)
    token = kept.new_token()
    assert not kept.take_token(token + "x")
    assert kept.take_token(token)
    assert not kept.take_token(token)
    old, new = kept.new_token(), kept.new_token()
    assert not kept.take_token(old)
    clock.now += sessions.TOKEN_S
    assert not kept.take_token(new)
    assert not kept.has_token


def test_a_session_ends() -> None:
    """A session ends after twelve hours, when it is signed out, or when too many came after it."""
    clock = Clock()
    kept = WebSessions(clock)
    value = kept.begin(OWNER)
    assert kept.find(value) is OWNER
    assert kept.find(value[:-1]) is None
    kept.end(value)
    assert kept.find(value) is None
    value = kept.begin(OWNER)
    clock.now += sessions.SESSION_S
    assert kept.find(value) is None
    value = kept.begin(User("ann"))
    for _ in range(sessions.MAX_SESSIONS):
        kept.begin(OWNER)
    assert kept.find(value) is None


def test_failures_are_forgotten() -> None:
    """Who failed five times in a minute has to wait, and nobody else."""
    clock = Clock()
    failures = Failures(clock)
    for _ in range(sessions.MAX_FAILURES):
        assert not failures.is_too_many("10.0.0.7")
        failures.add("10.0.0.7")
    assert failures.is_too_many("10.0.0.7")
    assert not failures.is_too_many("10.0.0.8")
    clock.now += sessions.FAILURES_S
    assert not failures.is_too_many("10.0.0.7")
