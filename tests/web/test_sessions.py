"""Tokens, sessions and failed logins."""

from __future__ import annotations

from logd.web import sessions
from logd.web.sessions import OWNER, Failures, User, WebSessions, cookie_name


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


def test_tries_are_counted_and_forgotten() -> None:
    """Who failed five times in a minute has to wait, and nobody else; a success is no failure."""
    clock = Clock()
    failures = Failures(clock)
    for _ in range(sessions.MAX_FAILURES):
        assert failures.begin("10.0.0.7")
        failures.succeeded("10.0.0.7")
    # Counted before they are looked at: a hundred at once are no more than five.
    assert [failures.begin("10.0.0.7") for _ in range(100)].count(True) == sessions.MAX_FAILURES
    assert failures.begin("10.0.0.8")
    clock.now += sessions.FAILURES_S
    assert failures.begin("10.0.0.7")


def test_a_network_of_ipv6_is_one_peer() -> None:
    """Whoever has an address of IPv6 has 2 to the 64 of them; addresses of IPv4 are single."""
    failures = Failures(Clock())
    assert all(failures.begin(f"2001:db8::{n}") for n in range(sessions.MAX_FAILURES))
    assert not failures.begin("2001:db8::ffff")
    assert failures.begin("2001:db8:0:1::1")
    assert all(failures.begin(f"::ffff:10.0.0.{n}") for n in range(20))


def test_each_port_has_a_cookie_of_its_own() -> None:
    """Two servers of one machine, whose cookies browsers do not tell apart by port."""
    assert cookie_name(is_tls=False, port=9803) != cookie_name(is_tls=False, port=9804)
    assert cookie_name(is_tls=True, port=9803) == "__Host-logd_session"
