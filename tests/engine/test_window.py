"""Publishing to a partition: what was acknowledged with all before it, and what goes out again."""

from __future__ import annotations

from logd.engine.window import Sent, Window


def window_of(count: int) -> tuple[Window, list[Sent]]:
    """A window with messages that were taken for publishing."""
    window = Window()
    for number in range(1, count + 1):
        window.add(b"message %d" % number)
    return window, window.take()


def test_acknowledged_in_order() -> None:
    """Each message is done once it and all before it are acknowledged."""
    window, sent = window_of(3)
    assert [one.message for one in sent] == [b"message 1", b"message 2", b"message 3"]
    assert window.acknowledged(sent[1].ticket, 8) == 0
    assert window.acknowledged(sent[0].ticket, 7) == 2
    assert (window.done, len(window), window.size) == (2, 1, 9)
    assert window.acknowledged(sent[2].ticket, 9) == 1
    assert (len(window), window.size, window.rounds) == (0, 0, 0)
    assert window.take() == []


def test_a_failure_sends_all_behind_it_again() -> None:
    """What was acknowledged behind a message that failed is published again behind it."""
    window, sent = window_of(3)
    window.acknowledged(sent[1].ticket, 1)
    window.acknowledged(sent[2].ticket, 2)
    assert window.failed(sent[0].ticket)
    again = window.take()
    assert [one.message for one in again] == [one.message for one in sent]
    assert not {one.ticket for one in again} & {one.ticket for one in sent}
    for sequence, one in enumerate(again, 3):
        window.acknowledged(one.ticket, sequence)
    assert window.done == 3


def test_answers_of_a_round_before_count_for_nothing() -> None:
    """A late acknowledgement or failure of what was published again changes nothing."""
    window, sent = window_of(2)
    window.failed(sent[1].ticket)
    again = window.take()
    assert window.acknowledged(sent[0].ticket, 1) == 0
    assert not window.failed(sent[1].ticket)
    assert (window.done, window.rounds) == (0, 1)
    assert window.acknowledged(again[0].ticket, 2) == 1


def test_stored_in_the_wrong_order() -> None:
    """A message that stands in front of the one before it goes out again."""
    window, sent = window_of(2)
    window.acknowledged(sent[1].ticket, 5)
    assert window.acknowledged(sent[0].ticket, 6) == 1
    assert (window.done, window.rounds) == (1, 1)
    (again,) = window.take()
    assert again.message == b"message 2"
    assert window.acknowledged(again.ticket, 7) == 1


def test_a_stream_that_was_made_anew_is_taken() -> None:
    """Numbers that begin at 1 again hold up the messages of one round only."""
    window, sent = window_of(1)
    window.acknowledged(sent[0].ticket, 1000)
    window.add(b"message 2")
    (sent_2,) = window.take()
    assert window.acknowledged(sent_2.ticket, 1) == 0
    (again,) = window.take()
    assert window.acknowledged(again.ticket, 2) == 1


def test_the_oldest_ticket_is_what_is_waited_for() -> None:
    """It is that of the first message under way; None if all is done or nothing is published."""
    window, sent = window_of(2)
    assert window.oldest_ticket == sent[0].ticket
    window.acknowledged(sent[0].ticket, 1)
    assert window.oldest_ticket == sent[1].ticket
    window.go_back()
    assert window.oldest_ticket is None
