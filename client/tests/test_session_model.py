"""A model of client, network and server at the level of the protocol: exactly once, in order.

The network is two byte queues that may be cut anywhere; either side may die at any step. The
client that dies has a spool, and another process takes its entries over under the same id. The
server stores a batch with its mark in one step and may die before the acknowledgement is out.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from logd_client.clientsession import Session, SessionState
from logd_client.session import (
    Context,
    EncodedBatch,
    SessionRefused,
    encode_answer,
    encode_batches,
    encode_refusal,
)

CLIENT = b"m" * 16
CONTEXT = Context((1, 2, "t", "E", (), 0, ""))


class ModelServer:
    """What survives its death: `stored` and `mark`, which change in one step."""

    def __init__(self) -> None:
        self.stored: list[int] = []
        self.mark = 0
        self.hang_up()

    def hang_up(self) -> None:
        """Forget the connection."""
        self.incoming = b""
        self.outgoing = b""
        self.expected: int | None = None

    def step(self, *, answers: bool, at_most: int = 10**9) -> bool:
        """Handle one whole frame, if there is one; store `at_most` records of it."""
        if len(self.incoming) < 4:
            return False
        (length,) = struct.unpack_from(">I", self.incoming)
        if len(self.incoming) < 4 + length:
            return False
        message = pickle.loads(self.incoming[4 : 4 + length])
        self.incoming = self.incoming[4 + length :]
        if message[0] == "logd":
            assert message[2] == CLIENT
            self.expected = max(self.mark + 1, message[3])
        else:
            self.store(message, at_most)
        if answers:
            self.outgoing += encode_answer(self.mark)
        return True

    def store(self, batch: tuple[Any, ...], at_most: int) -> None:
        """Write what is new of a batch, with its mark; an output may manage a part of it only."""
        _, first, count = batch[:3]
        numbers = [int(text) for text in batch[7].split("\0")]
        assert self.expected is not None, "a batch before the opening"
        assert first <= self.expected, "a gap"
        assert len(numbers) == count
        new = numbers[max(0, self.mark + 1 - first) :][:at_most]
        self.stored += new
        self.mark += len(new)
        self.expected = max(self.expected, self.mark + 1)


def is_connected(model: Delivery) -> bool:
    """Whether there is a connection that can carry something or break."""
    return model.session.state is not SessionState.CLOSED


def is_closed(model: Delivery) -> bool:
    """Whether the client may connect."""
    return not is_connected(model)


class Delivery(RuleBasedStateMachine):
    """The rules are what may happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.server = ModelServer()
        self.session = Session(CLIENT)
        self.logged = 0
        self.is_leftover = False
        self.spool: list[EncodedBatch] = []
        self.to_server = b""
        self.acked = 0

    @rule(count=st.integers(1, 5))
    def log(self, count: int) -> None:
        """The app logs; a process that only delivers leftovers has no app."""
        if self.is_leftover:
            return
        rows = [
            (CONTEXT, n, 1.0, str(n), ()) for n in range(self.logged + 1, self.logged + 1 + count)
        ]
        for entry in encode_batches(self.session.next_sequence, rows):
            self.session.add(entry)
            self.spool.append(entry)
        self.logged += count

    @precondition(is_closed)
    @rule()
    def connect(self) -> None:
        """A new connection; its opening is under way."""
        self.to_server = self.session.opening()

    @precondition(is_closed)
    @rule()
    def connect_and_open(self) -> None:
        """A new connection whose opening is answered at once, so that most have a life."""
        self.connect()
        self.transmit(10**9)
        self.serve(True, 1)
        self.answer(10**9)

    @precondition(is_connected)
    @rule(size=st.integers(0, 300))
    def send(self, size: int) -> None:
        """The client gives batches to the socket."""
        for entry in self.session.take(size):
            self.to_server += entry.frame

    @precondition(is_connected)
    @rule(counts=st.lists(st.integers(1, 5), min_size=1, max_size=3))
    def log_and_send(self, counts: list[int]) -> None:
        """The usual case at once: batches are logged and arrive whole."""
        for count in counts:
            self.log(count)
        self.send(10**9)
        self.transmit(10**9)

    @precondition(is_connected)
    @rule(part=st.one_of(st.integers(1, 400), st.just(10**9)))
    def transmit(self, part: int) -> None:
        """Some bytes arrive at the server, frames cut anywhere."""
        self.server.incoming += self.to_server[:part]
        self.to_server = self.to_server[part:]

    @precondition(is_connected)
    @rule(answers=st.booleans(), steps=st.integers(1, 4))
    def serve(self, answers: bool, steps: int) -> None:
        """The server works; its acknowledgement may be skipped, later ones are cumulative."""
        for _ in range(steps):
            is_opening = self.server.expected is None
            self.server.step(answers=answers or is_opening)

    @precondition(is_connected)
    @rule(part=st.one_of(st.integers(1, 30), st.just(10**9)))
    def answer(self, part: int) -> None:
        """Some bytes of the answers arrive at the client."""
        data, self.server.outgoing = self.server.outgoing[:part], self.server.outgoing[part:]
        for entry in self.session.receive_data(data):
            assert entry.last <= self.server.mark
            assert self.spool.pop(0) == entry

    @precondition(is_connected)
    @rule()
    def cut(self) -> None:
        """The network breaks; bytes in flight are gone in both directions."""
        self.session.lost()
        self.to_server = b""
        self.server.hang_up()

    @precondition(is_connected)
    @rule()
    def kill_server(self) -> None:
        """The server dies: only what it stored remains."""
        stored, mark = self.server.stored, self.server.mark
        self.cut()
        self.server = ModelServer()
        self.server.stored, self.server.mark = stored, mark

    @precondition(is_connected)
    @rule(at_most=st.integers(0, 3))
    def kill_server_in_a_batch(self, at_most: int) -> None:
        """The server dies when a part of a batch is stored."""
        self.server.step(answers=False, at_most=at_most)
        self.kill_server()

    @precondition(is_connected)
    @rule(code=st.integers(1, 6))
    def refuse(self, code: int) -> None:
        """The server refuses, for whatever reason, and hangs up."""
        if len(self.server.outgoing) % 12:
            return  # the client has the beginning of an answer, whose end must come first
        try:
            self.session.receive_data(self.server.outgoing + encode_refusal(code))
        except SessionRefused as exc:
            for entry in exc.acknowledged:
                assert self.spool.pop(0) == entry
        self.cut()

    @precondition(lambda model: not model.is_leftover)
    @rule()
    def kill_client(self) -> None:
        """The app dies; another process adopts its spool, which may hold acknowledged entries."""
        self.cut()
        if self.spool:
            self.session = Session(CLIENT, entries=self.spool)
            self.is_leftover = True

    @invariant()
    def exactly_once_in_order(self) -> None:
        """What is stored is the beginning of what was logged; what is acknowledged is stored."""
        assert self.server.stored == list(range(1, len(self.server.stored) + 1))
        assert self.session.acked <= self.server.mark == len(self.server.stored)
        assert self.session.acked >= self.acked or self.is_leftover
        self.acked = self.session.acked

    def teardown(self) -> None:
        """In the end a good connection delivers everything."""
        self.cut()
        self.connect_and_open()
        self.send(10**9)
        self.transmit(10**9)
        while self.server.step(answers=True):
            pass
        self.answer(10**9)
        assert self.server.stored == list(range(1, self.logged + 1))
        assert self.session.oldest is None


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
