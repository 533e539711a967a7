"""Sessions: acks follow the client, not the connection."""

from __future__ import annotations

from logd.daemon.peers.sessions import KEEP_UNSEEN_S, Sessions

ANN = b"a" * 16
BOB = b"b" * 16


class Peer:
    """A connection that records its acks."""

    def __init__(self, identity: str = "10.0.0.7") -> None:
        self.identity = self.peer = identity
        self.acks: list[int] = []
        self.given_up = ""

    def give_up(self, reason: str) -> None:
        self.given_up = reason

    def send_ack(self, number: int) -> None:
        self.acks.append(number)


def test_an_opening_is_answered_with_what_is_durable() -> None:
    """A client learns what earlier runs hold of it, a new one that nothing is known."""
    sessions = Sessions({ANN: 7})
    assert sessions.opened(ANN, Peer()) == 7
    assert sessions.opened(BOB, Peer()) == 0


def test_acks_go_to_the_newest_connection() -> None:
    """After a cut the client hears on its new connection what the old one had brought."""
    sessions = Sessions({})
    old, new = Peer(), Peer()
    sessions.opened(ANN, old)
    sessions.durable({ANN: 3})
    sessions.opened(ANN, new)
    sessions.closed(ANN, old)
    sessions.durable({ANN: 5})
    assert (old.acks, new.acks) == ([3], [5])


def test_acks_never_go_back() -> None:
    """A batch that came twice is acknowledged with all that is durable by then."""
    sessions = Sessions({})
    peer = Peer()
    sessions.opened(ANN, peer)
    sessions.durable({ANN: 9})
    sessions.durable({ANN: 4})
    assert peer.acks == [9, 9]


def test_clients_unseen_for_a_day_are_forgotten() -> None:
    """Marks go a day after the client's last connection closed, not before."""
    now = 1000.0
    sessions = Sessions({ANN: 1, BOB: 2}, clock=lambda: now)
    peer = Peer()
    sessions.opened(BOB, peer)
    now += KEEP_UNSEEN_S + 1
    assert sessions.prune() == [ANN]
    sessions.closed(BOB, peer)
    now += KEEP_UNSEEN_S - 1
    assert sessions.prune() == []
    now += 2
    assert sessions.prune() == [BOB]
    assert sessions.opened(BOB, peer) == 0


def test_sessions_without_records_leave_nothing_behind() -> None:
    """A peer that opens sessions under random ids and says nothing costs no memory."""
    sessions = Sessions({})
    for number in range(1000):
        client, peer = number.to_bytes(16, "big"), Peer()
        sessions.opened(client, peer)
        sessions.closed(client, peer)
    assert len(sessions._seen) == 0
    sessions.opened(ANN, peer)
    sessions.closed(ANN, peer)
    sessions.durable({ANN: 1})
    assert sessions.opened(ANN, peer) == 1


def test_too_many_sessions_push_out_those_unseen_for_longest() -> None:
    """Beyond a number sessions go before their day is over, but never a connected one."""
    sessions = Sessions({ANN: 1, BOB: 2}, limit=100)
    peer = Peer()
    sessions.opened(ANN, peer)
    sessions.closed(ANN, peer)
    sessions.opened(BOB, peer)
    clients = [number.to_bytes(16, "big") for number in range(100)]
    for client in clients:
        sessions.opened(client, peer)
        sessions.durable({client: 1})
        sessions.closed(client, peer)
    assert sessions.prune() == [ANN, clients[0]]
    assert sessions.pushed_out == 2
    assert sessions.opened(BOB, peer) == 2
    assert sessions.opened(clients[1], peer) == 1


def test_a_session_is_its_peers_while_it_is_open() -> None:
    """Another peer may not have it meanwhile; the same one may, and its old connection goes."""
    sessions = Sessions({})
    old, new = Peer(), Peer()
    sessions.opened(ANN, old)
    assert sessions.holder_elsewhere(ANN, "10.0.0.8") == old.peer
    assert sessions.holder_elsewhere(ANN, new.identity) is None
    sessions.opened(ANN, new)
    assert old.given_up
    sessions.closed(ANN, old)
    assert sessions.holder_elsewhere(ANN, "10.0.0.8") == new.peer
    sessions.closed(ANN, new)
    assert sessions.holder_elsewhere(ANN, "10.0.0.8") is None
