"""What a peer may ask of the daemon, and the counting that holds it to that.

Every limit is off if it is 0, unless its description says otherwise. The consequence stands
beside each; none of them ever drops a record that was received whole.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits for peers.

    Attributes:
        max_frame_bytes: a longer frame closes its connection; never 0.
        max_connections: further connections are closed at once, unless a silent one can go in
            their stead; never 0.
        max_connections_per_peer: the same for those of one address.
        first_frame_timeout_s: a connection without a good frame by then is closed.
        frame_timeout_s: a frame that takes longer to arrive closes its connection.
        idle_timeout_s: a connection that sends nothing for this time is closed.
        peer_records_per_s: reading from the connections of a faster address pauses.
        allow: networks that may connect; empty for all.
        max_partial_bytes: all frames that are not complete yet, together; if they are more, the
            oldest ones of the peer with most are given up with their connections.
    """

    max_frame_bytes: int = 1 << 20
    max_connections: int = 20_000
    max_connections_per_peer: int = 0
    first_frame_timeout_s: float = 10.0
    frame_timeout_s: float = 30.0
    idle_timeout_s: float = 0.0
    peer_records_per_s: float = 0.0
    allow: Sequence[Network] = ()
    max_partial_bytes: int = 64 << 20

    def is_allowed(self, address: str) -> bool:
        """Whether a peer of this IP address may connect; those of Unix sockets ("") always may."""
        if not self.allow or not address:
            return True
        ip = ipaddress.ip_address(address.split("%")[0])
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        return any(ip in network or (mapped and mapped in network) for network in self.allow)


class PeerRates:
    """A token bucket for each peer address: how long it has to pause for what it sent.

    A bucket holds one second's worth, so that short bursts pass.
    """

    def __init__(self, records_per_s: float) -> None:
        self._rate = records_per_s
        self._buckets: dict[str, tuple[float, float]] = {}

    def spend(self, address: str, records: int, now: float) -> float:
        """Count records of a peer; returns the seconds its connections have to pause."""
        if not self._rate:
            return 0.0
        tokens, then = self._buckets.get(address, (self._rate, now))
        tokens = min(self._rate, tokens + (now - then) * self._rate) - records
        self._buckets[address] = (tokens, now)
        if len(self._buckets) > 4096:
            self._drop_full(now)
        return max(0.0, -tokens / self._rate)

    def _drop_full(self, now: float) -> None:
        """Forget peers whose bucket is full again: a new bucket is full too."""
        self._buckets = {
            address: (tokens, then)
            for address, (tokens, then) in self._buckets.items()
            if tokens + (now - then) * self._rate < self._rate
        }


class FaultCounts:
    """Faults of peers, told once a minute and peer instead of once a frame.

    The first fault of a peer is told at once, what follows as a count at the end of the minute;
    a peer that goes on gets that line only.
    """

    MAX_PEERS = 200
    OTHERS = "other peers"

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}
        self._told: set[str] = set()
        self._told_before: set[str] = set()

    def add(self, peer: str, fault: str) -> bool:
        """Count one; True if it is the peer's first for a while: to be told now."""
        if peer not in self._counts and len(self._counts) >= self.MAX_PEERS:
            peer = self.OTHERS
        is_first = peer not in self._counts and peer not in self._told_before
        if is_first:
            self._told.add(peer)
        faults = self._counts.setdefault(peer, {})
        # The texts of faults hold numbers; a hostile peer must not make an endless list of them.
        if fault not in faults and len(faults) >= 10:
            fault = "other faults"
        faults[fault] = faults.get(fault, 0) + 1
        return is_first

    def take(self) -> list[str]:
        """A line for each peer with faults since the last call that were not told; start anew."""
        lines = [
            f"{peer}: {sum(faults.values())} bad frames or connections in the last minute: "
            + "; ".join(f"{count} x {fault}" for fault, count in faults.items())
            for peer, faults in self._counts.items()
            if sum(faults.values()) > (peer in self._told)
        ]
        self._told_before = set(self._counts)
        self._counts = {}
        self._told = set()
        return lines
