"""Which newcomer goes first, and which are late."""

from __future__ import annotations

from logd.daemon.peers.newcomers import Newcomers


class Guest:
    def __init__(self, account: str) -> None:
        self.account = account
        self.reason = ""

    def turn_away(self, reason: str) -> None:
        self.reason = reason


def test_the_account_with_most_newcomers_gives_way_first() -> None:
    """A crowd pushes out its own oldest member, not a lone peer that came before it."""
    newcomers: Newcomers[Guest] = Newcomers()
    lone, *crowd = Guest("lone"), Guest("crowd"), Guest("crowd")
    for guest in (lone, *crowd):
        newcomers.came(guest, 1.0)
    assert newcomers.make_room(2.0)
    assert [bool(guest.reason) for guest in (lone, *crowd)] == [False, True, False]
    assert len(newcomers) == 2


def test_only_newcomers_give_way() -> None:
    """A connection that has said what it came for is no newcomer any more."""
    newcomers: Newcomers[Guest] = Newcomers()
    settled, other = Guest("a"), Guest("b")
    newcomers.came(settled, 1.0)
    newcomers.came(other, 1.0)
    newcomers.settled(settled)
    newcomers.settled(settled)
    assert not newcomers.make_room(2.0, "a")
    assert newcomers.make_room(2.0)
    assert not newcomers.make_room(2.0)
    assert not settled.reason


def test_those_who_came_earlier_are_late() -> None:
    """Only newcomers from before a moment are late at it."""
    newcomers: Newcomers[Guest] = Newcomers()
    early, late, other = Guest("a"), Guest("a"), Guest("b")
    newcomers.came(early, 1.0)
    newcomers.came(late, 3.0)
    newcomers.came(other, 1.5)
    assert list(newcomers.since_before(2.0)) == [early, other]


def test_a_newcomer_that_has_just_come_may_stay() -> None:
    """What it says may be on its way."""
    newcomers: Newcomers[Guest] = Newcomers()
    newcomers.came(Guest("a"), 1.0)
    assert not newcomers.make_room(1.2)
    assert newcomers.make_room(1.6)
