"""Which pieces are written: against a model with ingests, losses, retries, moves, and restarts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from logd.engine.rules import Judgement, Rules, Verdict
from logd.engine.window import Window

ONE = b"h1:session one.."
DAY_S = 86_400.0

# -- single pieces ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prev", "floor", "last", "expected"),
    [
        (10, 0, 20, Judgement(Verdict.WRITE, 10)),
        (5, 0, 20, Judgement(Verdict.WRITE, 10)),
        (0, 0, 10, Judgement(Verdict.REPETITION)),
        (0, 0, 3, Judgement(Verdict.REPETITION)),
        (11, 0, 20, Judgement(Verdict.GAP)),
        (10, 10, 11, Judgement(Verdict.WRITE, 10)),
        (15, 15, 20, Judgement(Verdict.WRITE, 15, (11, 15))),
        (17, 15, 20, Judgement(Verdict.GAP)),
    ],
)
def test_a_piece_behind_number_10(prev: int, floor: int, last: int, expected: Judgement) -> None:
    """A session whose records up to 10 are written: each rule, just within and just beyond."""
    rules = Rules({ONE: 10}, now=0.0)
    assert rules.judge(ONE, prev, floor, last, 0.0) == expected
    assert rules.mark(ONE) == (last if expected.verdict is Verdict.WRITE else 10)


def test_an_unknown_session_begins_at_its_floor() -> None:
    """Nothing is missing before a floor if nothing was ever written of the session."""
    rules = Rules({}, now=0.0)
    assert rules.judge(ONE, 40, 40, 50, 0.0) == Judgement(Verdict.WRITE, 40)


def test_after_an_unreadable_message_each_session_may_have_one_gap() -> None:
    """What it held was acknowledged and won't come again: the next piece is written, and told."""
    other = b"h1:session two.."
    rules = Rules({ONE: 10, other: 10}, now=0.0)
    rules.excuse()
    assert rules.judge(ONE, 20, 0, 30, 0.0) == Judgement(Verdict.WRITE, 10, (11, 20))
    assert rules.judge(ONE, 40, 0, 50, 0.0) == Judgement(Verdict.GAP)
    assert rules.is_excusing
    # One that lost nothing by it is not excused later.
    assert rules.judge(other, 10, 0, 20, 0.0) == Judgement(Verdict.WRITE, 10)
    assert rules.judge(other, 25, 0, 30, 0.0) == Judgement(Verdict.GAP)
    assert not rules.is_excusing


def test_excuses_hold_over_a_restart() -> None:
    """A ring that says a message was unreadable gives its sessions the excuse again."""
    rules = Rules({ONE: 10}, now=0.0, is_after_unreadable=True)
    assert rules.judge(ONE, 20, 0, 30, 0.0).verdict is Verdict.WRITE


def test_sessions_are_forgotten_after_a_day_of_the_messages_time() -> None:
    """A session that was seen, be it by a repetition, stays; others go, and those over a limit."""
    two, three = b"h1:session two..", b"h1:session three"
    rules = Rules({ONE: 5, two: 5, three: 5}, now=0.0)
    rules.judge(two, 0, 0, 5, 10.0)
    assert rules.prune(DAY_S) == []
    assert rules.prune(DAY_S + 1) == [ONE, three]
    assert (rules.mark(ONE), rules.mark(two), len(rules)) == (0, 5, 1)
    assert rules.pushed_out == 0


def test_sessions_beyond_the_limit_are_forgotten_those_unseen_for_longest_first() -> None:
    """They are counted; the next piece of each is no gap, for its floor says what is stored."""
    two = b"h1:session two.."
    rules = Rules({ONE: 5, two: 5}, now=0.0, limit=1)
    rules.judge(ONE, 5, 5, 6, 1.0)
    assert rules.prune(2.0) == [two]
    assert rules.pushed_out == 1
    assert rules.judge(two, 5, 5, 9, 3.0) == Judgement(Verdict.WRITE, 5)


# -- the model -------------------------------------------------------------------------------------


class Piece(msgspec.Struct, array_like=True):
    """As much of a piece as the model needs."""

    session: int
    prev: int
    floor: int
    last: int
    records: list[int]


@dataclass
class Client:
    """Sends the numbers 1 to `count`, keeps what is not acknowledged, may go to another ingest."""

    name: int
    count: int
    acked: int = 0
    sent: int = 0
    floor: int = 0
    at: int = 0

    def open(self, at: int) -> None:
        """Connect to an ingest: what it holds begins behind what was acknowledged."""
        self.at, self.floor, self.sent = at, self.acked, self.acked


@dataclass
class Ingest:
    """Takes batches, publishes them, acknowledges what is acknowledged; as the daemon does."""

    window: Window = field(default_factory=Window)
    accepted: dict[int, int] = field(default_factory=dict)
    acknowledged: dict[int, int] = field(default_factory=dict)
    promises: list[tuple[int, int]] = field(default_factory=list)
    under_way: list[tuple[int, bytes]] = field(default_factory=list)

    def take(self, client: Client, last: int, kept: list[int]) -> None:
        """A batch of a client up to `last` came; `kept` is what filters leave of it."""
        known = max(self.accepted.get(client.name, 0), client.floor)
        if last > known:
            self.accepted[client.name] = last
            records = [number for number in kept if number > known]
            floor = min(known, max(client.floor, self.acknowledged.get(client.name, 0)))
            piece = Piece(client.name, known, floor, last, records)
            self.window.add(msgspec.msgpack.encode([piece]))
            self.promises.append((client.name, last))
        elif self.window.done == self.window.added:
            client.acked = max(client.acked, min(last, known))

    def publish(self) -> None:
        """Hand what is to be published to the network."""
        self.under_way += [(sent.ticket, sent.message) for sent in self.window.take()]


class World:
    """Everything: clients, ingests, one partition, one store with its ring."""

    def __init__(self, data: st.DataObject, clients: int, ingests: int) -> None:
        self.draw = data.draw
        self.clients = [Client(n, data.draw(st.integers(1, 8))) for n in range(clients)]
        self.dropped = data.draw(st.sets(st.integers(1, 8), max_size=4))
        self.ingests = [Ingest() for _ in range(ingests)]
        self.stream: list[bytes] = []
        self.ring_marks: dict[bytes, int] = {}
        self.ring_offset = 0
        self.log: list[tuple[int, int]] = []
        self.rules, self.read = Rules({}, 0.0), 0
        self.holes = self.gaps = self.repetitions = 0

    def send(self, client: Client) -> None:
        """A client sends its next records to the ingest it is connected to."""
        if client.sent < client.count:
            last = self.draw(st.integers(client.sent + 1, client.count))
            numbers = range(client.sent + 1, last + 1)
            client.sent = last
            self.ingests[client.at].take(
                client, last, [number for number in numbers if number not in self.dropped]
            )

    def move(self, client: Client) -> None:
        """A client loses its connection, and goes to any ingest."""
        client.open(self.draw(st.integers(0, len(self.ingests) - 1)))

    def kill(self, at: int) -> None:
        """An ingest dies with all it has; what it published may still arrive."""
        late = self.ingests[at].under_way
        self.ingests[at] = Ingest(under_way=[(-1, message) for _, message in late])
        for client in self.clients:
            if client.at == at:
                self.move(client)

    def deliver(self, ingest: Ingest, fate: str) -> None:
        """A published message, any of those under way, meets the engine."""
        if not ingest.under_way:
            return
        # On one connection they come in order; after a reconnect perhaps not.
        chosen = self.draw(st.sampled_from([0, 0, 0, len(ingest.under_way) - 1]))
        ticket, message = ingest.under_way.pop(chosen)
        if fate != "lost":
            self.stream.append(message)
        if fate == "stored":
            done = ingest.window.acknowledged(ticket, len(self.stream))
            self.acknowledge(ingest, done)
        else:
            ingest.window.failed(ticket)

    def acknowledge(self, ingest: Ingest, done: int) -> None:
        """Tell the clients that are connected."""
        promises, ingest.promises = ingest.promises[:done], ingest.promises[done:]
        for name, last in promises:
            ingest.acknowledged[name] = max(last, ingest.acknowledged.get(name, 0))
            client = self.clients[name]
            if self.ingests[client.at] is ingest:
                client.acked = max(client.acked, last)

    def store(self) -> None:
        """The store reads the next message; its ring takes marks, records and offset together."""
        if self.read == len(self.stream):
            return
        for piece in msgspec.msgpack.decode(self.stream[self.read], type=list[Piece]):
            session = b"%016d" % piece.session
            judgement = self.rules.judge(session, piece.prev, piece.floor, piece.last, 0.0)
            self.gaps += judgement.verdict is Verdict.GAP
            self.repetitions += judgement.verdict is Verdict.REPETITION
            self.holes += judgement.hole is not None
            if judgement.verdict is Verdict.WRITE:
                self.ring_marks[session] = piece.last
                self.log += [
                    (piece.session, number) for number in piece.records if number > judgement.known
                ]
        self.read += 1
        if self.draw(st.booleans()):
            self.ring_offset = self.read

    def restart_store(self) -> None:
        """A store dies between write and offset, and begins at the last offset of its ring."""
        self.rules, self.read = Rules(self.ring_marks, 0.0), self.ring_offset

    def die(self, at: int) -> None:
        """An ingest or the store dies."""
        if self.draw(st.booleans()):
            self.kill(at)
        else:
            self.restart_store()

    def forget(self) -> None:
        """All comes to rest, and the store forgets its sessions: nobody says anything for a day."""
        self.bring()
        # Who was not told of what is stored would have asked by then.
        if all(self.rules.mark(b"%016d" % one.name) <= one.acked for one in self.clients):
            self.ring_marks.clear()
            self.ring_offset = self.read
            self.rules = Rules({}, 0.0)

    def bring(self) -> None:
        """What is under way is published and stored, without further faults."""
        for ingest in self.ingests:
            ingest.publish()
            while ingest.under_way:
                self.deliver(ingest, "stored")
                ingest.publish()
        while self.read < len(self.stream):
            self.store()

    def run(self, steps: int) -> None:
        """Do anything, in any order."""
        for _ in range(steps):
            client = self.draw(st.sampled_from(self.clients))
            at = self.draw(st.integers(0, len(self.ingests) - 1))
            ingest = self.ingests[at]
            match self.draw(st.integers(0, 12)):
                case 0 | 1 | 2:
                    self.send(client)
                case 3 | 4:
                    ingest.publish()
                case 5 | 6:
                    self.deliver(ingest, "stored")
                case 7:
                    self.deliver(ingest, self.draw(st.sampled_from(["lost", "no answer"])))
                case 8 | 9:
                    self.store()
                case 10:
                    self.move(client)
                case 11:
                    self.forget()
                case _:
                    self.die(at)

    def settle(self) -> None:
        """All faults are over: whatever is left is sent, published, stored and read."""
        for _ in range(200):
            for client in self.clients:
                self.send(client)
            self.bring()
            waiting = [client for client in self.clients if client.acked < client.count]
            if not waiting:
                return
            for client in waiting:
                client.open(client.at)
        raise AssertionError("clients wait for ever")

    def expected(self) -> Iterator[tuple[int, list[int]]]:
        """What the log should have of each client."""
        for client in self.clients:
            numbers = range(1, client.count + 1)
            yield client.name, [number for number in numbers if number not in self.dropped]


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.integers(0, 60))
def test_each_record_once_and_in_order(
    data: st.DataObject, clients: int, ingests: int, steps: int
) -> None:
    """Whatever is lost, repeated, moved, killed or restarted: 1..n, once, in order, no holes."""
    world = World(data, clients, ingests)
    world.run(steps)
    world.settle()
    for name, numbers in world.expected():
        assert [number for client, number in world.log if client == name] == numbers
    assert world.holes == 0
    if world.gaps:
        event("gaps")
    if world.repetitions:
        event("repetitions")
