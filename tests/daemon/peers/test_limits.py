"""The counting that holds peers to their limits."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from logd.daemon.peers.limits import FaultCounts, Limits, PeerRates


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("fe80::1%eth0", True),
        ("fe81::1", False),
        ("", True),
    ],
)
def test_only_allowed_networks_may_connect(address: str, is_allowed: bool) -> None:
    """Addresses are compared by value, those mapped into IPv6 too; Unix sockets have none."""
    limits = Limits(allow=[ip_network("10.0.0.0/8"), ip_network("fe80::/64")])
    assert limits.is_allowed(address) is is_allowed
    assert Limits().is_allowed(address)


def test_a_burst_of_one_second_passes() -> None:
    """What a peer sends within its rate never makes it wait, what is over it in proportion."""
    rates = PeerRates(100)
    assert rates.spend("a", 100, now=0.0) == 0
    assert rates.spend("a", 50, now=0.0) == pytest.approx(0.5)
    assert rates.spend("b", 100, now=0.0) == 0
    assert rates.spend("a", 50, now=1.0) == 0
    assert rates.spend("a", 200, now=1.0) == pytest.approx(2.0)


def test_peers_that_are_gone_are_forgotten() -> None:
    """Buckets of peers that sent nothing for a while do not pile up."""
    rates = PeerRates(100)
    for number in range(100_000):
        rates.spend(f"peer {number}", 1, now=number * 0.01)
    assert len(rates._buckets) <= 4097


def test_faults_are_told_once_a_minute_and_peer() -> None:
    """The first fault is told at once, the rest as one line a minute, with counts."""
    faults = FaultCounts()
    assert faults.add("10.0.0.7", "bad pickle")
    assert not faults.add("10.0.0.7", "bad pickle")
    assert not faults.add("10.0.0.7", "no token")
    assert faults.add("10.0.0.8", "bad pickle")
    (line,) = faults.take()
    assert line == (
        "10.0.0.7: 3 bad frames or connections in the last minute: 2 x bad pickle; 1 x no token"
    )
    assert faults.take() == []


def test_a_peer_that_goes_on_gets_one_line_a_minute() -> None:
    """In the minutes that follow nothing is told before the minute is over."""
    faults = FaultCounts()
    faults.add("10.0.0.7", "bad pickle")
    assert faults.take() == []
    assert not faults.add("10.0.0.7", "bad pickle")
    assert len(faults.take()) == 1
    assert faults.take() == []
    assert faults.add("10.0.0.7", "bad pickle")


def test_neither_peers_nor_texts_pile_up() -> None:
    """Any number of peers and of different faults make a bounded number of lines."""
    faults = FaultCounts()
    told = sum(faults.add(f"2001:db8::{number:x}", "bad pickle") for number in range(10_000))
    assert told == faults.MAX_PEERS + 1
    (line,) = faults.take()
    assert line.startswith(f"other peers: {10_000 - faults.MAX_PEERS} bad")
    for number in range(10_000):
        faults.add("peer", f"frame of {number} bytes")
    (line,) = faults.take()
    assert line.endswith("; 9990 x other faults")
    assert len(line) < 500
