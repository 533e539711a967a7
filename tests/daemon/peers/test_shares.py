"""Who holds most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logd.daemon.peers.shares import Shares

CHANGES = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(-20, 20)), max_size=200)


@given(CHANGES)
def test_the_greediest_is_found(changes: list[tuple[str, int]]) -> None:
    """Whatever comes and goes, the account that holds most is known, and the sum of all."""
    shares = Shares()
    held: dict[str, int] = {}
    for account, wanted in changes:
        change = max(wanted, -held.get(account, 0))
        held[account] = held.get(account, 0) + change
        shares.add(account, change)
        assert shares.total == sum(held.values())
        greediest = shares.greediest()
        if greediest is None:
            assert not shares.total
        else:
            assert held[greediest] == max(held.values()) == shares.held(greediest)


def test_what_is_over_leaves_nothing_behind() -> None:
    """Accounts that come and go for days take no memory."""
    shares = Shares()
    for number in range(10_000):
        shares.add(f"peer {number}", 5)
        shares.add("always", 1)
        shares.add(f"peer {number}", -5)
    assert len(shares._largest) < 100
    assert shares.held("always") == shares.total == 10_000
