"""What a client knows of its session: numbers, acknowledgements, refusals, leftovers."""

from __future__ import annotations

import pytest

from logd_client.clientsession import Session, SessionState
from logd_client.session import (
    Context,
    EncodedBatch,
    ProtocolError,
    SessionRefused,
    encode_answer,
    encode_batches,
    encode_opening,
    encode_refusal,
)

CLIENT = b"c" * 16


def entry(first: int, count: int) -> EncodedBatch:
    """A batch as the bookkeeping sees it."""
    return EncodedBatch(first, count, 100, str(first).encode())


def opened(*entries: EncodedBatch, known: int = 0) -> Session:
    """A session that holds `entries`, all of them sent."""
    made = Session(CLIENT)
    for item in entries:
        made.add(item)
    made.opening()
    made.receive_data(encode_answer(known))
    made.take(10**9)
    return made


def test_a_new_session_may_send_before_the_answer() -> None:
    """Eagerly opened, it gives its batches at once; the answer is 0, then what is stored."""
    made = Session(b"c" * 16)
    (entry,) = encode_batches(1, [(Context((1, 2, "t", "E", (), 0, "")), 1, 1.0, "m", ())])
    made.add(entry)
    made.opening()
    assert not made.may_send
    made.opening(is_eager=True)
    assert made.take(0) == [entry]
    assert made.receive_data(encode_answer(0)) == []
    assert made.receive_data(encode_answer(1)) == [entry]
    made.opening(is_eager=True)
    assert not made.may_send  # what the server knows of it is not plain any more


def test_acknowledged_batches_are_given_back_in_order() -> None:
    """A cumulative answer frees all whole batches up to its number."""
    made = opened(entry(1, 2), entry(3, 3), entry(6, 1))
    assert made.receive_data(encode_answer(4)) == [entry(1, 2)]
    assert made.acked == 4
    assert made.receive_data(encode_answer(2)) == []
    assert made.acked == 4
    assert made.receive_data(encode_answer(6)) == [entry(3, 3), entry(6, 1)]
    assert made.oldest is None


def test_unacknowledged_batches_are_sent_again() -> None:
    """After a reconnect all that the server does not know is sent again, the same and in order."""
    made = opened(entry(1, 2), entry(3, 3), entry(6, 1))
    made.receive_data(encode_answer(2))
    made.lost()
    assert not made.has_unsent
    assert made.opening() == encode_opening(CLIENT, 3)
    assert made.receive_data(encode_answer(4)) == []
    assert made.take(1) == [entry(3, 3)]
    assert made.take(10**9) == [entry(6, 1)]


def test_answer_to_the_opening_frees_what_arrived_before() -> None:
    """What the server stored before the connection broke is not sent again."""
    made = opened(entry(1, 2), entry(3, 3))
    made.opening()
    assert made.receive_data(encode_answer(5)) == [entry(1, 2), entry(3, 3)]
    assert made.take(100) == []
    assert made.opening() == encode_opening(CLIENT, 6)


@pytest.mark.parametrize("number", [1, 2, 2**63 - 1])
def test_acks_beyond_what_was_sent_are_an_error(number: int) -> None:
    """A server that knows more than it was sent is not believed, no record is freed."""
    made = Session(CLIENT)
    made.add(entry(1, 2))
    made.opening()
    with pytest.raises(ProtocolError, match="only 0 were sent"):
        made.receive_data(encode_answer(number))
    assert made.state is SessionState.CLOSED
    assert made.oldest == entry(1, 2)


def test_a_refusal_tells_its_reason_and_what_was_acknowledged() -> None:
    """A refusal closes the session, with the acknowledgements before it taken."""
    made = opened(entry(1, 2), entry(3, 3))
    with pytest.raises(SessionRefused, match="stopping") as caught:
        made.receive_data(encode_answer(2) + encode_refusal(6))
    assert caught.value.code == 6
    assert caught.value.acknowledged == [entry(1, 2)]
    assert made.state is SessionState.CLOSED
    assert "code 99" in str(SessionRefused(99))


@pytest.mark.parametrize("data", [b"HTTP/1.1 400", b"\0\0\0\x09", b"\x80\x04\x95\x00"])
def test_answers_of_something_else_are_an_error(data: bytes) -> None:
    """Bytes that no logd server sends end the connection."""
    made = Session(CLIENT)
    made.opening()
    with pytest.raises(ProtocolError, match="no logd server"):
        made.receive_data(data)


def test_leftover_is_delivered_under_its_old_numbers() -> None:
    """Entries of a process that is gone keep their numbers, and the server's word counts."""
    made = Session(CLIENT, entries=[entry(11, 5), entry(16, 5)])
    assert made.opening() == encode_opening(CLIENT, 11)
    assert made.receive_data(encode_answer(15)) == [entry(11, 5)]
    assert made.take(10**9) == [entry(16, 5)]
    assert made.receive_data(encode_answer(20)) == [entry(16, 5)]
    with pytest.raises(ValueError, match="expected number 21"):
        made.add(entry(22, 1))
    made.add(entry(21, 1))
    assert made.take(0) == [entry(21, 1)]
    made = Session(CLIENT, entries=[entry(11, 5)])
    made.opening()
    assert made.receive_data(encode_answer(40)) == [entry(11, 5)]


def test_batches_are_added_without_a_gap() -> None:
    """A batch with another number than the next is refused."""
    made = Session(CLIENT)
    with pytest.raises(ValueError, match="from 2, expected number 1"):
        made.add(entry(2, 1))


def test_a_refused_batch_can_be_replaced() -> None:
    """A replacement takes the last number of the batch; the opening skips the others."""
    made = opened(entry(1, 5), entry(6, 2))
    made.lost()
    with pytest.raises(ValueError, match="4 to 4 in place of 1 to 5"):
        made.replace_oldest(entry(4, 1))
    assert made.replace_oldest(entry(5, 1)) == entry(1, 5)
    assert made.opening() == encode_opening(CLIENT, 5)
    made.receive_data(encode_answer(0))
    assert made.take(10**9) == [entry(5, 1), entry(6, 2)]
